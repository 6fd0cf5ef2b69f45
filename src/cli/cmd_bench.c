/* kinora bench: the denoiser and the VAE at real sizes, with random weights, against the machine's raw matrix rate. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/ram.h"
#include "cli/cli.h"

enum { MAX_REPEATS = 15 };

typedef struct bench {
    const kn_model_desc *desc;
    kn_request rq;
    kn_device *dev;
    kn_plan plan;
    double raw[2]; /* flop/s of the vendor's matrix product, before and after the run */
    double step_s; /* median seconds of a denoising step, over all repeats */
    double seconds[KN_MAX_SPANS][MAX_REPEATS], step_seconds[MAX_REPEATS];
    int n_repeats;
    kn_span spans[KN_MAX_SPANS];
    int n_spans;
    size_t peak_bytes;
    double rss_growth; /* bytes: peak resident memory less that before the run */
} bench;

static double flops(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f;
}

typedef struct listener {
    kn_progress progress;
    double step_s;
} listener;

static void on_event(void *ud, const kn_event *e)
{
    listener *l = ud;
    if (e->kind == KN_EVENT_PHASE_END && e->phase == KN_PHASE_SAMPLE)
        l->step_s = e->unit_s;
    kn_progress_event(&l->progress, e);
}

static int drop_pictures(void *ud, int64_t first, int64_t n, int width, int height, const float *rgb,
                         kn_err *err)
{
    (void)ud, (void)first, (void)n, (void)width, (void)height, (void)rgb, (void)err;
    return 0;
}

static int run(bench *b, void *model, kn_err *err)
{
    kn_ctx ctx = {0};
    kn_run r;
    listener l = {0};
    kn_progress_init(&l.progress, false);
    int rc = kn_plan_choose(b->desc, model, &b->rq, b->dev, NULL, NULL, &b->plan, err);
    if (!rc)
        rc = kn_ctx_init(&ctx, b->dev, kn_activation_dtype(b->plan.dtype), b->plan.pool_bytes, err);
    if (rc)
        return rc;
    kn_run_init(&r, &ctx, &b->rq);
    r.policy = b->plan.policy;
    r.event = on_event;
    r.event_ud = &l;
    r.pictures = drop_pictures;
    double before = (double)kn_ram_resident();
    kn_ram_reset_peak();
    rc = b->desc->generate(model, &r, err);
    double growth = (double)kn_ram_resident_peak() - before;
    b->rss_growth = growth > b->rss_growth ? growth : b->rss_growth;
    memcpy(b->spans, r.spans, sizeof b->spans);
    b->n_spans = r.n_spans;
    b->peak_bytes = r.peak_bytes;
    for (int i = 0; i < r.n_spans; i++)
        b->seconds[i][b->n_repeats] = r.spans[i].seconds;
    b->step_seconds[b->n_repeats++] = l.step_s;
    kn_run_done(&r);
    kn_ctx_done(&ctx);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return (v[n / 2] + v[(n - 1) / 2]) / 2;
}

static int run_all(bench *b, void *model, int64_t repeats, kn_err *err)
{
    for (int64_t i = 0; i < repeats; i++) {
        int rc = run(b, model, err);
        if (rc)
            return rc;
    }
    b->step_s = median(b->step_seconds, b->n_repeats);
    for (int i = 0; i < b->n_spans; i++)
        b->spans[i].seconds = median(b->seconds[i], b->n_repeats);
    return 0;
}

static double step_rate(const bench *b)
{
    for (int i = 0; i < b->n_spans; i++)
        if (b->spans[i].phase == KN_PHASE_SAMPLE && b->step_s > 0)
            return flops(&b->plan.spans[i].stats) / (double)b->rq.steps / b->step_s * 1e-9;
    return 0;
}

static double raw_rate(const bench *b)
{
    return (b->raw[0] > b->raw[1] ? b->raw[0] : b->raw[1]) * 1e-9;
}

static json_t *to_json(const bench *b, const char *config)
{
    json_t *phases = json_array();
    for (int i = 0; i < b->n_spans; i++) {
        const kn_span *s = &b->spans[i];
        double f = flops(&b->plan.spans[i].stats);
        json_array_append_new(phases, json_pack("{s:s, s:s, s:f, s:f, s:f, s:I, s:I}", "phase",
                                                kn_phase_name(s->phase), "detail", s->detail, "seconds",
                                                s->seconds, "gflop", f * 1e-9, "gflops",
                                                s->seconds > 0 ? f / s->seconds * 1e-9 : 0.0, "peak_bytes",
                                                (json_int_t)s->peak_bytes, "predicted_peak_bytes",
                                                (json_int_t)b->plan.spans[i].peak_bytes));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:i, s:o, s:f, s:f, s:f, s:f, s:I, s:I, s:i, s:I, s:I, "
        "s:f}",
        "config", config, "device", b->dev->description, "dtype", kn_dtype_name(b->plan.dtype), "width",
        (json_int_t)b->rq.width, "height", (json_int_t)b->rq.height, "frames", (json_int_t)b->rq.frames,
        "steps", (json_int_t)b->rq.steps, "threads", kn_parallel_threads(), "repeats", b->n_repeats, "phases",
        phases, "step_seconds", b->step_s, "step_gflops", step_rate(b), "raw_gflops", raw_rate(b),
        "raw_ratio", raw_rate(b) > 0 ? step_rate(b) / raw_rate(b) : 0.0, "peak_bytes",
        (json_int_t)b->peak_bytes, "predicted_peak_bytes", (json_int_t)b->plan.peak_bytes, "resident_blocks",
        b->plan.policy.n_resident, "vae_tile", (json_int_t)b->plan.policy.vae_tile, "need_bytes",
        (json_int_t)b->plan.need_bytes, "rss_growth_bytes", b->rss_growth);
}

static void print_text(const json_t *o)
{
    size_t i;
    const json_t *p;
    char a[32], c[32], d[32], e[32];
    json_array_foreach(json_object_get(o, "phases"), i, p) printf(
        "%-10s %-16s %9s  %8.0f GFLOP  %6.0f GFLOP/s  peak %s\n",
        json_string_value(json_object_get(p, "phase")), json_string_value(json_object_get(p, "detail")),
        kn_format_seconds(json_number_value(json_object_get(p, "seconds")), a, sizeof a),
        json_number_value(json_object_get(p, "gflop")), json_number_value(json_object_get(p, "gflops")),
        kn_format_bytes(json_number_value(json_object_get(p, "peak_bytes")), c, sizeof c));
    printf("step       %s, %.0f GFLOP/s = %.1f %% of the raw bf16 matrix rate, %.0f GFLOP/s\n",
           kn_format_seconds(json_number_value(json_object_get(o, "step_seconds")), a, sizeof a),
           json_number_value(json_object_get(o, "step_gflops")),
           100 * json_number_value(json_object_get(o, "raw_ratio")),
           json_number_value(json_object_get(o, "raw_gflops")));
    printf("memory     peak %s, predicted %s; the process grew by %s, predicted %s\n",
           kn_format_bytes(json_number_value(json_object_get(o, "peak_bytes")), a, sizeof a),
           kn_format_bytes(json_number_value(json_object_get(o, "predicted_peak_bytes")), c, sizeof c),
           kn_format_bytes(json_number_value(json_object_get(o, "rss_growth_bytes")), d, sizeof d),
           kn_format_bytes(json_number_value(json_object_get(o, "need_bytes")), e, sizeof e));
}

static int find_config(const char *config, bool with_text, const kn_model_desc **ret, void **ret_model,
                       kn_err *err)
{
    int rc = KN_EINVAL;
    for (int i = 0; kn_models[i]; i++) {
        if (!kn_models[i]->open_random)
            continue;
        rc = kn_models[i]->open_random(config, with_text, ret_model, err);
        *ret = kn_models[i];
        if (!rc)
            return 0;
    }
    return rc;
}

static int fill(kn_request *rq, kn_err *err)
{
    static const char *const defaults[][2] = {{"width", "832"}, {"height", "480"}, {"frames", "9"},
                                              {"steps", "3"},   {"seed", "1"},     {"prompt", "benchmark"}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if (kn_request_has(rq, kn_param_find(defaults[i][0])))
            continue;
        int rc = kn_request_set(rq, defaults[i][0], defaults[i][1], err);
        if (rc)
            return rc;
    }
    return 0;
}

static int execute(bench *b, const char *config, int repeats, bool with_text, bool json, kn_err *err)
{
    void *model = NULL;
    kn_cpu_options cpu = {.n_threads = b->rq.threads == KN_UNSET_INT ? 0 : (int)b->rq.threads};
    int rc = fill(&b->rq, err);
    if (!rc)
        rc = find_config(config, with_text, &b->desc, &model, err);
    if (rc)
        return rc;
    rc = b->desc->prepare(model, &b->rq, NULL, NULL, err);
    if (!rc)
        rc = kn_device_open(b->rq.device, &cpu, &b->dev, err);
    if (!rc)
        rc = b->dev->ops->raw_matmul(b->dev, KN_BF16, &b->raw[0], err);
    if (!rc)
        rc = run_all(b, model, repeats, err);
    if (!rc)
        rc = b->dev->ops->raw_matmul(b->dev, KN_BF16, &b->raw[1], err);
    if (!rc) {
        json_t *o = to_json(b, config);
        char *text = json ? json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS) : NULL;
        if (text)
            printf("%s\n", text);
        else
            print_text(o);
        free(text);
        json_decref(o);
    }
    b->desc->close(model);
    kn_device_close(b->dev);
    return rc;
}

/* 0 for what is no small positive number. */
static int count_of(const char *s)
{
    char *end;
    long v = strtol(s, &end, 10);
    return *s && !*end && v > 0 && v < 1000 ? (int)v : 0;
}

int kn_cmd_bench(const kn_args *a)
{
    bool json = false, help = false, with_text = false, quality = false;
    const char *repeat = "1";
    const kn_switch switches[] = {
        {"with-text-encoder", NULL, "run the text encoder at its real size, too", &with_text, NULL},
        {"repeat", "N", "runs of the whole; medians are reported (default 1)", NULL, &repeat},
        {"quality", NULL, "errors of every layer of --model (default demo) against float32, worst first",
         &quality, NULL},
        {"json", NULL, "one JSON object on standard output", &json, NULL},
        {0},
    };
    kn_err err = {0};
    bench b = {0};
    kn_request_init(&b.rq);
    int rc = kn_args_parse(a, &b.rq, switches, NULL, 0, &help, &err);
    if (help)
        kn_args_help(
            a, &(kn_usage){
                   "bench [--config wan-1.3b|wan-14b|wan-i2v-a14b|wan-5b|config.json] [--width W --height "
                   "H --frames N --steps N --dtype D]\n"
                   "       kinora bench --quality [--model NAME|DIR|FILE] [--dtype D --steps N ...]",
                   switches, false, NULL, NULL});
    int repeats = count_of(repeat);
    if (!rc && !help && (repeats < 1 || repeats > MAX_REPEATS))
        rc =
            kn_fail(&err, KN_EINVAL, "repeat: \"%.32s\" is not a whole number of 1..%d", repeat, MAX_REPEATS);
    if (!rc && !help && quality)
        rc = kn_bench_quality(&b.rq, json, &err);
    else if (!rc && !help) /* --config names a published size here */
        rc = execute(&b, b.rq.config ? b.rq.config : "wan-1.3b", repeats, with_text, json, &err);
    kn_request_done(&b.rq);
    return rc ? kn_cli_fail(&err) : 0;
}
