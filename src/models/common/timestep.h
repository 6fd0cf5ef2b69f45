/* Sinusoidal embedding of diffusion timesteps. */
#ifndef KN_MODELS_COMMON_TIMESTEP_H
#define KN_MODELS_COMMON_TIMESTEP_H

/* out [n, dim]: cos of t * 10000^(-i/half) for i < half = dim/2, then sin; dim even (flip_sin_to_cos = True,
 * downscale_freq_shift = 0 in diffusers).  Computed in float32 with its roundings: at t = 999 the argument's own
 * rounding is already 6e-5, so more digits would be further from the reference. */
void kn_timestep_embedding(const float *timesteps, int n, int dim, float *out);

#endif
