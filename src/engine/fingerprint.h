/* Whether the files that a request reads are still those of an earlier run. */
#ifndef KN_ENGINE_FINGERPRINT_H
#define KN_ENGINE_FINGERPRINT_H

#include "engine/request.h"

/* A hash of names, sizes and times of change of every file that rq reads, folders with what is in them; contents are not
 * read. model_path: where rq->model lies; NULL = rq->model says it. What does not exist has a value of its own. */
uint64_t kn_fingerprint_files(const kn_request *rq, const char *model_path);

/* The same of one file or folder, wherever it lies. */
uint64_t kn_fingerprint_path(const char *path);

#endif
