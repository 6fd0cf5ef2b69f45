/* Generation as VideoGen's clients ask for it: /api/generate/..., /api/tasks, /api/outputs, over the same queue. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "models/demo.h"
#include "server/hub_json.h"
#include "server/foreign.h"

/* What kind of call made a job, in its labels. */
#define LABEL "task_type"

enum { DEFAULT_PAGE = 50, MAX_SECONDS = 10800 };

/* ---- a job as a task ---- */

static const char *status_of(const kn_job *j)
{
    switch (j->state) {
    case KN_JOB_COMPLETED:
        return "completed";
    case KN_JOB_FAILED:
        return "error";
    case KN_JOB_CANCELLED:
        return "cancelled";
    default:
        return kn_job_state_is_active(j->state) ? "running" : "queued";
    }
}

static const char *type_of(const kn_job *j)
{
    const char *type = json_string_value(json_object_get(j->labels, LABEL));
    return type ? type : json_object_get(j->request, "image") ? "image2video" : "text2video";
}

static json_t *result_of(const kn_job *j)
{
    const json_t *request = json_object_get(j->result, "request");
    double fps = json_number_value(json_object_get(request, "fps")),
           frames = json_number_value(json_object_get(request, "frames"));
    if (j->state != KN_JOB_COMPLETED)
        return json_null();
    return json_pack("{s:s, s:O?, s:O?, s:O?, s:f, s:O?, s:O?, s:O?}", "video_file", kn_path_base(j->output),
                     "model", json_object_get(j->request, "model"), "encoder",
                     json_object_get(j->result, "encoder"), "backend", json_object_get(j->result, "backend"),
                     "duration_seconds", fps > 0 ? frames / fps : 0, "total_frames",
                     json_object_get(request, "frames"), "encoded_frames", json_object_get(request, "frames"),
                     "loras", json_object_get(j->request, "lora"));
}

/* "sampling 5/24": the share of steps that are done, never of time. */
static json_t *task_to_json(kn_studio *s, const kn_job *j)
{
    json_t *p = kn_job_state_is_active(j->state) ? kn_supervisor_progress(s->supervisor, j->id) : NULL;
    json_int_t done = json_integer_value(json_object_get(p, "done")),
               total = json_integer_value(json_object_get(p, "total"));
    double share = j->state == KN_JOB_COMPLETED               ? 1
                   : j->state == KN_JOB_SAMPLING && total > 0 ? (double)done / (double)total
                                                              : 0;
    char message[96];
    snprintf(message, sizeof message, total > 0 ? "%s %lld/%lld" : "%s", kn_job_state_name(j->state),
             (long long)done, (long long)total);
    json_decref(p);
    double updated_s = j->finished_s > 0                  ? j->finished_s
                       : kn_job_state_is_active(j->state) ? (double)kn_clock_unix()
                                                          : j->created_s;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:s, s:f, s:f, s:o, s:o, s:o, s:o, s:n, s:n, s:b}", "id", j->id,
        "task_type", type_of(j), "status", status_of(j), "step", kn_job_state_name(j->state), "progress",
        share, "message", message, "created_at", j->created_s, "updated_at", updated_s, "started_at",
        j->started_s > 0 ? json_real(j->started_s) : json_null(), "finished_at",
        j->finished_s > 0 ? json_real(j->finished_s) : json_null(), "result", result_of(j), "error",
        j->error_code && j->state == KN_JOB_FAILED
            ? json_string(j->error ? j->error : kn_err_text(j->error_code))
            : json_null(),
        "downloaded_bytes", "total_bytes", "cancel_requested",
        j->wish == KN_WISH_CANCEL || j->state == KN_JOB_CANCELLED);
}

/* ---- a call as a request ---- */

static const kn_alias names[] = {
    {"prompt", "prompt"},
    {"negative_prompt", "negative_prompt"},
    {"model_id", "model"},
    {"num_inference_steps", "steps"},
    {"guidance_scale", "guidance"},
    {"fps", "fps"},
    {"num_frames", "frames"},
    {"seed", "seed"},
    {"width", "width"},
    {"height", "height"},
    {"backend", "device"},
    {NULL, NULL},
};

static int number_of(const char *name, const json_t *v, double min, double max, double *ret, kn_err *err)
{
    const char *text = json_string_value(v);
    char *end = NULL;
    *ret = text ? strtod(text, &end) : json_number_value(v);
    if ((!text && !json_is_number(v)) || (text && (end == text || *end)) || !(*ret >= min && *ret <= max))
        return kn_fail(err, KN_EINVAL, "%s: expected a number from %g to %g", name, min, max);
    return 0;
}

static int add_lora(json_t *loras, const json_t *id, kn_err *err)
{
    if (!json_is_string(id))
        return kn_fail(err, KN_EINVAL, "lora_ids: expected names of files in the models folder");
    if (*json_string_value(id))
        json_array_append_new(loras, json_pack("{s:s}", "path", json_string_value(id)));
    return 0;
}

typedef struct call {
    json_t *request, *loras;
    double seconds, lora_scale; /* negative: not given */
} call;

static int take_field(call *c, const char *name, const json_t *v, kn_err *err)
{
    size_t i;
    json_t *item;
    int rc = 0;
    if (json_is_null(v) || kn_alias_take(names, name, v, c->request))
        return 0;
    if (strcmp(name, "duration_seconds") == 0)
        return number_of(name, v, 0.01, MAX_SECONDS, &c->seconds, err);
    if (strcmp(name, "lora_scale") == 0)
        return number_of(name, v, 0, 2, &c->lora_scale, err);
    if (strcmp(name, "lora_id") == 0)
        return add_lora(c->loras, v, err);
    if (strcmp(name, "lora_ids"))
        return kn_fail(err, KN_EINVAL, "%.64s: unknown parameter", name);
    if (json_is_string(v))
        return add_lora(c->loras, v, err);
    json_array_foreach((json_t *)(uintptr_t)v, i, item)
    {
        if (!rc)
            rc = add_lora(c->loras, item, err);
    }
    return rc;
}

static void set_loras(call *c)
{
    size_t i;
    json_t *lora;
    json_array_foreach(c->loras, i, lora)
    {
        if (c->lora_scale >= 0)
            json_object_set_new(lora, "strength", json_real(c->lora_scale));
    }
    if (json_array_size(c->loras))
        json_object_set(c->request, "lora", c->loras);
}

static int take_image(kn_studio *s, const kn_http_request *rq, call *c, kn_err *err)
{
    kn_upload u;
    if (kn_http_n_files(rq) != 1 || strcmp(kn_http_file_at(rq, 0)->name, "image"))
        return kn_fail(err, KN_EINVAL, "image: expected one file of this name");
    int rc = kn_studio_keep_upload(s, kn_http_file_at(rq, 0)->path, &u, err);
    if (rc)
        return kn_err_prefix(err, "image");
    json_object_set_new(c->request, "image", json_string(u.id));
    return 0;
}

static int generate(kn_studio *s, const kn_http_request *rq, kn_reply *reply, const char *type, kn_err *err)
{
    call c = {json_pack("{s:s}", "model", KN_DEMO_NAME), json_array(), -1, -1};
    kn_job job = {0};
    const char *name;
    json_t *v, *labels = json_pack("{s:s}", LABEL, type);
    int rc = 0;
    json_object_foreach(kn_http_json(rq), name, v)
    {
        if (!rc && (rc = take_field(&c, name, v, err)))
            kn_reply_param(reply, name);
    }
    set_loras(&c);
    if (!rc && strcmp(type, "image2video") == 0)
        rc = take_image(s, rq, &c, err);
    if (!rc && c.seconds > 0 && !json_object_get(c.request, "frames"))
        rc = kn_foreign_set_duration(s, reply, c.seconds, c.request, err);
    if (!rc)
        rc = kn_studio_submit(s, reply, c.request, labels, 0, &job, err);
    if (!rc)
        rc = kn_reply_json(reply, 200, json_pack("{s:s}", "task_id", job.id), err);
    kn_job_done(&job);
    json_decref(labels);
    json_decref(c.request);
    json_decref(c.loras);
    return rc;
}

static int text2video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return generate(ud, rq, reply, "text2video", err);
}

static int image2video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    return generate(ud, rq, reply, "image2video", err);
}

/* ---- tasks ---- */

static bool is_download(const char *id)
{
    return strncmp(id, "dl_", 3) == 0;
}

static int reply_download(kn_studio *s, const char *id, kn_reply *reply, kn_err *err)
{
    json_t *d = NULL;
    int rc = kn_downloads_get(s->downloads, id, &d, err);
    json_t *o = rc ? NULL : kn_download_to_task(d);
    json_decref(d);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int get_task(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    if (is_download(kn_http_param(rq, "id")))
        return reply_download(s, kn_http_param(rq, "id"), reply, err);
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    if (rc)
        return rc;
    json_t *o = task_to_json(s, &job);
    kn_job_done(&job);
    return kn_reply_json(reply, 200, o, err);
}

static int states_of(const char *status, uint32_t *ret, kn_err *err)
{
    kn_job j = {0};
    *ret = 0;
    if (!status || strcmp(status, "all") == 0)
        return 0;
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++) {
        j.state = (kn_job_state)i;
        *ret |= strcmp(status_of(&j), status) ? 0 : 1u << i;
    }
    return *ret ? 0
                : kn_fail(err, KN_EINVAL,
                          "status: \"%.32s\", expected all, queued, running, completed, error or cancelled",
                          status);
}

static int list(kn_studio *s, const kn_http_request *rq, uint32_t states, int64_t limit,
                json_t *(*show)(kn_studio *, const kn_job *), json_t **ret, kn_err *err)
{
    kn_job *jobs = NULL;
    int n = 0;
    const char *type = kn_http_query(rq, "task_type");
    int rc = kn_queue_list(s->queue, &(kn_job_filter){.states = states, .limit = (int)limit}, &jobs, &n, err);
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        if (!type || strcmp(type, type_of(&jobs[i])) == 0)
            json_array_append_new(all, show(s, &jobs[i]));
        kn_job_done(&jobs[i]);
    }
    free(jobs);
    if (rc)
        json_decref(all);
    else
        *ret = all;
    return rc;
}

/* Downloads are few: all that fit, behind the jobs. */
static void add_downloads(kn_studio *s, const kn_http_request *rq, int64_t limit, json_t *tasks)
{
    const char *type = kn_http_query(rq, "task_type"), *status = kn_http_query(rq, "status");
    json_t *d, *all = type && strcmp(type, "download") ? NULL : kn_downloads_list(s->downloads);
    size_t i;
    json_array_foreach(all, i, d)
    {
        json_t *task = kn_download_to_task(d);
        const char *is = json_string_value(json_object_get(task, "status"));
        bool fits = !status || strcmp(status, "all") == 0 || (is && strcmp(is, status) == 0);
        if (fits && (int64_t)json_array_size(tasks) < limit)
            json_array_append(tasks, task);
        json_decref(task);
    }
    json_decref(all);
}

static int get_tasks(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"task_type", "status", "limit", NULL};
    int64_t limit = DEFAULT_PAGE;
    uint32_t states = 0;
    json_t *tasks = NULL;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_PAGE, 1, KN_LIMIT_JOB_PAGE, &limit, err);
    if (!rc)
        rc = states_of(kn_http_query(rq, "status"), &states, err);
    if (!rc)
        rc = list(ud, rq, states, limit, task_to_json, &tasks, err);
    if (!rc)
        add_downloads(ud, rq, limit, tasks);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:o}", "tasks", tasks), err);
}

static int cancel_download(kn_studio *s, const char *id, kn_reply *reply, kn_err *err)
{
    json_t *d = NULL;
    int rc = kn_downloads_cancel(s->downloads, id, &d, err);
    json_t *o = rc ? NULL : json_pack("{s:s, s:o}", "status", "ok", "task", kn_download_to_task(d));
    json_decref(d);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int cancel_task(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    const char *id = json_string_value(json_object_get(kn_http_json(rq), "task_id"));
    if (!id || json_object_size(kn_http_json(rq)) != 1)
        return kn_fail(err, KN_EINVAL, "task_id: expected the id of a task, and nothing else");
    if (is_download(id))
        return cancel_download(s, id, reply, err);
    int rc = kn_queue_cancel(s->queue, id, &job, err);
    if (rc)
        return rc;
    if (job.state == KN_JOB_CANCELLED)
        kn_places_drop(&s->places, job.id);
    json_t *o = json_pack("{s:s, s:o}", "status", "ok", "task", task_to_json(s, &job));
    kn_job_done(&job);
    return kn_reply_json(reply, 200, o, err);
}

/* ---- outputs ---- */

static json_t *output_to_json(kn_studio *s, const kn_job *j)
{
    struct stat st = {0};
    (void)s;
    if (stat(j->output, &st))
        st.st_size = 0;
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:o}", "name", kn_path_base(j->output), "path", j->output,
                     "kind", "video", "size_bytes", (json_int_t)st.st_size, "updated_at", j->finished_s,
                     "view_url", json_sprintf("/api/videos/%s", kn_path_base(j->output)));
}

static int get_outputs(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"limit", NULL};
    kn_studio *s = ud;
    int64_t limit = DEFAULT_PAGE;
    json_t *items = NULL;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_PAGE, 1, KN_LIMIT_JOB_PAGE, &limit, err);
    if (!rc)
        rc = list(s, rq, 1u << KN_JOB_COMPLETED, limit, output_to_json, &items, err);
    return rc ? rc
              : kn_reply_json(reply, 200,
                              json_pack("{s:s, s:o}", "base_dir", s->places.outputs, "items", items), err);
}

/* A video's name is its job's id and an ending. */
static int find_output(kn_studio *s, const char *file, kn_job *ret, kn_err *err)
{
    char id[KN_JOB_ID_BYTES];
    size_t n = strncmp(file, "job_", 4) ? 0 : 4 + strcspn(file + 4, "._");
    if (!n || n >= sizeof id || !kn_place_name_is_plain(file))
        return kn_fail(err, KN_ENOTFOUND, "there is no video \"%.64s\"", file);
    memcpy(id, file, n);
    id[n] = '\0';
    int rc = kn_queue_get(s->queue, id, ret, err);
    if (!rc && (!ret->output || strcmp(kn_path_base(ret->output), file))) {
        kn_job_done(ret);
        *ret = (kn_job){0};
        rc = kn_fail(err, KN_ENOTFOUND, "there is no video \"%.64s\"", file);
    }
    return rc;
}

static int delete_output(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    const char *file = json_string_value(json_object_get(kn_http_json(rq), "file_name"));
    if (!file || json_object_size(kn_http_json(rq)) != 1)
        return kn_fail(err, KN_EINVAL, "file_name: expected the name of a video, and nothing else");
    int rc = find_output(s, file, &job, err);
    if (!rc)
        rc = kn_studio_delete(s, job.id, err);
    kn_job_done(&job);
    return rc ? rc
              : kn_reply_json(reply, 200, json_pack("{s:s, s:s}", "status", "ok", "file_name", file), err);
}

static int get_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_job job = {0};
    int rc = find_output(ud, kn_http_param(rq, "file"), &job, err);
    if (!rc)
        rc = kn_studio_reply_video(reply, job.output, false, err);
    kn_job_done(&job);
    return rc;
}

const kn_route kn_routes_tasks[] = {
    {"POST", "/api/generate/text2video", KN_BODY_JSON, text2video, "a video from text (VideoGen)", false},
    {"POST", "/api/generate/image2video", KN_BODY_FORM, image2video,
     "a video from a picture and text (VideoGen)", false},
    {"GET", "/api/tasks", KN_BODY_NONE, get_tasks, "list tasks (VideoGen)", false},
    {"GET", "/api/tasks/{id}", KN_BODY_NONE, get_task, "one task (VideoGen)", false},
    {"POST", "/api/tasks/cancel", KN_BODY_JSON, cancel_task, "stop a task (VideoGen)", false},
    {"GET", "/api/outputs", KN_BODY_NONE, get_outputs, "list videos (VideoGen)", false},
    {"POST", "/api/outputs/delete", KN_BODY_JSON, delete_output, "remove a video (VideoGen)", false},
    {"GET", "/api/videos/{file}", KN_BODY_NONE, get_video, "a video's bytes (VideoGen)", false},
    {0},
};
