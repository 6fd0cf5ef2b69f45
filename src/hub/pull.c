/* Fetching a model: ask what there is, choose, fetch what is missing, and put it in its place as a whole. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "hub/ask.h"
#include "hub/part.h"
#include "hub/place.h"

typedef struct pull {
    const kn_hub_pull_opts *opts;
    kn_hub_client client;
    kn_hub_repo repo;
    kn_choices choices;
    kn_hub_place place;
    kn_part *parts;
    kn_transfer *transfers;
    int n_parts;
    kn_hub_progress progress;
    uint64_t whole_bytes; /* of files that need no fetching */
    int n_whole;
    int64_t reported_ns, measured_ns;
    uint64_t measured_bytes;
} pull;

/* ---- progress ---- */

static void report(pull *p, kn_hub_phase phase)
{
    p->progress.phase = phase;
    p->reported_ns = kn_clock_ns();
    if (p->opts->progress)
        p->opts->progress(p->opts->ud, &p->progress);
}

/* What came over the network. */
static uint64_t count_new(const pull *p)
{
    uint64_t n = 0;
    for (int i = 0; i < p->n_parts; i++)
        if (p->transfers[i].have > p->parts[i].there_before)
            n += p->transfers[i].have - p->parts[i].there_before;
    return n;
}

/* Smoothed over some seconds. */
static void measure(pull *p)
{
    enum { SMOOTH_S = 5 };
    int64_t now = kn_clock_ns();
    uint64_t bytes = count_new(p);
    double s = (double)(now - p->measured_ns) / 1e9;
    if (s < 0.05)
        return;
    double rate = bytes > p->measured_bytes ? (double)(bytes - p->measured_bytes) / s : 0;
    double share = p->progress.rate > 0 ? 1 - exp(-s / SMOOTH_S) : 1;
    p->progress.rate += (rate - p->progress.rate) * share;
    p->measured_ns = now;
    p->measured_bytes = bytes;
}

static void sum_up(pull *p)
{
    kn_hub_progress *g = &p->progress;
    bool is_checking = false;
    g->done_bytes = p->whole_bytes;
    g->n_done = p->n_whole;
    g->file = "";
    for (int i = 0; i < p->n_parts; i++) {
        const kn_transfer *t = &p->transfers[i];
        uint64_t before = p->parts[i].there_before;
        g->done_bytes += t->have > before ? t->have : before;
        g->n_done += t->state == KN_TRANSFER_DONE;
        is_checking |= t->state == KN_TRANSFER_PREPARING;
        if (!*g->file && t->state != KN_TRANSFER_DONE)
            g->file = t->name;
    }
    measure(p);
    double left = (double)(g->total_bytes - g->done_bytes);
    g->eta_s = g->rate > 0 && !is_checking ? left / g->rate : -1;
    g->phase = is_checking ? KN_HUB_CHECKING : KN_HUB_FETCHING;
}

static void on_tick(void *ud)
{
    pull *p = ud;
    int ms = p->client.config.patience.progress_ms ? p->client.config.patience.progress_ms : 200;
    if (kn_clock_ns() - p->reported_ns < ms * 1000000ll)
        return;
    sum_up(p);
    report(p, p->progress.phase);
}

static void on_note(void *ud, const char *text)
{
    pull *p = ud;
    if (p->opts->note)
        p->opts->note(p->opts->ud, text);
}

/* ---- the steps ---- */

static int ask(pull *p, kn_err *err)
{
    const kn_hub_pull_opts *o = p->opts;
    json_t *index = NULL;
    report(p, KN_HUB_ASKING);
    int rc = kn_hub_ask(&p->client, o->id, o->revision, NULL, &p->repo, err);
    if (!rc && !o->file)
        rc = kn_hub_ask_index(&p->client, o->id, &p->repo, &index, err);
    if (!rc)
        rc = kn_choose(&p->repo, &(kn_wish){o->id, o->file, o->variant, index}, &p->choices, err);
    json_decref(index);
    return rc;
}

/* What has to be fetched, the largest files first so that none is left alone at the end. */
static int by_size(const void *a, const void *b)
{
    uint64_t x = (*(const kn_choice *const *)a)->file->size, y = (*(const kn_choice *const *)b)->file->size;
    return x < y ? 1 : x > y ? -1 : 0;
}

static int add_part(pull *p, const kn_choice *c, kn_err *err)
{
    char *url = kn_hub_file_url(&p->client, p->opts->id, p->repo.commit, c->file->path);
    return kn_part_init(&p->parts[p->n_parts], c, p->place.partial, url, &p->transfers[p->n_parts], err);
}

static int list_parts(pull *p, kn_err *err)
{
    const kn_choices *c = &p->choices;
    const kn_choice **wanted = kn_calloc((size_t)c->n + 1, sizeof *wanted);
    uint64_t missing = 0;
    int n = 0, rc = 0;
    p->parts = kn_calloc((size_t)c->n + 1, sizeof *p->parts);
    p->transfers = kn_calloc((size_t)c->n + 1, sizeof *p->transfers);
    if (!wanted || !p->parts || !p->transfers)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a list of files");
    for (int i = 0; !rc && i < c->n; i++) {
        uint64_t there = 0;
        if (kn_hub_place_is_whole(&p->place, &c->items[i], &there)) {
            p->whole_bytes += there;
            p->n_whole++;
        } else {
            wanted[n++] = &c->items[i];
            missing += c->items[i].file->size - there;
        }
    }
    if (!rc) {
        qsort((void *)wanted, (size_t)n, sizeof *wanted, by_size);
        rc = kn_hub_place_check_space(&p->place, missing, err);
    }
    for (int i = 0; !rc && i < n; i++, p->n_parts++)
        rc = add_part(p, wanted[i], err);
    free((void *)wanted);
    return rc;
}

static int fetch(pull *p, kn_err *err)
{
    kn_fetch_opts opts = p->client.fetch;
    opts.n_parallel = KN_LIMIT_HUB_PARALLEL;
    opts.tick = on_tick;
    p->measured_ns = kn_clock_ns();
    int rc = kn_transfers_run(&opts, p->transfers, p->n_parts, err);
    sum_up(p);
    if (!rc)
        report(p, KN_HUB_FINISHING);
    return rc;
}

static int fetch_and_install(pull *p, kn_err *err)
{
    int rc = kn_hub_place_prepare(&p->place, p->opts->id, p->repo.commit, &p->choices, err);
    if (!rc)
        rc = list_parts(p, err);
    if (!rc)
        rc = fetch(p, err);
    if (!rc)
        rc = kn_hub_place_install(&p->place, p->opts->id, p->repo.commit, &p->choices, err);
    return rc;
}

static int tell(const pull *p, bool was_there, kn_hub_pulled *ret, kn_err *err)
{
    *ret = (kn_hub_pulled){.was_there = was_there, .bytes = p->choices.size, .n_files = p->choices.n};
    memcpy(ret->revision, p->repo.commit, sizeof ret->revision);
    ret->path = p->choices.is_single ? kn_path_join(p->place.target, p->choices.items[0].as)
                                     : kn_strdup(p->place.target);
    return ret->path ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
}

static void clean_up(pull *p)
{
    for (int i = 0; i < p->n_parts; i++)
        kn_part_done(&p->parts[i]);
    free(p->parts);
    free(p->transfers);
    kn_hub_place_close(&p->place);
    kn_choices_done(&p->choices);
    kn_hub_repo_done(&p->repo);
    kn_hub_client_done(&p->client);
}

int kn_hub_pull(const kn_hub_config *c, const kn_hub_pull_opts *opts, kn_hub_pulled *ret, kn_err *err)
{
    pull p = {.opts = opts, .place = {.lock_fd = -1}, .progress = {.file = "", .eta_s = -1}};
    bool was_there = false;
    int rc = kn_hub_check_id(opts->id, err);
    if (!rc)
        rc = kn_hub_client_init(&p.client, c, opts->cancel, err);
    p.client.fetch.note = on_note;
    p.client.fetch.ud = &p;
    if (!rc)
        rc = kn_hub_place_open(&p.place, opts->models_dir, opts->id, opts->file, err);
    if (!rc)
        rc = ask(&p, err);
    p.progress.total_bytes = p.choices.size;
    p.progress.n_files = p.choices.n;
    if (!rc && !(was_there = kn_hub_place_has_all(&p.place, &p.choices)))
        rc = fetch_and_install(&p, err);
    if (!rc)
        rc = tell(&p, was_there, ret, err);
    clean_up(&p);
    return rc;
}
