#include "server/foreign.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

/* A number of our table that came as text. */
static json_t *number_of(const char *name, const char *text)
{
    kn_request rq;
    json_t *o = NULL, *v = NULL;
    kn_request_init(&rq);
    if (kn_request_set(&rq, name, text, NULL) == 0 && (o = kn_request_to_json(&rq)))
        v = json_incref(json_object_get(o, name));
    json_decref(o);
    kn_request_done(&rq);
    return v ? v : json_string(text); /* refused later, with what was expected */
}

static json_t *value_of(const char *name, const json_t *v)
{
    const kn_param *p = kn_param_find(name);
    bool is_number = p && (p->type == KN_PARAM_INT || p->type == KN_PARAM_REAL);
    return is_number && json_is_string(v) ? number_of(name, json_string_value(v))
                                          : json_incref((json_t *)(uintptr_t)v);
}

bool kn_alias_take(const kn_alias *list, const char *name, const json_t *v, json_t *request)
{
    for (; list->theirs; list++)
        if (strcmp(list->theirs, name) == 0) {
            json_object_set_new(request, list->ours, value_of(list->ours, v));
            return true;
        }
    return false;
}

int kn_foreign_set_duration(kn_studio *s, kn_reply *reply, double seconds, json_t *request, kn_err *err)
{
    json_t *all = NULL, *checked = NULL;
    int rc = kn_studio_check_request(s, request, &checked, &all, reply, err);
    double fps = json_number_value(json_object_get(all, "fps"));
    json_decref(checked);
    json_decref(all);
    if (!rc && seconds * fps + 1 > KN_LIMIT_FRAMES)
        rc = kn_fail(err, KN_EINVAL, "seconds: %g at %g frames a second, at most %d frames", seconds, fps,
                     KN_LIMIT_FRAMES);
    if (!rc)
        json_object_set_new(request, "frames", json_integer(seconds * fps < 1 ? 1 : llround(seconds * fps)));
    return rc;
}
