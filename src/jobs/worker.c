#define _GNU_SOURCE
#include "jobs/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pace.h"
#include "base/ram.h"
#include "engine/generate.h"
#include "jobs/thumbnail.h"
#include "jobs/wire.h"
#include "models/models.h"

/* A job that does not see the cancel flag for so long after the server went away is not waited for. */
enum { GRACE_S = 20 };
/* How often an idle worker looks whether what it holds should go: when less than a tenth of the memory is left, too. */
enum { LOOK_S = 1, SCARCE_PART = 10 };
/* As often as a person can follow. */
static const double STEP_PAUSE_S = 0.33;

typedef struct worker {
    kn_wire wire;
    pthread_mutex_t lock; /* sending, and what follows */
    pthread_cond_t changed;
    json_t *run;    /* the order that waits */
    json_t *unsaid; /* the last step, if it was not worth saying; NULL: all is said */
    bool is_over;
    bool unload;     /* what stays loaded is to go, now or after the job */
    double unload_s; /* when it goes by itself */
    atomic_bool cancel;
    kn_warm *warm;                   /* what stays loaded: the working thread's alone */
    double said_s;                   /* when a step was last said */
    kn_pace previews;                /* saving them */
    const char *thumbnail, *preview; /* of the running job; files */
} worker;

static void say(worker *w, json_t *take)
{
    pthread_mutex_lock(&w->lock);
    kn_wire_send(&w->wire, take, NULL); /* a server that is gone is noticed by the listener */
    pthread_mutex_unlock(&w->lock);
}

/* Takes the place of a step that is not said yet. */
static void say_progress(worker *w, json_t *take, bool now)
{
    pthread_mutex_lock(&w->lock);
    json_decref(w->unsaid);
    w->unsaid = now ? NULL : take;
    if (now)
        kn_wire_send(&w->wire, take, NULL);
    pthread_mutex_unlock(&w->lock);
}

/* A step that was one of many and is followed by a long one. */
static void say_rest(worker *w)
{
    pthread_mutex_lock(&w->lock);
    if (w->unsaid)
        kn_wire_send(&w->wire, w->unsaid, NULL);
    w->unsaid = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* ---- listening, beside the job ---- */

static double cpu_seconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? 0 : (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void end(worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_over = true;
    atomic_store(&w->cancel, true);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void obey(worker *w, json_t *take)
{
    const char *what = json_string_value(json_object_get(take, "do"));
    if (what && strcmp(what, "run") == 0) {
        pthread_mutex_lock(&w->lock);
        json_decref(w->run);
        w->run = json_incref(take);
        atomic_store(&w->cancel, false);
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
    } else if (what && strcmp(what, "stop") == 0) {
        atomic_store(&w->cancel, true);
    } else if (what && strcmp(what, "unload") == 0) {
        pthread_mutex_lock(&w->lock);
        w->unload = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
    } else {
        end(w);
    }
    json_decref(take);
}

static int listen_once(worker *w)
{
    struct pollfd p = {.fd = w->wire.fd, .events = POLLIN};
    json_t *message = NULL;
    if (poll(&p, 1, KN_WORKER_BEAT_MS) > 0 && kn_wire_fill(&w->wire, NULL))
        return KN_EIO;
    for (;;) {
        int rc = kn_wire_next(&w->wire, &message, NULL);
        if (rc || !message)
            return rc;
        obey(w, message);
    }
}

static void *listener(void *ud)
{
    worker *w = ud;
    double beat_s = 0;
    while (listen_once(w) == 0) {
        if (kn_clock_s() - beat_s < KN_WORKER_BEAT_MS * 1e-3)
            continue;
        beat_s = kn_clock_s();
        say(w, json_pack("{s:s, s:f}", "say", "alive", "cpu_s", cpu_seconds()));
        say_rest(w);
    }
    end(w);
    /* the job ends at its next operation; what hangs is not waited for */
    for (double since = kn_clock_s(); kn_clock_s() - since < GRACE_S;)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    _exit(kn_err_exit(KN_ECANCELLED));
}

/* ---- the job ---- */

/* Small models make many steps a second: of steps in a hurry only some are said at once, the last one always, and the latest of
 * the others with the next sign of life. */
static bool is_worth_saying(worker *w, const kn_event *e)
{
    double now = kn_clock_s();
    if (e->kind == KN_EVENT_STEP && e->done < e->total && now - w->said_s < STEP_PAUSE_S)
        return false;
    w->said_s = now;
    return true;
}

static void on_event(void *ud, const kn_event *e)
{
    if (e->kind == KN_EVENT_PHASE_END)
        return;
    if (e->kind == KN_EVENT_NOTE) {
        json_t *text = json_string(e->text); /* NULL if a file's name is not UTF-8 */
        if (text)
            say(ud, json_pack("{s:s, s:o}", "say", "note", "text", text));
        return;
    }
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:o}", "say", "progress", "phase",
                          kn_phase_name(e->phase), "done", (json_int_t)e->done, "total", (json_int_t)e->total,
                          "elapsed_s", e->elapsed_s, "unit_s", e->unit_s, "eta_s",
                          e->kind == KN_EVENT_STEP && e->eta_s >= 0 ? json_real(e->eta_s) : json_null());
    json_object_set_new(o, "text", json_string(e->text));
    say_progress(ud, o, is_worth_saying(ud, e));
}

static void on_plan(void *ud, const kn_plan *p)
{
    say(ud, json_pack("{s:s, s:o?}", "say", "plan", "plan", kn_plan_to_json(p)));
}

static void on_picture(void *ud, int64_t index, int width, int height, const float *rgb)
{
    worker *w = ud;
    if (index == 0 && w->thumbnail)
        kn_thumbnail_save(width, height, rgb, w->thumbnail, NULL); /* a video without one is a video */
}

static void on_preview(void *ud, int width, int height, const float *rgb)
{
    worker *w = ud;
    double begin = kn_clock_s();
    if (!w->preview || !kn_pace_is_due(&w->previews, begin))
        return;
    kn_thumbnail_save(width, height, rgb, w->preview, NULL);
    double end = kn_clock_s();
    kn_pace_did(&w->previews, end - begin, end);
}

static const char *text_of(const json_t *order, const char *name)
{
    return json_string_value(json_object_get(order, name));
}

static int generate(worker *w, const json_t *order, json_t **ret, kn_err *err)
{
    const kn_model_desc *desc = NULL;
    char *path = NULL;
    kn_request rq;
    kn_result result;
    kn_request_init(&rq);
    w->thumbnail = text_of(order, "thumbnail");
    w->preview = text_of(order, "preview");
    w->previews = (kn_pace){0}; /* of each job the first one at once */
    kn_generate_opts opts = {.event = on_event,
                             .event_ud = w,
                             .planned = on_plan,
                             .preview = on_preview,
                             .picture = on_picture,
                             .cancel = &w->cancel,
                             .warm =
                                 json_integer_value(json_object_get(order, "keep_s")) > 0 ? w->warm : NULL,
                             .cache_dir = text_of(order, "cache_dir"),
                             .state_dir = text_of(order, "state_dir"),
                             .resume = true};
    int rc = kn_request_from_json(&rq, json_object_get(order, "request"), err);
    if (!rc)
        rc = rq.model ? kn_model_find(rq.model, &desc, &path, err) : kn_fail(err, KN_EINVAL, "no model");
    opts.model_path = path;
    if (!rc)
        rc = kn_generate(desc, &rq, &opts, &result, err);
    if (!rc) {
        *ret = kn_result_to_json(desc, &result);
        json_object_set_new(*ret, "seconds", json_real(result.seconds));
        json_object_set_new(*ret, "output", json_string(result.output));
        kn_result_done(&result);
    }
    kn_request_done(&rq);
    free(path);
    return rc;
}

static void say_loaded(worker *w)
{
    say(w, json_pack("{s:s, s:o?}", "say", "loaded", "parts", kn_warm_to_json(w->warm)));
}

static void run(worker *w, json_t *take)
{
    kn_err err = {0};
    json_t *result = NULL;
    int rc = generate(w, take, &result, &err);
    say_progress(w, NULL, false);
    w->unload_s = kn_clock_s() + (double)json_integer_value(json_object_get(take, "keep_s"));
    json_decref(take);
    say_loaded(w);
    if (!rc) {
        say(w, json_pack("{s:s, s:o?}", "say", "done", "result", result));
        return;
    }
    json_t *o = json_pack("{s:s, s:i}", "say", "failed", "code", err.code);
    json_object_set_new(o, "message", json_string(err.msg)); /* left out if a file's name is not UTF-8 */
    say(w, o);
}

/* ---- what stays loaded ---- */

/* Asked for, long unused, or others need the memory. */
static bool is_unload_due(const worker *w)
{
    return w->unload || kn_clock_s() >= w->unload_s || kn_ram_available() < kn_ram_total() / SCARCE_PART;
}

static void unload(worker *w)
{
    w->unload = false;
    kn_warm_shrink(w->warm, 0);
    say_loaded(w);
}

/* With the lock held. */
static void wait_for_order(worker *w)
{
    struct timespec until;
    if (!kn_warm_bytes(w->warm)) {
        w->unload = false;
        pthread_cond_wait(&w->changed, &w->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_S;
    pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

static void work(worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->is_over) {
        json_t *order = w->run;
        w->run = NULL;
        bool unload_now = !order && kn_warm_bytes(w->warm) && is_unload_due(w);
        if (!order && !unload_now) {
            wait_for_order(w);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        if (order)
            run(w, order);
        else
            unload(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

/* Where memory runs out the system is to end a worker, whose job goes on later, and not the server. */
static void be_the_first_to_go(void)
{
    FILE *f = fopen("/proc/self/oom_score_adj", "we");
    if (f) {
        fputs("500", f);
        fclose(f);
    }
}

int kn_worker_main(int fd, kn_err *err)
{
    worker w = {.lock = PTHREAD_MUTEX_INITIALIZER, .warm = kn_warm_new()};
    pthread_condattr_t monotonic;
    pthread_t thread;
    kn_device *dev = NULL;
    /* a terminal's Ctrl-C is the server's business; a server that is killed takes its workers along */
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    be_the_first_to_go();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int rc = w.warm ? kn_device_open(NULL, &(kn_cpu_options){0}, &dev, err)
                    : kn_fail(err, KN_ENOMEM, "no memory for a worker");
    if (rc)
        return rc;
    kn_wire_init(&w.wire, fd);
    say(&w, json_pack("{s:s, s:s, s:i}", "say", "ready", "device", dev->description, "pid", (int)getpid()));
    kn_device_close(dev);
    if (pthread_create(&thread, NULL, listener, &w))
        return kn_fail(err, KN_ENOMEM, "no thread for the worker's messages");
    work(&w);
    return 0; /* the process ends, and with it the listener */
}
