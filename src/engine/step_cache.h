/* Denoising steps that are not computed: the velocity of the last computed step is kept where it would hardly change.
 *
 * A user asks for a speed; from it follows how many steps are computed.  Which ones is what the caches differ in: each says by how
 * much leaving out a step errs, a step is computed once the sum of that since the last computed one reaches a threshold, and the
 * threshold is found such that the wanted number of steps is computed exactly.  The first quarter, which decides what
 * the picture becomes, and the last step are always computed.  What is carried over is the same for all: the guided velocity,
 * so that a step that is left out costs nothing and a cache needs two arrays of latents.
 *
 *     auto         the change of a step falls with the root of its number: what was measured where the first steps are all computed
 *     easy         EasyCache (Zhou et al. 2025, arXiv 2507.02860): velocity and input change in proportion, |dv| ~ slope * |dx|
 *     first-block  first-block cache (the idea of ParaAttention and of diffusers): the change of what the first block adds
 *     tea          TeaCache (Liu et al. 2024, arXiv 2411.19108): a polynomial, published for a model, of the change of the
 *                  embedded timestep
 *     mag          MagCache (Ma et al. 2025, arXiv 2506.09045): ratios of residuals, published for a model
 *     off          every step is computed
 *
 * What was measured of this and of other ways: docs/step-caches.md. */
#ifndef KN_ENGINE_STEP_CACHE_H
#define KN_ENGINE_STEP_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What request.cache may say. */
#define KN_STEP_CACHES "auto|easy|first-block|tea|mag|off"

/* What decides; plain data, saved with a run. */
typedef struct kn_step_cache_state {
    double slope;     /* easy: |dv| / |dx| */
    double rate;      /* relative change a step, where the last computed step was; 0: not known */
    double sum;       /* since the last computed step */
    double threshold; /* of it, until the next computed one */
    int32_t n_done, n_computed;
    int32_t last;          /* the last computed step; -1: none */
    int32_t n_since_reset; /* steps of this stage */
    int32_t n_first;       /* of them, those that are computed in any case */
    int32_t is_filled;     /* `arrays` hold something */
} kn_step_cache_state;

enum { KN_STEP_CACHE_ARRAYS = 2 };

typedef struct kn_step_cache kn_step_cache;

/* A cache: how it measures. */
typedef struct kn_step_cache_class {
    const char *name;
    bool has_table; /* goes by numbers of the model (kn_step_cache_opts.table) */
    bool probes;    /* wants to know of each step how much what the model begins with has changed */
    /* What holding step k adds to the sum, as it is thought when `from` was the last computed step. */
    double (*ahead)(const kn_step_cache *c, int from, int k);
    /* The sum at this step as it is measured. NULL: what was thought. */
    double (*measure)(const kn_step_cache *c, const float *input, double change);
    /* A step was computed; `arrays` are still those of the one before. May be NULL. */
    void (*learn)(kn_step_cache *c, const float *input, const float *velocity, double change);
} kn_step_cache_class;

struct kn_step_cache {
    const kn_step_cache_class *cls;
    int n_steps, n_wanted; /* to compute; equal: nothing is cached */
    int64_t n;             /* latent values */
    const double *table;
    kn_step_cache_state state;
    float *arrays; /* [KN_STEP_CACHE_ARRAYS, n]: input and velocity of the last computed step; NULL: off */
};

/* NULL (auto), or one of KN_STEP_CACHES. */
const kn_step_cache_class *kn_step_cache_find(const char *name);

typedef struct kn_step_cache_opts {
    const char *name;    /* of KN_STEP_CACHES; NULL: auto */
    double speed;        /* >= 1: what sampling takes with all steps computed, to what it may take */
    double probe_cost;   /* of the model: what a probe takes, in steps */
    const double *table; /* [n_steps], of the model; borrowed; NULL where the cache has none */
} kn_step_cache_opts;

/* How many of n_steps are computed, and how often the model is probed: for plans. */
int kn_step_cache_wanted(const kn_step_cache_opts *o, int n_steps);
int kn_step_cache_probes(const kn_step_cache_opts *o, int n_steps);
/* KN_ENOMEM. */
int kn_step_cache_init(kn_step_cache *c, const kn_step_cache_opts *o, int n_steps, int64_t n, kn_err *err);
void kn_step_cache_done(kn_step_cache *c);
/* Another model takes over: what was known of the first holds no longer. */
void kn_step_cache_reset(kn_step_cache *c);
/* Whether the model must be probed before the next step, for the `change` of the following two. */
bool kn_step_cache_wants_probe(const kn_step_cache *c);
/* The next step, at `input` [n]; change: relative to the last computed step, where the cache wanted it. True: its velocity is in `velocity`.
 * False: compute it and call _put. */
bool kn_step_cache_skip(kn_step_cache *c, const float *input, double change, float *velocity);
/* Whether steps were left out right before this one: the solver's history is of velocities that were kept
 * (kn_scheduler_rejoin). Before _put. */
bool kn_step_cache_was_held(const kn_step_cache *c);
void kn_step_cache_put(kn_step_cache *c, const float *input, double change, const float *velocity);
/* Input of the last computed step; NULL: there was none, or it was another model's. */
const float *kn_step_cache_last_input(const kn_step_cache *c);
/* "1.5x" -> 1.5; NULL -> 1. */
double kn_step_cache_speed(const char *text);

#endif
