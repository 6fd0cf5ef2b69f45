#define _GNU_SOURCE
#include "hub/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jitter.h"

enum { POLL_MS = 50, NS_PER_MS = 1000000 };

typedef struct loop {
    const kn_fetch_opts *opts;
    CURLM *multi;
    kn_transfer *list;
    int n, n_done, n_active;
} loop;

static int64_t or_default(int64_t v, int64_t fallback)
{
    return v ? v : fallback;
}

/* ---- trying again ---- */

static int64_t backoff_ms(const kn_hub_patience *p, int n_failed)
{
    int64_t most = or_default(p->backoff_max_ms, 60000), ms = or_default(p->backoff_ms, 1000);
    for (int i = 1; i < n_failed && ms < most; i++)
        ms *= 2;
    return kn_jitter(ms < most ? ms : most);
}

static int try_again(loop *l, kn_transfer *t, kn_err *err)
{
    const kn_hub_patience *p = &l->opts->config->patience;
    char text[640];
    if (t->have >= t->have_at_failure + (uint64_t)or_default(p->gain_bytes, 1 << 20))
        t->n_failed = 0;
    t->have_at_failure = t->have;
    t->n_failed++;
    if (t->n_failed >= or_default(p->n_tries, 6))
        return kn_fail(err, t->why.code, "%.400s; given up after %d tries, say it again to go on", t->why.msg,
                       t->n_failed);
    int64_t ms = backoff_ms(p, t->n_failed);
    if (t->retry_after_ms > or_default(p->wait_max_ms, 300000))
        return kn_fail(err, KN_EIO, "%.300s and wants to be asked again in %lld s only; say it again then",
                       t->why.msg, (long long)(t->retry_after_ms / 1000));
    ms = t->retry_after_ms > ms ? t->retry_after_ms : ms;
    snprintf(text, sizeof text, "%.500s; again in %.1f s", t->why.msg, (double)ms / 1e3);
    if (l->opts->note)
        l->opts->note(l->opts->ud, text);
    free(t->at);
    t->at = NULL;
    t->n_hops = 0;
    t->state = KN_TRANSFER_WAITING;
    t->wake_ns = kn_clock_ns() + ms * NS_PER_MS;
    return 0;
}

/* What took long in this thread is not the servers' fault. */
static void renew_windows(loop *l)
{
    for (int i = 0; i < l->n; i++)
        if (l->list[i].state == KN_TRANSFER_RUNNING) {
            l->list[i].window_ns = kn_clock_ns();
            l->list[i].window_bytes = 0;
        }
}

static int finish(loop *l, kn_transfer *t, kn_err *err)
{
    kn_err why = {0};
    int rc = t->sink.finish ? t->sink.finish(t->sink.ud, &why) : 0;
    renew_windows(l);
    if (rc == KN_EFORMAT &&
        !t->has_been_wrong) { /* a second time from the beginning, then it is the server's */
        t->has_been_wrong = true;
        t->have = 0;
        *t->etag = '\0';
        t->why = why;
        rc = t->sink.restart(t->sink.ud, err);
        return rc ? rc : try_again(l, t, err);
    }
    if (rc)
        return kn_fail(err, why.code, "%s", why.msg);
    t->state = KN_TRANSFER_DONE;
    l->n_done++;
    l->n_active--;
    return 0;
}

/* ---- the steps ---- */

static int begin(loop *l, kn_transfer *t, kn_err *err)
{
    if (t->size != KN_SIZE_UNKNOWN && t->have == t->size)
        return finish(l, t, err);
    if (t->size == KN_SIZE_UNKNOWN && t->have) { /* an answer of unknown size is never gone on with */
        t->have = 0;
        int rc = t->sink.restart(t->sink.ud, err);
        if (rc)
            return rc;
    }
    t->state = KN_TRANSFER_RUNNING;
    int rc = kn_transfer_begin(t, err);
    if (!rc && curl_multi_add_handle(l->multi, t->easy))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a request");
    return rc;
}

static int step(loop *l, kn_transfer *t, kn_err *err)
{
    bool ready = true;
    if (t->state == KN_TRANSFER_WAITING)
        return kn_clock_ns() >= t->wake_ns ? begin(l, t, err) : 0;
    if (t->state != KN_TRANSFER_PREPARING)
        return 0;
    int rc = t->sink.prepare ? t->sink.prepare(t->sink.ud, &ready, err) : 0;
    if (rc || !ready)
        return rc;
    t->have_at_failure = t->have;
    return begin(l, t, err);
}

static void let_go(loop *l, kn_transfer *t, CURLcode code)
{
    curl_multi_remove_handle(l->multi, t->easy);
    kn_transfer_settle(t, code);
}

static int end(loop *l, kn_transfer *t, CURLcode code, kn_err *err)
{
    let_go(l, t, code);
    switch (t->outcome) {
    case KN_OUTCOME_BODY:
        return finish(l, t, err);
    case KN_OUTCOME_REDIRECT:
        return begin(l, t, err);
    case KN_OUTCOME_RETRY:
        return try_again(l, t, err);
    default:
        return kn_fail(err, t->why.code, "%s", t->why.msg);
    }
}

static int read_ends(loop *l, kn_err *err)
{
    int left = 0, rc = 0;
    for (CURLMsg *m; !rc && (m = curl_multi_info_read(l->multi, &left));) {
        kn_transfer *t = NULL;
        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) || !t)
            continue;
        rc = end(l, t, m->data.result, err);
    }
    return rc;
}

/* One that does not get on is cut. */
static int check_stall(loop *l, kn_transfer *t, kn_err *err)
{
    const kn_hub_patience *p = &l->opts->config->patience;
    int64_t now = kn_clock_ns();
    if (t->state != KN_TRANSFER_RUNNING || now - t->window_ns < or_default(p->stall_ms, 30000) * NS_PER_MS)
        return 0;
    bool is_slow = (int64_t)t->window_bytes < or_default(p->stall_bytes, 30000);
    t->window_ns = now;
    t->window_bytes = 0;
    return is_slow ? end(l, t, CURLE_OPERATION_TIMEDOUT, err) : 0;
}

static bool is_cancelled(const loop *l)
{
    return l->opts->cancel && atomic_load(l->opts->cancel);
}

static int round_of(loop *l, kn_err *err)
{
    int running = 0, rc = 0;
    bool is_busy = false;
    for (int i = 0; !rc && i < l->n; i++) {
        kn_transfer *t = &l->list[i];
        if (t->state == KN_TRANSFER_NEW && l->n_active >= l->opts->n_parallel)
            break;
        if (t->state == KN_TRANSFER_NEW) {
            t->state = KN_TRANSFER_PREPARING;
            l->n_active++;
        }
        rc = step(l, t, err);
        is_busy |= t->state == KN_TRANSFER_PREPARING;
    }
    if (is_busy)
        renew_windows(l);
    if (!rc && curl_multi_perform(l->multi, &running))
        rc = kn_fail(err, KN_EINTERNAL, "libcurl cannot go on");
    if (!rc)
        rc = read_ends(l, err);
    for (int i = 0; !rc && i < l->n; i++)
        rc = check_stall(l, &l->list[i], err);
    if (!rc && l->opts->tick)
        l->opts->tick(l->opts->ud);
    if (!rc && !is_busy && l->n_done < l->n)
        curl_multi_poll(l->multi, NULL, 0, POLL_MS, NULL);
    return rc;
}

int kn_transfers_run(const kn_fetch_opts *opts, kn_transfer *list, int n, kn_err *err)
{
    loop l = {.opts = opts, .list = list, .n = n};
    int rc = kn_hub_libs_load(err);
    if (rc)
        return rc;
    for (int i = 0; i < n; i++) {
        list[i].config = opts->config;
        list[i].state = KN_TRANSFER_NEW;
    }
    l.multi = curl_multi_init();
    if (!l.multi)
        return kn_fail(err, KN_ENOMEM, "no memory for transfers");
    while (!rc && l.n_done < n)
        rc = is_cancelled(&l) ? kn_fail(err, KN_ECANCELLED, "cancelled") : round_of(&l, err);
    for (int i = 0; i < n; i++) {
        if (list[i].easy)
            let_go(&l, &list[i], CURLE_ABORTED_BY_CALLBACK);
        kn_transfer_done(&list[i]);
    }
    curl_multi_cleanup(l.multi);
    return rc;
}

/* ---- into memory ---- */

static int write_memory(void *ud, const void *data, size_t size, kn_err *err)
{
    kn_buf *b = ud;
    kn_buf_append(b, data, size);
    return b->failed ? kn_fail(err, KN_ENOMEM, "no memory for an answer") : 0;
}

static int restart_memory(void *ud, kn_err *err)
{
    kn_buf *b = ud;
    size_t max_bytes = b->max_bytes;
    (void)err;
    kn_buf_done(b);
    kn_buf_init(b, max_bytes);
    return 0;
}

int kn_hub_get(const kn_fetch_opts *opts, const char *name, const char *url, uint64_t max_bytes, kn_buf *ret,
               char *ret_next, kn_err *err)
{
    kn_fetch_opts alone = *opts;
    kn_transfer t = {.name = name,
                     .url = url,
                     .size = KN_SIZE_UNKNOWN,
                     .max_bytes = max_bytes,
                     .sink = {.write = write_memory, .restart = restart_memory, .ud = ret}};
    alone.n_parallel = 1;
    kn_buf_init(ret, max_bytes + 1);
    int rc = kn_transfers_run(&alone, &t, 1, err);
    if (rc)
        kn_buf_done(ret);
    else if (ret_next)
        snprintf(ret_next, KN_NEXT_BYTES, "%s", t.next);
    return rc;
}

int kn_hub_get_json(const kn_fetch_opts *opts, const char *name, const char *url, uint64_t max_bytes,
                    json_t **ret, char *ret_next, kn_err *err)
{
    kn_buf text;
    int rc = kn_hub_get(opts, name, url, max_bytes, &text, ret_next, err);
    if (rc)
        return rc;
    rc = kn_json_parse(text.data ? text.data : "", text.size, name, ret, err);
    kn_buf_done(&text);
    return rc;
}
