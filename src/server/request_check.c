/* Requests from outside: checked before they are put in line, so that what can be known to be wrong is told at once. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "models/models.h"
#include "server/settings.h"
#include "server/studio.h"

int kn_reply_blame(kn_reply *r, const kn_err *err)
{
    char name[64];
    size_t n = strcspn(err->msg, ":");
    if (n < sizeof name && err->msg[n]) {
        memcpy(name, err->msg, n);
        name[n] = '\0';
        const kn_param *p = kn_param_find(name);
        if (p)
            kn_reply_param(r, p->name);
    }
    return err->code;
}

/* What the settings say of what the request leaves open. */
static void add_settings(const json_t *settings, const kn_model_desc *d, json_t *request)
{
    const char *dtype = json_string_value(json_object_get(settings, "preferred_dtype"));
    json_int_t budget = json_integer_value(json_object_get(settings, "memory_budget_bytes"));
    if (dtype && strcmp(dtype, "auto") && !json_object_get(request, "dtype") && kn_model_takes(d, "dtype"))
        json_object_set_new(request, "dtype", json_string(dtype));
    if (budget && !json_object_get(request, "memory_budget") && kn_model_takes(d, "memory_budget"))
        json_object_set_new(request, "memory_budget", json_integer(budget));
}

/* A job that is begun again must make the same frames, so its seed is chosen once. */
static int add_seed(const kn_model_desc *d, json_t *request, kn_err *err)
{
    uint32_t seed;
    if (json_object_get(request, "seed") || !kn_model_takes(d, "seed"))
        return 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return kn_fail(err, KN_EIO, "the system gave no random seed; set one");
    return json_object_set_new(request, "seed", json_integer(seed)) ? kn_fail(err, KN_ENOMEM, "no memory")
                                                                    : 0;
}

static int check_resolved(const json_t *resolved, const kn_model_desc **ret, json_t **ret_complete,
                          kn_err *err)
{
    kn_request rq;
    void *model = NULL;
    char *path = NULL;
    kn_request_init(&rq);
    int rc = kn_request_from_json(&rq, resolved, err);
    if (!rc && !rq.model)
        rc = kn_fail(err, KN_EINVAL, "model: missing; GET /api/v1/models lists them");
    if (!rc && !rq.prompt)
        rc = kn_fail(err, KN_EINVAL, "prompt: missing");
    if (!rc)
        rc = kn_model_find(rq.model, ret, &path, err);
    if (!rc)
        rc = kn_model_open(*ret, path, &rq, NULL, NULL, &model, err);
    if (!rc)
        (*ret)->close(model);
    if (!rc)
        *ret_complete = kn_request_to_json(&rq);
    kn_request_done(&rq);
    free(path);
    return rc;
}

int kn_studio_check_request(kn_studio *s, const json_t *given, json_t **ret, json_t **ret_complete,
                            kn_reply *reply, kn_err *err)
{
    kn_err why = {0};
    const kn_model_desc *d = NULL;
    json_t *resolved = NULL, *settings = NULL, *complete = NULL, *request = json_deep_copy(given);
    int rc = request ? 0 : kn_fail(&why, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = kn_places_resolve(&s->places, request, &resolved, &why);
    if (!rc)
        rc = check_resolved(resolved, &d, &complete, &why);
    if (!rc)
        rc = kn_settings_load(s->queue, &settings, &why);
    if (!rc) {
        add_settings(settings, d, request);
        rc = add_seed(d, request, &why);
    }
    json_decref(resolved);
    json_decref(settings);
    if (!rc) {
        *ret = request;
        if (ret_complete)
            *ret_complete = json_incref(complete);
    } else {
        json_decref(request);
        kn_fail(err, why.code, "%s", why.msg);
        kn_reply_blame(reply, &why);
    }
    json_decref(complete);
    return rc;
}

int kn_studio_submit(kn_studio *s, kn_reply *reply, const json_t *request, const json_t *labels,
                     int64_t priority, kn_job *ret, kn_err *err)
{
    json_t *checked = NULL;
    int rc = kn_studio_check_request(s, request, &checked, NULL, reply, err);
    if (!rc)
        rc = kn_queue_submit(s->queue, &(kn_job_spec){checked, labels, priority}, ret, err);
    json_decref(checked);
    return rc;
}
