/* What VideoGen's clients ask about the machine, the models and the settings. */
#include <stdlib.h>
#include <string.h>

#include "engine/hardware.h"
#include "models/catalog.h"
#include "server/logs.h"
#include "server/settings.h"
#include "server/studio.h"

enum { DEFAULT_LINES = 200, MIN_LINES = 10 };

/* ---- the machine ---- */

static json_t *hardware_profile(const kn_device *dev, const kn_gpus *gpus)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:b, s:b, s:o?}", "device", dev->name, "device_name",
                     dev->description, "memory_total_bytes", (json_int_t)dev->mem_total_bytes,
                     "memory_free_bytes", (json_int_t)dev->mem_available_bytes, "gpu_count", gpus->n,
                     "bf16_supported", dev->has_bf16, "int8_supported", dev->has_int8, "hardware",
                     kn_hardware_to_json(dev->description, gpus));
}

/* What is in effect, and where that is not what was asked for. */
static json_t *load_policy(kn_studio *s, const kn_device *dev, const kn_gpus *gpus, const json_t *settings)
{
    const char *wanted = json_string_value(json_object_get(settings, "preferred_dtype"));
    bool no_bf16 = wanted && strcmp(wanted, "bf16") == 0 && !dev->has_bf16;
    json_t *warnings = json_array();
    if (no_bf16)
        json_array_append_new(warnings,
                              json_string("preferred_dtype is bf16, which this processor computes without "
                                          "instructions for it: slower than f32"));
    json_t *idle = kn_gpus_why_idle(gpus, dev);
    if (idle)
        json_array_append_new(warnings, idle);
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:o}", "preferred_dtype", wanted ? wanted : "auto",
                     "selected_dtype",
                     wanted && strcmp(wanted, "auto") ? wanted
                     : dev->has_bf16                  ? "bf16"
                                                      : "f32",
                     "selected_device", dev->name, "gpu_max_concurrency", (int)s->n_workers, "residency",
                     "chosen by each job's plan: all blocks in "
                     "memory where they fit, else as many as fit",
                     "vae_tiling", "chosen by each job's plan", "warnings", warnings);
}

static int reply_runtime(kn_studio *s, kn_reply *reply, bool is_video, kn_err *err)
{
    kn_gpus gpus;
    kn_device *dev = NULL;
    json_t *settings = NULL;
    int rc = kn_settings_load(s->queue, &settings, err);
    if (!rc)
        rc = kn_device_open(NULL, &(kn_cpu_options){0}, &dev, err);
    if (rc) {
        json_decref(settings);
        return rc;
    }
    kn_gpus_find(NULL, NULL, &gpus);
    json_t *profile = hardware_profile(dev, &gpus), *policy = load_policy(s, dev, &gpus, settings);
    json_t *runtime = json_pack("{s:s, s:s, s:s, s:O?, s:O?, s:b, s:i, s:o?}", "kinora", KN_VERSION, "device",
                                dev->name, "device_name", dev->description, "selected_dtype",
                                json_object_get(policy, "selected_dtype"), "warnings",
                                json_object_get(policy, "warnings"), "bf16_supported", dev->has_bf16,
                                "gpu_count", gpus.n, "workers", kn_supervisor_to_json(s->supervisor));
    json_t *o = is_video ? json_pack("{s:O?, s:O?, s:O?}", "hardware_profile", profile, "load_policy", policy,
                                     "runtime", runtime)
                         : json_incref(runtime);
    json_decref(profile);
    json_decref(policy);
    json_decref(runtime);
    json_decref(settings);
    kn_device_close(dev);
    return kn_reply_json(reply, 200, o, err);
}

static int get_runtime(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)rq;
    return reply_runtime(ud, reply, false, err);
}

static int get_video_runtime(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)rq;
    return reply_runtime(ud, reply, true, err);
}

/* ---- models ---- */

static bool has_task(const json_t *model, const char *task)
{
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(model, "tasks"), i, t)
    {
        if (strcmp(json_string_value(t), task) == 0)
            return true;
    }
    return false;
}

static json_t *registry_entry(const json_t *m)
{
    bool t2v = has_task(m, "t2v"), i2v = has_task(m, "i2v");
    return json_pack(
        "{s:O?, s:O?, s:O?, s:s, s:o, s:s, s:O?, s:O?, s:{s:b, s:b}, s:O?}", "id", json_object_get(m, "name"),
        "name", json_object_get(m, "title"), "family", json_object_get(m, "family"), "task_kind",
        t2v && i2v ? "hybrid"
        : i2v      ? "i2v"
                   : "t2v",
        "required_inputs", i2v && !t2v ? json_pack("[s, s]", "prompt", "image") : json_pack("[s]", "prompt"),
        "recommended_dtype", "bf16", "support_level", json_object_get(m, "support"),
        "effective_support_level", json_object_get(m, "support"), "task_support", "text-to-video", t2v,
        "image-to-video", i2v, "notes", json_object_get(m, "error"));
}

static int get_video_models(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"task", NULL};
    kn_studio *s = ud;
    json_t *all = NULL, *m, *models = json_array();
    size_t i;
    const char *task = kn_http_query(rq, "task");
    int rc = kn_http_query_only(rq, known, err);
    if (!rc && task && strcmp(task, "text-to-video") && strcmp(task, "image-to-video"))
        rc = kn_fail(err, KN_EINVAL, "task: \"%.32s\", expected text-to-video or image-to-video", task);
    if (!rc)
        rc = kn_catalog_list(s->places.models, &all, err);
    json_array_foreach(all, i, m)
    {
        if (!task || has_task(m, *task == 't' ? "t2v" : "i2v"))
            json_array_append_new(models, registry_entry(m));
    }
    json_decref(all);
    if (rc)
        json_decref(models);
    return rc ? rc : kn_reply_json(reply, 200, json_pack("{s:o}", "models", models), err);
}

static int get_local_models(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *all = NULL;
    (void)rq;
    int rc = kn_catalog_list(s->places.models, &all, err);
    return rc ? rc
              : kn_reply_json(reply, 200, json_pack("{s:s, s:o}", "base_dir", s->places.models, "items", all),
                              err);
}

/* ---- settings, in VideoGen's groups ---- */

static const struct {
    const char *group, *theirs, *ours;
} keys[] = {
    {"server", "gpu_max_concurrency", "gpu_max_concurrency"},
    {"server", "preferred_dtype", "preferred_dtype"},
    {"server", "max_queue_size", "max_queue_size"},
    {"server", "max_attempts", "max_attempts"},
    {"server", "memory_budget_bytes", "memory_budget_bytes"},
    {"paths", "models_dir", "models_dir"},
    {"huggingface", "token", "huggingface_token"},
    {"huggingface", "endpoint", "hf_endpoint"},
    {"storage", "cleanup_enabled", "cleanup_enabled"},
    {"storage", "cleanup_max_age_days", "cleanup_max_age_days"},
    {"storage", "cleanup_max_outputs_count", "cleanup_max_outputs_count"},
    {"storage", "cleanup_max_outputs_bytes", "cleanup_max_outputs_bytes"},
};

static json_t *to_groups(const json_t *values)
{
    json_t *all = json_object(), *told = kn_settings_shown(values);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!json_object_get(all, keys[i].group))
            json_object_set_new(all, keys[i].group, json_object());
        json_object_set(json_object_get(all, keys[i].group), keys[i].theirs,
                        json_object_get(told, keys[i].ours));
    }
    json_decref(told);
    return all;
}

static const char *find_key(const char *group, const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].theirs, name) == 0)
            return keys[i].ours;
    return NULL;
}

static int from_groups(const json_t *groups, json_t *ret, kn_err *err)
{
    const char *group, *name;
    json_t *members, *v;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)groups, group, members)
    {
        if (!rc && !json_is_object(members))
            rc = kn_fail(err, KN_EINVAL, "%.64s: expected an object", group);
        json_object_foreach(members, name, v)
        {
            const char *ours = find_key(group, name);
            if (!rc && !ours)
                rc = kn_fail(err, KN_EINVAL, "%.64s.%.64s: there is no such setting", group, name);
            if (!rc)
                json_object_set(ret, ours, v);
        }
    }
    return rc;
}

static int get_settings(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *values = NULL;
    (void)rq;
    int rc = kn_settings_load(s->queue, &values, err);
    json_t *o = rc ? NULL : to_groups(values);
    json_decref(values);
    return rc ? rc : kn_reply_json(reply, 200, o, err);
}

static int put_settings(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_studio *s = ud;
    json_t *change = json_object(), *values = NULL;
    int rc = from_groups(kn_http_json(rq), change, err);
    if (!rc)
        rc = kn_studio_change_settings(s, change, &values, err);
    json_decref(change);
    if (rc)
        return rc;
    json_t *o = to_groups(values);
    json_decref(values);
    return kn_reply_json(reply, 200, o, err);
}

/* ---- logs ---- */

static int get_logs(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    static const char *const known[] = {"lines", NULL};
    kn_studio *s = ud;
    int64_t n = DEFAULT_LINES;
    int rc = kn_http_query_only(rq, known, err);
    if (!rc)
        rc = kn_http_query_int(rq, "lines", DEFAULT_LINES, MIN_LINES, KN_LOG_LINES, &n, err);
    return rc ? rc : kn_reply_json(reply, 200, kn_logs_recent(s->logs, (int)n), err);
}

const kn_route kn_routes_runtime[] = {
    {"GET", "/api/runtime", KN_BODY_NONE, get_runtime, "device, type, warnings (VideoGen)", false},
    {"GET", "/api/system/info", KN_BODY_NONE, get_runtime, "the same under its older name (VideoGen)", false},
    {"GET", "/api/video/runtime", KN_BODY_NONE, get_video_runtime,
     "hardware profile and load policy (VideoGen)", false},
    {"GET", "/api/video/models", KN_BODY_NONE, get_video_models, "models with their support level (VideoGen)",
     false},
    {"GET", "/api/models/local", KN_BODY_NONE, get_local_models, "the models folder (VideoGen)", false},
    {"POST", "/api/models/local/rescan", KN_BODY_JSON, get_local_models,
     "the models folder, looked at again (VideoGen)", false},
    {"GET", "/api/settings", KN_BODY_NONE, get_settings, "settings in groups (VideoGen)", false},
    {"PUT", "/api/settings", KN_BODY_JSON, put_settings, "change settings in groups (VideoGen)", false},
    {"GET", "/api/logs/recent", KN_BODY_NONE, get_logs, "the last lines of the log", false},
    {0},
};
