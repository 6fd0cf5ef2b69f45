#define _GNU_SOURCE
#include "server/studio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "jobs/job_json.h"
#include "server/address.h"
#include "server/settings.h"

/* The name of the value in the database. */
static const char HELD[] = "queue_held";
static const char LOCK_NAME[] = "lock";

/* ---- from the queue and the workers to those who listen ---- */

static char *event_to_text(const kn_queue_event *e)
{
    json_t *o = e->job ? json_pack("{s:s, s:I, s:o?}", "type", "job", "id", (json_int_t)e->id, "job",
                                   kn_job_to_json(e->job, NULL))
                       : json_pack("{s:s, s:I, s:s}", "type", "removed", "id", (json_int_t)e->id, "job_id",
                                   e->job_id);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(o);
    return text;
}

static void on_queue(void *ud, const kn_queue_event *e)
{
    kn_studio *s = ud;
    char *text = event_to_text(e);
    if (text)
        kn_feed_publish(s->progress, e->id, NULL, text);
    free(text);
    kn_webhooks_wake(s->webhooks);
}

static void on_progress(void *ud, const char *job_id, const json_t *progress)
{
    kn_studio *s = ud;
    atomic_fetch_add(&s->n_progress, 1); /* first: who hears it and asks is not to be given an older one */
    json_t *o = json_pack("{s:s, s:s, s:O}", "type", "progress", "job_id", job_id, "progress", progress);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (text)
        kn_feed_publish(s->progress, 0, job_id, text);
    free(text);
    json_decref(o);
}

static void on_download(void *ud, const char *id, const json_t *download)
{
    kn_studio *s = ud;
    json_t *o = json_pack("{s:s, s:O}", "type", "download", "download", download);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    const char *state = json_string_value(json_object_get(download, "state"));
    bool is_progress = state && strcmp(state, "running") == 0;
    if (text) /* what it has come to waits for nothing */
        kn_feed_publish(s->progress, 0, is_progress ? id : NULL, text);
    free(text);
    json_decref(o);
}

static void on_log(void *ud, const char *line)
{
    kn_studio *s = ud;
    kn_logs_add(s->logs, line);
    if (s->opts.log)
        s->opts.log(s->opts.log_ud, line);
}

typedef struct replay {
    void (*put)(void *to, int64_t id, const char *json);
    void *to;
} replay;

static void replay_event(void *ud, const kn_queue_event *e)
{
    const replay *r = ud;
    char *text = event_to_text(e);
    if (text)
        r->put(r->to, e->id, text);
    free(text);
}

static void on_replay(void *ud, int64_t last_id, void (*put)(void *to, int64_t id, const char *json),
                      void *to)
{
    kn_studio *s = ud;
    kn_queue_replay(s->queue, last_id, replay_event, &(replay){put, to}, NULL);
}

/* ---- opening and closing ---- */

/* A server waits a second: a command that works on the folder by itself has it for a moment. */
static bool take_lock(const kn_studio *s)
{
    enum { TRIES = 20 };
    for (int i = 0; flock(s->lock_fd, LOCK_EX | LOCK_NB); i++) {
        if (s->opts.is_idle || i == TRIES)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return true;
}

bool kn_studio_is_open(const char *data_dir)
{
    char *path = kn_path_join(data_dir, LOCK_NAME);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool is_open = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    free(path);
    return is_open;
}

static int lock_data(kn_studio *s, kn_err *err)
{
    char *path = kn_path_join(s->places.data, LOCK_NAME);
    s->lock_fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    int rc =
        s->lock_fd >= 0 ? 0 : kn_fail(err, KN_EIO, "cannot write in %s: %s", s->places.data, strerror(errno));
    if (!rc && !take_lock(s))
        rc = kn_fail(err, KN_EBUSY, "another kinora serve uses %s; stop it, or say --data-dir",
                     s->places.data);
    free(path);
    return rc;
}

static int open_queue(kn_studio *s, kn_err *err)
{
    json_t *settings = NULL;
    char *path = kn_path_join(s->places.data, "studio.db");
    int rc = path ? kn_queue_open(path, &(kn_queue_opts){0}, &s->queue, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        rc = kn_settings_load(s->queue, &settings, err);
    if (!rc) {
        kn_studio_apply_settings(s, settings);
        s->keep_s = json_integer_value(json_object_get(settings, "keep_models_seconds"));
        s->n_workers = json_integer_value(json_object_get(settings, "gpu_max_concurrency"));
        const char *models = json_string_value(json_object_get(settings, "models_dir"));
        if (models && *models)
            rc = kn_places_use_models(&s->places, models, err);
    }
    json_decref(settings);
    free(path);
    return rc;
}

static int open_logs(kn_studio *s, kn_err *err)
{
    char *folder = kn_path_join(s->places.data, "logs");
    s->logs = folder ? kn_logs_open(folder) : NULL;
    free(folder);
    return s->logs ? 0 : kn_fail(err, KN_ENOMEM, "no memory for the log");
}

static int open_feeds(kn_studio *s, kn_err *err)
{
    s->progress = kn_feed_new(on_replay, s);
    s->resource_feed = kn_feed_new(NULL, NULL);
    if (!s->progress || !s->resource_feed)
        return kn_fail(err, KN_ENOMEM, "no memory for feeds");
    int rc = kn_queue_listen(s->queue, on_queue, s, err);
    return rc ? rc : kn_resources_start(s->resource_feed, &s->resources, err);
}

static void list_tables(kn_studio *s)
{
    static const kn_route *const all[KN_STUDIO_TABLES] = {
        kn_routes_jobs,    kn_routes_media, kn_routes_system, kn_routes_openai,   kn_routes_tasks,
        kn_routes_runtime, kn_routes_meta,  kn_routes_hub,    kn_routes_webhooks, kn_routes_page};
    for (int i = 0; i < KN_STUDIO_TABLES; i++)
        s->tables[i] = (kn_route_table){all[i], s};
}

const kn_route_table *kn_studio_tables(const kn_studio *s, int *ret_n)
{
    *ret_n = KN_STUDIO_TABLES;
    return s->tables;
}

static int open_http(kn_studio *s, kn_err *err)
{
    kn_http_opts opts = {.host = s->opts.host ? s->opts.host : "127.0.0.1",
                         .port = s->opts.port,
                         .token = s->opts.token,
                         .upload_dir = s->places.uploads,
                         .hosts = s->opts.hosts,
                         .log = on_log,
                         .log_ud = s};
    list_tables(s);
    return kn_http_start(&opts, s->tables, KN_STUDIO_TABLES, &s->http, err);
}

/* On a full disk commands need --server; that is no reason not to serve. */
static void say_where(kn_studio *s)
{
    kn_err why = {0};
    if (kn_address_write(s->places.data, s->opts.host, kn_http_port(s->http), &why))
        on_log(s, why.msg);
}

int kn_studio_hold(kn_studio *s, bool hold, kn_err *err)
{
    json_t *v = json_boolean(hold);
    int rc = kn_queue_value_put(s->queue, HELD, v, err);
    json_decref(v);
    if (!rc)
        kn_supervisor_hold(s->supervisor, hold);
    return rc;
}

static bool was_held(kn_studio *s)
{
    json_t *v = NULL;
    bool held = kn_queue_value_get(s->queue, HELD, &v, NULL) == 0 && json_is_true(v);
    json_decref(v);
    return held;
}

/* What does something by itself. */
static int open_workers(kn_studio *s, kn_err *err)
{
    kn_supervisor_opts so = {.program = s->opts.program,
                             .n_workers = s->opts.is_idle ? 0 : (int)s->n_workers,
                             .is_held = was_held(s),
                             .keep_s = s->keep_s,
                             .progress = on_progress,
                             .log = on_log,
                             .ud = s};
    int rc = 0;
    if (!s->opts.is_idle) /* before the supervisor, whose threads bring news for it */
        rc = kn_webhooks_start(
            &(kn_webhooks_opts){
                .queue = s->queue, .delays_ms = s->opts.webhook_delays_ms, .log = on_log, .ud = s},
            &s->webhooks, err);
    if (!rc)
        rc = kn_supervisor_start(&so, &s->places, s->queue, &s->supervisor, err);
    if (!rc && !s->opts.is_idle)
        rc = kn_housekeeping_start(&s->places, s->queue, on_log, s, &s->housekeeping, err);
    if (!rc)
        rc = kn_downloads_start(&(kn_downloads_opts){.models_dir = s->places.models,
                                                     .queue = s->queue,
                                                     .is_idle = s->opts.is_idle,
                                                     .changed = on_download,
                                                     .log = on_log,
                                                     .ud = s},
                                &s->downloads, err);
    return rc;
}

int kn_studio_open(const kn_studio_opts *opts, kn_studio **ret, kn_err *err)
{
    kn_studio *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory for the studio");
    s->opts = *opts;
    s->lock_fd = -1;
    pthread_mutex_init(&s->rates_lock, NULL);
    s->answers = kn_answers_new();
    int rc = s->answers ? kn_places_open(&s->places, opts->data_dir, err)
                        : kn_fail(err, KN_ENOMEM, "no memory for the studio");
    if (!rc)
        rc = lock_data(s, err);
    if (!rc)
        kn_address_remove(s->places.data); /* of a server that was killed */
    if (!rc)
        rc = open_logs(s, err);
    if (!rc)
        rc = open_queue(s, err);
    if (!rc)
        rc = open_feeds(s, err);
    if (!rc)
        rc = open_workers(s, err);
    if (!rc)
        rc = open_http(s, err);
    if (!rc && !opts->is_idle)
        say_where(s);
    if (rc)
        kn_studio_close(s);
    else
        *ret = s;
    return rc;
}

int kn_studio_port(const kn_studio *s)
{
    return kn_http_port(s->http);
}

void kn_studio_close(kn_studio *s)
{
    if (!s)
        return;
    if (s->http && !s->opts.is_idle)
        kn_address_remove(s->places.data);
    kn_http_stop(s->http);
    kn_downloads_stop(s->downloads);
    kn_housekeeping_stop(s->housekeeping);
    kn_supervisor_stop(s->supervisor);
    kn_webhooks_stop(s->webhooks);
    kn_resources_stop(s->resources);
    kn_queue_close(s->queue);
    kn_feed_free(s->progress);
    kn_feed_free(s->resource_feed);
    kn_answers_free(s->answers);
    kn_logs_close(s->logs);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    kn_places_close(&s->places);
    pthread_mutex_destroy(&s->rates_lock);
    free(s);
}

void kn_studio_apply_settings(kn_studio *s, const json_t *settings)
{
    kn_queue_configure(s->queue,
                       &(kn_queue_opts){
                           .max_waiting = json_integer_value(json_object_get(settings, "max_queue_size")),
                           .max_attempts = json_integer_value(json_object_get(settings, "max_attempts")),
                       });
    if (s->supervisor)
        kn_supervisor_keep(s->supervisor,
                           json_integer_value(json_object_get(settings, "keep_models_seconds")));
}

int kn_studio_change_settings(kn_studio *s, const json_t *change, json_t **ret, kn_err *err)
{
    int rc = kn_settings_change(s->queue, change, ret, err);
    if (!rc)
        kn_studio_apply_settings(s, *ret);
    return rc;
}
