/* What was published of Wan models for step caches that go by numbers of a model (engine/step_cache.h). */
#ifndef KN_MODELS_WAN_CACHE_NUMBERS_H
#define KN_MODELS_WAN_CACHE_NUMBERS_H

#include "models/wan/transformer.h"

/* What tells published models apart. */
typedef struct kn_wan_kind {
    const kn_wan_config *config;
    bool two_experts;
    bool expand_timesteps; /* TI2V */
    bool with_image;       /* of a request to TI2V */
    double flow_shift;     /* of the model's scheduler: image to video at 720p has 5, at 480p 3 */
} kn_wan_kind;

enum { KN_WAN_TEA_COEFFICIENTS = 5 };

/* MagCache's ratios over n_steps, nearest of those that were measured over 40 or 50; false: none are published for this model. */
bool kn_wan_mag_ratios(const kn_wan_kind *k, int n_steps, double *ret);
/* TeaCache's polynomial, highest power first, of the relative change of the projected timestep; NULL: none. */
const double *kn_wan_tea_polynomial(const kn_wan_kind *k);
/* Its value. */
double kn_wan_tea_change(const double *polynomial, double relative_change);

#endif
