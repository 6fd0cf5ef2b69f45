#include "server/downloads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/job_id.h"
#include "server/download_list.h"
#include "server/settings.h"

/* The name of the value in the database. */
static const char STORED_AS[] = "downloads";

struct kn_downloads {
    kn_downloads_opts opts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    json_t *list;    /* oldest first */
    json_t *running; /* borrowed from the list; NULL: none */
    atomic_bool cancel;
    bool is_wished; /* the cancel is a client's wish, not the server's end */
    bool stop;
    kn_job_ids ids;
};

kn_hub_config kn_hub_config_of(const json_t *settings)
{
    const char *endpoint = json_string_value(json_object_get(settings, "hf_endpoint"));
    const char *token = json_string_value(json_object_get(settings, "huggingface_token"));
    bool is_own = endpoint && *endpoint;
    return (kn_hub_config){.endpoint = is_own ? endpoint : NULL,
                           .token = token && *token ? token
                                    : is_own        ? NULL
                                                    : kn_hub_env_token()};
}

static void set(json_t *o, const char *key, json_t *take)
{
    json_object_set_new(o, key, take ? take : json_null());
}

static double now_s(void)
{
    return (double)kn_clock_unix_ms() / 1e3;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

/* ---- the list; with the lock ---- */

static int save(kn_downloads *d, kn_err *err)
{
    return kn_queue_value_put(d->opts.queue, STORED_AS, d->list, err);
}

static int load(kn_downloads *d, kn_err *err)
{
    json_t *stored = NULL;
    int rc = kn_queue_value_get(d->opts.queue, STORED_AS, &stored, err);
    if (rc && rc != KN_ENOTFOUND)
        return rc;
    d->list = kn_download_list_read(stored);
    json_decref(stored);
    return d->list ? 0 : kn_fail(err, KN_ENOMEM, "no memory for downloads");
}

static int check_twin(kn_downloads *d, const char *model, kn_err *err)
{
    const json_t *o = kn_download_active(d->list, model);
    return o ? kn_fail(err, KN_EBUSY, "%s is being fetched already: %s", model, text_of(o, "id")) : 0;
}

/* ---- telling ---- */

/* With the lock, so that what is told last is how it is. */
static void tell(kn_downloads *d, const json_t *copy)
{
    if (copy && d->opts.changed)
        d->opts.changed(d->opts.ud, text_of(copy, "id"), copy);
}

static void on_progress(void *ud, const kn_hub_progress *p)
{
    kn_downloads *d = ud;
    pthread_mutex_lock(&d->lock);
    json_t *o = d->running;
    set(o, "phase", json_string(kn_hub_phase_name(p->phase)));
    if (p->phase != KN_HUB_ASKING) {
        set(o, "done_bytes", json_integer((json_int_t)p->done_bytes));
        set(o, "total_bytes", json_integer((json_int_t)p->total_bytes));
        set(o, "done_files", json_integer(p->n_done));
        set(o, "total_files", json_integer(p->n_files));
        set(o, "bytes_per_s", p->rate > 0 ? json_real(p->rate) : NULL);
        set(o, "eta_s", p->eta_s >= 0 ? json_real(p->eta_s) : NULL);
    }
    tell(d, o);
    pthread_mutex_unlock(&d->lock);
}

static void log_line(kn_downloads *d, const char *model, const char *text)
{
    char line[640];
    snprintf(line, sizeof line, "download %.100s: %.500s", model, text);
    if (d->opts.log)
        d->opts.log(d->opts.ud, line);
}

static void on_note(void *ud, const char *text)
{
    kn_downloads *d = ud;
    char model[256];
    pthread_mutex_lock(&d->lock);
    snprintf(model, sizeof model, "%s", text_of(d->running, "model"));
    set(d->running, "note", kn_json_text(text));
    pthread_mutex_unlock(&d->lock);
    log_line(d, model, text);
}

/* ---- the thread ---- */

static int fetch(kn_downloads *d, const json_t *spec, kn_hub_pulled *ret, kn_err *err)
{
    json_t *settings = NULL;
    int rc = kn_settings_load(d->opts.queue, &settings, err);
    kn_hub_config c = kn_hub_config_of(settings);
    c.patience = d->opts.patience;
    kn_hub_pull_opts o = {.id = text_of(spec, "model"),
                          .revision = text_of(spec, "revision"),
                          .file = text_of(spec, "file"),
                          .variant = text_of(spec, "variant"),
                          .models_dir = d->opts.models_dir,
                          .cancel = &d->cancel,
                          .progress = on_progress,
                          .note = on_note,
                          .ud = d};
    if (!rc)
        rc = kn_hub_pull(&c, &o, ret, err);
    json_decref(settings);
    return rc;
}

/* With the lock. */
static void settle(kn_downloads *d, json_t *o, int rc, const kn_hub_pulled *got, const kn_err *why)
{
    if (rc == KN_ECANCELLED && !d->is_wished) { /* the server ends */
        kn_download_put_in_line(o);
        return;
    }
    set(o, "state", json_string(!rc ? "completed" : rc == KN_ECANCELLED ? "cancelled" : "failed"));
    set(o, "finished_at", json_real(now_s()));
    set(o, "phase", NULL);
    set(o, "bytes_per_s", NULL);
    set(o, "eta_s", NULL);
    if (rc && rc != KN_ECANCELLED)
        set(o, "error", json_pack("{s:s, s:o}", "code", kn_err_name(rc), "message", kn_json_text(why->msg)));
    if (rc)
        return;
    set(o, "note", NULL);
    set(o, "was_there", json_boolean(got->was_there));
    set(o, "path", json_string(got->path));
    set(o, "commit", json_string(got->revision));
    set(o, "done_bytes", json_integer((json_int_t)got->bytes));
    set(o, "total_bytes", json_integer((json_int_t)got->bytes));
    set(o, "done_files", json_integer(got->n_files));
    set(o, "total_files", json_integer(got->n_files));
}

/* With the lock, which is let go of meanwhile. */
static void run(kn_downloads *d, json_t *o)
{
    kn_hub_pulled got = {0};
    kn_err err = {0};
    json_t *spec = json_deep_copy(o);
    d->running = json_incref(o);
    d->is_wished = false;
    atomic_store(&d->cancel, d->stop);
    set(o, "state", json_string("running"));
    set(o, "started_at", json_real(now_s()));
    (void)save(d, NULL);
    pthread_mutex_unlock(&d->lock);
    int rc = spec ? fetch(d, spec, &got, &err) : kn_fail(&err, KN_ENOMEM, "no memory for a download");
    if (rc && rc != KN_ECANCELLED)
        log_line(d, spec ? text_of(spec, "model") : "", err.msg);
    pthread_mutex_lock(&d->lock);
    settle(d, o, rc, &got, &err);
    d->running = NULL;
    (void)save(d, NULL);
    tell(d, o);
    json_decref(o);
    json_decref(spec);
    free(got.path);
}

static void *work(void *ud)
{
    kn_downloads *d = ud;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        json_t *o = d->opts.is_idle ? NULL : kn_download_next(d->list);
        if (o)
            run(d, o);
        else
            pthread_cond_wait(&d->changed, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

int kn_downloads_start(const kn_downloads_opts *opts, kn_downloads **ret, kn_err *err)
{
    kn_downloads *d = kn_calloc(1, sizeof *d);
    if (!d)
        return kn_fail(err, KN_ENOMEM, "no memory for downloads");
    d->opts = *opts;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    int rc = load(d, err);
    if (!rc)
        rc = kn_job_ids_init(&d->ids, NULL, err);
    if (!rc && pthread_create(&d->thread, NULL, work, d))
        rc = kn_fail(err, KN_ENOMEM, "no thread for downloads");
    if (rc) {
        json_decref(d->list);
        free(d);
        return rc;
    }
    *ret = d;
    return 0;
}

void kn_downloads_stop(kn_downloads *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    atomic_store(&d->cancel, true);
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    json_decref(d->list);
    free(d);
}

/* ---- clients ---- */

static int add_locked(kn_downloads *d, const kn_download_spec *spec, json_t **ret, kn_err *err)
{
    char job_id[KN_JOB_ID_BYTES], id[KN_JOB_ID_BYTES];
    int rc = check_twin(d, spec->model, err);
    if (!rc)
        rc = kn_download_list_make_room(d->list, err);
    if (!rc)
        rc = kn_job_ids_next(&d->ids, kn_clock_unix_ms(), job_id, err);
    if (rc)
        return rc;
    snprintf(id, sizeof id, "dl_%s", strchr(job_id, '_') + 1);
    json_t *o = kn_download_make(id, spec);
    if (!o || json_array_append_new(d->list, o))
        return kn_fail(err, KN_EINVAL, "the names are no UTF-8");
    if ((rc = save(d, err))) {
        json_array_remove(d->list, json_array_size(d->list) - 1);
        return rc;
    }
    *ret = json_deep_copy(o);
    pthread_cond_signal(&d->changed);
    return 0;
}

int kn_downloads_add(kn_downloads *d, const kn_download_spec *spec, json_t **ret, kn_err *err)
{
    int rc = kn_hub_check_id(spec->model, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&d->lock);
    rc = add_locked(d, spec, ret, err);
    if (!rc)
        tell(d, *ret);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

int kn_downloads_get(kn_downloads *d, const char *id, json_t **ret, kn_err *err)
{
    pthread_mutex_lock(&d->lock);
    json_t *o = kn_download_find(d->list, id), *copy = o ? json_deep_copy(o) : NULL;
    pthread_mutex_unlock(&d->lock);
    if (!copy)
        return kn_fail(err, o ? KN_ENOMEM : KN_ENOTFOUND, "there is no download \"%.64s\"", id);
    *ret = copy;
    return 0;
}

json_t *kn_downloads_list(kn_downloads *d)
{
    json_t *list = json_array();
    pthread_mutex_lock(&d->lock);
    for (size_t i = json_array_size(d->list); i-- > 0;)
        json_array_append_new(list, json_deep_copy(json_array_get(d->list, i)));
    pthread_mutex_unlock(&d->lock);
    return list;
}

/* A change of one download, with the lock. */
typedef int (*change_fn)(kn_downloads *d, json_t *o, kn_err *err);

static int change(kn_downloads *d, const char *id, change_fn fn, json_t **ret, kn_err *err)
{
    pthread_mutex_lock(&d->lock);
    json_t *o = json_incref(kn_download_find(d->list, id)), *copy = NULL;
    int rc = o ? fn(d, o, err) : kn_fail(err, KN_ENOTFOUND, "there is no download \"%.64s\"", id);
    if (!rc)
        rc = save(d, err);
    if (!rc && !(copy = json_deep_copy(o)))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a download");
    json_decref(o);
    if (!rc)
        tell(d, copy);
    pthread_mutex_unlock(&d->lock);
    if (rc)
        return rc;
    if (ret)
        *ret = copy;
    else
        json_decref(copy);
    return 0;
}

static int cancel_one(kn_downloads *d, json_t *o, kn_err *err)
{
    (void)err;
    if (o == d->running) {
        d->is_wished = true;
        atomic_store(&d->cancel, true);
    } else if (kn_download_is(o, "queued")) {
        set(o, "state", json_string("cancelled"));
        set(o, "finished_at", json_real(now_s()));
    }
    return 0;
}

int kn_downloads_cancel(kn_downloads *d, const char *id, json_t **ret, kn_err *err)
{
    return change(d, id, cancel_one, ret, err);
}

static int retry_one(kn_downloads *d, json_t *o, kn_err *err)
{
    if (kn_download_is_active(o) || kn_download_is(o, "completed"))
        return kn_fail(err, KN_EBUSY, "%s is %s; only a failed or cancelled download is tried again",
                       text_of(o, "id"), text_of(o, "state"));
    int rc = check_twin(d, text_of(o, "model"), err);
    if (rc)
        return rc;
    kn_download_put_in_line(o);
    pthread_cond_signal(&d->changed);
    return 0;
}

int kn_downloads_retry(kn_downloads *d, const char *id, json_t **ret, kn_err *err)
{
    return change(d, id, retry_one, ret, err);
}

static int forget_one(kn_downloads *d, json_t *o, kn_err *err)
{
    size_t i;
    json_t *other;
    if (kn_download_is_active(o))
        return kn_fail(err, KN_EBUSY, "%s is %s; cancel it first", text_of(o, "id"), text_of(o, "state"));
    int rc = kn_download_is(o, "completed") || check_twin(d, text_of(o, "model"), NULL)
                 ? 0
                 : kn_hub_forget(d->opts.models_dir, text_of(o, "model"), err);
    json_array_foreach(d->list, i, other)
    {
        if (!rc && other == o) {
            json_array_remove(d->list, i);
            break;
        }
    }
    return rc;
}

int kn_downloads_forget(kn_downloads *d, const char *id, kn_err *err)
{
    return change(d, id, forget_one, NULL, err);
}

bool kn_downloads_use(kn_downloads *d, const char *model)
{
    pthread_mutex_lock(&d->lock);
    bool uses = check_twin(d, model, NULL) != 0;
    pthread_mutex_unlock(&d->lock);
    return uses;
}
