/* Opening the queue, and how a change is made whole. */
#include "jobs/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/queue_internal.h"

enum { DEFAULT_ATTEMPTS = 3 };

double kn_queue_now_s(void)
{
    return (double)kn_clock_unix_ms() / 1000;
}

/* ---- changes ---- */

int kn_queue_begin(kn_queue *q, kn_err *err)
{
    pthread_mutex_lock(&q->lock);
    /* It would wait for itself to have been told. */
    KN_ASSERT(!q->is_telling || !pthread_equal(q->teller, pthread_self()));
    return kn_db_begin(q->db, err);
}

int kn_queue_end(kn_queue *q, int rc, kn_change_kind kind, kn_job *j, kn_job *ret, kn_err *err)
{
    bool is_removed = kind == KN_REMOVED;
    kn_queue_event e = {
        .type = is_removed ? "removed" : "job", .job_id = j->id, .job = is_removed ? NULL : j};
    if (!rc)
        rc = kn_event_add(q->db, j->id, is_removed ? "removed" : kn_job_state_name(j->state), &e.id, err);
    if (!rc && kind == KN_CHANGED_STATE)
        rc = kn_delivery_add_all(q, j, err);
    if (!rc)
        rc = kn_db_commit(q->db, err);
    if (!rc) {
        q->last_event = e.id;
        kn_queue_tell(q, &e);
    } else {
        kn_db_rollback(q->db);
    }
    pthread_mutex_unlock(&q->lock);
    if (rc < 0 || !ret)
        kn_job_done(j);
    else
        *ret = *j;
    return rc < 0 ? rc : 0;
}

int kn_queue_change(kn_queue *q, const char *id, kn_job_change change, const void *arg, kn_job *ret,
                    kn_err *err)
{
    kn_job j = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = kn_job_load(q->db, id, &j, err);
    kn_job_state before = j.state;
    if (!rc)
        rc = change(q, &j, arg, err);
    if (!rc)
        rc = kn_job_store(q->db, &j, err);
    return kn_queue_end(q, rc, j.state == before ? KN_CHANGED : KN_CHANGED_STATE, &j, ret, err);
}

int kn_job_refuse(const kn_job *j, const char *expected, kn_err *err)
{
    return kn_fail(err, KN_EBUSY, "%s is %s, expected one that is %s", j->id, kn_job_state_name(j->state),
                   expected);
}

void kn_job_set_error(kn_job *j, int code, char *take_text)
{
    free(j->error);
    j->error = take_text;
    j->error_code = code;
}

void kn_job_finish(kn_job *j, kn_job_state state)
{
    j->state = state;
    j->wish = KN_WISH_NONE;
    j->finished_s = kn_queue_now_s();
}

int kn_job_interrupt(kn_queue *q, kn_job *j, const kn_interruption *how, kn_err *err)
{
    const char *why = how->why ? how->why : "its worker went away";
    j->n_lost += how->counts;
    bool is_last = how->counts && j->n_lost >= q->opts.max_attempts;
    kn_job_set_error(j, 0, NULL);
    if (j->wish == KN_WISH_CANCEL) {
        kn_job_finish(j, KN_JOB_CANCELLED);
        return 0;
    }
    if (j->wish == KN_WISH_PAUSE && !is_last) {
        j->state = KN_JOB_PAUSED;
        j->wish = KN_WISH_NONE;
        return 0;
    }
    char *text =
        is_last ? kn_asprintf("its worker went away %lld times, the last time: %s", (long long)j->n_lost, why)
                : kn_strdup(why);
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for the error of %s", j->id);
    kn_job_set_error(j, KN_EINTERNAL, text);
    if (is_last)
        kn_job_finish(j, KN_JOB_FAILED);
    else
        j->state = KN_JOB_INTERRUPTED;
    return 0;
}

/* ---- opening ---- */

void kn_queue_configure(kn_queue *q, const kn_queue_opts *opts)
{
    int64_t max_waiting = opts ? opts->max_waiting : 0, max_attempts = opts ? opts->max_attempts : 0;
    pthread_mutex_lock(&q->lock);
    q->opts.max_waiting = max_waiting > 0 && max_waiting < KN_LIMIT_QUEUE ? max_waiting : KN_LIMIT_QUEUE;
    q->opts.max_attempts = max_attempts > 0 ? max_attempts : DEFAULT_ATTEMPTS;
    pthread_mutex_unlock(&q->lock);
}

static int recover_job(kn_queue *q, kn_job *j, kn_err *err)
{
    /* not the job's doing: it ran in a process of its own */
    int rc = kn_job_interrupt(q, j, &(kn_interruption){"Kinora ended while the job ran", false}, err);
    if (!rc)
        rc = kn_job_store(q->db, j, err);
    if (!rc)
        rc = kn_event_add(q->db, j->id, kn_job_state_name(j->state), &q->last_event, err);
    if (!rc)
        rc = kn_delivery_add_all(q, j, err);
    return rc;
}

/* Jobs that ran when the last process ended. */
static int recover(kn_queue *q, kn_err *err)
{
    kn_job *jobs = NULL;
    int n = 0;
    kn_stmt st;
    kn_stmt_init(&st, q->db,
                 "SELECT " KN_JOB_COLUMNS " FROM jobs WHERE " KN_SQL_IS_LIVE
                 " AND state NOT IN ('queued', 'interrupted', 'paused')");
    int rc = kn_job_collect(&st, &jobs, &n, err);
    if (!rc)
        rc = kn_db_begin(q->db, err);
    for (int i = 0; !rc && i < n; i++)
        rc = recover_job(q, &jobs[i], err);
    if (!rc)
        rc = kn_db_commit(q->db, err);
    if (rc)
        kn_db_rollback(q->db);
    for (int i = 0; i < n; i++)
        kn_job_done(&jobs[i]);
    free(jobs);
    return rc;
}

static int find_newest(kn_queue *q, kn_err *err)
{
    kn_stmt st;
    kn_stmt_init(&st, q->db, "SELECT max(id) FROM jobs");
    int rc = kn_stmt_step(&st, err);
    if (rc >= 0)
        rc = kn_job_ids_init(&q->ids, rc > 0 ? kn_stmt_get_text(&st, 0) : NULL, err);
    kn_stmt_done(&st);
    return rc;
}

int kn_queue_open(const char *path, const kn_queue_opts *opts, kn_queue **ret, kn_err *err)
{
    kn_queue *q = kn_calloc(1, sizeof *q);
    if (!q)
        return kn_fail(err, KN_ENOMEM, "no memory for the queue");
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->told, NULL);
    kn_queue_configure(q, opts);
    int rc = kn_db_open(path, &kn_queue_schema, &q->db, err);
    if (!rc)
        rc = find_newest(q, err);
    if (!rc)
        rc = kn_event_last(q->db, &q->last_event, err);
    if (!rc)
        rc = recover(q, err);
    if (!rc)
        *ret = q;
    else
        kn_queue_close(q);
    return rc;
}

void kn_queue_close(kn_queue *q)
{
    if (!q)
        return;
    kn_db_close(q->db);
    pthread_cond_destroy(&q->told);
    pthread_mutex_destroy(&q->lock);
    free(q);
}
