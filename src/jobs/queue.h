/* The durable queue: jobs as rows, every change of state a row and an event, in one transaction.
 *
 * What submit returned is never lost, and done once: an attempt owns its job through the fencing number that claim gave,
 * and what a stale attempt says afterwards is refused.  Any thread may call; calls are serialised inside.  Listeners are
 * called after the commit, in the order of the commits, from the thread that made the change and before its call returns,
 * without the queue's lock held: they may read the queue, but must not change it or wait for a thread that does.
 *
 * When a call fails nothing of it happened. A full disk is KN_EIO; the queue stays usable, and writes again once there is
 * room. */
#ifndef KN_JOBS_QUEUE_H
#define KN_JOBS_QUEUE_H

#include "jobs/job.h"

typedef struct kn_queue kn_queue;

typedef struct kn_queue_opts {
    int64_t max_waiting;  /* submit beyond it is KN_EBUSY; 0: KN_LIMIT_QUEUE */
    int64_t max_attempts; /* that end by a dead worker before a job fails; 0: 3 */
} kn_queue_opts;

/* Opens or makes the database, and puts jobs that were running when the last process ended back in line (an event
 * "interrupted" says so; the attempt does not count: it ran in a process of its own, and is not to blame). KN_EBUSY: another process has it open. */
int kn_queue_open(const char *path, const kn_queue_opts *opts, kn_queue **ret, kn_err *err);
void kn_queue_close(kn_queue *q);
/* New limits, from settings. */
void kn_queue_configure(kn_queue *q, const kn_queue_opts *opts);

/* ---- clients ---- */

typedef struct kn_job_spec {
    const json_t *request; /* copied */
    const json_t *labels;  /* copied; may be NULL */
    int64_t priority;
} kn_job_spec;

/* Every `ret` below may be NULL, else is the job after the change, for kn_job_done. KN_ENOTFOUND: no job has this id;
 * KN_EBUSY: its state does not allow that, and the message says which would. */
int kn_queue_submit(kn_queue *q, const kn_job_spec *spec, kn_job *ret, kn_err *err);
int kn_queue_get(kn_queue *q, const char *id, kn_job *ret, kn_err *err);
/* Waiting, running or paused: at once for those without a worker, else a wish that the worker's owner fulfils. Of a final
 * job: no change, 0. */
int kn_queue_cancel(kn_queue *q, const char *id, kn_job *ret, kn_err *err);
int kn_queue_pause(kn_queue *q, const char *id, kn_job *ret, kn_err *err);  /* waiting or running */
int kn_queue_resume(kn_queue *q, const char *id, kn_job *ret, kn_err *err); /* paused: back in line */
/* Failed or cancelled: a fresh set of attempts, at the end of the line; KN_EBUSY also where submit is. */
int kn_queue_retry(kn_queue *q, const char *id, kn_job *ret, kn_err *err);
/* Waiting or paused jobs. A field that is NULL or unset is left. */
typedef struct kn_job_edit {
    const json_t *request;
    const int64_t *priority;
    /* Id of a waiting job to stand in front of (its priority is taken on; another one beside it is KN_EINVAL); "" = the end. */
    const char *before;
} kn_job_edit;
int kn_queue_edit(kn_queue *q, const char *id, const kn_job_edit *edit, kn_job *ret, kn_err *err);
/* Final or paused jobs; ret is what it was, so that its files can be removed. */
int kn_queue_remove(kn_queue *q, const char *id, kn_job *ret, kn_err *err);

typedef struct kn_job_filter {
    uint32_t states;    /* bits 1 << state; 0: all */
    const char *before; /* id of the last job of the page before, or NULL */
    const char *text;   /* in the prompt, whatever the case; or NULL */
    bool oldest_first;  /* else newest first */
    int limit;          /* 1..KN_LIMIT_JOB_PAGE */
} kn_job_filter;
/* By creation. *ret_jobs: heap array of *ret_n, each for kn_job_done. */
int kn_queue_list(kn_queue *q, const kn_job_filter *f, kn_job **ret_jobs, int *ret_n, kn_err *err);
/* Those that wait, in the order in which they will be claimed, at most `limit`: from the first one on, or those that stand behind `after`
 * (the id of any job that is or was in line; KN_ENOTFOUND: there is none). */
int kn_queue_waiting(kn_queue *q, const char *after, int limit, kn_job **ret_jobs, int *ret_n, kn_err *err);
/* Jobs a state. */
int kn_queue_count(kn_queue *q, int64_t ret_counts[KN_JOB_STATE_COUNT], kn_err *err);

/* ---- owners of workers ---- */

/* The next waiting job becomes planning, its attempt begins. KN_ENOTFOUND: none waits. */
int kn_queue_claim(kn_queue *q, kn_job *ret, kn_err *err);
/* All of these: KN_EBUSY if `attempt` is no longer the job's own. */
int kn_queue_advance(kn_queue *q, const char *id, int64_t attempt, kn_job_state active, kn_err *err);
int kn_queue_set_plan(kn_queue *q, const char *id, int64_t attempt, const json_t *plan, kn_err *err);
int kn_queue_complete(kn_queue *q, const char *id, int64_t attempt, const json_t *result, const char *output,
                      const char *thumbnail, kn_err *err);
int kn_queue_fail(kn_queue *q, const char *id, int64_t attempt, const kn_err *why, kn_err *err);
/* The worker stopped as was wished: cancelled or paused. KN_EBUSY: nobody wished it. */
int kn_queue_stopped(kn_queue *q, const char *id, int64_t attempt, kn_err *err);
/* The worker went away: back in line at its old place, or failed if that was its last attempt; cancelled or paused if that
 * was wished. counts: whether the attempt is to be counted (a server that stops in order does not use one up); the fencing
 * number is used up either way. */
int kn_queue_interrupt(kn_queue *q, const char *id, int64_t attempt, bool counts, const char *why,
                       kn_err *err);

/* ---- events ---- */

/* A change of a job: {"id": 17, "type": "job", "job": {...}}, or "removed" with the id alone. */
typedef struct kn_queue_event {
    int64_t id;       /* grows by every event of this database, for ever */
    const char *type; /* "job", "removed" */
    const char *job_id;
    const kn_job *job; /* after the change; NULL if removed */
} kn_queue_event;
typedef void (*kn_queue_fn)(void *ud, const kn_queue_event *e);
/* At most KN_LIMIT_LISTENERS; before any other thread calls. */
int kn_queue_listen(kn_queue *q, kn_queue_fn fn, void *ud, kn_err *err);
/* Events after `last_id`, oldest first, at most KN_LIMIT_EVENT_REPLAY (of older ones the job's present state says all; several
 * of one job are given once). */
int kn_queue_replay(kn_queue *q, int64_t last_id, kn_queue_fn fn, void *ud, kn_err *err);
int64_t kn_queue_last_event(kn_queue *q);

/* ---- settings and whatever else is one JSON value under a name ---- */
/* Names come from our own code, at most KN_LIMIT_VALUE_NAME_BYTES. */
int kn_queue_value_get(kn_queue *q, const char *name, json_t **ret, kn_err *err);        /* KN_ENOTFOUND */
int kn_queue_value_put(kn_queue *q, const char *name, const json_t *value, kn_err *err); /* NULL: forgotten */

#endif
