/* Denoising steps that are not computed: the velocity of the last computed step is kept where it would hardly change.
 *
 * The measure is EasyCache's (Zhou et al. 2025, arXiv 2507.02860): velocity and input move together, |dv| ~ rate * |dx|, with a
 * rate that changes slowly.  The relative change that this predicts is added up over the steps since the last computed one;
 * while the sum is below a threshold, nothing is computed.  The velocity is kept as it is: EasyCache keeps its difference to
 * the input, which an earlier demo model's scores liked less (0.90, 0.68, 0.79, 0.73 at 2x instead of 0.93, 0.70, 0.81, 0.74).
 * A user asks for a speed instead of a threshold: the threshold is found on the way, so that the wanted number of steps is
 * computed exactly. The first steps and the last are always computed. */
#ifndef KN_ENGINE_STEP_CACHE_H
#define KN_ENGINE_STEP_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What decides; plain data, saved with a run. */
typedef struct kn_step_cache_state {
    double rate;      /* |dv| / |dx|; 0: not known */
    double sum;       /* of predicted relative changes since the last computed step */
    double threshold; /* as it stands */
    int32_t n_done, n_computed;
    int32_t n_since_reset; /* steps of this stage */
    int32_t is_filled;     /* `arrays` hold something */
} kn_step_cache_state;

enum { KN_STEP_CACHE_ARRAYS = 2 };

typedef struct kn_step_cache {
    int n_steps, n_wanted; /* to compute; equal: nothing is cached */
    int64_t n;             /* latent values */
    kn_step_cache_state state;
    float *
        arrays; /* [KN_STEP_CACHE_ARRAYS, n]: input of the last step, velocity of the last computed one; NULL: off */
} kn_step_cache;

/* speed >= 1: steps / computed steps that is asked for. KN_ENOMEM. */
int kn_step_cache_init(kn_step_cache *c, double speed, int n_steps, int64_t n, kn_err *err);
void kn_step_cache_done(kn_step_cache *c);
/* Another model takes over: what was known of the first holds no longer. */
void kn_step_cache_reset(kn_step_cache *c);
/* The next step, at `input` [n]. True: its velocity is in `velocity`. False: compute it and call _put. */
bool kn_step_cache_skip(kn_step_cache *c, const float *input, float *velocity);
void kn_step_cache_put(kn_step_cache *c, const float *input, const float *velocity);
/* How many of n steps are computed when a speed is asked for: for plans. */
int kn_step_cache_wanted(double speed, int n_steps);
/* "1.5x" -> 1.5; NULL -> 1. */
double kn_step_cache_speed(const char *text);

#endif
