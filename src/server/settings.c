#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"

/* The name of the value in the database. */
static const char STORED_AS[] = "settings";

const kn_setting kn_settings[] = {
    {"max_queue_size", KN_SETTING_INT, 1, 10000, NULL, "1000", false, "jobs that may wait; more are refused"},
    {"max_attempts", KN_SETTING_INT, 1, 10, NULL, "3", false,
     "how often a job is begun again after its worker died"},
    {"gpu_max_concurrency", KN_SETTING_INT, 1, 8, NULL, "1", true, "jobs that run at the same time"},
    {"keep_models_seconds", KN_SETTING_INT, 0, 86400, NULL, "300", false,
     "how long a model stays loaded after a job (0: not at all); memory that a job needs is given back at "
     "once"},
    {"models_dir", KN_SETTING_TEXT, 0, 4096, NULL, "", true,
     "folder of models (empty: models, in the data folder)"},
    {"hf_endpoint", KN_SETTING_URL, 0, 500, NULL, "", false,
     "where models are fetched from (empty: HF_ENDPOINT, else https://huggingface.co); another one forgets "
     "the token"},
    {"huggingface_token", KN_SETTING_SECRET, 0, 500, NULL, "", false,
     "for gated and private models (empty: HF_TOKEN)"},
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
    {"webhook_allow_private", KN_SETTING_BOOL, 0, 0, NULL, "false", false,
     "webhooks may lead to this machine and to private networks"},
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

/* A token goes into a header line, and never into a message. */
static bool is_token(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static int check_text(const kn_setting *s, const json_t *v, kn_err *err)
{
    const char *text = json_string_value(v);
    if (!text || (int64_t)json_string_length(v) > s->max)
        return kn_fail(err, KN_EINVAL, "%s: expected text of at most %lld bytes", s->name, (long long)s->max);
    if (s->type == KN_SETTING_SECRET && !is_token(text))
        return kn_fail(err, KN_EINVAL, "%s: expected letters, digits and signs, without spaces", s->name);
    if (s->type == KN_SETTING_URL && *text && kn_hub_check_endpoint(text, err))
        return kn_err_prefix(err, "%s", s->name);
    return 0;
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
        return check_text(s, v, err);
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

/* ---- secrets ---- */

/* "hf_...abcd": enough to know it again. */
static json_t *shown(const char *secret)
{
    enum { LONG = 16, END = 4 };
    char text[32];
    size_t n = strlen(secret), begin = strncmp(secret, "hf_", 3) ? 0 : 3;
    snprintf(text, sizeof text, "%.*s...%s", (int)begin, secret, n >= LONG ? secret + n - END : "");
    return json_string(n ? text : "");
}

json_t *kn_settings_shown(const json_t *values)
{
    json_t *all = json_copy((json_t *)(uintptr_t)values);
    for (const kn_setting *s = kn_settings; s->name; s++) {
        const char *v = json_string_value(json_object_get(all, s->name));
        if (s->type == KN_SETTING_SECRET && v)
            json_object_set_new(all, s->name, shown(v));
    }
    return all;
}

/* A form is sent back whole: what it shows of a secret is no new one. */
static void keep_secrets(const json_t *all, json_t *change)
{
    json_t *told = kn_settings_shown(all);
    for (const kn_setting *s = kn_settings; s->name; s++)
        if (s->type == KN_SETTING_SECRET &&
            json_equal(json_object_get(change, s->name), json_object_get(told, s->name)))
            json_object_del(change, s->name);
    json_decref(told);
}

/* Whoever may change where a token goes must not get one that was given for another place. */
static void forget_token(const json_t *all, json_t *change)
{
    const json_t *endpoint = json_object_get(change, "hf_endpoint");
    if (endpoint && !json_equal((json_t *)(uintptr_t)endpoint, json_object_get(all, "hf_endpoint")) &&
        !json_object_get(change, "huggingface_token"))
        json_object_set_new(change, "huggingface_token", json_string(""));
}

int kn_settings_change(kn_queue *q, const json_t *change, json_t **ret, kn_err *err)
{
    const char *name;
    json_t *v, *all = NULL, *ours = json_copy((json_t *)(uintptr_t)change);
    int rc = ours ? 0 : kn_fail(err, KN_ENOMEM, "no memory for settings");
    json_object_foreach((json_t *)(uintptr_t)change, name, v)
    {
        if (!rc)
            rc = check(name, v, err);
    }
    if (!rc)
        rc = kn_settings_load(q, &all, err);
    if (!rc) {
        keep_secrets(all, ours);
        forget_token(all, ours);
    }
    if (!rc && json_object_update(all, ours))
        rc = kn_fail(err, KN_ENOMEM, "no memory for settings");
    if (!rc)
        rc = kn_queue_value_put(q, STORED_AS, all, err);
    if (!rc && ret)
        *ret = json_incref(all);
    json_decref(all);
    json_decref(ours);
    return rc;
}

json_t *kn_settings_to_json(const json_t *values)
{
    static const char *const types[] = {"bool", "int", "choice", "text", "text", "text"};
    json_t *list = json_array(), *told = kn_settings_shown(values);
    for (const kn_setting *s = kn_settings; s->name; s++) {
        bool is_int = s->type == KN_SETTING_INT;
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:O, s:o, s:b, s:s}", "name",
                                              s->name, "type", types[s->type], "min",
                                              is_int ? json_integer(s->min) : json_null(), "max",
                                              is_int ? json_integer(s->max) : json_null(), "choices",
                                              s->choices ? kn_choices_to_json(s->choices) : json_null(),
                                              "value", json_object_get(told, s->name), "default", fallback(s),
                                              "needs_restart", s->needs_restart, "help", s->help));
    }
    json_decref(told);
    return json_pack("{s:o}", "settings", list);
}
