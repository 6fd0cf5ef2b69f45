#define _GNU_SOURCE
#include "cli/pull.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/queue.h"
#include "hub/url.h"

enum {
    POLL_MS = 200,
    PATIENCE_S = 30, /* for a server that is started again; its downloads do not mind */
    CANCEL_S = 15,   /* a download stops at once, but a slow disk may take its time */
};

static const char DOWNLOADS[] = "/api/v1/hub/downloads";

typedef struct pull {
    kn_client *client;
    const kn_hub_pull_opts *opts;
    char id[64];
    bool is_own;     /* begun here */
    bool has_waited; /* somebody was told that it is in line */
    double heard_s;  /* when the server last answered */
    double cancel_s; /* when it was cancelled from here; 0: it was not */
    char note[512];  /* the last one that was passed on */
} pull;

static void tell(const pull *p, const char *text)
{
    if (p->opts->note)
        p->opts->note(p->opts->ud, text);
}

static bool is_same(const json_t *v, const char *text)
{
    return text ? json_is_string(v) && strcmp(json_string_value(v), text) == 0 : !json_string_value(v);
}

static bool is_in_state(const json_t *d, const char *a, const char *b)
{
    const char *state = kn_queue_text(d, "state");
    return strcmp(state, a) == 0 || strcmp(state, b) == 0;
}

/* The newest of the same files; borrowed. */
static const json_t *find_same(const json_t *answer, const kn_hub_pull_opts *o)
{
    size_t i;
    const json_t *d;
    json_array_foreach(json_object_get(answer, "downloads"), i, d)
    {
        if (is_same(json_object_get(d, "model"), o->id) &&
            is_same(json_object_get(d, "revision"), o->revision) &&
            is_same(json_object_get(d, "file"), o->file) &&
            is_same(json_object_get(d, "variant"), o->variant))
            return d;
    }
    return NULL;
}

static int call(pull *p, const char *method, const char *what, json_t **ret, kn_err *err)
{
    kn_buf b;
    kn_buf_init(&b, 512);
    kn_buf_printf(&b, "%s/", DOWNLOADS);
    kn_url_escape(&b, p->id, "");
    kn_buf_printf(&b, "%s%s", *what ? "/" : "", what);
    char *path = kn_buf_take(&b);
    int rc = path ? kn_client_call(p->client, method, path, NULL, ret, err)
                  : kn_fail(err, KN_EFORMAT, "the server's id of the download is no id");
    free(path);
    return rc;
}

static int add(pull *p, json_t **ret, kn_err *err)
{
    const kn_hub_pull_opts *o = p->opts;
    json_t *body = json_pack("{s:s, s:s?, s:s?, s:s?}", "id", o->id, "revision", o->revision, "file", o->file,
                             "variant", o->variant);
    int rc = body ? kn_client_call(p->client, "POST", DOWNLOADS, body, ret, err)
                  : kn_fail(err, KN_EINVAL, "the names are no UTF-8");
    json_decref(body);
    return rc;
}

/* Watches the one that is there, tries again the one that had ended before its time, else begins one. */
static int begin(pull *p, kn_err *err)
{
    json_t *all = NULL, *d = NULL;
    int rc = kn_client_call(p->client, "GET", DOWNLOADS, NULL, &all, err);
    const json_t *same = rc ? NULL : find_same(all, p->opts);
    snprintf(p->id, sizeof p->id, "%s", kn_queue_text(same, "id"));
    if (same && is_in_state(same, "queued", "running")) {
        tell(p, "it is being fetched already; this only watches");
    } else if (!rc) {
        p->is_own = true;
        rc = same && is_in_state(same, "failed", "cancelled") ? call(p, "POST", "retry", &d, err)
                                                              : add(p, &d, err);
        snprintf(p->id, sizeof p->id, "%s", kn_queue_text(d, "id"));
    }
    json_decref(d);
    json_decref(all);
    return rc;
}

/* ---- watching ---- */

static uint64_t count(const json_t *d, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(d, key));
    return n > 0 ? (uint64_t)n : 0;
}

static void show(pull *p, const json_t *d)
{
    const json_t *eta = json_object_get(d, "eta_s");
    const char *phase = kn_queue_text(d, "phase"), *note = kn_queue_text(d, "note");
    kn_hub_progress g = {.done_bytes = count(d, "done_bytes"),
                         .total_bytes = count(d, "total_bytes"),
                         .n_done = (int)(count(d, "done_files") & INT16_MAX),
                         .n_files = (int)(count(d, "total_files") & INT16_MAX),
                         .rate = kn_queue_seconds(json_object_get(d, "bytes_per_s")),
                         .eta_s = json_is_number(eta) ? kn_queue_seconds(eta) : -1,
                         .file = ""};
    if (*note && strcmp(note, p->note) != 0) {
        snprintf(p->note, sizeof p->note, "%s", note);
        tell(p, p->note);
    }
    if (is_in_state(d, "queued", "queued") && !p->has_waited) {
        p->has_waited = true;
        tell(p, "it waits in line");
    }
    for (kn_hub_phase i = KN_HUB_ASKING; i <= KN_HUB_FINISHING; i++)
        if (strcmp(kn_hub_phase_name(i), phase) == 0 && p->opts->progress) {
            g.phase = i;
            p->opts->progress(p->opts->ud, &g);
        }
}

static int end(const pull *p, const json_t *d, kn_hub_pulled *ret, kn_err *err)
{
    const json_t *error = json_object_get(d, "error");
    if (is_in_state(d, "cancelled", "cancelled"))
        return kn_fail(err, KN_ECANCELLED, p->cancel_s > 0 ? "cancelled" : "cancelled at the server");
    if (is_in_state(d, "failed", "failed"))
        return kn_fail(err, kn_err_code(kn_queue_text(error, "code")), "%s", kn_queue_text(error, "message"));
    ret->path = kn_strdup(kn_queue_text(d, "path"));
    if (!ret->path)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    snprintf(ret->revision, sizeof ret->revision, "%.64s", kn_queue_text(d, "commit"));
    ret->was_there = json_is_true(json_object_get(d, "was_there"));
    ret->bytes = count(d, "done_bytes");
    ret->n_files = (int)(count(d, "done_files") & INT16_MAX);
    return 0;
}

static int ask(pull *p, json_t **ret, kn_err *err)
{
    int rc = call(p, "GET", "", ret, err);
    if (rc == KN_EIO && kn_clock_s() - p->heard_s < PATIENCE_S && !(p->cancel_s > 0))
        return 0;
    if (!rc)
        p->heard_s = kn_clock_s();
    return rc;
}

static int cancel(pull *p, kn_err *err)
{
    if (!p->is_own)
        return kn_fail(err, KN_ECANCELLED, "no longer watched; the download goes on");
    if (p->cancel_s > 0) /* asked for already */
        return kn_clock_s() - p->cancel_s < CANCEL_S
                   ? 0
                   : kn_fail(err, KN_ECANCELLED, "the download has not stopped yet");
    p->cancel_s = kn_clock_s();
    return call(p, "POST", "cancel", NULL, err);
}

int kn_pull_served(kn_client *c, const kn_hub_pull_opts *o, kn_hub_pulled *ret, kn_err *err)
{
    pull p = {.client = c, .opts = o, .heard_s = kn_clock_s()};
    int rc = begin(&p, err);
    for (bool has_ended = false; !rc && !has_ended;) {
        json_t *d = NULL;
        rc = ask(&p, &d, err);
        if (d && !is_in_state(d, "queued", "running")) {
            has_ended = true;
            rc = end(&p, d, ret, err);
        } else if (d) {
            show(&p, d);
        }
        json_decref(d);
        if (!rc && !has_ended && o->cancel && atomic_load(o->cancel))
            rc = cancel(&p, err);
        if (!rc && !has_ended)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
    return rc;
}
