/* Which policy: the first that fits, from the one that costs nothing to the one that needs least. */
#include <stdio.h>
#include <string.h>

#include "base/ram.h"
#include "engine/plan.h"

/* Smaller tiles overlap more than they save. */
static const int64_t tiles[] = {256, 128};

typedef struct chooser {
    const kn_model_desc *desc;
    void *model;
    const kn_request *rq;
    kn_device *dev;
    const kn_rates *rates;
    const char *cache_dir;
    kn_plan plan; /* of the last policy that was tried, with all candidates */
} chooser;

bool kn_plan_fits(const kn_plan *p)
{
    return p->need_bytes <= p->budget_bytes;
}

static bool is_of_denoiser(const kn_span *s)
{
    return s->phase == KN_PHASE_LOAD || s->phase == KN_PHASE_SAMPLE;
}

/* Most device memory of the phases in which the denoiser's weights are there, or of all others. */
static const kn_span *worst(const kn_plan *p, bool denoiser)
{
    const kn_span *w = NULL;
    for (int i = 0; i < p->n_spans; i++)
        if (is_of_denoiser(&p->spans[i]) == denoiser && (!w || p->spans[i].peak_bytes > w->peak_bytes))
            w = &p->spans[i];
    return w;
}

static bool part_fits(const kn_plan *p, bool denoiser)
{
    const kn_span *w = worst(p, denoiser);
    return !w || w->peak_bytes + (p->need_bytes - p->peak_bytes) <= p->budget_bytes;
}

static size_t peak_of(const kn_plan *p, bool denoiser)
{
    const kn_span *w = worst(p, denoiser);
    return w ? w->peak_bytes : 0;
}

/* The reason names what does not fit. */
static void record(kn_plan *p)
{
    KN_ASSERT(p->n_candidates < KN_MAX_CANDIDATES);
    kn_candidate *c = &p->candidates[p->n_candidates++];
    *c = (kn_candidate){
        .policy = p->policy, .need_bytes = p->need_bytes, .seconds = p->seconds, .fits = kn_plan_fits(p)};
    for (int denoiser = 1; denoiser >= 0 && !c->fits; denoiser--) {
        const kn_span *w = worst(p, denoiser);
        if (!w || part_fits(p, denoiser))
            continue;
        size_t n = strlen(c->reason);
        snprintf(c->reason + n, sizeof c->reason - n, "%s%s needs %.2f GB", n ? ", " : "",
                 kn_phase_name(w->phase), (double)(w->peak_bytes + (p->need_bytes - p->peak_bytes)) / 1e9);
    }
}

static int try(chooser *ch, int n_resident, int64_t vae_tile, kn_err *err)
{
    kn_plan plan;
    kn_policy policy = {n_resident, vae_tile};
    int rc =
        kn_plan_make(ch->desc, ch->model, ch->rq, &policy, ch->dev, ch->rates, ch->cache_dir, &plan, err);
    if (rc)
        return rc;
    memcpy(plan.candidates, ch->plan.candidates, sizeof plan.candidates);
    plan.n_candidates = ch->plan.n_candidates;
    plan.budget_bytes = ch->plan.budget_bytes;
    plan.budget_is_request = ch->plan.budget_is_request;
    record(&plan);
    ch->plan = plan;
    return 0;
}

/* As many blocks as leave room for the rest.  The estimate is from the ends, and proved by trying. */
static int choose_residency(chooser *ch, int64_t tile, kn_err *err)
{
    enum { MAX_TRIES = 4 };
    int n_blocks = ch->plan.n_blocks;
    size_t all = peak_of(&ch->plan, true);
    int rc = try(ch, 0, tile, err);
    if (rc || !part_fits(&ch->plan, true))
        return rc;
    size_t none = peak_of(&ch->plan, true), step = all > none ? (all - none) / (size_t)n_blocks : 0;
    size_t room = ch->plan.budget_bytes - (ch->plan.need_bytes - ch->plan.peak_bytes) - none;
    int n = step ? (int)(room / step) : 0;
    for (int i = 0; i < MAX_TRIES && n > 0; i++) {
        n = n < n_blocks ? n : n_blocks - 1;
        rc = try(ch, n, tile, err);
        if (rc || part_fits(&ch->plan, true))
            return rc;
        n -= 1 + i;
    }
    return try(ch, 0, tile, err);
}

static int choose_tile(chooser *ch, kn_err *err)
{
    const kn_request *rq = ch->rq;
    int64_t side = rq->width > rq->height ? rq->width : rq->height;
    int rc = 0;
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles && !rc && !part_fits(&ch->plan, false); i++)
        if (tiles[i] < side)
            rc = try(ch, ch->plan.policy.n_resident, tiles[i], err);
    return rc;
}

/* A budget that the request names is the whole process's, so what that holds already counts; on a card it is the card's. */
static void set_budget(kn_plan *p, const kn_request *rq, const kn_device *dev)
{
    p->budget_is_request = rq->memory_budget != KN_UNSET_INT;
    size_t budget = dev->mem_available_bytes, held = dev->has_own_memory ? 0 : kn_ram_resident();
    held -= held < dev->mem_idle_bytes ? held : dev->mem_idle_bytes;
    if (p->budget_is_request) {
        budget = (size_t)rq->memory_budget;
        budget = budget > held ? budget - held : 0;
    }
    p->budget_bytes = budget;
}

int kn_plan_choose(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                   const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err)
{
    chooser ch = {desc, model, rq, dev, rates, cache_dir, {0}};
    kn_policy asked = kn_request_policy(rq);
    set_budget(&ch.plan, rq, dev);
    int rc = try(&ch, asked.n_resident, asked.vae_tile, err);
    if (!rc && rq->resident_blocks == KN_UNSET_INT && ch.plan.n_blocks && !part_fits(&ch.plan, true))
        rc = choose_residency(&ch, asked.vae_tile, err);
    if (!rc && rq->vae_tile == KN_UNSET_INT && kn_model_takes(desc, "vae_tile"))
        rc = choose_tile(&ch, err);
    if (!rc)
        *ret = ch.plan;
    return rc;
}

bool kn_policy_reduce(const kn_request *rq, kn_phase phase, kn_policy *p)
{
    if (phase != KN_PHASE_DECODE) {
        bool reducible = (phase == KN_PHASE_LOAD || phase == KN_PHASE_SAMPLE) &&
                         rq->resident_blocks == KN_UNSET_INT && p->n_resident > 0;
        p->n_resident = reducible ? p->n_resident / 2 : p->n_resident;
        return reducible;
    }
    int64_t side = rq->width > rq->height ? rq->width : rq->height, now = p->vae_tile ? p->vae_tile : side;
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles && rq->vae_tile == KN_UNSET_INT; i++)
        if (tiles[i] < now) {
            p->vae_tile = tiles[i];
            return true;
        }
    return false;
}

const char *kn_plan_advice(const kn_plan *p)
{
    const kn_span *denoiser = worst(p, true), *others = worst(p, false);
    bool sampling = denoiser && (!others || denoiser->peak_bytes >= others->peak_bytes);
    if (!sampling)
        return "a smaller vae_tile, or a smaller picture";
    return p->policy.n_resident > 0 ? "fewer resident_blocks, fewer frames, or a smaller picture"
                                    : "fewer frames, or a smaller picture";
}

int kn_plan_check(const kn_plan *p, kn_err *err)
{
    size_t most = p->budget_is_request ? p->budget_bytes : p->mem_total_bytes;
    if (p->need_bytes <= most)
        return 0;
    char buf[160];
    kn_plan_describe(p, buf, sizeof buf);
    return kn_fail(err, KN_ENOMEM, "this needs %.2f GB%s%s, and %s %.2f GB; to make it fit: %s",
                   (double)p->need_bytes / 1e9, *buf ? " when " : "", buf,
                   p->budget_is_request ? "the memory budget leaves" : "the device has", (double)most / 1e9,
                   kn_plan_advice(p));
}

const char *kn_plan_describe(const kn_plan *p, char *buf, size_t size)
{
    char blocks[64] = "", tile[64] = "";
    if (p->policy.n_resident < p->n_blocks)
        snprintf(blocks, sizeof blocks, "%d of %d blocks stay in memory", p->policy.n_resident, p->n_blocks);
    if (p->policy.vae_tile)
        snprintf(tile, sizeof tile, "pictures are decoded in tiles of %lld", (long long)p->policy.vae_tile);
    snprintf(buf, size, "%s%s%s", blocks, *blocks && *tile ? " and " : "", tile);
    return buf;
}
