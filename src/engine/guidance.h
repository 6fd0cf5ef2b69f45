/* From two predictions to one: classifier-free guidance and two variants that keep it from overdoing. */
#ifndef KN_ENGINE_GUIDANCE_H
#define KN_ENGINE_GUIDANCE_H

#include <stdint.h>

/* What request.guidance_method may say. */
#define KN_GUIDANCE_METHODS "cfg|cfg-zero|apg"

/* Where the predictions were made. */
typedef struct kn_guidance_at {
    int step, n_steps;
    double sigma;         /* noise level; latents = (1 - sigma) video + sigma noise */
    const float *latents; /* [n] */
    int64_t n;
} kn_guidance_at;

/* cond [n] becomes the guided velocity.
 * cfg (NULL): uncond + scale (cond - uncond), Ho & Salimans 2022.
 * cfg-zero: CFG-Zero* (Fan et al. 2025, arXiv 2503.18886): uncond is first scaled to fit cond best, and the first 4 % of the
 *     steps, at least one, do nothing.
 * apg: adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416): of the difference of the predicted videos only
 *     what is orthogonal to the prediction counts (eta 0, no momentum, no norm threshold). */
void kn_guide(const char *method, const kn_guidance_at *at, double scale, float *cond, const float *uncond);

#endif
