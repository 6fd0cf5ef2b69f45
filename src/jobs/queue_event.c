/* What happened: rows for those who come back, calls for those who listen. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"

int kn_event_add(kn_db *db, const char *job_id, const char *what, int64_t *ret_id, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "INSERT INTO events (job_id, what) VALUES (?, ?)");
    kn_stmt_text(&st, job_id);
    kn_stmt_text(&st, what);
    int rc = kn_stmt_run(&st, err);
    if (rc)
        return rc;
    int64_t id = kn_db_last_id(db);
    kn_stmt_init(&st, db, "DELETE FROM events WHERE id <= ?");
    kn_stmt_int(&st, id - KN_LIMIT_EVENT_REPLAY);
    rc = kn_stmt_run(&st, err);
    if (!rc)
        *ret_id = id;
    return rc;
}

int kn_event_last(kn_db *db, int64_t *ret, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'");
    return kn_stmt_run_int(&st, 0, ret, err);
}

void kn_queue_tell(kn_queue *q, const kn_queue_event *e)
{
    if (q->n_listeners == 0)
        return;
    uint64_t turn = q->n_committed++;
    while (q->n_told != turn)
        pthread_cond_wait(&q->told, &q->lock);
    q->is_telling = true;
    q->teller = pthread_self();
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->n_listeners; i++)
        q->listeners[i].fn(q->listeners[i].ud, e);
    pthread_mutex_lock(&q->lock);
    q->is_telling = false;
    q->n_told++;
    pthread_cond_broadcast(&q->told);
}

int kn_queue_listen(kn_queue *q, kn_queue_fn fn, void *ud, kn_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&q->lock);
    if (q->n_listeners == KN_LIMIT_LISTENERS)
        rc = kn_fail(err, KN_ELIMIT, "the queue has %d listeners, no more are possible", KN_LIMIT_LISTENERS);
    else
        q->listeners[q->n_listeners++] = (kn_listener){fn, ud};
    pthread_mutex_unlock(&q->lock);
    return rc;
}

int64_t kn_queue_last_event(kn_queue *q)
{
    pthread_mutex_lock(&q->lock);
    int64_t id = q->last_event;
    pthread_mutex_unlock(&q->lock);
    return id;
}

/* ---- replay ---- */

typedef struct happening {
    int64_t id;
    char job_id[KN_JOB_ID_BYTES];
} happening;

/* The last event of each job, oldest first. */
static int collect(kn_queue *q, int64_t last_id, happening *list, int *ret_n, kn_err *err)
{
    int n = 0, rc;
    kn_stmt st;
    pthread_mutex_lock(&q->lock);
    kn_stmt_init(&st, q->db,
                 "SELECT max(id), job_id FROM events WHERE id > ? GROUP BY job_id ORDER BY 1 DESC LIMIT ?");
    kn_stmt_int(&st, last_id);
    kn_stmt_int(&st, KN_LIMIT_EVENT_REPLAY);
    while ((rc = kn_stmt_step(&st, err)) > 0) {
        happening *h = &list[KN_LIMIT_EVENT_REPLAY - ++n];
        const char *job_id = kn_stmt_get_text(&st, 1);
        h->id = kn_stmt_get_int(&st, 0);
        snprintf(h->job_id, sizeof h->job_id, "%s", job_id ? job_id : "");
    }
    kn_stmt_done(&st);
    pthread_mutex_unlock(&q->lock);
    *ret_n = n;
    return rc;
}

static int tell_again(kn_queue *q, const happening *h, kn_queue_fn fn, void *ud, kn_err *err)
{
    kn_job job = {0};
    kn_err why = {0};
    int rc = kn_queue_get(q, h->job_id, &job, &why);
    if (rc && rc != KN_ENOTFOUND)
        return kn_fail(err, rc, "%s", why.msg);
    kn_queue_event e = {
        .id = h->id, .type = rc ? "removed" : "job", .job_id = h->job_id, .job = rc ? NULL : &job};
    fn(ud, &e);
    kn_job_done(&job);
    return 0;
}

int kn_queue_replay(kn_queue *q, int64_t last_id, kn_queue_fn fn, void *ud, kn_err *err)
{
    int n = 0;
    happening *list = kn_calloc(KN_LIMIT_EVENT_REPLAY, sizeof *list);
    if (!list)
        return kn_fail(err, KN_ENOMEM, "no memory to give events again");
    int rc = collect(q, last_id, list, &n, err);
    for (int i = KN_LIMIT_EVENT_REPLAY - n; !rc && i < KN_LIMIT_EVENT_REPLAY; i++)
        rc = tell_again(q, &list[i], fn, ud, err);
    free(list);
    return rc;
}
