#include "engine/plan.h"

#include <string.h>

#include "engine/segments.h"

/* What the program takes beside the plan's bytes: code that oneDNN generates, thread stacks, the libraries' own buffers.
 * Measured: 5 to 25 MB, from the demo model's transformer to Wan 1.3B (bench/memory.sh, bench/results). */
#define PROGRAM_BYTES ((size_t)16 << 20)

/* Text that was to be recalled from the cache may have to be encoded after all. */
#define POOL_SLACK_BYTES ((size_t)64 << 20)

/* x264 holds this many pictures of 12 bits a pixel: its look-ahead of 40, its references, and threads. */
enum { ENCODER_PICTURES = 60 };

kn_dtype kn_request_dtype(const kn_request *rq, const kn_device *dev)
{
    kn_dtype t = dev->has_bf16 ? KN_BF16 : KN_F32;
    if (rq->dtype)
        (void)kn_dtype_from_name(rq->dtype, &t);
    return t;
}

kn_dtype kn_activation_dtype(kn_dtype dtype)
{
    return dtype == KN_F32 ? KN_F32 : KN_BF16;
}

double kn_rates_seconds(const kn_rates *rates, const kn_stats *stats)
{
    double made = stats->loaded_bytes - stats->recalled_bytes;
    double s = stats->bytes[KN_WORK_MEMORY] / rates->bytes + made / rates->loading;
    for (int i = 0; i < KN_WORK_MEMORY; i++)
        s += stats->flops[i] / rates->flops[i];
    double reading = rates->disk > 0 ? stats->loaded_bytes / rates->disk : 0; /* beside the rest */
    return reading > s ? reading : s;
}

/* Frames that are kept or encoded while the device still holds its own. */
static size_t beside(const kn_request *rq)
{
    size_t pixels = (size_t)rq->width * (size_t)rq->height, bytes = PROGRAM_BYTES;
    if (rq->save_tensors)
        bytes += (size_t)rq->frames * pixels * 3 * sizeof(float);
    if (rq->output) {
        int64_t n = rq->frames < ENCODER_PICTURES ? rq->frames : ENCODER_PICTURES;
        bytes += (size_t)n * pixels * 3 / 2;
    }
    return bytes;
}

int kn_plan_make(const kn_model_desc *desc, void *model, const kn_request *rq, const kn_policy *policy,
                 kn_device *dev, const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err)
{
    kn_device *meta = NULL;
    kn_ctx ctx = {0};
    kn_run run = {0};
    kn_plan plan = {.dtype = kn_request_dtype(rq, dev), .mem_total_bytes = dev->mem_total_bytes};
    int rc = kn_meta_device_open(dev, &meta, err);
    if (rc)
        return rc;
    rc = kn_ctx_init(&ctx, meta, kn_activation_dtype(plan.dtype), 0, err);
    if (rc)
        goto out;
    kn_run_init(&run, &ctx, rq);
    run.policy = *policy;
    run.cache_dir = cache_dir;
    rc = kn_segments_generate(desc, model, &run, err);
    if (rc)
        goto out;
    memcpy(plan.spans, run.spans, sizeof plan.spans);
    plan.n_spans = run.n_spans;
    plan.peak_bytes = run.peak_bytes;
    plan.pool_bytes = run.pool_peak_bytes + POOL_SLACK_BYTES;
    plan.need_bytes = plan.peak_bytes + beside(rq);
    plan.n_segments = kn_segments_count(rq);
    plan.n_blocks = run.n_blocks;
    plan.policy = *policy;
    if (plan.policy.n_resident > plan.n_blocks)
        plan.policy.n_resident = plan.n_blocks;
    for (int i = 0; i < plan.n_spans; i++) {
        plan.spans[i].seconds = rates ? kn_rates_seconds(rates, &plan.spans[i].stats) : 0;
        plan.seconds += plan.spans[i].seconds;
    }
    *ret = plan;
out:
    kn_run_done(&run);
    kn_ctx_done(&ctx);
    kn_device_close(meta);
    return rc;
}

/* ---- as JSON ---- */

static double total_flops(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f;
}

static json_t *phases_to_json(const kn_plan *p)
{
    json_t *phases = json_array();
    for (int i = 0; i < p->n_spans; i++) {
        const kn_span *s = &p->spans[i];
        json_array_append_new(phases, json_pack("{s:s, s:s, s:I, s:f, s:I, s:f, s:I, s:f}", "phase",
                                                kn_phase_name(s->phase), "detail", s->detail, "units",
                                                (json_int_t)s->units, "flops", total_flops(&s->stats),
                                                "weights_bytes", (json_int_t)s->weights_bytes, "loaded_bytes",
                                                s->stats.loaded_bytes, "peak_bytes",
                                                (json_int_t)s->peak_bytes, "seconds", s->seconds));
    }
    return phases;
}

static json_t *candidates_to_json(const kn_plan *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n_candidates; i++) {
        const kn_candidate *c = &p->candidates[i];
        json_array_append_new(list,
                              json_pack("{s:i, s:I, s:I, s:f, s:b, s:s}", "resident_blocks",
                                        c->policy.n_resident, "vae_tile", (json_int_t)c->policy.vae_tile,
                                        "need_bytes", (json_int_t)c->need_bytes, "seconds", c->seconds,
                                        "fits", c->fits, "reason", c->reason));
    }
    return list;
}

json_t *kn_plan_to_json(const kn_plan *p)
{
    json_t *policy = json_pack("{s:s, s:i, s:I}", "dtype", kn_dtype_name(p->dtype), "resident_blocks",
                               p->policy.n_resident, "vae_tile", (json_int_t)p->policy.vae_tile);
    return json_pack("{s:s, s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:b, s:s?, s:o, s:o, s:o}", "dtype",
                     kn_dtype_name(p->dtype), "policy", policy, "segments", p->n_segments, "blocks",
                     p->n_blocks, "peak_bytes", (json_int_t)p->peak_bytes, "need_bytes",
                     (json_int_t)p->need_bytes, "budget_bytes", (json_int_t)p->budget_bytes,
                     "mem_total_bytes", (json_int_t)p->mem_total_bytes, "fits", kn_plan_fits(p), "advice",
                     kn_plan_fits(p) ? NULL : kn_plan_advice(p), "seconds",
                     p->seconds > 0 ? json_real(p->seconds) : json_null(), "phases", phases_to_json(p),
                     "candidates", candidates_to_json(p));
}

int kn_plan_pin(const json_t *plan, const char *origin, kn_request *rq, kn_err *err)
{
    static const char *const names[] = {"dtype", "resident_blocks", "vae_tile"};
    const json_t *policy = json_object_get(plan, "policy");
    json_t *wanted = json_object();
    kn_request from;
    kn_err why = {0};
    kn_request_init(&from);
    int rc = wanted ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a plan");
    if (!rc && !json_is_object(policy))
        rc = kn_fail(err, KN_EFORMAT, "%.200s has no \"policy\"; expected what kinora plan --json prints",
                     origin);
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
        if (json_object_get(policy, names[i]))
            json_object_set(wanted, names[i], json_object_get(policy, names[i]));
    if (!rc && kn_request_from_json(&from, wanted, &why))
        rc = kn_fail(err, KN_EFORMAT, "%.200s: policy: %s", origin, why.msg);
    if (!rc)
        rc = kn_request_fill(rq, &from, err);
    kn_request_done(&from);
    json_decref(wanted);
    return rc;
}
