/* kinora plan */
#include <stdlib.h>

#include "base/dirs.h"
#include "cli/cli.h"
#include "engine/estimate.h"

static double gflop(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f * 1e-9;
}

static void print_plan(const kn_estimate *e)
{
    const kn_request *rq = &e->request;
    const kn_plan *p = &e->plan;
    char a[32], b[32], c[32];
    char segments[64] = "";
    if (p->n_segments > 1)
        snprintf(segments, sizeof segments, " in %d segments of %lld", p->n_segments,
                 (long long)rq->segment_frames);
    printf("%lldx%lld, %lld frames%s, %lld steps on %s, computing in %s\n\n", (long long)rq->width,
           (long long)rq->height, (long long)rq->frames, segments, (long long)rq->steps, e->device,
           kn_dtype_name(p->dtype));
    printf("  %-10s %-28s %12s %10s %10s %10s\n", "phase", "", "GFLOP", "weights", "peak", "about");
    for (int i = 0; i < p->n_spans; i++) {
        const kn_span *s = &p->spans[i];
        printf("  %-10s %-28s %12.1f %10s %10s %10s\n", kn_phase_name(s->phase), s->detail, gflop(&s->stats),
               kn_format_bytes((double)s->weights_bytes, a, sizeof a),
               kn_format_bytes((double)s->peak_bytes, b, sizeof b),
               kn_format_seconds(s->seconds, c, sizeof c));
    }
    printf("\nneeds %s of the %s %s: %s; about %s\n", kn_format_bytes((double)p->need_bytes, a, sizeof a),
           kn_format_bytes((double)p->budget_bytes, b, sizeof b),
           p->budget_is_request ? "that the budget leaves" : "that are free",
           kn_plan_fits(p) ? "fits" : "does NOT fit", kn_format_seconds(p->seconds, c, sizeof c));
}

static void print_candidates(const kn_plan *p)
{
    char a[32], b[32];
    if (p->n_candidates < 2)
        return;
    printf("\nhow to make it fit, in the order tried\n\n  %-18s %-12s %10s %10s\n", "blocks in memory",
           "decoding", "needs", "about");
    for (int i = 0; i < p->n_candidates; i++) {
        const kn_candidate *c = &p->candidates[i];
        char blocks[32], tile[32] = "whole";
        snprintf(blocks, sizeof blocks, "%d of %d", c->policy.n_resident, p->n_blocks);
        if (c->policy.vae_tile)
            snprintf(tile, sizeof tile, "tiles of %lld", (long long)c->policy.vae_tile);
        printf("  %-18s %-12s %10s %10s  %s\n", blocks, tile,
               kn_format_bytes((double)c->need_bytes, a, sizeof a),
               kn_format_seconds(c->seconds, b, sizeof b), c->fits ? "fits" : c->reason);
    }
}

static void print_json(const kn_estimate *e)
{
    json_t *o = kn_estimate_to_json(e);
    char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
}

static void print_note(void *ud, const char *text)
{
    (void)ud;
    fprintf(stderr, "note: %s\n", text);
}

static int plan(const kn_request *rq, bool json, kn_err *err)
{
    const kn_model_desc *desc = NULL;
    char *path = NULL, *cache_dir = kn_dir_cache();
    kn_known_rates rates = {0};
    kn_estimate e = {0};
    int rc = kn_model_find(rq->model, &desc, &path, err);
    kn_estimate_opts opts = {.path = path, .cache_dir = cache_dir, .rates = &rates, .note = print_note};
    if (!rc)
        rc = kn_estimate_make(desc, rq, &opts, &e, err);
    if (!rc && json)
        print_json(&e);
    else if (!rc) {
        print_plan(&e);
        print_candidates(&e.plan);
    }
    if (!rc)
        kn_estimate_done(&e);
    free(path);
    free(cache_dir);
    return rc;
}

int kn_cmd_plan(const kn_args *a)
{
    bool json = false, help = false;
    const kn_switch switches[] = {{"json", NULL, "the plan as JSON", &json, NULL}, {0}};
    kn_err err = {0};
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_args_parse(a, &rq, switches, NULL, 0, &help, &err);
    if (help)
        kn_args_help(a, &(kn_usage){"plan --model NAME|DIR|FILE [OPTIONS as for generate]", switches, true,
                                    NULL, NULL});
    else if (!rc)
        rc = plan(&rq, json, &err);
    kn_request_done(&rq);
    return rc ? kn_cli_fail(&err) : 0;
}
