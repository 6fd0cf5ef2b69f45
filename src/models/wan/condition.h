/* Shared by the files that make conditions: pictures, control clips. */
#ifndef KN_MODELS_WAN_CONDITION_H
#define KN_MODELS_WAN_CONDITION_H

#include "models/wan/pipeline.h"

/* The VAE's encoder on the device, for one condition. */
typedef struct kn_wan_vae_encoder {
    kn_wan_vae vae;
    kn_weight_set set;
} kn_wan_vae_encoder;

int kn_wan_encoder_open(kn_wan_vae_encoder *e, kn_wan_model *m, kn_run *r, kn_err *err);
void kn_wan_encoder_close(kn_wan_vae_encoder *e, kn_run *r); /* accepts what a failed open left */
/* Normalised mode of the clip's latents, into out [z, n_out, h, w] beginning at latent frame `first` of n_out. */
int kn_wan_encoder_run(kn_wan_vae_encoder *e, kn_run *r, const kn_wan_clip *clip, float *out, int64_t n_out,
                       int64_t first, kn_err *err);

/* CLIP states of n pictures into cond->image_states. */
int kn_wan_encode_clip_states(kn_wan_model *m, kn_run *r, const kn_image *images, int n,
                              kn_wan_condition *cond, kn_err *err);
int kn_wan_control_condition(kn_wan_model *m, kn_run *r, kn_wan_condition *cond, kn_err *err);

#endif
