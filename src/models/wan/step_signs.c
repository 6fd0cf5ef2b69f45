#include "models/wan/step_signs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/cache_numbers.h"

static kn_wan_kind kind_of(const kn_wan_model *m, const kn_request *rq)
{
    return (kn_wan_kind){.config = &m->dit[KN_WAN_HIGH],
                         .two_experts = m->dit_ck[KN_WAN_LOW] != NULL,
                         .expand_timesteps = m->expand_timesteps,
                         .with_image = rq->image != NULL,
                         .flow_shift = m->scheduler.flow_shift};
}

int kn_wan_check_cache(const kn_wan_model *m, const kn_request *rq, kn_err *err)
{
    kn_wan_kind k = kind_of(m, rq);
    double first;
    bool is_tea = rq->cache && strcmp(rq->cache, "tea") == 0,
         is_mag = rq->cache && strcmp(rq->cache, "mag") == 0;
    if (is_tea && !kn_wan_tea_polynomial(&k))
        return kn_fail(
            err, KN_EINVAL,
            "cache tea: no coefficients of TeaCache are published for this model (they are for Wan 2.1 "
            "T2V and I2V); expected auto, easy or first-block");
    if (is_mag && !kn_wan_mag_ratios(&k, 1, &first))
        return kn_fail(
            err, KN_EINVAL,
            "cache mag: no ratios of MagCache are published for this model (they are for Wan 2.1 T2V, I2V "
            "and VACE and for Wan 2.2); expected auto, easy or first-block");
    return 0;
}

static double mean_change(const float *a, const float *b, int64_t n)
{
    double changed = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        changed += fabs((double)a[i] - (double)b[i]);
        size += fabs((double)b[i]);
    }
    return size > 0 ? changed / size : INFINITY;
}

/* The polynomial was fitted to changes of the projected timestep from one step to the next. */
static int tea_table(kn_ctx *c, const kn_wan_transformer *t, const double *polynomial,
                     const double *timesteps, int n_steps, double *ret, kn_err *err)
{
    int64_t n = kn_wan_projected_time_size(&t->config);
    float *now = kn_calloc((size_t)n, 2 * sizeof *now), *before = now + (now ? n : 0), *swap;
    if (!now)
        return kn_fail(err, KN_ENOMEM, "no memory for %lld values of a timestep", (long long)n);
    float *both = now;
    ret[0] = 0;
    for (int i = 0; i < n_steps && kn_ok(c); i++) {
        kn_wan_transformer_projected_time(c, t, (float)timesteps[i], now);
        if (i > 0)
            ret[i] = kn_wan_tea_change(polynomial, mean_change(now, before, n));
        swap = now;
        now = before;
        before = swap;
    }
    free(both);
    return kn_ctx_error(c, err);
}

int kn_wan_cache_table(const kn_wan_model *m, kn_ctx *c, const kn_wan_transformer *t, const kn_request *rq,
                       const double *timesteps, const char *cache, double *ret, kn_err *err)
{
    kn_wan_kind k = kind_of(m, rq);
    if (strcmp(cache, "tea") == 0 && kn_wan_tea_polynomial(&k))
        return tea_table(c, t, kn_wan_tea_polynomial(&k), timesteps, (int)rq->steps, ret, err);
    if (strcmp(cache, "mag") == 0 && kn_wan_mag_ratios(&k, (int)rq->steps, ret))
        return 0;
    return kn_fail(err, KN_EINVAL, "cache %s: nothing is published for this model", cache);
}

/* ---- the first block ---- */

static bool make_room(kn_wan_probe *p, kn_ctx *c, int64_t n)
{
    if (p->seen)
        return true;
    p->n = n;
    p->seen = kn_calloc((size_t)n, sizeof *p->seen);
    p->kept = kn_calloc((size_t)n, sizeof *p->kept);
    kn_device_account_host(c->dev, 2 * n * (int64_t)sizeof *p->seen);
    if (!p->seen || !p->kept)
        kn_ctx_fail(c, KN_ENOMEM, "no memory for %lld values of the first block", (long long)n);
    return kn_ok(c);
}

void kn_wan_probe_run(kn_wan_probe *p, kn_ctx *c, const kn_wan_transformer *t, const kn_wan_input *in,
                      double *ret_change)
{
    *ret_change = INFINITY;
    if (!make_room(p, c, kn_wan_first_block_size(&t->config, in)))
        return;
    kn_wan_transformer_first_block(c, t, in, p->seen);
    if (kn_ok(c) && p->is_kept && !c->dev->is_meta)
        *ret_change = mean_change(p->seen, p->kept, p->n);
}

void kn_wan_probe_keep(kn_wan_probe *p)
{
    float *seen = p->seen;
    p->seen = p->kept;
    p->kept = seen;
    p->is_kept = true;
}

void kn_wan_probe_done(kn_wan_probe *p, kn_device *dev)
{
    if (p->seen)
        kn_device_account_host(dev, -2 * p->n * (int64_t)sizeof *p->seen);
    free(p->seen);
    free(p->kept);
    *p = (kn_wan_probe){0};
}
