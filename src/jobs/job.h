/* A job: one request on its way to a file. */
#ifndef KN_JOBS_JOB_H
#define KN_JOBS_JOB_H

#include "base/json.h"

/* X(symbol, name in the database and the API). A worker's attempt is in the states planning to saving. */
#define KN_JOB_STATE_LIST(X)                                                                                 \
    X(KN_JOB_QUEUED, "queued")                                                                               \
    X(KN_JOB_PLANNING, "planning")                                                                           \
    X(KN_JOB_LOADING, "loading")                                                                             \
    X(KN_JOB_ENCODING, "encoding")                                                                           \
    X(KN_JOB_SAMPLING, "sampling")                                                                           \
    X(KN_JOB_DECODING, "decoding")                                                                           \
    X(KN_JOB_SAVING, "saving")                                                                               \
    X(KN_JOB_COMPLETED, "completed")                                                                         \
    X(KN_JOB_FAILED, "failed")                                                                               \
    X(KN_JOB_CANCELLED, "cancelled")                                                                         \
    X(KN_JOB_INTERRUPTED, "interrupted") /* its worker or the server went away; it is queued again */        \
    X(KN_JOB_PAUSED, "paused")

typedef enum kn_job_state {
#define X(sym, name) sym,
    KN_JOB_STATE_LIST(X)
#undef X
        KN_JOB_STATE_COUNT
} kn_job_state;

const char *kn_job_state_name(kn_job_state s);
/* KN_EINVAL names the states. */
int kn_job_state_parse(const char *name, kn_job_state *ret, kn_err *err);
bool kn_job_state_is_active(kn_job_state s);  /* a worker has it */
bool kn_job_state_is_waiting(kn_job_state s); /* queued, interrupted */
bool kn_job_state_is_final(kn_job_state s);   /* completed, failed, cancelled */

/* What a running job is asked to do at once. */
typedef enum kn_job_wish { KN_WISH_NONE, KN_WISH_CANCEL, KN_WISH_PAUSE } kn_job_wish;
const char *kn_job_wish_name(kn_job_wish w); /* "cancel", "pause"; NULL for none */

enum { KN_JOB_ID_BYTES = 32 };

typedef struct kn_job {
    char id[KN_JOB_ID_BYTES]; /* "job_" and 20 letters and digits that sort by time of creation */
    kn_job_state state;
    kn_job_wish wish;
    int64_t priority; /* -100..100; the higher, the earlier */
    int64_t place;    /* order among those of the same priority: the lower, the earlier */
    int64_t attempt;  /* how many were begun; also the fencing number of the one that runs */
    int64_t n_lost;   /* attempts since submit or retry that ended by a dead worker */
    double created_s, started_s, finished_s; /* Unix time; 0: not yet */
    json_t *request;                         /* as asked for, kn_request's JSON form; never NULL */
    json_t *labels;                          /* what a client keeps with it: an object, or NULL */
    json_t *plan, *result;                   /* or NULL */
    int error_code;           /* KN_E..., 0: none; of an interrupted one: how its worker went */
    char *error;              /* message, or NULL */
    char *output, *thumbnail; /* files, or NULL */
} kn_job;

void kn_job_done(kn_job *j); /* accepts a zeroed one */

#endif
