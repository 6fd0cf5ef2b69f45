/* What the files of the queue share.  Every change of a job is the same four steps in one transaction: load the row, let a
 * function change the struct, store it, add an event.  The functions that change (kn_job_change) know the states; nothing else
 * does. */
#ifndef KN_JOBS_QUEUE_INTERNAL_H
#define KN_JOBS_QUEUE_INTERNAL_H

#include <pthread.h>

#include "base/limits.h"
#include "jobs/job_id.h"
#include "jobs/webhook.h"
#include "store/stmt.h"

typedef struct kn_listener {
    kn_queue_fn fn;
    void *ud;
} kn_listener;

struct kn_queue {
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t told;
    kn_db *db;
    kn_queue_opts opts; /* without zeros */
    kn_job_ids ids, webhook_ids;
    int64_t last_event;
    kn_listener listeners[KN_LIMIT_LISTENERS];
    int n_listeners;
    /* Changes are told one after the other: each waits until those committed before it have been told. */
    uint64_t n_committed, n_told;
    bool is_telling;
    pthread_t teller;
};

extern const kn_db_schema kn_queue_schema;

/* States as SQL: those of the partial index that has the line, and among them those that wait. */
#define KN_SQL_IS_LIVE    "state NOT IN ('completed', 'failed', 'cancelled')"
#define KN_SQL_IS_WAITING KN_SQL_IS_LIVE " AND state IN ('queued', 'interrupted')"

/* ---- rows (queue_row.c) ---- */

#define KN_JOB_COLUMNS                                                                                       \
    "id, state, wish, priority, place, attempt, n_lost, created_s, started_s, finished_s, error_code, "      \
    "error, output, thumbnail, request, labels, plan, result"

int kn_job_load(kn_db *db, const char *id, kn_job *ret, kn_err *err); /* KN_ENOTFOUND */
int kn_job_store(kn_db *db, const kn_job *j, kn_err *err);            /* new or changed */
/* The jobs of the rows that a statement for KN_JOB_COLUMNS gives; is done with it. */
int kn_job_collect(kn_stmt *st, kn_job **ret_jobs, int *ret_n, kn_err *err);
/* An own copy of a value that came from elsewhere; KN_ELIMIT, KN_EINVAL name `what`. NULL is copied to NULL. */
int kn_job_copy_json(const json_t *v, const char *what, json_t **ret, kn_err *err);

/* ---- the line (queue_order.c) ---- */

int kn_place_end(kn_db *db, int64_t *ret, kn_err *err);
/* In front of `target`, a waiting job; may move others apart, which changes no order. */
int kn_place_before(kn_db *db, const kn_job *target, int64_t *ret, kn_err *err);
int kn_line_length(kn_db *db, int64_t *ret, kn_err *err);
int kn_line_first(kn_db *db, kn_job *ret, kn_err *err); /* KN_ENOTFOUND: none waits */

/* ---- changes (queue.c) ---- */

enum { KN_UNCHANGED = 1 };

/* Changes *j. 0, KN_UNCHANGED (nothing needs to be stored), or an error. */
typedef int (*kn_job_change)(kn_queue *q, kn_job *j, const void *arg, kn_err *err);

/* Takes the lock and begins a transaction; kn_queue_end undoes both, also after a failure. */
int kn_queue_begin(kn_queue *q, kn_err *err);
typedef enum kn_change_kind { KN_CHANGED, KN_CHANGED_STATE, KN_REMOVED } kn_change_kind;
/* The second half of a change that had the outcome rc so far: event ("removed", else the state's name), deliveries, commit,
 * telling. *ret becomes the job; consumes *j. */
int kn_queue_end(kn_queue *q, int rc, kn_change_kind kind, kn_job *j, kn_job *ret, kn_err *err);
int kn_queue_change(kn_queue *q, const char *id, kn_job_change change, const void *arg, kn_job *ret,
                    kn_err *err);
/* KN_EBUSY: the job's state does not allow what is asked; `expected` says which would. */
int kn_job_refuse(const kn_job *j, const char *expected, kn_err *err);
/* That its worker went away, for kn_job_change. */
typedef struct kn_interruption {
    const char *why;
    bool counts;
} kn_interruption;
int kn_job_interrupt(kn_queue *q, kn_job *j, const kn_interruption *how, kn_err *err);
void kn_job_set_error(kn_job *j, int code, char *take_text);
/* As kn_queue_remove, of final jobs only. */
int kn_queue_remove_ended(kn_queue *q, const char *id, kn_err *err);
/* Unix seconds, exact to the millisecond. */
double kn_queue_now_s(void);
/* A final state. */
void kn_job_finish(kn_job *j, kn_job_state state);

/* ---- webhooks (queue_webhook.c, queue_delivery.c) ---- */

/* Inside the transaction: a delivery for each webhook that wants to know of the state that the job has come to. */
int kn_delivery_add_all(kn_queue *q, const kn_job *j, kn_err *err);
/* PREFIX and 20 letters and digits. */
int kn_webhook_new_id(kn_queue *q, const char *prefix, char ret[KN_WEBHOOK_ID_BYTES], kn_err *err);
int kn_webhook_load(kn_db *db, const char *id, kn_webhook *ret, kn_err *err); /* KN_ENOTFOUND */
/* Heap array of all of them. */
int kn_webhook_load_all(kn_db *db, kn_webhook **ret, int *ret_n, kn_err *err);

/* ---- events (queue_event.c) ---- */

/* Inside the transaction. */
int kn_event_add(kn_db *db, const char *job_id, const char *what, int64_t *ret_id, kn_err *err);
int kn_event_last(kn_db *db, int64_t *ret, kn_err *err);
/* After the commit, with the lock, which is free meanwhile. */
void kn_queue_tell(kn_queue *q, const kn_queue_event *e);

#endif
