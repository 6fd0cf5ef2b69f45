#include "server/webhooks.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/jitter.h"
#include "base/limits.h"
#include "base/mem.h"
#include "hub/post.h"
#include "hub/url.h"
#include "server/settings.h"
#include "server/webhook_sign.h"

enum {
    DEFAULT_TIMEOUT_MS = 10000,
    IDLE_MS = 60000,   /* a clock that is set comes to light after this at the latest */
    TROUBLE_MS = 5000, /* after the disk was full, or the like */
    N_HEADERS = 4,
    HEADER_BYTES = 128,
    GONE = 410,
};

static const int DELAYS_MS[] = {5000, 30000, 120000, 600000, 3600000, 21600000, 0};

/* A try that is under way. */
typedef struct errand {
    kn_delivery delivery;
    kn_webhook webhook;
    kn_post post;
    double at_s;
    char lines[N_HEADERS][HEADER_BYTES]; /* of the request's head */
    const char *headers[N_HEADERS + 1];
    bool is_used;
} errand;

struct kn_webhooks {
    kn_webhooks_opts opts;
    _Atomic(kn_posts *) posts; /* NULL until the thread has made it */
    pthread_t thread;
    atomic_bool stop;
    errand errands[KN_LIMIT_WEBHOOK_PARALLEL];
};

static double now_s(void)
{
    return (double)kn_clock_unix_ms() / 1000;
}

static void say(kn_webhooks *w, const char *webhook_id, const char *text)
{
    char *line = kn_asprintf("webhook %s: %s", webhook_id, text);
    if (line && w->opts.log)
        w->opts.log(w->opts.ud, line);
    free(line);
}

/* ---- what an answer means ---- */

int64_t kn_webhook_delay_ms(const int *delays_ms, int n_tried)
{
    const int *d = delays_ms ? delays_ms : DELAYS_MS;
    for (int i = 1; i < n_tried && *d; i++)
        d++;
    return *d;
}

void kn_webhook_judge(kn_delivery_attempt *a, const int *delays_ms, int n_tried, int64_t retry_after_s)
{
    int64_t pause_ms = kn_webhook_delay_ms(delays_ms, n_tried);
    if (a->status >= 200 && a->status < 300) {
        a->state = KN_DELIVERY_DELIVERED;
        return;
    }
    if (a->status >= 300 && a->status < 400)
        a->error = "redirects are not followed; give the webhook the address it leads to";
    if (a->status == GONE)
        a->switch_off = "the receiver says that it is gone for good (410)";
    if (a->status == GONE || !pause_ms) {
        a->state = KN_DELIVERY_FAILED;
        return;
    }
    if (retry_after_s > KN_LIMIT_RETRY_AFTER_S)
        retry_after_s = KN_LIMIT_RETRY_AFTER_S;
    double pause_s = fmax((double)kn_jitter(pause_ms) / 1000, (double)retry_after_s);
    a->state = KN_DELIVERY_WAITING;
    a->due_s = a->at_s + (double)a->took_ms / 1000 + pause_s;
}

/* ---- a try ---- */

static void forget(errand *e)
{
    kn_delivery_done(&e->delivery);
    kn_webhook_done(&e->webhook);
    e->is_used = false;
}

/* false: it could not be kept. */
static bool settle(kn_webhooks *w, errand *e, kn_delivery_attempt *a, int64_t retry_after_s)
{
    kn_err err = {0};
    char text[96];
    kn_webhook_judge(a, w->opts.delays_ms, (int)json_array_size(e->delivery.attempts) + 1, retry_after_s);
    int rc = kn_queue_delivery_settle(w->opts.queue, e->delivery.id, a, &err);
    if (!rc && a->state == KN_DELIVERY_FAILED) {
        snprintf(text, sizeof text, "%.40s is given up: status %d", e->delivery.id, a->status);
        say(w, e->webhook.id, a->switch_off ? a->switch_off : text);
    }
    if (rc && rc != KN_ENOTFOUND) /* a webhook may be deleted meanwhile */
        say(w, e->webhook.id, err.msg);
    forget(e);
    return !rc || rc == KN_ENOTFOUND;
}

static bool settle_post(kn_webhooks *w, kn_post *post)
{
    errand *e = w->errands;
    while (&e->post != post) {
        KN_ASSERT(e < w->errands + KN_LIMIT_WEBHOOK_PARALLEL - 1);
        e++;
    }
    kn_delivery_attempt a = {.at_s = e->at_s,
                             .status = post->status,
                             .error = post->status ? NULL : post->why.msg,
                             .took_ms = post->took_ms};
    return settle(w, e, &a, post->retry_after_s);
}

static int make_headers(errand *e, kn_err *err)
{
    char signature[KN_WEBHOOK_SIGNATURE_BYTES];
    int64_t time_s = (int64_t)e->at_s;
    int rc = kn_webhook_sign(e->webhook.secret, e->delivery.id, time_s, e->delivery.body,
                             strlen(e->delivery.body), signature, err);
    if (rc)
        return rc;
    char id[KN_WEBHOOK_ID_BYTES];
    memcpy(id, e->delivery.id, sizeof id);
    snprintf(e->lines[0], HEADER_BYTES, "Content-Type: application/json");
    snprintf(e->lines[1], HEADER_BYTES, "webhook-id: %s", id);
    snprintf(e->lines[2], HEADER_BYTES, "webhook-timestamp: %lld", (long long)time_s);
    snprintf(e->lines[3], HEADER_BYTES, "webhook-signature: %s", signature);
    for (int i = 0; i < N_HEADERS; i++)
        e->headers[i] = e->lines[i];
    return 0;
}

static bool allows_private(kn_webhooks *w)
{
    json_t *settings = NULL;
    if (kn_settings_load(w->opts.queue, &settings, NULL))
        return false;
    bool allows = json_is_true(json_object_get(settings, "webhook_allow_private"));
    json_decref(settings);
    return allows;
}

/* false: there is trouble here, not there. */
static bool begin(kn_webhooks *w, errand *e)
{
    kn_err err = {0};
    e->at_s = now_s();
    e->post = (kn_post){.url = e->webhook.url,
                        .body = e->delivery.body,
                        .size = strlen(e->delivery.body),
                        .headers = e->headers,
                        .allow_private = allows_private(w)};
    int rc = make_headers(e, &err);
    if (!rc)
        rc = kn_posts_begin(w->posts, &e->post, &err);
    if (!rc)
        return true;
    return settle(w, e, &(kn_delivery_attempt){.at_s = e->at_s, .error = err.msg}, 0) && rc != KN_ENOMEM;
}

/* ---- the thread ---- */

static errand *free_errand(kn_webhooks *w)
{
    for (int i = 0; i < KN_LIMIT_WEBHOOK_PARALLEL; i++)
        if (!w->errands[i].is_used)
            return &w->errands[i];
    return NULL;
}

static int list_busy(const kn_webhooks *w, const char *busy[KN_LIMIT_WEBHOOK_PARALLEL])
{
    int n = 0;
    for (int i = 0; i < KN_LIMIT_WEBHOOK_PARALLEL; i++)
        if (w->errands[i].is_used)
            busy[n++] = w->errands[i].webhook.id;
    return n;
}

/* Begins what is due; *ret_wait_ms: how long nothing more will be. false: trouble. */
static bool begin_due(kn_webhooks *w, int *ret_wait_ms)
{
    errand *e;
    *ret_wait_ms = IDLE_MS;
    while ((e = free_errand(w))) {
        const char *busy[KN_LIMIT_WEBHOOK_PARALLEL];
        double due_s = 0, now = now_s();
        int n_busy = list_busy(w, busy);
        int rc =
            kn_queue_delivery_next(w->opts.queue, now, busy, n_busy, &e->delivery, &e->webhook, &due_s, NULL);
        if (rc == KN_ENOTFOUND && due_s > now)
            *ret_wait_ms = (int)fmin(IDLE_MS, (due_s - now) * 1000 + 1);
        if (rc)
            return rc == KN_ENOTFOUND;
        e->is_used = true;
        if (!begin(w, e))
            return false;
    }
    return true;
}

/* In the thread: libcurl takes its time to load, and the server need not wait for it. */
static bool make_posts(kn_webhooks *w)
{
    kn_posts *posts = NULL;
    kn_err err = {0};
    if (kn_posts_new(w->opts.timeout_ms ? w->opts.timeout_ms : DEFAULT_TIMEOUT_MS, &posts, &err)) {
        say(w, "*", err.msg);
        return false;
    }
    atomic_store(&w->posts, posts);
    return true;
}

static void *work(void *ud)
{
    kn_webhooks *w = ud;
    int64_t quiet_until_ns = 0;
    if (!make_posts(w))
        return NULL;
    while (!atomic_load(&w->stop)) {
        kn_post *post = NULL;
        bool is_well = true;
        int wait_ms = IDLE_MS;
        int64_t quiet_ms = (quiet_until_ns - kn_clock_ns()) / 1000000;
        if (quiet_ms > 0)
            wait_ms = (int)quiet_ms + 1;
        else
            is_well = begin_due(w, &wait_ms);
        if (is_well && kn_posts_wait(w->posts, wait_ms, &post, NULL)) {
            nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
            is_well = false;
        }
        if (post)
            is_well = settle_post(w, post) && is_well;
        if (!is_well)
            quiet_until_ns = kn_clock_ns() + TROUBLE_MS * 1000000ll;
    }
    return NULL;
}

int kn_webhooks_start(const kn_webhooks_opts *opts, kn_webhooks **ret, kn_err *err)
{
    kn_webhooks *w = kn_calloc(1, sizeof *w);
    if (!w)
        return kn_fail(err, KN_ENOMEM, "no memory for webhooks");
    w->opts = *opts;
    if (pthread_create(&w->thread, NULL, work, w)) {
        free(w);
        return kn_fail(err, KN_ENOMEM, "no thread for webhooks");
    }
    *ret = w;
    return 0;
}

void kn_webhooks_wake(kn_webhooks *w)
{
    kn_posts *posts = w ? atomic_load(&w->posts) : NULL;
    if (posts)
        kn_posts_wake(posts);
}

void kn_webhooks_stop(kn_webhooks *w)
{
    if (!w)
        return;
    atomic_store(&w->stop, true);
    kn_webhooks_wake(w);
    pthread_join(w->thread, NULL);
    for (int i = 0; i < KN_LIMIT_WEBHOOK_PARALLEL; i++)
        if (w->errands[i].is_used) {
            kn_posts_drop(w->posts, &w->errands[i].post);
            forget(&w->errands[i]);
        }
    kn_posts_free(w->posts);
    free(w);
}
