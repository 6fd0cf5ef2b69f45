/* What there is: models, plans, settings, the machine, events. */
#include <stdlib.h>
#include <string.h>

#include "engine/caches.h"
#include "engine/enhance.h"
#include "engine/hardware.h"
#include "models/catalog.h"
#include "server/settings.h"
#include "server/studio.h"

static int get_health(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq;
    return kn_reply_json(reply, 200, json_pack("{s:s, s:s}", "status", "ok", "version", KN_VERSION), err);
}

static int get_models(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *list = NULL;
    (void)rq;
    int rc = kn_catalog_list(s->places.models, &list, err);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:o}", "models", list), err);
}

static int get_loaded(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    (void)rq;
    return kn_reply_json(reply, 200, json_pack("{s:o}", "loaded", kn_supervisor_loaded(s->supervisor)), err);
}

static int post_unload(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    if (json_object_size(kn_http_json(rq)))
        return kn_fail(err, KN_EINVAL, "expected {}");
    json_t *o = json_pack("{s:o}", "loaded", kn_supervisor_loaded(s->supervisor));
    kn_supervisor_unload(s->supervisor);
    return kn_reply_json(reply, 202, o, err);
}

/* ---- the plan ---- */

static int estimate(kn_studio *s, const json_t *request, json_t **ret, kn_err *err)
{
    const kn_model_desc *d = NULL;
    char *path = NULL;
    json_t *resolved = NULL;
    kn_request rq;
    kn_estimate e = {0};
    kn_request_init(&rq);
    int rc = kn_places_resolve(&s->places, request, &resolved, err);
    if (!rc)
        rc = kn_request_from_json(&rq, resolved, err);
    if (!rc)
        rc = kn_model_find(rq.model, &d, &path, err);
    if (!rc) {
        kn_estimate_opts opts = {.path = path,
                                 .cache_dir = s->places.cache,
                                 .idle_bytes = kn_supervisor_idle_bytes(s->supervisor),
                                 .rates = &s->rates};
        pthread_mutex_lock(&s->rates_lock);
        rc = kn_estimate_make(d, &rq, &opts, &e, err);
        pthread_mutex_unlock(&s->rates_lock);
    }
    if (!rc) {
        *ret = kn_estimate_to_json(&e);
        kn_estimate_done(&e);
    }
    json_decref(resolved);
    kn_request_done(&rq);
    free(path);
    return rc;
}

/* The complete request, as the client would write it: files by their ids. */
static void put_names_back(json_t *plan, const json_t *given)
{
    const char *name;
    json_t *v, *request = json_object_get(plan, "request");
    json_object_foreach((json_t *)(uintptr_t)given, name, v) json_object_set(request, name, v);
}

static int post_plan(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *plan = NULL, *request = NULL, *given = json_copy(kn_http_json(rq));
    kn_err why = {0};
    json_object_del(given, "labels");
    json_object_del(given, "priority");
    if (!json_object_get(given, "prompt")) /* a plan depends little on what is said */
        json_object_set_new(given, "prompt", json_string(""));
    int rc = kn_studio_check_request(s, given, &request, NULL, reply, err);
    if (!rc && estimate(s, request, &plan, &why)) {
        kn_reply_blame(reply, &why);
        rc = kn_fail(err, why.code, "%s", why.msg);
    }
    if (!rc)
        put_names_back(plan, given);
    json_decref(request);
    json_decref(given);
    return rc ? rc : kn_reply_json(reply, 200, plan, err);
}

/* ---- prompts ---- */

static int parse_styles(const json_t *list, unsigned *ret, kn_err *err)
{
    size_t i;
    json_t *v;
    unsigned style;
    *ret = 0;
    if (list && !json_is_array(list))
        return kn_fail(err, KN_EINVAL, "styles: expected a list");
    json_array_foreach((json_t *)(uintptr_t)list, i, v)
    {
        int rc = kn_enhance_style_parse(json_is_string(v) ? json_string_value(v) : "", &style, err);
        if (rc)
            return rc;
        *ret |= style;
    }
    return 0;
}

static int post_enhance(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    const json_t *body = kn_http_json(rq), *prompt = json_object_get(body, "prompt"),
                 *list = json_object_get(body, "styles");
    kn_enhanced e = {0};
    unsigned styles;
    (void)ud;
    if (!json_is_string(prompt) || json_object_size(body) > (list ? 2u : 1u)) {
        kn_reply_param(reply, "prompt");
        return kn_fail(err, KN_EINVAL, "prompt: expected text, and beside it styles only");
    }
    int rc = parse_styles(list, &styles, err);
    if (!rc)
        rc = kn_enhance(json_string_value(prompt), styles, &e, err);
    if (rc)
        return rc;
    json_t *o = kn_enhanced_to_json(&e);
    kn_enhanced_done(&e);
    return kn_reply_json(reply, 200, o, err);
}

/* ---- settings ---- */

static int get_settings(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *values = NULL;
    (void)rq;
    int rc = kn_settings_load(s->queue, &values, err);
    json_t *o = rc ? NULL : kn_settings_to_json(values);
    json_decref(values);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int put_settings(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *values = NULL;
    int rc = kn_studio_change_settings(s, kn_http_json(rq), &values, err);
    if (rc)
        return rc;
    json_t *o = kn_settings_to_json(values);
    json_decref(values);
    return kn_reply_json(reply, 200, o, err);
}

/* {"dry_run": true} only tells; with {"caches": true} what can be made again goes, too. */
static int post_cleanup(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_cleanup c = {0};
    const json_t *dry = json_object_get(kn_http_json(rq), "dry_run"),
                 *all = json_object_get(kn_http_json(rq), "caches");
    json_t *settings = NULL, *caches = NULL;
    if (json_object_size(kn_http_json(rq)) > (dry ? 1u : 0u) + (all ? 1u : 0u) ||
        (dry && !json_is_boolean(dry)) || (all && !json_is_boolean(all)))
        return kn_fail(err, KN_EINVAL, "dry_run, caches: expected true or false, and nothing else");
    int rc = kn_settings_load(s->queue, &settings, err);
    kn_retention limits = kn_housekeeping_limits(settings);
    json_decref(settings);
    if (!rc)
        rc = kn_cleanup_run(s->queue, &limits, json_is_true(dry), &c, err);
    if (!rc && json_is_true(all))
        rc = kn_caches_clear(s->places.cache, json_is_true(dry), &caches, err);
    json_t *o = rc ? NULL : kn_cleanup_to_json(&c);
    if (caches)
        json_object_set_new(o, "caches", caches);
    kn_cleanup_done(&c);
    if (rc)
        return rc;
    return kn_reply_json(reply, 200, o, err);
}

/* ---- the machine ---- */

static int get_system(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_gpus gpus;
    kn_device *dev = NULL;
    kn_cpu_times times = {0};
    (void)rq;
    int rc = kn_device_open(NULL, &(kn_cpu_options){0}, &dev, err);
    if (rc)
        return rc;
    kn_gpus_find(NULL, NULL, &gpus);
    json_t *o = json_pack("{s:s, s:o?, s:o?, s:o, s:{s:s, s:s, s:s}, s:i}", "version", KN_VERSION, "hardware",
                          kn_hardware_to_json(dev->description, &gpus), "resources",
                          kn_resources_sample(&times), "workers", kn_supervisor_to_json(s->supervisor),
                          "folders", "data", s->places.data, "outputs", s->places.outputs, "models",
                          s->places.models, "listeners", kn_feed_n_listeners(s->progress));
    kn_device_close(dev);
    return kn_reply_json(reply, 200, o, err);
}

/* ---- events ---- */

static int parse_last_id(kn_studio *s, const kn_http_request *rq, int64_t *ret, kn_err *err)
{
    const char *header = kn_http_header(rq, "Last-Event-ID");
    char *end = NULL;
    *ret = kn_queue_last_event(s->queue);
    if (!header)
        return kn_http_query_int(rq, "last_event_id", *ret, 0, INT64_MAX, ret, err);
    long long v = strtoll(header, &end, 10);
    if (end == header || *end || v < 0)
        return kn_fail(err, KN_EINVAL, "Last-Event-ID: \"%.64s\", expected a whole number", header);
    *ret = v;
    return 0;
}

static int get_events(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"last_event_id", NULL};
    kn_studio *s = ud;
    int64_t last_id;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = parse_last_id(s, rq, &last_id, err);
    return rc ? rc : kn_reply_events(reply, s->progress, last_id, err);
}

static int get_ws_progress(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    (void)rq;
    return kn_reply_websocket(reply, s->progress,
                              json_pack("{s:s, s:s, s:I}", "type", "hello", "version", KN_VERSION,
                                        "last_event", (json_int_t)kn_queue_last_event(s->queue)),
                              err);
}

static int get_ws_resources(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    kn_cpu_times times = {0};
    (void)rq;
    return kn_reply_websocket(reply, s->resource_feed, kn_resources_sample(&times), err);
}

const kn_route kn_routes_system[] = {
    {"GET", "/api/health", KN_BODY_NONE, get_health, "whether the server is there; needs no token", false},
    {"GET", "/api/v1/models", KN_BODY_NONE, get_models, "the models there are, with their parameters", false},
    {"GET", "/api/v1/models/loaded", KN_BODY_NONE, get_loaded, "what stays in memory between jobs", false},
    {"POST", "/api/v1/models/unload", KN_BODY_JSON, post_unload, "give that memory back", false},
    {"POST", "/api/v1/plan", KN_BODY_JSON, post_plan, "what a request would cost; nothing is run", false},
    {"POST", "/api/v1/prompt/enhance", KN_BODY_JSON, post_enhance,
     "terms that models answer to, added by rule", false},
    {"GET", "/api/v1/settings", KN_BODY_NONE, get_settings, "all settings with their table", false},
    {"PUT", "/api/v1/settings", KN_BODY_JSON, put_settings, "change settings", false},
    {"POST", "/api/v1/cleanup", KN_BODY_JSON, post_cleanup,
     "remove old jobs, as the settings say; or only tell", false},
    {"POST", "/api/cleanup", KN_BODY_JSON, post_cleanup, "the same (VideoGen)", false},
    {"GET", "/api/v1/system", KN_BODY_NONE, get_system, "version, machine, folders, workers", false},
    {"GET", "/api/v1/events", KN_BODY_NONE, get_events, "server-sent events", false},
    {"GET", "/ws/progress", KN_BODY_NONE, get_ws_progress, "the same events over a WebSocket", false},
    {"GET", "/ws/resources", KN_BODY_NONE, get_ws_resources, "what the machine is doing, every two seconds",
     false},
    {0},
};
