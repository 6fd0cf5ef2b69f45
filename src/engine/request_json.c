/* The JSON form of a request. */
#include <stdlib.h>
#include <string.h>

#include "engine/request_internal.h"

static int wrong_type(kn_err *err, const kn_param *p, const json_t *v, const char *expected)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    int rc = kn_fail(err, KN_EINVAL, "%s: %.64s is not %s", p->name, text ? text : "the value", expected);
    free(text);
    return rc;
}

static int lora_from_json(kn_loras *list, const kn_param *p, const json_t *v, kn_err *err)
{
    if (json_is_string(v))
        return kn_request_parse_lora(list, p, json_string_value(v), err);
    const char *path = json_string_value(json_object_get(v, "path"));
    const json_t *strength = json_object_get(v, "strength"), *expert = json_object_get(v, "expert");
    if (!path || (strength && !json_is_number(strength)) || (expert && !json_is_string(expert)))
        return wrong_type(err, p, v, "{\"path\": FILE, \"strength\": NUMBER, \"expert\": high, low or both}");
    const char *which = expert ? json_string_value(expert) : "both";
    kn_expert e = strcmp(which, "high") == 0  ? KN_EXPERT_HIGH
                  : strcmp(which, "low") == 0 ? KN_EXPERT_LOW
                                              : KN_EXPERT_BOTH;
    if (e == KN_EXPERT_BOTH && strcmp(which, "both") != 0)
        return kn_fail(err, KN_EINVAL, "%s: expert \"%.32s\" is not one of high|low|both", p->name, which);
    double s = strength ? json_number_value(strength) : 1.0;
    return kn_request_add_lora(list, p, path, strlen(path), s, e, err);
}

static int item_from_json(void *f, const kn_param *p, const json_t *item, kn_err *err)
{
    if (p->type == KN_PARAM_LORAS)
        return lora_from_json(f, p, item, err);
    if (p->type == KN_PARAM_REALS)
        return json_is_number(item) ? kn_request_add_real(f, p, json_number_value(item), err)
                                    : wrong_type(err, p, item, "a number");
    if (!json_is_string(item))
        return wrong_type(err, p, item, p->type == KN_PARAM_TEXTS ? "a text" : "a file name");
    if (strlen(json_string_value(item)) != json_string_length(item))
        return kn_fail(err, KN_EINVAL, "%s contains a NUL character", p->name);
    return kn_request_add_string(f, p, json_string_value(item), err);
}

static int list_from_json(void *f, const kn_param *p, const json_t *v, kn_err *err)
{
    if (!json_is_array(v))
        return wrong_type(err, p, v, "a list");
    size_t i;
    const json_t *item;
    json_array_foreach((json_t *)(uintptr_t)v, i, item)
    {
        int rc = item_from_json(f, p, item, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int param_from_json(kn_request *rq, const kn_param *p, const json_t *v, kn_err *err)
{
    void *f = kn_request_field(rq, p);
    switch (p->type) {
    case KN_PARAM_INT:
        if (!json_is_integer(v))
            return wrong_type(err, p, v, "a whole number");
        return kn_request_set_int(f, p, json_integer_value(v), err);
    case KN_PARAM_BYTES:
        if (json_is_string(v))
            return kn_request_parse_bytes(f, p, json_string_value(v), err);
        if (!json_is_integer(v))
            return wrong_type(err, p, v, "a number of bytes, or a text such as \"6G\"");
        return kn_request_set_int(f, p, json_integer_value(v), err);
    case KN_PARAM_REAL:
        if (!json_is_number(v))
            return wrong_type(err, p, v, "a number");
        return kn_request_set_real(f, p, json_number_value(v), err);
    case KN_PARAM_FILES:
    case KN_PARAM_TEXTS:
    case KN_PARAM_REALS:
    case KN_PARAM_LORAS:
        return list_from_json(f, p, v, err);
    default:
        if (json_is_boolean(v) && p->choices && strcmp(p->choices, "on|off") == 0)
            return kn_request_set_string(f, p, json_is_true(v) ? "on" : "off", err);
        if (!json_is_string(v))
            return wrong_type(err, p, v, "a string");
        if (strlen(json_string_value(v)) != json_string_length(v))
            return kn_fail(err, KN_EINVAL, "%s contains a NUL character", p->name);
        return kn_request_set_string(f, p, json_string_value(v), err);
    }
}

int kn_request_from_json(kn_request *rq, const json_t *obj, kn_err *err)
{
    if (!json_is_object(obj))
        return kn_fail(err, KN_EINVAL, "a request must be a JSON object");
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)obj, key, v)
    {
        const kn_param *p = kn_param_find(key);
        if (!p || strcmp(p->name, key) != 0)
            return kn_fail(err, KN_EINVAL, "unknown parameter \"%.64s\"", key);
        int rc = json_is_null(v) ? 0 : param_from_json(rq, p, v, err);
        if (rc)
            return rc;
    }
    return 0;
}

static json_t *lora_to_json(const kn_lora_ref *l)
{
    static const char *const experts[] = {"both", "high", "low"};
    return json_pack("{s:s, s:f, s:s}", "path", l->path, "strength", (double)l->strength, "expert",
                     experts[l->expert]);
}

static json_t *param_to_json(const kn_request *rq, const kn_param *p)
{
    const void *f = kn_request_field(rq, p);
    json_t *list;
    switch (p->type) {
    case KN_PARAM_INT:
    case KN_PARAM_BYTES:
        return json_integer(*(const int64_t *)f);
    case KN_PARAM_REAL:
        return json_real(*(const double *)f);
    case KN_PARAM_FILES:
    case KN_PARAM_TEXTS:
        list = json_array();
        for (int i = 0; i < ((const kn_strings *)f)->n; i++)
            json_array_append_new(list, json_string(((const kn_strings *)f)->items[i]));
        return list;
    case KN_PARAM_REALS:
        list = json_array();
        for (int i = 0; i < ((const kn_reals *)f)->n; i++)
            json_array_append_new(list, json_real(((const kn_reals *)f)->items[i]));
        return list;
    case KN_PARAM_LORAS:
        list = json_array();
        for (int i = 0; i < ((const kn_loras *)f)->n; i++)
            json_array_append_new(list, lora_to_json(&((const kn_loras *)f)->items[i]));
        return list;
    default:
        return json_string(*(char *const *)f);
    }
}

json_t *kn_request_to_json(const kn_request *rq)
{
    json_t *obj = json_object();
    for (const kn_param *p = kn_params; obj && p->name; p++)
        if (kn_request_has(rq, p))
            json_object_set_new(obj, p->name, param_to_json(rq, p));
    return obj;
}
