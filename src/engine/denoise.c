/* The denoise loop and its initial noise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/guidance.h"
#include "engine/run_state.h"
#include "engine/step_cache.h"
#include "tensor/checkpoint.h"

static void trace(const kn_run *r, const kn_denoise *d, const float *data, const char *what, int step)
{
    char name[48];
    if (!r->trace)
        return;
    snprintf(name, sizeof name, "step%d.%s", step, what);
    r->trace(r->trace_ud, name, data, 1, &d->n);
}

/* Flow matching: latents = (1 - sigma) clean + sigma noise, and velocity = noise - clean. */
static void show(kn_run *r, const kn_denoise *d, int i, const float *velocity, float *clean)
{
    if (!r->preview || !d->preview)
        return;
    float sigma = (float)d->scheduler->sigmas[i];
    for (int64_t k = 0; k < d->n; k++)
        clean[k] = d->latents[k] - sigma * velocity[k];
    d->preview(d->ud, clean);
}

static int predict_step(kn_run *r, const kn_denoise *d, int i, double guidance, float *cond, float *uncond,
                        kn_err *err)
{
    double t = d->scheduler->timesteps[i];
    int rc = d->predict(d->ud, i, t, d->latents, cond, d->cfg ? uncond : NULL, err);
    if (rc)
        return rc;
    trace(r, d, cond, "cond", i);
    if (d->cfg) {
        trace(r, d, uncond, "uncond", i);
        kn_guidance_at at = {i, d->scheduler->n_steps, d->scheduler->sigmas[i], d->latents, d->n};
        kn_guide(r->rq->guidance_method, &at, guidance, cond, uncond);
    }
    show(r, d, i, cond, uncond); /* which is done with */
    return 0;
}

static void count_again(kn_stats *now, const kn_stats *before, int times)
{
    for (int k = 0; k < KN_WORK_COUNT; k++) {
        now->flops[k] += (now->flops[k] - before->flops[k]) * times;
        now->bytes[k] += (now->bytes[k] - before->bytes[k]) * times;
    }
    now->loaded_bytes += (now->loaded_bytes - before->loaded_bytes) * times;
    now->recalled_bytes += (now->recalled_bytes - before->recalled_bytes) * times;
    now->n_ops += (now->n_ops - before->n_ops) * times;
}

static int stage_of(const kn_denoise *d, int i)
{
    return d->stage ? d->stage(d->ud, i, d->scheduler->timesteps[i]) : 0;
}

/* table: of the model; NULL where the cache goes by none. */
static kn_step_cache_opts cache_opts(const kn_run *r, const kn_denoise *d, const double *table)
{
    return (kn_step_cache_opts){.name = r->rq->cache,
                                .speed = kn_step_cache_speed(r->rq->speed),
                                .probe_cost = d->probe_cost,
                                .table = table};
}

static int count_probes(kn_run *r, const kn_denoise *d, int i, int times, kn_err *err)
{
    kn_stats before = r->ctx->stats;
    double change;
    int rc = d->probe(d->ud, i, d->scheduler->timesteps[i], d->latents, &change, err);
    count_again(&r->ctx->stats, &before, times - 1);
    return rc;
}

/* On meta every step of a stage that is computed costs the same: run its first, count the rest.  Where blocks come and go,
 * the first finds none and later ones may find one: the second is run, too. */
static int count_stages(kn_run *r, const kn_denoise *d, float *cond, float *uncond, kn_err *err)
{
    kn_step_cache_opts opts = cache_opts(r, d, NULL);
    int n_steps = d->scheduler->n_steps, n_probes = kn_step_cache_probes(&opts, n_steps);
    r->n_computed = kn_step_cache_wanted(&opts, n_steps);
    for (int i = 0, n; i < n_steps; i += n) {
        double guidance = 1;
        for (n = 1; i + n < n_steps && stage_of(d, i + n) == stage_of(d, i); n++)
            ;
        int rc = d->enter ? d->enter(d->ud, stage_of(d, i), &guidance, err) : 0;
        if (rc)
            return rc;
        rc = n_probes ? count_probes(r, d, i, (n * n_probes + n_steps - 1) / n_steps, err) : 0;
        if (rc)
            return rc;
        int computed = (n * r->n_computed + n_steps - 1) / n_steps;
        kn_stats before = r->ctx->stats;
        rc = predict_step(r, d, i, guidance, cond, uncond, err);
        bool again = !rc && computed > 1 && r->ctx->stats.loaded_bytes > before.loaded_bytes;
        if (again) {
            before = r->ctx->stats;
            rc = predict_step(r, d, i, guidance, cond, uncond, err);
        }
        if (rc)
            return rc;
        count_again(&r->ctx->stats, &before, again ? computed - 2 : computed - 1);
    }
    kn_phase_step(r, n_steps);
    return 0;
}

/* The stage that is entered, and its guidance scale. */
typedef struct entered {
    int stage;
    double guidance;
} entered;

/* A resumed run has kept no probe: that of the last computed step is made again. */
static int recall_probe(const kn_denoise *d, const kn_step_cache *c, kn_err *err)
{
    const float *input = kn_step_cache_last_input(c);
    double change;
    int last = c->state.last;
    if (!kn_step_cache_wants_probe(c) || !input)
        return 0;
    int rc = d->probe(d->ud, last, d->scheduler->timesteps[last], input, &change, err);
    if (!rc)
        d->probe_keep(d->ud);
    return rc;
}

static int compute_step(kn_run *r, const kn_denoise *d, int i, double guidance, kn_step_cache *cache,
                        double change, float *cond, float *uncond, kn_err *err)
{
    bool probed = kn_step_cache_wants_probe(cache);
    int rc = predict_step(r, d, i, guidance, cond, uncond, err);
    if (rc)
        return rc;
    if (kn_step_cache_was_held(cache))
        kn_scheduler_rejoin(d->scheduler, i, d->latents, cond);
    kn_step_cache_put(cache, d->latents, change, cond);
    if (probed)
        d->probe_keep(d->ud);
    return 0;
}

static int take_step(kn_run *r, const kn_denoise *d, int i, entered *e, kn_step_cache *cache, float *cond,
                     float *uncond, double *computing_s, kn_err *err)
{
    int rc = 0;
    double change = INFINITY;
    kn_step_cache_state before = cache->state;
    if (stage_of(d, i) != e->stage) {
        if (i > 0 && stage_of(d, i) != stage_of(d, i - 1)) /* not where a run is resumed */
            kn_step_cache_reset(cache);
        bool resumed = i > 0 && e->stage < 0;
        e->stage = stage_of(d, i);
        rc = d->enter ? d->enter(d->ud, e->stage, &e->guidance, err) : 0;
        if (!rc && resumed)
            rc = recall_probe(d, cache, err);
        kn_phase_resume(r);
    }
    if (!rc && kn_step_cache_wants_probe(cache))
        rc = d->probe(d->ud, i, d->scheduler->timesteps[i], d->latents, &change, err);
    if (!rc && !kn_step_cache_skip(cache, d->latents, change, cond)) {
        double begin = kn_clock_s();
        rc = compute_step(r, d, i, e->guidance, cache, change, cond, uncond, err);
        *computing_s += kn_clock_s() - begin;
    }
    if (rc) {
        cache->state = before; /* as the step that is to be done again found it */
        return rc;
    }
    kn_scheduler_step(d->scheduler, i, d->latents, cond);
    trace(r, d, d->latents, "latents", i);
    kn_phase_step(r, i + 1);
    return 0;
}

static int open_cache(const kn_run *r, const kn_denoise *d, double *table, kn_step_cache *cache, kn_err *err)
{
    const kn_step_cache_class *cls = kn_step_cache_find(r->rq->cache);
    int rc = 0;
    if (cls->has_table)
        rc = d->table(d->ud, cls->name, table, err);
    kn_step_cache_opts opts = cache_opts(r, d, cls->has_table ? table : NULL);
    return rc ? rc : kn_step_cache_init(cache, &opts, d->scheduler->n_steps, d->n, err);
}

static int solve(kn_run *r, const kn_denoise *d, float *cond, float *uncond, kn_err *err)
{
    entered e = {.stage = -1, .guidance = 1};
    kn_step_cache cache;
    double table[KN_LIMIT_STEPS];
    int first = kn_run_first_step(r), n_steps = d->scheduler->n_steps;
    int rc = open_cache(r, d, table, &cache, err);
    if (rc)
        return rc;
    kn_kept_step kept = {d->scheduler, &cache, d->latents, d->n};
    rc = kn_run_restore_step(r, &kept, err);
    kn_phase_skip(r, first);
    r->is_uneven = cache.arrays != NULL;
    int computed_before = cache.state.n_computed;
    double computing_s = 0, begin = kn_clock_s();
    for (int i = first; i < n_steps && !rc; i++) {
        rc = take_step(r, d, i, &e, &cache, cond, uncond, &computing_s, err);
        if (rc)
            kn_run_keep_step(r, &kept, i, true);
        else if (i + 1 < n_steps) /* the model keeps the final latents */
            kn_run_keep_step(r, &kept, i + 1, false);
    }
    r->n_computed = cache.state.n_computed;
    int computed = r->n_computed - computed_before;
    if (computed > 0)
        r->speedup = computing_s / computed * (n_steps - first) / (kn_clock_s() - begin);
    kn_step_cache_done(&cache);
    return rc;
}

int kn_denoise_run(kn_run *r, const kn_denoise *d, kn_err *err)
{
    float *cond = kn_calloc((size_t)d->n, sizeof *cond), *uncond = kn_calloc((size_t)d->n, sizeof *uncond);
    int rc = 0;
    if (!cond || !uncond)
        rc = kn_fail(err, KN_ENOMEM, "no memory for %lld latent values", (long long)d->n);
    else if (r->ctx->dev->is_meta)
        rc = count_stages(r, d, cond, uncond, err);
    else
        rc = solve(r, d, cond, uncond, err);
    free(cond);
    free(uncond);
    return rc;
}

static int noise_from_file(const char *path, int n_dims, const int64_t *dims, float *out, kn_err *err)
{
    kn_checkpoint *ck = NULL;
    int rc = kn_checkpoint_open(path, NULL, &ck, err);
    if (rc)
        return rc;
    kn_entry *e = kn_checkpoint_find(ck, "latents");
    char expected[128] = "", found[128] = "";
    for (int i = 0; i < n_dims; i++)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%lld", i ? ", " : "",
                 (long long)dims[i]);
    for (int i = 0; e && i < e->n_dims; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld", i ? ", " : "",
                 (long long)e->dims[i]);
    if (!e)
        rc = kn_fail(err, KN_EFORMAT, "%s has no tensor \"latents\"", path);
    else if (strcmp(expected, found) != 0)
        rc = kn_fail(err, KN_EINVAL, "latents of %s have shape [%s], this request needs [%s]", path, found,
                     expected);
    else
        rc = kn_entry_to_f32(e, out, err);
    kn_checkpoint_close(ck);
    return rc;
}

int kn_noise_make(const kn_request *rq, int n_dims, const int64_t *dims, float *out, kn_err *err)
{
    if (rq->latents)
        return noise_from_file(rq->latents, n_dims, dims, out, err);
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    kn_rng rng;
    kn_rng_seed(&rng, (uint64_t)rq->seed);
    kn_rng_normal(&rng, out, n);
    return 0;
}
