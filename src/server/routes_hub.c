/* Models of Hugging Face: search, details, downloads; removing models. For our clients and VideoGen's. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "server/downloads.h"
#include "server/hub_json.h"
#include "server/model_remove.h"
#include "server/settings.h"
#include "server/studio.h"

enum { DEFAULT_RESULTS = 20 };

/* Somebody waits for these answers: less patience than for a download. */
static const kn_hub_patience quick = {
    .connect_ms = 10000, .stall_ms = 15000, .n_tries = 2, .wait_max_ms = 5000};

/* ---- searching ---- */

static void add_local(kn_studio *s, json_t *models)
{
    size_t i;
    json_t *m;
    json_array_foreach(models, i, m) kn_hub_add_local(m, s->places.models);
}

static int search(kn_studio *s, const kn_hub_query *q, json_t **ret, kn_err *err)
{
    json_t *settings = NULL;
    int rc = kn_settings_load(s->queue, &settings, err);
    kn_hub_config c = kn_hub_config_of(settings);
    c.patience = quick;
    if (!rc)
        rc = kn_hub_search(&c, q, NULL, ret, err);
    if (!rc)
        add_local(s, json_object_get(*ret, "models"));
    json_decref(settings);
    return rc;
}

static int describe(kn_studio *s, const char *id, const char *revision, const char *variant, json_t **ret,
                    kn_err *err)
{
    json_t *settings = NULL;
    int rc = kn_settings_load(s->queue, &settings, err);
    kn_hub_config c = kn_hub_config_of(settings);
    c.patience = quick;
    if (!rc)
        rc = kn_hub_model(&c, id, revision, variant, NULL, ret, err);
    if (!rc)
        kn_hub_add_local(*ret, s->places.models);
    json_decref(settings);
    return rc;
}

static int get_search(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"q", "limit", "task", "sort", "cursor", NULL};
    int64_t limit = DEFAULT_RESULTS;
    json_t *found = NULL;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_RESULTS, 1, KN_LIMIT_HUB_RESULTS, &limit, err);
    kn_hub_query q = {.text = kn_http_query(rq, "q"),
                      .task = kn_http_query(rq, "task"),
                      .sort = kn_http_query(rq, "sort"),
                      .cursor = kn_http_query(rq, "cursor"),
                      .limit = (int)limit};
    if (!rc)
        rc = search(ud, &q, &found, err);
    return rc ? rc : kn_reply_json(reply, 200, found, err);
}

static int get_model(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"id", "revision", "variant", NULL};
    json_t *found = NULL;
    const char *id = kn_http_query(rq, "id");
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = describe(ud, id ? id : "", kn_http_query(rq, "revision"), kn_http_query(rq, "variant"), &found,
                      err);
    return rc ? rc : kn_reply_json(reply, 200, found, err);
}

/* ---- downloads ---- */

/* Text, or absent, or null. */
static int take_text(const json_t *body, const char *name, const char **ret, kn_reply *reply, kn_err *err)
{
    const json_t *v = json_object_get(body, name);
    *ret = json_string_value(v);
    if (!v || json_is_null(v) || *ret)
        return 0;
    kn_reply_param(reply, name);
    return kn_fail(err, KN_EINVAL, "%s: expected text", name);
}

static int only_fields(const json_t *body, const char *const *known, kn_reply *reply, kn_err *err)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)body, name, v)
    {
        bool is_known = false;
        for (int i = 0; known[i]; i++)
            is_known |= strcmp(known[i], name) == 0;
        if (!is_known) {
            kn_reply_param(reply, name);
            return kn_fail(err, KN_EINVAL, "%.64s: unknown parameter", name);
        }
    }
    return 0;
}

static int post_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"id", "revision", "file", "variant", NULL};
    kn_studio *s = ud;
    const json_t *body = kn_http_json(rq);
    kn_download_spec spec = {0};
    json_t *o = NULL;
    int rc = only_fields(body, known, reply, err);
    if (!rc)
        rc = take_text(body, "id", &spec.model, reply, err);
    if (!rc)
        rc = take_text(body, "revision", &spec.revision, reply, err);
    if (!rc)
        rc = take_text(body, "file", &spec.file, reply, err);
    if (!rc)
        rc = take_text(body, "variant", &spec.variant, reply, err);
    if (!rc && (rc = kn_downloads_add(s->downloads, &spec, &o, err)) == KN_EINVAL)
        kn_reply_param(reply, "id");
    return rc ? rc : kn_reply_json(reply, 201, o, err);
}

static int get_downloads(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    (void)rq;
    return kn_reply_json(reply, 200, json_pack("{s:o}", "downloads", kn_downloads_list(s->downloads)), err);
}

static int get_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *o = NULL;
    int rc = kn_downloads_get(s->downloads, kn_http_param(rq, "id"), &o, err);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int cancel_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *o = NULL;
    int rc = kn_downloads_cancel(s->downloads, kn_http_param(rq, "id"), &o, err);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int retry_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *o = NULL;
    int rc = kn_downloads_retry(s->downloads, kn_http_param(rq, "id"), &o, err);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int delete_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    const char *id = kn_http_param(rq, "id");
    int rc = kn_downloads_forget(s->downloads, id, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:s, s:b}", "id", id, "deleted", 1), err);
}

/* ---- removing a model ---- */

static int remove_model(kn_studio *s, const char *name, kn_reply *reply, kn_err *err)
{
    int rc = kn_downloads_use(s->downloads, name)
                 ? kn_fail(err, KN_EBUSY, "model: %.200s is being fetched; cancel that first", name)
                 : kn_model_remove(&s->places, s->queue, name, err);
    if (rc)
        kn_reply_param(reply, "model");
    else /* what is loaded of it keeps room on the disk */
        kn_supervisor_unload(s->supervisor);
    return rc;
}

static int delete_model(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    const char *name = kn_http_param(rq, "name");
    int rc = remove_model(ud, name, reply, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:s, s:b}", "name", name, "deleted", 1), err);
}

/* ---- VideoGen ---- */

static const char *videogen_task(const char *task)
{
    return !task || !*task || strcmp(task, "all") == 0 ? NULL
           : strcmp(task, "T2V") == 0                  ? "t2v"
           : strcmp(task, "I2V") == 0                  ? "i2v"
                                                       : task;
}

static const char *videogen_sort(const char *sort)
{
    return !sort || strcmp(sort, "popularity") == 0 ? NULL : sort;
}

static int check_source(const char *source, kn_err *err)
{
    if (!source || strcmp(source, "all") == 0 || strcmp(source, "huggingface") == 0)
        return 0;
    return kn_fail(err, KN_EUNSUPPORTED, "source: \"%.32s\", expected all or huggingface", source);
}

static json_t *to_items(const json_t *models)
{
    size_t i;
    json_t *m, *items = json_array();
    json_array_foreach((json_t *)(uintptr_t)models, i, m) json_array_append_new(items, kn_hub_to_item(m));
    return items;
}

/* Filters that the hub does not have (base_model, model_kind, nsfw, sizes) are accepted and change nothing, as for VideoGen's own
 * Hugging Face results. */
static int get_search2(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"task",        "query",       "limit", "source", "base_model",
                                        "sort",        "nsfw",        "page",  "cursor", "model_kind",
                                        "size_min_mb", "size_max_mb", NULL};
    int64_t limit = DEFAULT_RESULTS;
    json_t *found = NULL;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "limit", DEFAULT_RESULTS, 1, KN_LIMIT_HUB_RESULTS, &limit, err);
    if (!rc)
        rc = check_source(kn_http_query(rq, "source"), err);
    kn_hub_query q = {.text = kn_http_query(rq, "query"),
                      .task = videogen_task(kn_http_query(rq, "task")),
                      .sort = videogen_sort(kn_http_query(rq, "sort")),
                      .cursor = kn_http_query(rq, "cursor"),
                      .limit = (int)limit};
    if (!rc)
        rc = search(ud, &q, &found, err);
    if (rc)
        return rc;
    json_t *items = to_items(json_object_get(found, "models"));
    json_t *o = json_pack("{s:o, s:O?, s:n, s:{s:I, s:b}}", "items", items, "next_cursor",
                          json_object_get(found, "next"), "prev_cursor", "page_info", "limit",
                          (json_int_t)limit, "has_next", json_is_string(json_object_get(found, "next")));
    json_decref(found);
    return kn_reply_json(reply, 200, o, err);
}

static int get_detail(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"source", "id", NULL};
    const char *id = kn_http_query(rq, "id");
    json_t *m = NULL;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = check_source(kn_http_query(rq, "source"), err);
    if (!rc)
        rc = describe(ud, id ? id : "", NULL, NULL, &m, err);
    if (rc)
        return rc;
    json_t *o = kn_hub_to_item(m);
    json_object_set(o, "versions", json_object_get(m, "variants"));
    json_object_set(o, "files", json_object_get(m, "files"));
    json_object_set(o, "revision", json_object_get(m, "revision"));
    json_object_set(o, "download", json_object_get(m, "pull"));
    json_object_set(o, "notes", json_object_get(m, "why_not"));
    json_decref(m);
    return kn_reply_json(reply, 200, o, err);
}

static int post_videogen_download(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {
        "repo_id",     "revision",         "target_dir",         "source",
        "hf_revision", "civitai_model_id", "civitai_version_id", "civitai_file_id",
        "task",        "base_model",       "model_kind",         NULL};
    kn_studio *s = ud;
    const json_t *body = kn_http_json(rq);
    const char *source = NULL, *revision = NULL, *target = NULL;
    kn_download_spec spec = {0};
    json_t *o = NULL;
    int rc = only_fields(body, known, reply, err);
    if (!rc)
        rc = take_text(body, "repo_id", &spec.model, reply, err);
    if (!rc)
        rc = take_text(body, "revision", &revision, reply, err);
    if (!rc)
        rc = take_text(body, "hf_revision", &spec.revision, reply, err);
    if (!rc)
        rc = take_text(body, "source", &source, reply, err);
    if (!rc)
        rc = take_text(body, "target_dir", &target, reply, err);
    if (!rc)
        rc = check_source(source, err);
    if (!rc && target && *target && strcmp(target, s->places.models))
        rc = kn_fail(err, KN_EINVAL, "target_dir: models come to %.200s; leave it out", s->places.models);
    spec.revision = spec.revision && *spec.revision ? spec.revision : revision && *revision ? revision : NULL;
    if (!rc)
        rc = kn_downloads_add(s->downloads, &spec, &o, err);
    if (rc)
        return rc;
    json_t *answer = json_pack("{s:O?}", "task_id", json_object_get(o, "id"));
    json_decref(o);
    return kn_reply_json(reply, 200, answer, err);
}

static int post_local_delete(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"model_name", "base_dir", NULL};
    kn_studio *s = ud;
    const char *name = NULL, *base = NULL;
    int rc = only_fields(kn_http_json(rq), known, reply, err);
    if (!rc)
        rc = take_text(kn_http_json(rq), "model_name", &name, reply, err);
    if (!rc)
        rc = take_text(kn_http_json(rq), "base_dir", &base, reply, err);
    if (!rc && base && *base && strcmp(base, s->places.models))
        rc = kn_fail(err, KN_EINVAL, "base_dir: models lie in %.200s; leave it out", s->places.models);
    if (!rc)
        rc = remove_model(s, name ? name : "", reply, err);
    return rc ? rc
              : kn_reply_json(reply, 200, json_pack("{s:s, s:s}", "status", "ok", "model_name", name), err);
}

const kn_route kn_routes_hub[] = {
    {"GET", "/api/v1/hub/search", KN_BODY_NONE, get_search, "models on Hugging Face", false},
    {"GET", "/api/v1/hub/model", KN_BODY_NONE, get_model,
     "one of them, with its files and what a download would fetch", false},
    {"POST", "/api/v1/hub/downloads", KN_BODY_JSON, post_download, "fetch a model", false},
    {"GET", "/api/v1/hub/downloads", KN_BODY_NONE, get_downloads, "downloads, newest first", false},
    {"GET", "/api/v1/hub/downloads/{id}", KN_BODY_NONE, get_download, "one download", false},
    {"POST", "/api/v1/hub/downloads/{id}/cancel", KN_BODY_JSON, cancel_download,
     "stop a download; what is there is kept", false},
    {"POST", "/api/v1/hub/downloads/{id}/retry", KN_BODY_JSON, retry_download,
     "go on with one that failed or was cancelled", false},
    {"DELETE", "/api/v1/hub/downloads/{id}", KN_BODY_NONE, delete_download,
     "take an ended download off the list, with what it left unfinished", false},
    {"DELETE", "/api/v1/models/{name*}", KN_BODY_NONE, delete_model, "remove a model from the models folder",
     false},
    {"GET", "/api/models/search", KN_BODY_NONE, get_search2, "models on Hugging Face (VideoGen)", false},
    {"GET", "/api/models/search2", KN_BODY_NONE, get_search2, "the same (VideoGen)", false},
    {"GET", "/api/models/detail", KN_BODY_NONE, get_detail, "one of them (VideoGen)", false},
    {"POST", "/api/models/download", KN_BODY_JSON, post_videogen_download,
     "fetch a model as a task (VideoGen)", false},
    {"POST", "/api/models/local/delete", KN_BODY_JSON, post_local_delete, "remove a model (VideoGen)", false},
    {0},
};
