/* Requests from outside: checked before they are put in line, so that what can be known to be wrong is told at once. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "jobs/job_json.h"
#include "models/models.h"
#include "server/settings.h"
#include "server/studio.h"

enum { POLL_MS = 50 };

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

static void be_quiet(void *ud, const char *text)
{
    (void)ud, (void)text;
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
        rc = kn_model_open(*ret, path, &rq, be_quiet, NULL, &model, err);
    if (!rc)
        (*ret)->close(model);
    if (!rc && ret_complete)
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
    json_t *resolved = NULL, *settings = NULL, *request = json_deep_copy(given);
    int rc = request ? 0 : kn_fail(&why, KN_ENOMEM, "no memory for a request");
    if (!rc)
        rc = kn_places_resolve(&s->places, request, &resolved, &why);
    if (!rc)
        rc = check_resolved(resolved, &d, ret_complete, &why);
    if (!rc)
        rc = kn_settings_load(s->queue, &settings, &why);
    if (!rc) {
        add_settings(settings, d, request);
        rc = add_seed(d, request, &why);
    }
    json_decref(resolved);
    json_decref(settings);
    if (rc) {
        json_decref(request);
        kn_fail(err, why.code, "%s", why.msg);
        return kn_reply_blame(reply, &why);
    }
    *ret = request;
    return 0;
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

/* ---- for the APIs of others ---- */

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

json_t *kn_form_value(const char *name, const json_t *v)
{
    const kn_param *p = kn_param_find(name);
    bool is_number = p && (p->type == KN_PARAM_INT || p->type == KN_PARAM_REAL);
    return is_number && json_is_string(v) ? number_of(name, json_string_value(v))
                                          : json_incref((json_t *)(uintptr_t)v);
}

int kn_studio_set_duration(kn_studio *s, kn_reply *reply, double seconds, json_t *request, kn_err *err)
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

/* ---- the other end ---- */

/* Stops the job first; waits for its worker as long as stopping may take. */
static int stop_for_good(kn_studio *s, const char *id, kn_err *err)
{
    kn_job job = {0};
    int rc = kn_queue_cancel(s->queue, id, &job, err);
    for (int waited = 0; !rc && !kn_job_state_is_final(job.state); waited += POLL_MS) {
        if (waited > 2 * KN_LIMIT_STOP_S * 1000)
            rc = kn_fail(err, KN_EBUSY, "%s: its worker does not stop; try again", id);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
        kn_job_done(&job);
        if (!rc)
            rc = kn_queue_get(s->queue, id, &job, err);
    }
    kn_job_done(&job);
    return rc;
}

int kn_studio_delete(kn_studio *s, const char *id, kn_err *err)
{
    kn_job job = {0};
    int rc = stop_for_good(s, id, err);
    if (!rc)
        rc = kn_queue_remove(s->queue, id, &job, err);
    if (!rc)
        kn_places_remove(&s->places, job.id);
    kn_job_done(&job);
    return rc;
}

json_t *kn_studio_job_to_json(kn_studio *s, const kn_job *j)
{
    json_t *progress = kn_job_state_is_active(j->state) ? kn_supervisor_progress(s->supervisor, j->id) : NULL;
    json_t *o = kn_job_to_json(j, progress);
    json_decref(progress);
    return o;
}
