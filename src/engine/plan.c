#include "engine/plan.h"

#include <string.h>

#include "base/clock.h"

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
    double s = stats->bytes[KN_WORK_MEMORY] / rates->bytes;
    for (int i = 0; i < KN_WORK_MEMORY; i++)
        s += stats->flops[i] / rates->flops[i];
    return s;
}

int kn_plan_make(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                 const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err)
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
    run.cache_dir = cache_dir;
    rc = desc->generate(model, &run, err);
    if (rc)
        goto out;
    memcpy(plan.spans, run.spans, sizeof plan.spans);
    plan.n_spans = run.n_spans;
    plan.peak_bytes = run.peak_bytes;
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

static double total_flops(const kn_stats *s)
{
    double f = 0;
    for (int i = 0; i < KN_WORK_COUNT; i++)
        f += s->flops[i];
    return f;
}

json_t *kn_plan_to_json(const kn_plan *p)
{
    json_t *phases = json_array();
    for (int i = 0; i < p->n_spans; i++) {
        const kn_span *s = &p->spans[i];
        json_array_append_new(phases, json_pack("{s:s, s:s, s:I, s:f, s:I, s:I, s:f}", "phase",
                                                kn_phase_name(s->phase), "detail", s->detail, "units",
                                                (json_int_t)s->units, "flops", total_flops(&s->stats),
                                                "weights_bytes", (json_int_t)s->weights_bytes, "peak_bytes",
                                                (json_int_t)s->peak_bytes, "seconds", s->seconds));
    }
    return json_pack("{s:s, s:I, s:I, s:f, s:o}", "dtype", kn_dtype_name(p->dtype), "peak_bytes",
                     (json_int_t)p->peak_bytes, "mem_total_bytes", (json_int_t)p->mem_total_bytes, "seconds",
                     p->seconds, "phases", phases);
}
