/* Whether what a run depends on is still what it was in an earlier one. */
#ifndef KN_ENGINE_FINGERPRINT_H
#define KN_ENGINE_FINGERPRINT_H

#include "engine/request.h"

/* A hash of names, sizes and times of change of every file that rq reads, folders with what is in them; contents are not
 * read. model_path: where rq->model lies; NULL = rq->model says it. What does not exist has a value of its own. */
uint64_t kn_fingerprint_files(const kn_request *rq, const char *model_path);

/* The same of one file or folder, wherever it lies. */
uint64_t kn_fingerprint_path(const char *path);

/* What may change the last bits of a result: the build of this program, oneDNN, the processor (a device's description), the
 * number of threads. NULL without memory. */
json_t *kn_fingerprint_machine(const char *device);

#endif
