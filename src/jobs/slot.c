#define _GNU_SOURCE
#include "jobs/slot.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/run.h"

enum {
    TICK_MS = 500,
    IDLE_TICK_MS = 2000,
    START_S = 60, /* a worker loads libraries only; on a machine that swaps even that takes long */
    FIRST_PAUSE_MS = 500,
    MAX_PAUSE_MS = 30000,
};

/* ---- what others see ---- */

static void show(kn_slot *s, const char *state, const char *job_id)
{
    pthread_mutex_lock(&s->lock);
    s->state = state;
    s->pid = s->child.pid;
    snprintf(s->job_id, sizeof s->job_id, "%s", job_id);
    json_decref(s->progress);
    s->progress = NULL;
    pthread_mutex_unlock(&s->lock);
}

json_t *kn_slot_progress(kn_slot *s, const char *job_id)
{
    pthread_mutex_lock(&s->lock);
    json_t *p = strcmp(s->job_id, job_id) == 0 ? json_deep_copy(s->progress) : NULL;
    pthread_mutex_unlock(&s->lock);
    return p;
}

json_t *kn_slot_to_json(kn_slot *s)
{
    pthread_mutex_lock(&s->lock);
    json_t *o = json_pack("{s:i, s:s, s:s, s:i, s:s, s:s, s:o?}", "pid", (int)s->pid, "state", s->state,
                          "job_id", s->job_id, "deaths", s->n_deaths, "device", s->device, "error", s->error,
                          "loaded", s->loaded ? json_deep_copy(s->loaded) : json_array());
    pthread_mutex_unlock(&s->lock);
    return o;
}

static void log_line(kn_slot *s, const char *job_id, const char *text)
{
    char *line = kn_asprintf("%s%s%s", job_id, *job_id ? ": " : "", text);
    if (line && s->shared->opts.log)
        s->shared->opts.log(s->shared->opts.ud, line);
    free(line);
}

static bool is_said(const json_t *m, const char *what)
{
    const char *say = json_string_value(json_object_get(m, "say"));
    return say && strcmp(say, what) == 0;
}

/* ---- waiting ---- */

void kn_slot_wake(kn_slot *s)
{
    uint64_t one = 1;
    while (write(s->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void be_woken(kn_slot *s)
{
    uint64_t n;
    while (read(s->wake_fd, &n, sizeof n) < 0 && errno == EINTR)
        ;
}

static bool is_stopping(const kn_slot *s)
{
    return atomic_load(&s->shared->stopping);
}

/* ---- the worker ---- */

static void count_death(kn_slot *s, const char *why)
{
    s->deaths++;
    pthread_mutex_lock(&s->lock);
    s->n_deaths++;
    snprintf(s->error, sizeof s->error, "%.199s", why);
    pthread_mutex_unlock(&s->lock);
    log_line(s, "", why);
}

static int wait_until_ready(kn_slot *s, kn_err *err)
{
    double since = kn_clock_s();
    while (kn_clock_s() - since < START_S && !is_stopping(s)) {
        json_t *m = NULL;
        int rc = kn_child_receive(&s->child, s->wake_fd, TICK_MS, false, &m, err);
        if (rc)
            return rc;
        be_woken(s);
        const char *what = json_string_value(json_object_get(m, "say")),
                   *device = json_string_value(json_object_get(m, "device"));
        bool is_ready = what && strcmp(what, "ready") == 0;
        if (is_ready) {
            pthread_mutex_lock(&s->lock);
            snprintf(s->device, sizeof s->device, "%.159s", device ? device : "");
            *s->error = '\0';
            pthread_mutex_unlock(&s->lock);
        }
        json_decref(m);
        if (is_ready)
            return 0;
    }
    return kn_fail(err, KN_EIO, "the worker was not ready after %d s", START_S);
}

/* After deaths in a row: longer and longer, unless the server stops. */
static void pause_after_death(kn_slot *s)
{
    int pause_ms = FIRST_PAUSE_MS;
    for (int i = 1; i < s->deaths && pause_ms < MAX_PAUSE_MS; i++)
        pause_ms *= 2;
    double until = kn_clock_s() + (pause_ms < MAX_PAUSE_MS ? pause_ms : MAX_PAUSE_MS) * 1e-3;
    show(s, "failed", "");
    while (kn_clock_s() < until && !is_stopping(s)) {
        struct pollfd p = {.fd = s->wake_fd, .events = POLLIN};
        poll(&p, 1, (int)((until - kn_clock_s()) * 1e3) + 1);
        be_woken(s);
    }
}

static bool have_worker(kn_slot *s)
{
    kn_err err = {0};
    if (s->child.pid)
        return true;
    if (s->deaths)
        pause_after_death(s);
    if (is_stopping(s))
        return false;
    kn_slot_set_loaded(s, NULL);
    int rc = kn_child_start(&s->child, s->shared->opts.program, &err);
    show(s, "starting", "");
    if (!rc)
        rc = wait_until_ready(s, &err);
    if (rc) {
        kn_child_kill(&s->child);
        if (!is_stopping(s))
            count_death(s, err.msg);
    }
    show(s, rc ? "failed" : "idle", "");
    return !rc;
}

/* ---- a job ---- */

typedef struct attempt {
    kn_slot *slot;
    const kn_job *job;
    kn_job_state state;
    bool is_over;
    int64_t seen;  /* the queue's last event when the wish was looked at */
    double stop_s; /* when it was asked to stop; 0: it was not */
} attempt;

static kn_job_state state_of_phase(const char *phase)
{
    kn_job_state s = KN_JOB_LOADING;
    return phase && kn_job_state_parse(phase, &s, NULL) == 0 && kn_job_state_is_active(s) ? s
                                                                                          : KN_JOB_LOADING;
}

static void take_progress(attempt *a, json_t *m)
{
    kn_slot *s = a->slot;
    kn_job_state state = state_of_phase(json_string_value(json_object_get(m, "phase")));
    if (state != a->state &&
        kn_queue_advance(s->shared->queue, a->job->id, a->job->attempt, state, NULL) == 0)
        a->state = state;
    json_object_del(m, "say");
    pthread_mutex_lock(&s->lock);
    json_decref(s->progress);
    s->progress = json_incref(m);
    pthread_mutex_unlock(&s->lock);
    if (s->shared->opts.progress)
        s->shared->opts.progress(s->shared->opts.ud, a->job->id, m);
}

/* Tells the queue how the attempt ended; a full disk may come between, so it is tried until the server stops. */
static void settle(attempt *a, int (*tell)(attempt *a, const json_t *m, kn_err *err), const json_t *m)
{
    kn_err err = {0};
    int rc;
    a->is_over = true;
    while ((rc = tell(a, m, &err)) && rc != KN_EBUSY && rc != KN_ENOTFOUND && !is_stopping(a->slot)) {
        log_line(a->slot, a->job->id, err.msg);
        struct pollfd p = {.fd = a->slot->wake_fd, .events = POLLIN};
        poll(&p, 1, IDLE_TICK_MS);
    }
}

static int tell_done(attempt *a, const json_t *m, kn_err *err)
{
    const kn_places *places = a->slot->shared->places;
    char *output = kn_places_output(places, a->job->id);
    char *thumbnail = kn_place_of(places->thumbnails, a->job->id, ".png");
    int rc = output && thumbnail ? kn_queue_complete(a->slot->shared->queue, a->job->id, a->job->attempt,
                                                     json_object_get(m, "result"), output, thumbnail, err)
                                 : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(output);
    free(thumbnail);
    return rc;
}

static int tell_failed(attempt *a, const json_t *m, kn_err *err)
{
    kn_err why = {0};
    const char *text = json_string_value(json_object_get(m, "message"));
    int code = (int)json_integer_value(json_object_get(m, "code"));
    kn_fail(&why, code < 0 ? code : KN_EINTERNAL, "%s", text ? text : kn_err_text(code));
    return kn_queue_fail(a->slot->shared->queue, a->job->id, a->job->attempt, &why, err);
}

static int tell_stopped(attempt *a, const json_t *m, kn_err *err)
{
    (void)m;
    return kn_queue_stopped(a->slot->shared->queue, a->job->id, a->job->attempt, err);
}

static int tell_back(attempt *a, const json_t *m, kn_err *err)
{
    (void)m;
    return kn_queue_interrupt(a->slot->shared->queue, a->job->id, a->job->attempt, false,
                              "the server was stopped", err);
}

static int tell_died(attempt *a, const json_t *m, kn_err *err)
{
    const char *why = json_string_value(json_object_get(m, "message"));
    return kn_queue_interrupt(a->slot->shared->queue, a->job->id, a->job->attempt, true,
                              why ? why : "the worker died", err);
}

/* The job stopped, or its worker was ended because it did not. */
static void take_stop(attempt *a)
{
    kn_job now = {0};
    bool wished =
        kn_queue_get(a->slot->shared->queue, a->job->id, &now, NULL) == 0 && now.wish != KN_WISH_NONE;
    bool cancelled = wished && now.wish == KN_WISH_CANCEL;
    kn_job_done(&now);
    if (cancelled) /* first: when a client sees that it is cancelled, its files are gone */
        kn_places_drop(a->slot->shared->places, a->job->id);
    settle(a, wished ? tell_stopped : tell_back, NULL);
}

/* What the machine lacked may be there when the job is tried again. */
static void drop_failed(const kn_slot *s, const char *job_id, int code)
{
    if (code == KN_EIO || code == KN_ENOMEM || code == KN_EDEVICE)
        kn_places_drop_files(s->shared->places, job_id);
    else
        kn_places_drop(s->shared->places, job_id);
}

static void take_message(attempt *a, json_t *m)
{
    const char *say = json_string_value(json_object_get(m, "say"));
    kn_slot *s = a->slot;
    if (!say || strcmp(say, "alive") == 0)
        return;
    if (is_said(m, "loaded")) {
        kn_slot_set_loaded(s, json_object_get(m, "parts"));
        return;
    }
    if (strcmp(say, "progress") == 0) {
        take_progress(a, m);
    } else if (strcmp(say, "plan") == 0) {
        kn_queue_set_plan(s->shared->queue, a->job->id, a->job->attempt, json_object_get(m, "plan"), NULL);
    } else if (strcmp(say, "note") == 0) {
        const char *text = json_string_value(json_object_get(m, "text"));
        log_line(s, a->job->id, text ? text : "");
    } else if (strcmp(say, "done") == 0) {
        s->deaths = 0;
        kn_places_sweep(s->shared->places, a->job->id);
        settle(a, tell_done, m);
    } else if (strcmp(say, "failed") == 0) {
        s->deaths = 0;
        if (json_integer_value(json_object_get(m, "code")) == KN_ECANCELLED && a->stop_s > 0) {
            take_stop(a);
        } else {
            drop_failed(s, a->job->id, (int)json_integer_value(json_object_get(m, "code")));
            settle(a, tell_failed, m);
        }
    }
}

/* Whether the job is to stop: the client's wish, or the server's end. */
static void check_wish(attempt *a)
{
    kn_job now = {0};
    kn_slot *s = a->slot;
    if (a->stop_s > 0) {
        if (kn_clock_s() - a->stop_s > KN_LIMIT_STOP_S) {
            kn_child_kill(&s->child);
            take_stop(a);
        }
        return;
    }
    int64_t event = kn_queue_last_event(s->shared->queue);
    if (event == a->seen && !is_stopping(s)) /* no job has changed */
        return;
    int rc = kn_queue_get(s->shared->queue, a->job->id, &now, NULL);
    bool stop = is_stopping(s) || rc == KN_ENOTFOUND || now.wish != KN_WISH_NONE;
    kn_job_done(&now);
    if (!rc)
        a->seen = event;
    if (stop) {
        a->stop_s = kn_clock_s();
        kn_wire_send(&s->child.wire, json_pack("{s:s}", "do", "stop"), NULL);
    }
}

static int send_order(kn_slot *s, const kn_job *job, kn_err *err)
{
    const kn_places *p = s->shared->places;
    json_t *request = NULL, *order = NULL;
    char *output = kn_places_wanted(p, job->id, job->request), *state = kn_place_of(p->state, job->id, ""),
         *preview = kn_place_of(p->previews, job->id, ".png"),
         *thumbnail = kn_place_of(p->thumbnails, job->id, ".png");
    int rc = kn_places_mend(p, err);
    if (!rc)
        rc = kn_places_resolve(p, job->request, &request, err);
    kn_places_drop_outputs(p, job->id);
    if (!rc) {
        json_object_set_new(request, "output", output ? json_string(output) : NULL);
        order = json_pack("{s:s, s:s, s:O, s:s?, s:s?, s:s?, s:s?, s:I}", "do", "run", "job", job->id,
                          "request", request, "state_dir", state, "cache_dir", p->cache, "preview", preview,
                          "thumbnail", thumbnail, "keep_s", (json_int_t)atomic_load(&s->shared->keep_s));
        rc = output && state && preview && thumbnail ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
    }
    json_decref(request);
    free(output);
    free(state);
    free(preview);
    free(thumbnail);
    if (rc) {
        json_decref(order);
        return rc;
    }
    kn_wire_send(&s->child.wire, order, NULL); /* a worker that is gone is noticed where it is listened to */
    return 0;
}

static void run_job(kn_slot *s, const kn_job *job)
{
    attempt a = {.slot = s, .job = job, .state = job->state, .seen = -1};
    kn_err err = {0};
    show(s, "working", job->id);
    kn_slot_make_room(s);
    if (send_order(s, job, &err)) {
        json_t *m = json_pack("{s:i, s:s}", "code", err.code, "message", err.msg);
        settle(&a, tell_failed, m);
        json_decref(m);
    }
    s->child.heard_s = s->child.busy_s = kn_clock_s();
    while (!a.is_over) {
        json_t *m = NULL;
        int rc = kn_child_receive(&s->child, s->wake_fd, TICK_MS, true, &m, &err);
        be_woken(s);
        kn_slot_pass_unload_on(s);
        if (rc) {
            count_death(s, err.msg);
            m = json_pack("{s:s}", "message", err.msg);
            if (a.stop_s > 0)
                take_stop(&a);
            else
                settle(&a, tell_died, m);
        } else if (m) {
            take_message(&a, m);
        }
        json_decref(m);
        if (!a.is_over)
            check_wish(&a);
    }
}

/* ---- the thread ---- */

/* Waits for something to do, and notices a worker that dies meanwhile. */
static void idle(kn_slot *s)
{
    json_t *m = NULL;
    kn_err err = {0};
    show(s, "idle", "");
    if (kn_child_receive(&s->child, s->wake_fd, IDLE_TICK_MS, false, &m, &err))
        count_death(s, err.msg);
    else if (m && is_said(m, "loaded"))
        kn_slot_set_loaded(s, json_object_get(m, "parts"));
    json_decref(m);
    be_woken(s);
    kn_slot_pass_unload_on(s);
}

static void *work(void *ud)
{
    kn_slot *s = ud;
    while (!is_stopping(s)) {
        kn_job job = {0};
        if (!have_worker(s))
            continue;
        if (!atomic_load(&s->shared->held) && kn_queue_claim(s->shared->queue, &job, NULL) == 0)
            run_job(s, &job);
        else
            idle(s);
        kn_job_done(&job);
    }
    kn_child_end(&s->child, KN_LIMIT_STOP_S * 1000);
    show(s, "stopped", "");
    return NULL;
}

int kn_slot_init(kn_slot *s, kn_slot_shared *shared, kn_err *err)
{
    *s = (kn_slot){.shared = shared, .state = "starting", .lock = PTHREAD_MUTEX_INITIALIZER};
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->wake_fd < 0 ? kn_fail(err, KN_EIO, "no event for a worker's thread: %s", strerror(errno)) : 0;
}

int kn_slot_start(kn_slot *s, kn_err *err)
{
    s->is_running = pthread_create(&s->thread, NULL, work, s) == 0;
    return s->is_running ? 0 : kn_fail(err, KN_ENOMEM, "no thread for a worker");
}

void kn_slot_join(kn_slot *s)
{
    kn_slot_wake(s);
    if (s->is_running)
        pthread_join(s->thread, NULL);
}

void kn_slot_done(kn_slot *s)
{
    close(s->wake_fd);
    json_decref(s->progress);
    json_decref(s->loaded);
    pthread_mutex_destroy(&s->lock);
}
