/* /api/v1/jobs and /api/v1/queue. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "server/studio.h"

enum { DEFAULT_PAGE = 50, MOST_PAGE = KN_LIMIT_JOB_PAGE - 1 };

static int reply_job(kn_studio *s, kn_reply *reply, int status, kn_job *take, kn_err *err)
{
    json_t *o = kn_studio_job_to_json(s, take);
    kn_job_done(take);
    return kn_reply_json(reply, status, o, err);
}

/* ---- one job ---- */

static int take_priority(json_t *body, int64_t *ret, kn_err *err)
{
    const json_t *v = json_object_get(body, "priority");
    if (v && (!json_is_integer(v) || json_integer_value(v) < -100 || json_integer_value(v) > 100))
        return kn_fail(err, KN_EINVAL, "priority: expected a whole number from -100 to 100");
    *ret = json_integer_value(v);
    json_object_del(body, "priority");
    return 0;
}

static int submit(kn_studio *s, kn_reply *reply, const json_t *request, const json_t *labels,
                  int64_t priority, kn_err *err)
{
    kn_job job = {0};
    if (labels && !json_is_object(labels))
        return kn_fail(err, KN_EINVAL, "labels: expected an object");
    int rc = kn_studio_submit(s, reply, request, labels, priority, &job, err);
    return rc ? rc : reply_job(s, reply, 201, &job, err);
}

static int post_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    json_t *request = json_copy(kn_http_json(rq));
    json_t *labels = json_incref(json_object_get(request, "labels"));
    int64_t priority = 0;
    json_object_del(request, "labels");
    int rc = take_priority(request, &priority, err);
    if (rc)
        kn_reply_param(reply, "priority");
    else
        rc = submit(ud, reply, request, json_is_null(labels) ? NULL : labels, priority, err);
    json_decref(labels);
    json_decref(request);
    return rc;
}

static int make_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    return rc ? rc : reply_job(s, reply, 200, &job, err);
}

static int get_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return kn_studio_reply_kept(ud, rq, reply, make_job, err);
}

typedef int (*job_change)(kn_queue *q, const char *id, kn_job *ret, kn_err *err);

static int change_job(kn_studio *s, const kn_http_request *rq, kn_reply *reply, job_change change,
                      kn_err *err)
{
    kn_job job = {0};
    int rc = change(s->queue, kn_http_param(rq, "id"), &job, err);
    if (!rc && job.state == KN_JOB_CANCELLED)
        kn_places_drop(&s->places, job.id);
    return rc ? rc : reply_job(s, reply, 200, &job, err);
}

static int cancel_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return change_job(ud, rq, reply, kn_queue_cancel, err);
}

static int pause_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return change_job(ud, rq, reply, kn_queue_pause, err);
}

static int resume_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return change_job(ud, rq, reply, kn_queue_resume, err);
}

static int retry_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return change_job(ud, rq, reply, kn_queue_retry, err);
}

static int duplicate_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    if (!rc)
        rc = submit(s, reply, job.request, job.labels, job.priority, err);
    kn_job_done(&job);
    return rc;
}

static int patch_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    json_t *body = json_copy(kn_http_json(rq)), *request = NULL;
    const json_t *given = json_object_get(body, "request"), *before = json_object_get(body, "before");
    bool has_priority = json_object_get(body, "priority") != NULL;
    int64_t priority = 0;
    const char *key;
    json_t *v;
    int rc = take_priority(body, &priority, err);
    json_object_foreach(body, key, v)
    {
        if (!rc && strcmp(key, "request") && strcmp(key, "before"))
            rc = kn_fail(err, KN_EINVAL, "%.64s: unknown; expected request, priority or before", key);
    }
    if (!rc && before && !json_is_string(before))
        rc = kn_fail(err, KN_EINVAL, "before: expected the id of a job, or \"\"");
    if (!rc && given && !json_is_object(given))
        rc = kn_fail(err, KN_EINVAL, "request: expected an object");
    if (!rc && given)
        rc = kn_studio_check_request(s, given, &request, NULL, reply, err);
    if (!rc)
        rc = kn_queue_edit(
            s->queue, kn_http_param(rq, "id"),
            &(kn_job_edit){request, has_priority ? &priority : NULL, json_string_value(before)}, &job, err);
    json_decref(request);
    json_decref(body);
    return rc ? rc : reply_job(s, reply, 200, &job, err);
}

static int delete_job(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    const char *id = kn_http_param(rq, "id");
    int rc = kn_studio_delete(s, id, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:s, s:b}", "id", id, "deleted", 1), err);
}

/* ---- lists ---- */

static json_t *jobs_to_json(kn_studio *s, kn_job *jobs, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, kn_studio_job_to_json(s, &jobs[i]));
    return list;
}

static void free_jobs(kn_job *jobs, int n)
{
    for (int i = 0; i < n; i++)
        kn_job_done(&jobs[i]);
    free(jobs);
}

/* "queued,sampling" */
static int parse_states(const char *text, uint32_t *ret, kn_err *err)
{
    *ret = 0;
    for (const char *p = text ? text : ""; *p;) {
        char name[32];
        size_t n = strcspn(p, ",");
        kn_job_state state;
        if (n >= sizeof name)
            return kn_fail(err, KN_EINVAL, "state: \"%.64s\" is no state", p);
        memcpy(name, p, n);
        name[n] = '\0';
        int rc = kn_job_state_parse(name, &state, err);
        if (rc)
            return rc;
        *ret |= 1u << state;
        p += n + (p[n] == ',');
    }
    return 0;
}

static int make_jobs(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"state", "text", "limit", "before", "order", NULL};
    kn_studio *s = ud;
    kn_job *jobs = NULL;
    int n = 0;
    int64_t limit = DEFAULT_PAGE;
    const char *order = kn_http_query(rq, "order");
    kn_job_filter f = {.before = kn_http_query(rq, "before"), .text = kn_http_query(rq, "text")};
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_PAGE, 1, MOST_PAGE, &limit, err);
    if (!rc)
        rc = parse_states(kn_http_query(rq, "state"), &f.states, err);
    if (!rc && order && strcmp(order, "asc") && strcmp(order, "desc"))
        rc = kn_fail(err, KN_EINVAL, "order: \"%.32s\", expected asc or desc", order);
    f.oldest_first = order && strcmp(order, "asc") == 0;
    f.limit = (int)limit + 1;
    if (!rc)
        rc = kn_queue_list(s->queue, &f, &jobs, &n, err);
    if (rc)
        return rc;
    int shown = n > limit ? (int)limit : n;
    json_t *o = json_pack("{s:o, s:b}", "jobs", jobs_to_json(s, jobs, shown), "has_more", n > limit);
    free_jobs(jobs, n);
    return kn_reply_json(reply, 200, o, err);
}

static int get_jobs(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return kn_studio_reply_kept(ud, rq, reply, make_jobs, err);
}

static json_t *counts_to_json(const int64_t counts[KN_JOB_STATE_COUNT])
{
    json_t *o = json_object();
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        json_object_set_new(o, kn_job_state_name((kn_job_state)i), json_integer(counts[i]));
    return o;
}

static int list_running(kn_studio *s, kn_job **ret_jobs, int *ret_n, kn_err *err)
{
    kn_job_filter f = {.oldest_first = true, .limit = KN_LIMIT_JOB_PAGE};
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        f.states |= kn_job_state_is_active((kn_job_state)i) ? 1u << i : 0;
    return kn_queue_list(s->queue, &f, ret_jobs, ret_n, err);
}

/* At most `limit` of those that wait: behind `after`, else those that run and the first of them. */
static int reply_queue(kn_studio *s, kn_reply *reply, const char *after, int limit, kn_err *err)
{
    kn_job *running = NULL, *waiting = NULL;
    int n_running = 0, n_waiting = 0;
    int64_t counts[KN_JOB_STATE_COUNT];
    int rc = after ? 0 : list_running(s, &running, &n_running, err);
    if (!rc)
        rc = kn_queue_waiting(s->queue, after, limit + 1, &waiting, &n_waiting, err);
    if (!rc)
        rc = kn_queue_count(s->queue, counts, err);
    int n_shown = n_waiting > limit ? limit : n_waiting;
    json_t *jobs = rc ? NULL : jobs_to_json(s, running, n_running),
           *rest = rc ? NULL : jobs_to_json(s, waiting, n_shown);
    json_array_extend(jobs, rest);
    json_decref(rest);
    free_jobs(running, n_running);
    free_jobs(waiting, n_waiting);
    return rc ? rc
              : kn_reply_json(reply, 200,
                              json_pack("{s:o, s:b, s:o, s:b}", "jobs", jobs, "has_more", n_waiting > limit,
                                        "counts", counts_to_json(counts), "paused",
                                        kn_supervisor_is_held(s->supervisor)),
                              err);
}

static int make_queue(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"limit", "after", NULL};
    int64_t limit = MOST_PAGE;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", MOST_PAGE, 1, MOST_PAGE, &limit, err);
    return rc ? rc : reply_queue(ud, reply, kn_http_query(rq, "after"), (int)limit, err);
}

static int get_queue(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return kn_studio_reply_kept(ud, rq, reply, make_queue, err);
}

static int hold_queue(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    int rc = kn_studio_hold(ud, true, err);
    (void)rq;
    return rc ? rc : reply_queue(ud, reply, NULL, MOST_PAGE, err);
}

static int release_queue(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    int rc = kn_studio_hold(ud, false, err);
    (void)rq;
    return rc ? rc : reply_queue(ud, reply, NULL, MOST_PAGE, err);
}

const kn_route kn_routes_jobs[] = {
    {"POST", "/api/v1/jobs", KN_BODY_JSON, post_job, "put a request in line", false},
    {"GET", "/api/v1/jobs", KN_BODY_NONE, get_jobs, "list jobs, newest first", false},
    {"GET", "/api/v1/jobs/{id}", KN_BODY_NONE, get_job, "one job", false},
    {"PATCH", "/api/v1/jobs/{id}", KN_BODY_JSON, patch_job, "change a job that waits", false},
    {"DELETE", "/api/v1/jobs/{id}", KN_BODY_NONE, delete_job, "stop a job and remove it with its files",
     false},
    {"POST", "/api/v1/jobs/{id}/cancel", KN_BODY_JSON, cancel_job, "stop a job", false},
    {"POST", "/api/v1/jobs/{id}/pause", KN_BODY_JSON, pause_job, "stop a job so that it can go on later",
     false},
    {"POST", "/api/v1/jobs/{id}/resume", KN_BODY_JSON, resume_job, "put a paused job back in line", false},
    {"POST", "/api/v1/jobs/{id}/retry", KN_BODY_JSON, retry_job, "put a failed or cancelled job back in line",
     false},
    {"POST", "/api/v1/jobs/{id}/duplicate", KN_BODY_JSON, duplicate_job, "put the same request in line again",
     false},
    {"GET", "/api/v1/queue", KN_BODY_NONE, get_queue, "what runs and what waits, in order", false},
    {"POST", "/api/v1/queue/pause", KN_BODY_JSON, hold_queue, "begin no more jobs", false},
    {"POST", "/api/v1/queue/resume", KN_BODY_JSON, release_queue, "begin jobs again", false},
    {0},
};
