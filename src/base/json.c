#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

/* jansson's own bound is 2048 levels and cannot be set. */
static bool too_deep(const char *text, size_t size)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char ch = text[i];
        if (in_string) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                in_string = false;
        } else if (ch == '"') {
            in_string = true;
        } else if (ch == '{' || ch == '[') {
            if (++depth > KN_LIMIT_JSON_DEPTH)
                return true;
        } else if (ch == '}' || ch == ']') {
            depth--;
        }
    }
    return false;
}

int kn_json_parse(const char *text, size_t size, const char *origin, json_t **ret, kn_err *err)
{
    if (size > KN_LIMIT_JSON_FILE_BYTES)
        return kn_fail(err, KN_ELIMIT, "%s: %zu bytes of JSON, at most %llu are read", origin, size,
                       (unsigned long long)KN_LIMIT_JSON_FILE_BYTES);
    if (too_deep(text, size))
        return kn_fail(err, KN_ELIMIT, "%s: JSON nested deeper than %d levels", origin, KN_LIMIT_JSON_DEPTH);
    json_error_t e;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!json)
        return kn_fail(err, json_error_code(&e) == json_error_out_of_memory ? KN_ENOMEM : KN_EFORMAT,
                       "%s: not JSON: line %d, column %d: %s", origin, e.line, e.column, e.text);
    *ret = json;
    return 0;
}

int kn_json_load(const char *path, json_t **ret, kn_err *err)
{
    char *text;
    size_t size;
    int rc = kn_file_read(path, KN_LIMIT_JSON_FILE_BYTES, &text, &size, err);
    if (rc)
        return rc;
    rc = kn_json_parse(text, size, path, ret, err);
    free(text);
    return rc;
}

json_t *kn_json_text(const char *text)
{
    json_t *s = json_string(text);
    char *copy = s ? NULL : kn_strdup(text);
    if (!copy)
        return s;
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    s = json_string(copy);
    free(copy);
    return s;
}

/* ---- reader ---- */

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

/* Records that `v` (with its value, shortened) was found at `key`. */
static void fail_value(kn_json_reader *r, const char *key, const json_t *v, const char *expected)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    kn_fail(&r->err, KN_EFORMAT, "%s: %s is %.80s%s (%s), expected %s", r->origin, key, text ? text : "?",
            text && strlen(text) > 80 ? "..." : "", type_name(v), expected);
    free(text);
}

json_t *kn_choices_to_json(const char *choices)
{
    json_t *list = json_array();
    for (const char *c = choices; *c;) {
        size_t n = strcspn(c, "|");
        json_array_append_new(list, json_stringn(c, n));
        c += n + (c[n] == '|');
    }
    return list;
}

void kn_json_reader_init(kn_json_reader *r, const json_t *obj, const char *origin)
{
    *r = (kn_json_reader){.obj = obj, .origin = origin};
    if (!json_is_object(obj))
        kn_fail(&r->err, KN_EFORMAT, "%s: %s, expected a JSON object", origin,
                obj ? type_name(obj) : "nothing");
}

/* The value at key; NULL if absent, null, or after an error. */
static const json_t *get(const kn_json_reader *r, const char *key)
{
    const json_t *v = r->err.code ? NULL : json_object_get(r->obj, key);
    return json_is_null(v) ? NULL : v;
}

bool kn_json_has(const kn_json_reader *r, const char *key)
{
    const json_t *v = json_object_get(r->obj, key);
    return v && !json_is_null(v);
}

static bool read_int(kn_json_reader *r, const char *key, const json_t *v, int64_t min, int64_t max,
                     int64_t *out)
{
    char expected[96];
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min, (long long)max);
    bool ok = json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max;
    if (ok)
        *out = json_integer_value(v);
    else
        fail_value(r, key, v, expected);
    return ok;
}

int64_t kn_json_int(kn_json_reader *r, const char *key, int64_t fallback, int64_t min, int64_t max)
{
    const json_t *v = get(r, key);
    int64_t x;
    return v && read_int(r, key, v, min, max, &x) ? x : fallback;
}

int64_t kn_json_int_req(kn_json_reader *r, const char *key, int64_t min, int64_t max)
{
    if (!r->err.code && !kn_json_has(r, key))
        kn_fail(&r->err, KN_EFORMAT, "%s: %s is missing, expected an integer from %lld to %lld", r->origin,
                key, (long long)min, (long long)max);
    return kn_json_int(r, key, min, min, max);
}

double kn_json_real(kn_json_reader *r, const char *key, double fallback, double min, double max)
{
    const json_t *v = get(r, key);
    if (!v)
        return fallback;
    double x = json_number_value(v);
    if (json_is_number(v) && x >= min && x <= max)
        return x;
    char expected[96];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    fail_value(r, key, v, expected);
    return fallback;
}

bool kn_json_bool(kn_json_reader *r, const char *key, bool fallback)
{
    const json_t *v = get(r, key);
    if (!v || json_is_boolean(v))
        return v ? json_is_true(v) : fallback;
    fail_value(r, key, v, "true or false");
    return fallback;
}

const char *kn_json_str(kn_json_reader *r, const char *key, const char *fallback)
{
    const json_t *v = get(r, key);
    if (!v || json_is_string(v))
        return v ? json_string_value(v) : fallback;
    fail_value(r, key, v, "a string");
    return fallback;
}

/* The array at key if it has at most max_n elements; NULL if absent or wrong. */
static const json_t *get_array(kn_json_reader *r, const char *key, int max_n)
{
    const json_t *v = get(r, key);
    if (!v)
        return NULL;
    if (!json_is_array(v)) {
        fail_value(r, key, v, "an array");
        return NULL;
    }
    if (json_array_size(v) > (size_t)max_n) {
        kn_fail(&r->err, KN_EFORMAT, "%s: %s has %zu elements, expected at most %d", r->origin, key,
                json_array_size(v), max_n);
        return NULL;
    }
    return v;
}

int kn_json_ints(kn_json_reader *r, const char *key, int64_t *out, int max_n, int64_t min, int64_t max)
{
    const json_t *a = get_array(r, key, max_n);
    int n = (int)json_array_size(a);
    for (int i = 0; i < n; i++)
        if (!read_int(r, key, json_array_get(a, (size_t)i), min, max, &out[i]))
            return 0;
    return n;
}

int kn_json_reals(kn_json_reader *r, const char *key, double *out, int max_n)
{
    const json_t *a = get_array(r, key, max_n);
    int n = (int)json_array_size(a);
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(a, (size_t)i);
        if (!json_is_number(v)) {
            fail_value(r, key, v, "numbers");
            return 0;
        }
        out[i] = json_number_value(v);
    }
    return n;
}

int kn_json_bools(kn_json_reader *r, const char *key, bool *out, int max_n)
{
    const json_t *a = get_array(r, key, max_n);
    int n = (int)json_array_size(a);
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(a, (size_t)i);
        if (!json_is_boolean(v)) {
            fail_value(r, key, v, "true or false");
            return 0;
        }
        out[i] = json_is_true(v);
    }
    return n;
}
