#include "engine/model_defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* Parameters that are the user's alone: what to make, and on what. */
static bool is_users(const kn_param *p)
{
    static const char *const names[] = {"prompt",          "seed",   "device",
                                        "threads",         "pin",    "memory_budget",
                                        "resident_blocks", "format", "allow_software_video_fallback"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(p->name, names[i]) == 0)
            return true;
    return p->type == KN_PARAM_FILE || p->type == KN_PARAM_FILES || p->type == KN_PARAM_TEXTS ||
           p->type == KN_PARAM_LORAS;
}

static int refuse(const char *origin, const char *key, const json_t *v, const char *expected, kn_err *err)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    int rc = kn_fail(err, KN_EFORMAT, "%.200s: \"%.48s\" is %.64s; expected %s", origin, key,
                     text ? text : "there", expected);
    free(text);
    return rc;
}

static int refuse_param(const char *origin, const char *key, const json_t *v, kn_err *err)
{
    kn_buf list;
    kn_buf_init(&list, 1024);
    for (const kn_param *p = kn_params; p->name; p++)
        if (!is_users(p))
            kn_buf_printf(&list, "%s%s", list.size ? ", " : "only ", p->name);
    int rc = refuse(origin, key, v, list.data ? list.data : "no such default", err);
    kn_buf_done(&list);
    return rc;
}

static int read_params(const json_t *obj, const char *origin, kn_request *rq, kn_err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(obj))
        return refuse(origin, "defaults", obj, "an object of parameters", err);
    json_object_foreach((json_t *)(uintptr_t)obj, key, v)
    {
        const kn_param *p = kn_param_find(key);
        if (!p || strcmp(p->name, key) != 0 || is_users(p))
            return refuse_param(origin, key, v, err);
    }
    kn_err why = {0};
    int rc = kn_request_from_json(rq, obj, &why);
    if (rc)
        return kn_fail(err, rc == KN_EINVAL ? KN_EFORMAT : rc, "%.200s: %s", origin, why.msg);
    if ((rq->width == KN_UNSET_INT) != (rq->height == KN_UNSET_INT))
        return kn_fail(err, KN_EFORMAT,
                       "%.200s: defaults have a %s alone; expected width and height, or neither", origin,
                       rq->width == KN_UNSET_INT ? "height" : "width");
    return 0;
}

/* Titles are printed: nothing that a terminal would obey. */
static bool is_plain(const char *s)
{
    for (const unsigned char *c = (const unsigned char *)s; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
            return false;
    return true;
}

static int read_title(const json_t *v, const char *origin, char **ret, kn_err *err)
{
    const char *title = json_string_value(v);
    char expected[48];
    snprintf(expected, sizeof expected, "one line of 1 to %d bytes", KN_LIMIT_TITLE_BYTES);
    if (!title || !*title || strlen(title) > KN_LIMIT_TITLE_BYTES || !is_plain(title))
        return refuse(origin, "title", v, expected, err);
    *ret = kn_strdup(title);
    return *ret ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a title");
}

int kn_model_defaults_read(const json_t *obj, const char *origin, kn_model_defaults *ret, kn_err *err)
{
    kn_model_defaults d = {0};
    const char *key;
    json_t *v;
    int rc = 0;
    if (!json_is_object(obj))
        return refuse(origin, "the whole", obj, "an object with title and defaults", err);
    kn_request_init(&d.request);
    json_object_foreach((json_t *)(uintptr_t)obj, key, v)
    {
        if (strcmp(key, "title") == 0)
            rc = read_title(v, origin, &d.title, err);
        else if (strcmp(key, "defaults") == 0)
            rc = read_params(v, origin, &d.request, err);
        else
            rc = refuse(origin, key, v, "only title and defaults", err);
        if (rc)
            break;
    }
    if (rc)
        kn_model_defaults_done(&d);
    else
        *ret = d;
    return rc;
}

static int load_file(const char *path, kn_model_defaults *ret, kn_err *err)
{
    char *text = NULL;
    size_t size = 0;
    json_t *obj = NULL;
    int rc = kn_file_read(path, KN_LIMIT_MODEL_DEFAULTS_BYTES, &text, &size, err);
    if (!rc)
        rc = kn_json_parse(text, size, path, &obj, err);
    if (!rc)
        rc = kn_model_defaults_read(obj, path, ret, err);
    json_decref(obj);
    free(text);
    return rc;
}

int kn_model_defaults_load(const kn_model_desc *desc, const char *path, kn_model_defaults *ret, kn_err *err)
{
    kn_model_defaults d = {0};
    kn_err why = {0};
    int rc = 0;
    char *file = kn_path_join(path, KN_MODEL_DEFAULTS_FILE);
    if (!file)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    kn_request_init(&d.request);
    if (!desc->is_builtin && kn_path_exists(file))
        rc = load_file(file, &d, err);
    if (!rc && kn_model_check_params(desc, &d.request, &why))
        rc = kn_fail(err, KN_EFORMAT, "%.200s: %s", file, why.msg);
    free(file);
    if (rc)
        kn_model_defaults_done(&d);
    else
        *ret = d;
    return rc;
}

void kn_model_defaults_done(kn_model_defaults *d)
{
    free(d->title);
    kn_request_done(&d->request);
    d->title = NULL;
}

int kn_model_defaults_apply(const kn_model_defaults *d, kn_request *rq, kn_err *err)
{
    bool sized = rq->width != KN_UNSET_INT || rq->height != KN_UNSET_INT;
    int rc = kn_request_fill(rq, &d->request, err);
    if (!rc && d->request.frames != KN_UNSET_INT)
        rq->native_frames = d->request.frames;
    if (!rc)
        rq->size_is_default = !sized && d->request.width != KN_UNSET_INT;
    return rc;
}
