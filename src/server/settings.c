#include "server/settings.h"

#include <stdlib.h>
#include <string.h>

/* The name of the value in the database. */
static const char STORED_AS[] = "settings";

const kn_setting kn_settings[] = {
    {"max_queue_size", KN_SETTING_INT, 1, 10000, NULL, "1000", false, "jobs that may wait; more are refused"},
    {"max_attempts", KN_SETTING_INT, 1, 10, NULL, "3", false,
     "how often a job is begun again after its worker died"},
    {"gpu_max_concurrency", KN_SETTING_INT, 1, 8, NULL, "1", true, "jobs that run at the same time"},
    {"models_dir", KN_SETTING_TEXT, 0, 4096, NULL, "", true,
     "folder of models (empty: models, in the data folder)"},
    {"preferred_dtype", KN_SETTING_CHOICE, 0, 0, "auto|f32|bf16|int8", "auto", false,
     "computation type of requests that name none"},
    {"memory_budget_bytes", KN_SETTING_INT, 0, 1ll << 50, NULL, "0", false,
     "memory that a job may use where its request names none (0: what is free)"},
    {"cleanup_enabled", KN_SETTING_BOOL, 0, 0, NULL, "false", false,
     "remove old videos by themselves, once an hour"},
    {"cleanup_max_age_days", KN_SETTING_INT, 1, 3650, NULL, "90", false, "finished jobs older than this go"},
    {"cleanup_max_outputs_count", KN_SETTING_INT, 1, 1000000, NULL, "1000", false, "of more, the oldest go"},
    {"cleanup_max_outputs_bytes", KN_SETTING_INT, 1 << 20, 1ll << 50, NULL, "107374182400", false,
     "beyond this size of all videos, the oldest go"},
    {NULL, KN_SETTING_BOOL, 0, 0, NULL, NULL, false, NULL},
};

static const kn_setting *find(const char *name)
{
    for (const kn_setting *s = kn_settings; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static json_t *fallback(const kn_setting *s)
{
    switch (s->type) {
    case KN_SETTING_BOOL:
        return json_boolean(strcmp(s->fallback, "true") == 0);
    case KN_SETTING_INT:
        return json_integer(strtoll(s->fallback, NULL, 10));
    default:
        return json_string(s->fallback);
    }
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *c = choices; n; c++) {
        if (strncmp(c, value, n) == 0 && (c[n] == '|' || !c[n]))
            return true;
        if (!(c = strchr(c, '|')))
            break;
    }
    return false;
}

static int check(const char *name, const json_t *v, kn_err *err)
{
    const kn_setting *s = find(name);
    if (!s)
        return kn_fail(err, KN_EINVAL, "%.64s: there is no such setting", name);
    switch (s->type) {
    case KN_SETTING_BOOL:
        return json_is_boolean(v) ? 0 : kn_fail(err, KN_EINVAL, "%s: expected true or false", name);
    case KN_SETTING_INT:
        if (json_is_integer(v) && json_integer_value(v) >= s->min && json_integer_value(v) <= s->max)
            return 0;
        return json_is_integer(v)
                   ? kn_fail(err, KN_EINVAL, "%s: %lld, expected %lld to %lld", name,
                             (long long)json_integer_value(v), (long long)s->min, (long long)s->max)
                   : kn_fail(err, KN_EINVAL, "%s: expected a whole number from %lld to %lld", name,
                             (long long)s->min, (long long)s->max);
    case KN_SETTING_CHOICE:
        return json_is_string(v) && is_choice(s->choices, json_string_value(v))
                   ? 0
                   : kn_fail(err, KN_EINVAL, "%s: expected one of %s", name, s->choices);
    default:
        return json_is_string(v) && (int64_t)json_string_length(v) <= s->max
                   ? 0
                   : kn_fail(err, KN_EINVAL, "%s: expected text of at most %lld bytes", name,
                             (long long)s->max);
    }
}

int kn_settings_load(kn_queue *q, json_t **ret, kn_err *err)
{
    json_t *stored = NULL, *all = json_object();
    int rc = kn_queue_value_get(q, STORED_AS, &stored, err);
    if (rc && rc != KN_ENOTFOUND) {
        json_decref(all);
        return rc;
    }
    for (const kn_setting *s = kn_settings; s->name; s++) {
        json_t *v = json_object_get(stored, s->name);
        bool is_good = v && check(s->name, v, NULL) == 0; /* an older Kinora may have had another range */
        json_object_set_new(all, s->name, is_good ? json_incref(v) : fallback(s));
    }
    json_decref(stored);
    *ret = all;
    return 0;
}

int kn_settings_change(kn_queue *q, const json_t *change, json_t **ret, kn_err *err)
{
    const char *name;
    json_t *v, *all = NULL;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)change, name, v)
    {
        if (!rc)
            rc = check(name, v, err);
    }
    if (!rc)
        rc = kn_settings_load(q, &all, err);
    if (!rc && json_object_update(all, (json_t *)(uintptr_t)change))
        rc = kn_fail(err, KN_ENOMEM, "no memory for settings");
    if (!rc)
        rc = kn_queue_value_put(q, STORED_AS, all, err);
    if (!rc && ret)
        *ret = json_incref(all);
    json_decref(all);
    return rc;
}

json_t *kn_settings_to_json(const json_t *values)
{
    static const char *const types[] = {"bool", "int", "choice", "text"};
    json_t *list = json_array();
    for (const kn_setting *s = kn_settings; s->name; s++) {
        bool is_int = s->type == KN_SETTING_INT;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:O, s:o, s:b, s:s}", "name", s->name, "type",
                            types[s->type], "min", is_int ? json_integer(s->min) : json_null(), "max",
                            is_int ? json_integer(s->max) : json_null(), "choices",
                            s->choices ? kn_choices_to_json(s->choices) : json_null(), "value",
                            json_object_get(values, s->name), "default", fallback(s), "needs_restart",
                            s->needs_restart, "help", s->help));
    }
    return json_pack("{s:o}", "settings", list);
}
