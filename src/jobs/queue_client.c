/* What clients ask of jobs. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"

enum { PRIORITY_MAX = 100 };

/* ---- submit ---- */

static int check_priority(int64_t priority, kn_err *err)
{
    if (priority < -PRIORITY_MAX || priority > PRIORITY_MAX)
        return kn_fail(err, KN_EINVAL, "priority: %lld, expected %d to %d", (long long)priority,
                       -PRIORITY_MAX, PRIORITY_MAX);
    return 0;
}

/* Replaces *ret by a copy. */
static int set_object(json_t **ret, const json_t *v, const char *what, kn_err *err)
{
    json_t *copy = NULL;
    if (v && !json_is_object(v))
        return kn_fail(err, KN_EINVAL, "%s: expected an object", what);
    int rc = kn_job_copy_json(v, what, &copy, err);
    if (rc)
        return rc;
    json_decref(*ret);
    *ret = copy;
    return 0;
}

/* Room in the line for one more. */
static int check_room(kn_queue *q, kn_err *err)
{
    int64_t n;
    int rc = kn_line_length(q->db, &n, err);
    if (!rc && n >= q->opts.max_waiting)
        rc = kn_fail(err, KN_EBUSY,
                     "the queue is full: %lld jobs wait, at most %lld may; try again when one is done",
                     (long long)n, (long long)q->opts.max_waiting);
    return rc;
}

static int make(kn_queue *q, const kn_job_spec *spec, kn_job *j, kn_err *err)
{
    int rc = spec->request ? check_priority(spec->priority, err)
                           : kn_fail(err, KN_EINVAL, "request: nothing, expected an object");
    if (!rc)
        rc = set_object(&j->request, spec->request, "request", err);
    if (!rc)
        rc = set_object(&j->labels, spec->labels, "labels", err);
    if (!rc)
        rc = check_room(q, err);
    if (!rc)
        rc = kn_place_end(q->db, &j->place, err);
    j->created_s = kn_queue_now_s();
    j->priority = spec->priority;
    if (!rc)
        rc = kn_job_ids_next(&q->ids, (int64_t)(j->created_s * 1000 + 0.5), j->id, err);
    return rc;
}

int kn_queue_submit(kn_queue *q, const kn_job_spec *spec, kn_job *ret, kn_err *err)
{
    kn_job j = {.state = KN_JOB_QUEUED};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = make(q, spec, &j, err);
    if (!rc)
        rc = kn_job_store(q->db, &j, err);
    return kn_queue_end(q, rc, KN_CHANGED_STATE, &j, ret, err);
}

int kn_queue_get(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    kn_job j = {0};
    pthread_mutex_lock(&q->lock);
    int rc = kn_job_load(q->db, id, &j, err);
    pthread_mutex_unlock(&q->lock);
    if (rc)
        return rc;
    if (ret)
        *ret = j;
    else
        kn_job_done(&j);
    return 0;
}

/* ---- cancel, pause, resume, retry ---- */

static int cancel(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q, (void)arg, (void)err;
    if (kn_job_state_is_final(j->state) || j->wish == KN_WISH_CANCEL)
        return KN_UNCHANGED;
    if (kn_job_state_is_active(j->state))
        j->wish = KN_WISH_CANCEL;
    else
        kn_job_finish(j, KN_JOB_CANCELLED);
    return 0;
}

int kn_queue_cancel(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    return kn_queue_change(q, id, cancel, NULL, ret, err);
}

static int pause_job(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q, (void)arg;
    if (kn_job_state_is_waiting(j->state)) {
        j->state = KN_JOB_PAUSED;
        return 0;
    }
    if (!kn_job_state_is_active(j->state))
        return kn_job_refuse(j, "waiting (queued, interrupted) or running", err);
    if (j->wish == KN_WISH_CANCEL)
        return kn_fail(err, KN_EBUSY, "%s is being cancelled and cannot be paused", j->id);
    if (j->wish == KN_WISH_PAUSE)
        return KN_UNCHANGED;
    j->wish = KN_WISH_PAUSE;
    return 0;
}

int kn_queue_pause(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    return kn_queue_change(q, id, pause_job, NULL, ret, err);
}

static int resume(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q, (void)arg;
    if (j->state != KN_JOB_PAUSED)
        return kn_job_refuse(j, "paused", err);
    j->state = KN_JOB_QUEUED;
    return 0;
}

int kn_queue_resume(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    return kn_queue_change(q, id, resume, NULL, ret, err);
}

static int retry(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)arg;
    if (j->state != KN_JOB_FAILED && j->state != KN_JOB_CANCELLED)
        return kn_job_refuse(j, "failed or cancelled", err);
    int rc = check_room(q, err);
    if (!rc)
        rc = kn_place_end(q->db, &j->place, err);
    if (rc)
        return rc;
    j->state = KN_JOB_QUEUED;
    j->n_lost = 0;
    j->started_s = j->finished_s = 0;
    kn_job_set_error(j, 0, NULL);
    json_decref(j->plan);
    j->plan = NULL;
    return 0;
}

int kn_queue_retry(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    return kn_queue_change(q, id, retry, NULL, ret, err);
}

/* ---- edit ---- */

static int stand_before(kn_queue *q, kn_job *j, const kn_job_edit *edit, kn_err *err)
{
    kn_job target = {0};
    int rc = kn_job_load(q->db, edit->before, &target, err);
    if (rc) {
        kn_err_prefix(err, "before");
        return rc;
    }
    if (!strcmp(target.id, j->id))
        rc = kn_fail(err, KN_EINVAL, "before: %s is the job itself, expected another one that waits", j->id);
    else if (!kn_job_state_is_waiting(target.state))
        rc = kn_job_refuse(&target, "waiting (queued, interrupted), to stand in front of", err);
    else if (edit->priority && *edit->priority != target.priority)
        rc = kn_fail(err, KN_EINVAL,
                     "priority: %lld, expected %lld, that of the job to stand in front of, or none",
                     (long long)*edit->priority, (long long)target.priority);
    else
        rc = kn_place_before(q->db, &target, &j->place, err);
    if (!rc)
        j->priority = target.priority;
    kn_job_done(&target);
    return rc;
}

static int edit_job(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    const kn_job_edit *edit = arg;
    if (!kn_job_state_is_waiting(j->state) && j->state != KN_JOB_PAUSED)
        return kn_job_refuse(j, "waiting (queued, interrupted) or paused", err);
    if (!edit->request && !edit->priority && !edit->before)
        return KN_UNCHANGED;
    int rc = edit->priority ? check_priority(*edit->priority, err) : 0;
    if (!rc && edit->priority)
        j->priority = *edit->priority;
    if (!rc && edit->request) {
        rc = set_object(&j->request, edit->request, "request", err);
        json_decref(j->plan); /* of another request */
        j->plan = NULL;
    }
    if (!rc && edit->before)
        rc = *edit->before ? stand_before(q, j, edit, err) : kn_place_end(q->db, &j->place, err);
    return rc;
}

int kn_queue_edit(kn_queue *q, const char *id, const kn_job_edit *edit, kn_job *ret, kn_err *err)
{
    return kn_queue_change(q, id, edit_job, edit, ret, err);
}

/* ---- remove ---- */

static int remove_job(kn_queue *q, const char *id, bool is_paused_allowed, kn_job *ret, kn_err *err)
{
    kn_job j = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = kn_job_load(q->db, id, &j, err);
    if (!rc && !kn_job_state_is_final(j.state) && !(is_paused_allowed && j.state == KN_JOB_PAUSED))
        rc = kn_job_refuse(&j,
                           is_paused_allowed ? "completed, failed, cancelled or paused; cancel it first"
                                             : "completed, failed or cancelled",
                           err);
    if (!rc) {
        kn_stmt st;
        kn_stmt_init(&st, q->db, "DELETE FROM jobs WHERE id = ?");
        kn_stmt_text(&st, id);
        rc = kn_stmt_run(&st, err);
    }
    return kn_queue_end(q, rc, KN_REMOVED, &j, ret, err);
}

int kn_queue_remove(kn_queue *q, const char *id, kn_job *ret, kn_err *err)
{
    return remove_job(q, id, true, ret, err);
}

int kn_queue_remove_ended(kn_queue *q, const char *id, kn_err *err)
{
    return remove_job(q, id, false, NULL, err);
}
