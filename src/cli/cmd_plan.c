/* kinora plan */
#include <stdlib.h>

#include "base/dirs.h"
#include "cli/cli.h"
#include "engine/hardware.h"

static double gflop(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f * 1e-9;
}

static void print_plan(const kn_request *rq, const kn_plan *p, const kn_device *dev)
{
    char a[32], b[32], c[32];
    printf("%lldx%lld, %lld frames, %lld steps on %s, computing in %s\n\n", (long long)rq->width,
           (long long)rq->height, (long long)rq->frames, (long long)rq->steps, dev->description,
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

static void print_json(const kn_request *rq, const kn_plan *p)
{
    json_t *o = kn_plan_to_json(p);
    json_object_set_new(o, "request", kn_request_to_json(rq));
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

static int plan(const kn_request *given, bool json, kn_err *err)
{
    const kn_model_desc *desc = NULL;
    kn_request rq;
    kn_device *dev = NULL;
    void *model = NULL;
    char *path = NULL, *cache_dir = kn_dir_cache();
    kn_plan p;
    kn_rates rates = {0};
    int rc = kn_request_copy(given, &rq, err);
    if (!rc)
        rc = kn_model_find(rq.model, &desc, &path, err);
    if (!rc)
        rc = kn_model_open(desc, path, &rq, print_note, NULL, &model, err);
    if (rq.seed == KN_UNSET_INT)
        rq.seed = 0;
    kn_cpu_options cpu = {.n_threads = rq.threads == KN_UNSET_INT ? 0 : (int)rq.threads};
    if (!rc)
        rc = kn_cpu_device_open(&cpu, &dev, err);
    if (!rc)
        rc = kn_rates_measure(dev, kn_request_dtype(&rq, dev), &rates, err);
    if (!rc && path && kn_disk_usage(path) > dev->mem_available_bytes) /* more than the system can keep */
        rates.disk = kn_disk_read_rate(path);
    if (!rc)
        rc = kn_plan_choose(desc, model, &rq, dev, &rates, cache_dir, &p, err);
    if (!rc && json)
        print_json(&rq, &p);
    else if (!rc) {
        print_plan(&rq, &p, dev);
        print_candidates(&p);
    }
    if (desc)
        desc->close(model);
    kn_device_close(dev);
    kn_request_done(&rq);
    free(path);
    free(cache_dir);
    return rc;
}

int kn_cmd_plan(int argc, char **argv)
{
    bool json = false, help = false;
    const kn_switch switches[] = {{"json", NULL, "the plan as JSON", &json, NULL}, {0}};
    kn_err err = {0};
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_args_parse(argc, argv, &rq, switches, NULL, &help, &err);
    if (help)
        kn_args_help(stdout, "plan --model NAME|DIR|FILE [OPTIONS as for generate]", switches, true);
    else if (!rc)
        rc = plan(&rq, json, &err);
    kn_request_done(&rq);
    return rc ? kn_cli_fail(&err) : 0;
}
