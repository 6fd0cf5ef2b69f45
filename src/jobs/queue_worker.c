/* What the owners of workers say about the attempts that they have. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/queue_internal.h"

/* What is said, by whom. */
typedef struct report {
    int64_t attempt;
    kn_job_state state;
    const json_t *value; /* plan or result */
    const char *output, *thumbnail;
    const kn_err *why;
    kn_interruption interruption;
} report;

/* Fencing: only the attempt that has the job may speak for it. */
static int check_owner(const kn_job *j, const report *r, kn_err *err)
{
    if (!kn_job_state_is_active(j->state))
        return kn_fail(err, KN_EBUSY, "attempt %lld no longer has %s: the job is %s", (long long)r->attempt,
                       j->id, kn_job_state_name(j->state));
    if (j->attempt != r->attempt)
        return kn_fail(err, KN_EBUSY, "attempt %lld no longer has %s: attempt %lld does",
                       (long long)r->attempt, j->id, (long long)j->attempt);
    return 0;
}

int kn_queue_claim(kn_queue *q, kn_job *ret, kn_err *err)
{
    kn_job j = {0};
    int rc = kn_queue_begin(q, err);
    if (!rc)
        rc = kn_line_first(q->db, &j, err);
    if (!rc) {
        j.state = KN_JOB_PLANNING;
        j.attempt++;
        j.started_s = kn_queue_now_s();
        kn_job_set_error(&j, 0, NULL);
        rc = kn_job_store(q->db, &j, err);
    }
    return kn_queue_end(q, rc, KN_CHANGED_STATE, &j, ret, err);
}

static int advance(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q;
    const report *r = arg;
    int rc = check_owner(j, r, err);
    if (rc)
        return rc;
    if (!kn_job_state_is_active(r->state))
        return kn_fail(err, KN_EINVAL, "a worker's job cannot become %s, expected planning to saving",
                       kn_job_state_name(r->state));
    if (j->state == r->state)
        return KN_UNCHANGED;
    j->state = r->state;
    return 0;
}

int kn_queue_advance(kn_queue *q, const char *id, int64_t attempt, kn_job_state active, kn_err *err)
{
    report r = {.attempt = attempt, .state = active};
    return kn_queue_change(q, id, advance, &r, NULL, err);
}

static int set_plan(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q;
    const report *r = arg;
    json_t *plan = NULL;
    int rc = check_owner(j, r, err);
    if (!rc)
        rc = kn_job_copy_json(r->value, "the plan", &plan, err);
    if (rc)
        return rc;
    json_decref(j->plan);
    j->plan = plan;
    return 0;
}

int kn_queue_set_plan(kn_queue *q, const char *id, int64_t attempt, const json_t *plan, kn_err *err)
{
    report r = {.attempt = attempt, .value = plan};
    return kn_queue_change(q, id, set_plan, &r, NULL, err);
}

/* Replaces *ret by a copy. */
static int set_text(char **ret, const char *text, kn_err *err)
{
    char *copy = kn_strdup(text);
    if (text && !copy)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(*ret);
    *ret = copy;
    return 0;
}

static int complete(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q;
    const report *r = arg;
    json_t *result = NULL;
    int rc = check_owner(j, r, err);
    if (!rc)
        rc = kn_job_copy_json(r->value, "the result", &result, err);
    if (rc)
        return rc;
    json_decref(j->result);
    j->result = result;
    rc = set_text(&j->output, r->output, err);
    if (!rc)
        rc = set_text(&j->thumbnail, r->thumbnail, err);
    if (!rc)
        kn_job_finish(j, KN_JOB_COMPLETED);
    return rc;
}

int kn_queue_complete(kn_queue *q, const char *id, int64_t attempt, const json_t *result, const char *output,
                      const char *thumbnail, kn_err *err)
{
    report r = {.attempt = attempt, .value = result, .output = output, .thumbnail = thumbnail};
    return kn_queue_change(q, id, complete, &r, NULL, err);
}

static int fail(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q;
    const report *r = arg;
    int rc = check_owner(j, r, err);
    if (rc)
        return rc;
    char *text = kn_strdup(*r->why->msg ? r->why->msg : kn_err_text(r->why->code));
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for the error of %s", j->id);
    kn_job_set_error(j, r->why->code, text);
    kn_job_finish(j, KN_JOB_FAILED);
    return 0;
}

int kn_queue_fail(kn_queue *q, const char *id, int64_t attempt, const kn_err *why, kn_err *err)
{
    KN_ASSERT(why->code < 0);
    report r = {.attempt = attempt, .why = why};
    return kn_queue_change(q, id, fail, &r, NULL, err);
}

static int stopped(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    (void)q;
    int rc = check_owner(j, arg, err);
    if (rc)
        return rc;
    if (j->wish == KN_WISH_NONE)
        return kn_fail(err, KN_EBUSY, "nobody asked %s to stop: say that it was interrupted", j->id);
    if (j->wish == KN_WISH_CANCEL)
        kn_job_finish(j, KN_JOB_CANCELLED);
    else
        j->state = KN_JOB_PAUSED;
    j->wish = KN_WISH_NONE;
    return 0;
}

int kn_queue_stopped(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    report r = {.attempt = attempt};
    return kn_queue_change(q, id, stopped, &r, NULL, err);
}

static int interrupt(kn_queue *q, kn_job *j, const void *arg, kn_err *err)
{
    const report *r = arg;
    int rc = check_owner(j, r, err);
    return rc ? rc : kn_job_interrupt(q, j, &r->interruption, err);
}

int kn_queue_interrupt(kn_queue *q, const char *id, int64_t attempt, bool counts, const char *why,
                       kn_err *err)
{
    report r = {.attempt = attempt, .interruption = {why, counts}};
    return kn_queue_change(q, id, interrupt, &r, NULL, err);
}
