/* Ids of jobs: "job_", 10 digits of milliseconds since 1970 and 10 at random, in Crockford's base 32, whose order as text is
 * that of their numbers.  Within one millisecond, and while the clock goes back, the random part counts up instead: ids of
 * one maker always grow. */
#ifndef KN_JOBS_JOB_ID_H
#define KN_JOBS_JOB_ID_H

#include "jobs/job.h"

typedef struct kn_job_ids {
    int64_t last_ms; /* of the newest id */
    uint64_t last_random;
} kn_job_ids;

/* New ids come after `newest`, which may be NULL; KN_EFORMAT if it is none of ours. */
int kn_job_ids_init(kn_job_ids *ids, const char *newest, kn_err *err);
int kn_job_ids_next(kn_job_ids *ids, int64_t now_ms, char ret[KN_JOB_ID_BYTES], kn_err *err);
bool kn_job_id_is_valid(const char *id);

#endif
