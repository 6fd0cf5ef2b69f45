/* The supervisor: takes jobs from the queue and has worker processes do them.
 *
 * A thread a worker.  A worker that dies or hangs costs its job one attempt and is started again, after a pause that
 * doubles while it keeps dying.  A job goes on where its last attempt was interrupted (engine/run_state.h). */
#ifndef KN_JOBS_SUPERVISOR_H
#define KN_JOBS_SUPERVISOR_H

#include "jobs/places.h"
#include "jobs/queue.h"

typedef struct kn_supervisor kn_supervisor;

typedef struct kn_supervisor_opts {
    const char *program; /* Kinora itself, whose `worker` is run */
    int n_workers;       /* 0..KN_LIMIT_WORKERS; 0: no job is begun */
    bool is_held;        /* as after kn_supervisor_hold */
    int64_t keep_s;      /* as of kn_supervisor_keep */
    /* What a running job says: its progress ({"phase", "text", "done", "total", "elapsed_s", "unit_s", "eta_s"}), borrowed.
     * From the supervisor's threads. */
    void (*progress)(void *ud, const char *job_id, const json_t *progress);
    void (*log)(void *ud, const char *line); /* what went wrong with workers, and notes of jobs */
    void *ud;
} kn_supervisor_opts;

/* Listens to the queue. */
int kn_supervisor_start(const kn_supervisor_opts *opts, const kn_places *places, kn_queue *queue,
                        kn_supervisor **ret, kn_err *err);
/* Running jobs stop at their next operation and are back in line; at most about KN_LIMIT_STOP_S. Nobody else may use the
 * queue any more, but to close it. Accepts NULL. */
void kn_supervisor_stop(kn_supervisor *s);

/* No job is begun while it holds; those that run go on. */
void kn_supervisor_hold(kn_supervisor *s, bool hold);
bool kn_supervisor_is_held(kn_supervisor *s);
/* The last progress of a running job, a new reference; NULL: none. */
json_t *kn_supervisor_progress(kn_supervisor *s, const char *job_id);
/* [{"pid", "state": "starting|idle|working|failed", "job_id", "deaths", "device", "error", "loaded": [{"name", "model", "bytes",
 * "is_mapped"}]}] */
json_t *kn_supervisor_to_json(kn_supervisor *s);

/* How long a worker keeps what its last job loaded (engine/warm.h), from the next job on; 0: not at all, and what is kept
 * goes now. */
void kn_supervisor_keep(kn_supervisor *s, int64_t seconds);
/* It goes now, where a worker has a job after it. */
void kn_supervisor_unload(kn_supervisor *s);
/* What is kept, of all workers (kn_warm_to_json); a new reference. */
json_t *kn_supervisor_loaded(kn_supervisor *s);
/* Memory of it, which a job could have. */
size_t kn_supervisor_idle_bytes(kn_supervisor *s);

#endif
