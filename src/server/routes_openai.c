/* OpenAI's video API, /v1/videos, over the same queue: a client written for it works unchanged.
 * Shapes: openai-openapi's openapi.yaml; the further parameters are those that other servers of this API agree on. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "models/catalog.h"
#include "models/demo.h"
#include "server/foreign.h"
#include "server/part_file.h"

/* What of the call is kept with the job, in its labels. */
#define LABEL "openai"

enum { DEFAULT_PAGE = 20, MAX_PAGE = 100, MAX_SECONDS = 3600 };

/* ---- a job as a video ---- */

static const char *status_of(const kn_job *j)
{
    switch (j->state) {
    case KN_JOB_COMPLETED:
        return "completed";
    case KN_JOB_FAILED:
    case KN_JOB_CANCELLED:
        return "failed";
    default:
        return kn_job_state_is_active(j->state) ? "in_progress" : "queued";
    }
}

/* Steps done of steps in all: sampling is nearly all of the time. */
static int percent_of(kn_studio *s, const kn_job *j)
{
    if (j->state == KN_JOB_COMPLETED)
        return 100;
    if (j->state == KN_JOB_DECODING || j->state == KN_JOB_SAVING)
        return 99;
    json_t *p = j->state == KN_JOB_SAMPLING ? kn_supervisor_progress(s->supervisor, j->id) : NULL;
    const char *phase = json_string_value(json_object_get(p, "phase"));
    json_int_t done = json_integer_value(json_object_get(p, "done")),
               total = json_integer_value(json_object_get(p, "total"));
    int percent = phase && strcmp(phase, "sampling") == 0 && total > 0 ? (int)(99 * done / total) : 0;
    json_decref(p);
    return percent;
}

static json_t *time_or_null(double t)
{
    return t > 0 ? json_integer((json_int_t)t) : json_null();
}

static json_t *error_of(const kn_job *j)
{
    if (j->state == KN_JOB_CANCELLED)
        return json_pack("{s:s, s:s}", "code", "cancelled", "message", "the job was cancelled");
    return j->state == KN_JOB_FAILED ? json_pack("{s:s, s:s}", "code", kn_err_name(j->error_code), "message",
                                                 j->error ? j->error : "")
                                     : json_null();
}

static json_t *label_of(const kn_job *j, const char *name)
{
    json_t *v = json_object_get(json_object_get(j->labels, LABEL), name);
    return v ? json_incref(v) : json_null();
}

static json_t *video_to_json(kn_studio *s, const kn_job *j)
{
    return json_pack("{s:s, s:s, s:O, s:s, s:i, s:I, s:o, s:n, s:O?, s:o, s:o, s:o, s:o}", "id", j->id,
                     "object", "video", "model", json_object_get(j->request, "model"), "status", status_of(j),
                     "progress", percent_of(s, j), "created_at", (json_int_t)j->created_s, "completed_at",
                     j->state == KN_JOB_COMPLETED ? time_or_null(j->finished_s) : json_null(), "expires_at",
                     "prompt", json_object_get(j->request, "prompt"), "size", label_of(j, "size"), "seconds",
                     label_of(j, "seconds"), "remixed_from_video_id", label_of(j, "remixed_from"), "error",
                     error_of(j));
}

static int reply_video(kn_studio *s, kn_reply *reply, kn_job *take, kn_err *err)
{
    json_t *o = video_to_json(s, take);
    kn_job_done(take);
    int rc = kn_reply_json(reply, 200, o, err);
    return rc ? rc : kn_reply_header(reply, "openai-poll-after-ms", "1000", err);
}

/* ---- a call as a request ---- */

/* Their names of our parameters; numbers may come as text, as forms have them. */
static const kn_alias names[] = {
    {"prompt", "prompt"},
    {"negative_prompt", "negative_prompt"},
    {"model", "model"},
    {"width", "width"},
    {"height", "height"},
    {"num_frames", "frames"},
    {"fps", "fps"},
    {"num_inference_steps", "steps"},
    {"guidance_scale", "guidance"},
    {"guidance_scale_2", "guidance_2"},
    {"boundary_ratio", "boundary"},
    {"flow_shift", "flow_shift"},
    {"seed", "seed"},
    {NULL, NULL},
};

/* "1280x720" */
static int take_size(const json_t *v, json_t *request, kn_err *err)
{
    const char *text = json_string_value(v);
    int width = 0, height = 0, n = 0;
    if (!text || sscanf(text, "%5dx%5d%n", &width, &height, &n) != 2 || text[n])
        return kn_fail(err, KN_EINVAL, "size: \"%.32s\", expected WIDTHxHEIGHT, as \"1280x720\"",
                       text ? text : "");
    json_object_set_new(request, "width", json_integer(width));
    json_object_set_new(request, "height", json_integer(height));
    return 0;
}

static int parse_seconds(const json_t *v, double *ret, kn_err *err)
{
    const char *text = json_string_value(v);
    char *end = NULL;
    double s = text ? strtod(text, &end) : json_number_value(v);
    if ((!text && !json_is_number(v)) || (text && (end == text || *end)) || !(s > 0) || s > MAX_SECONDS)
        return kn_fail(err, KN_EINVAL, "seconds: \"%.32s\", expected a number above 0, at most %d",
                       text ? text : "", MAX_SECONDS);
    *ret = s;
    return 0;
}

/* ---- input_reference ---- */

static int keep_bytes(kn_studio *s, const void *data, size_t size, kn_upload *ret, kn_err *err)
{
    kn_part_file f = {.fd = -1};
    bool is_full = false;
    int rc = kn_part_file_open(&f, s->places.uploads, size, err);
    if (!rc)
        rc = kn_part_file_write(&f, data, size, &is_full, err);
    if (!rc)
        rc = kn_part_file_close(&f, &is_full, err);
    if (!rc)
        rc = kn_studio_keep_upload(s, f.path, ret, err);
    kn_part_file_done(&f);
    return rc;
}

/* "data:image/png;base64,..." */
static int keep_data_url(kn_studio *s, const char *url, kn_upload *ret, kn_err *err)
{
    const char *comma = strstr(url, ";base64,");
    unsigned char *data = NULL;
    size_t size = 0;
    if (strncmp(url, "data:", 5) || !comma)
        return kn_fail(err, KN_EUNSUPPORTED,
                       "input_reference: expected a file, a data URL with base64, or the id of an upload");
    comma += strlen(";base64,");
    int rc = kn_base64_decode(comma, strlen(comma), &data, &size, err);
    if (!rc)
        rc = keep_bytes(s, data, size, ret, err);
    free(data);
    return rc;
}

static int set_image(json_t *request, const char *id, kn_err *err)
{
    if (json_object_get(request, "image"))
        return kn_fail(err, KN_EINVAL, "input_reference: more than one picture, expected one");
    json_object_set_new(request, "image", json_string(id));
    return 0;
}

static int take_url(kn_studio *s, const char *url, json_t *request, kn_err *err)
{
    kn_upload u;
    int rc = keep_data_url(s, url, &u, err);
    return rc ? rc : set_image(request, u.id, err);
}

static int take_reference(kn_studio *s, const json_t *v, json_t *request, kn_err *err)
{
    const char *url = json_string_value(json_object_get(v, "image_url")),
               *id = json_string_value(json_object_get(v, "file_id"));
    if (!json_is_object(v) || !url == !id)
        return kn_fail(err, KN_EINVAL,
                       "input_reference: expected {\"image_url\": ...} or {\"file_id\": ...}");
    return url ? take_url(s, url, request, err) : set_image(request, id, err);
}

static int take_files(kn_studio *s, const kn_http_request *rq, json_t *request, kn_err *err)
{
    kn_upload u;
    for (int i = 0; i < kn_http_n_files(rq); i++) {
        const kn_http_file *f = kn_http_file_at(rq, i);
        if (strcmp(f->name, "input_reference"))
            return kn_fail(err, KN_EINVAL, "%.64s: unknown file; expected input_reference", f->name);
        int rc = kn_studio_keep_upload(s, f->path, &u, err);
        if (rc)
            return kn_err_prefix(err, "input_reference");
        if ((rc = set_image(request, u.id, err)))
            return rc;
    }
    return 0;
}

/* ---- making one ---- */

static int take_field(kn_studio *s, const char *name, const json_t *v, json_t *request, double *seconds,
                      kn_err *err)
{
    if (json_is_null(v) || kn_alias_take(names, name, v, request))
        return 0;
    if (strcmp(name, "size") == 0)
        return take_size(v, request, err);
    if (strcmp(name, "seconds") == 0)
        return parse_seconds(v, seconds, err);
    if (strcmp(name, "input_reference") == 0)
        return take_reference(s, v, request, err);
    if (strcmp(name, "input_reference[image_url]") == 0 && json_is_string(v)) /* as forms have objects */
        return take_url(s, json_string_value(v), request, err);
    if (strcmp(name, "input_reference[file_id]") == 0 && json_is_string(v))
        return set_image(request, json_string_value(v), err);
    return kn_fail(err, KN_EINVAL, "%.64s: unknown parameter", name);
}

static json_t *labels_for(const json_t *complete_request, const char *remixed_from)
{
    char size[32], seconds[32];
    double fps = json_number_value(json_object_get(complete_request, "fps"));
    double frames = json_number_value(json_object_get(complete_request, "frames"));
    snprintf(size, sizeof size, "%lldx%lld",
             (long long)json_integer_value(json_object_get(complete_request, "width")),
             (long long)json_integer_value(json_object_get(complete_request, "height")));
    snprintf(seconds, sizeof seconds, "%.3g", fps > 0 ? frames / fps : 0);
    return json_pack("{s:{s:s, s:s, s:s?}}", LABEL, "size", size, "seconds", seconds, "remixed_from",
                     remixed_from);
}

static int submit(kn_studio *s, kn_reply *reply, const json_t *request, const char *remixed_from, kn_err *err)
{
    json_t *all = NULL, *checked = NULL;
    kn_job job = {0};
    int rc = kn_studio_check_request(s, request, &checked, &all, reply, err);
    json_t *labels = rc ? NULL : labels_for(all, remixed_from);
    if (!rc)
        rc = kn_studio_submit(s, reply, request, labels, 0, &job, err);
    json_decref(labels);
    json_decref(all);
    json_decref(checked);
    return rc ? rc : reply_video(s, reply, &job, err);
}

static int post_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *v, *request = json_pack("{s:s}", "model", KN_DEMO_NAME);
    const char *name;
    double seconds = 0;
    int rc = request ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a request");
    json_object_foreach(kn_http_json(rq), name, v)
    {
        if (!rc && (rc = take_field(s, name, v, request, &seconds, err)))
            kn_reply_param(reply, name);
    }
    if (!rc)
        rc = take_files(s, rq, request, err);
    if (!rc && seconds > 0 && !json_object_get(request, "frames"))
        rc = kn_foreign_set_duration(s, reply, seconds, request, err);
    if (!rc)
        rc = submit(s, reply, request, NULL, err);
    json_decref(request);
    return rc;
}

/* The same request with other words, and its own noise. */
static int remix_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    const json_t *prompt = json_object_get(kn_http_json(rq), "prompt");
    if (!json_is_string(prompt) || json_object_size(kn_http_json(rq)) != 1) {
        kn_reply_param(reply, "prompt");
        return kn_fail(err, KN_EINVAL, "prompt: expected text, and nothing else");
    }
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    if (rc)
        return rc;
    json_t *request = json_copy(job.request);
    json_object_set(request, "prompt", (json_t *)(uintptr_t)prompt);
    json_object_del(request, "seed");
    rc = submit(s, reply, request, job.id, err);
    json_decref(request);
    kn_job_done(&job);
    return rc;
}

/* ---- reading ---- */

static int get_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_job job = {0};
    int rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    return rc ? rc : reply_video(s, reply, &job, err);
}

static json_t *list_to_json(kn_studio *s, const kn_job *jobs, int n, bool has_more)
{
    json_t *data = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(data, video_to_json(s, &jobs[i]));
    return json_pack("{s:s, s:o, s:s?, s:s?, s:b}", "object", "list", "data", data, "first_id",
                     n ? jobs[0].id : NULL, "last_id", n ? jobs[n - 1].id : NULL, "has_more", has_more);
}

static int get_videos(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"limit", "order", "after", NULL};
    kn_studio *s = ud;
    kn_job *jobs = NULL;
    int n = 0;
    int64_t limit = DEFAULT_PAGE;
    const char *order = kn_http_query(rq, "order");
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_PAGE, 0, MAX_PAGE, &limit, err);
    if (!rc && order && strcmp(order, "asc") && strcmp(order, "desc"))
        rc = kn_fail(err, KN_EINVAL, "order: \"%.32s\", expected asc or desc", order);
    kn_job_filter f = {.before = kn_http_query(rq, "after"),
                       .oldest_first = order && strcmp(order, "asc") == 0,
                       .limit = (int)limit + 1};
    if (!rc)
        rc = kn_queue_list(s->queue, &f, &jobs, &n, err);
    if (rc)
        return rc;
    json_t *o = list_to_json(s, jobs, n > limit ? (int)limit : n, n > limit);
    for (int i = 0; i < n; i++)
        kn_job_done(&jobs[i]);
    free(jobs);
    return kn_reply_json(reply, 200, o, err);
}

static int delete_video(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    const char *id = kn_http_param(rq, "id");
    int rc = kn_studio_delete(ud, id, err);
    return rc ? rc
              : kn_reply_json(reply, 200,
                              json_pack("{s:s, s:s, s:b}", "id", id, "object", "video.deleted", "deleted", 1),
                              err);
}

static int get_content(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"variant", NULL};
    kn_studio *s = ud;
    kn_job job = {0};
    const char *variant = kn_http_query(rq, "variant");
    bool is_thumbnail = variant && strcmp(variant, "thumbnail") == 0;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc && variant && !is_thumbnail && strcmp(variant, "video"))
        rc = kn_fail(err, KN_EINVAL, "variant: \"%.32s\", expected video or thumbnail", variant);
    if (!rc)
        rc = kn_queue_get(s->queue, kn_http_param(rq, "id"), &job, err);
    const char *path = is_thumbnail ? job.thumbnail : job.output;
    if (!rc && !path)
        rc = kn_fail(err, KN_ENOTFOUND, "%s is %s and has no %s", job.id, status_of(&job),
                     variant ? variant : "video");
    if (!rc)
        rc = is_thumbnail ? kn_reply_file(reply, path, "image/png", NULL, err)
                          : kn_studio_reply_video(reply, path, false, err);
    kn_job_done(&job);
    return rc;
}

/* Those that can make videos. */
static int list_models(kn_studio *s, json_t **ret, kn_err *err)
{
    json_t *all = NULL, *m;
    size_t i;
    int rc = kn_catalog_list(s->places.models, &all, err);
    if (rc)
        return rc;
    *ret = json_array();
    json_array_foreach(all, i, m)
    {
        const char *support = json_string_value(json_object_get(m, "support"));
        if (support && strcmp(support, "ready") == 0)
            json_array_append_new(*ret, json_pack("{s:O, s:s, s:i, s:s}", "id", json_object_get(m, "name"),
                                                  "object", "model", "created", 0, "owned_by", "local"));
    }
    json_decref(all);
    return 0;
}

static int get_models(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    json_t *data = NULL;
    (void)rq;
    int rc = list_models(ud, &data, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:s, s:o}", "object", "list", "data", data), err);
}

static int get_model(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    const char *name = kn_http_param(rq, "name");
    json_t *data = NULL, *m, *found = NULL;
    size_t i;
    int rc = list_models(ud, &data, err);
    json_array_foreach(data, i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "id")), name) == 0)
            found = json_incref(m);
    }
    json_decref(data);
    if (!rc && !found)
        rc = kn_fail(err, KN_ENOTFOUND,
                     "there is no model \"%.200s\" that is ready; GET /v1/models lists them", name);
    return rc ? rc : kn_reply_json(reply, 200, found, err);
}

const kn_route kn_routes_openai[] = {
    {"POST", "/v1/videos", KN_BODY_FORM, post_video, "create a video (OpenAI)", false},
    {"GET", "/v1/videos", KN_BODY_NONE, get_videos, "list videos (OpenAI)", false},
    {"GET", "/v1/videos/{id}", KN_BODY_NONE, get_video, "retrieve a video (OpenAI)", false},
    {"DELETE", "/v1/videos/{id}", KN_BODY_NONE, delete_video, "stop and delete a video (OpenAI)", false},
    {"GET", "/v1/videos/{id}/content", KN_BODY_NONE, get_content,
     "download a video or its thumbnail (OpenAI)", false},
    {"POST", "/v1/videos/{id}/remix", KN_BODY_JSON, remix_video, "the same with another prompt (OpenAI)",
     false},
    {"GET", "/v1/models", KN_BODY_NONE, get_models, "list models (OpenAI)", false},
    {"GET", "/v1/models/{name*}", KN_BODY_NONE, get_model, "retrieve a model (OpenAI)", false},
    {0},
};
