/* How long ended jobs stay: cleanup by age, number and size.  The oldest go first; a job goes with its files.  Jobs that wait,
 * run or are paused are never touched. */
#ifndef KN_JOBS_RETENTION_H
#define KN_JOBS_RETENTION_H

#include "jobs/queue.h"

/* What may stay; 0: no limit. */
typedef struct kn_retention {
    double max_age_s;  /* since the job ended */
    int64_t max_jobs;  /* ended jobs */
    int64_t max_bytes; /* of their files together; jobs without files do not go for that */
} kn_retention;

typedef struct kn_cleanup_item {
    char id[KN_JOB_ID_BYTES];
    const char *reason; /* "age", "count", "size" */
    uint64_t bytes;     /* of its files */
    char *error;        /* why it could not be removed, or NULL */
} kn_cleanup_item;

typedef struct kn_cleanup {
    bool is_dry_run;
    kn_cleanup_item *items; /* newest first; at most KN_LIMIT_CLEANUP */
    int n;
    uint64_t bytes; /* of those that went, or would go */
    bool has_more;  /* others are left for the next cleanup */
} kn_cleanup;

/* Removes, or with dry_run only lists, what is beyond the limits. A job that cannot be removed says so in its item and keeps
 * its row; the others go all the same. Two at once do no harm. */
int kn_cleanup_run(kn_queue *q, const kn_retention *r, bool dry_run, kn_cleanup *ret, kn_err *err);
void kn_cleanup_done(kn_cleanup *c);
/* {"dry_run", "jobs": [{"id", "reason", "size_bytes", "error"}], "size_bytes", "has_more"}; NULL without memory. */
json_t *kn_cleanup_to_json(const kn_cleanup *c);

/* The files of a job: its video (of a folder: the frames that Kinora wrote there, and the folder when nothing else is in it)
 * and its thumbnail. Files that are gone already are no error. */
uint64_t kn_job_files_bytes(const kn_job *j);
/* Of a folder's files: whether Kinora wrote one of this name there. */
bool kn_job_file_is_ours(const char *name);
int kn_job_files_remove(const kn_job *j, kn_err *err);

#endif
