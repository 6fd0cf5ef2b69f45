/* A job as clients of the API see it (docs/api.md). */
#ifndef KN_JOBS_JOB_JSON_H
#define KN_JOBS_JOB_JSON_H

#include "jobs/job.h"

/* `progress` (may be NULL) is what the worker that has the job said last. The job's own values are shared, not copied:
 * change neither. Caller json_decref()s; NULL without memory. */
json_t *kn_job_to_json(const kn_job *j, json_t *progress);

#endif
