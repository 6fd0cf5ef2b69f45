/* The Wan VAEs (2.1 and 2.2, diffusers' AutoencoderKLWan): a causal 3-D convolutional autoencoder.
 *
 * Both directions stream.  Decoding takes one latent frame at a time and hands out 1, then 4, 4, ... pictures;
 * encoding takes 1, then 4, 4, ... pictures.  What a convolution needs of the past (its last two input frames) lives
 * in a state, so memory does not depend on the number of frames.
 *
 * Layout: pictures f32 [frames, height, width, 3] in -1..1; latents f32 [frames, height/s, width/s, z], not
 * normalised (see latents_mean, latents_std). */
#ifndef KN_MODELS_WAN_VAE_H
#define KN_MODELS_WAN_VAE_H

#include "base/json.h"
#include "tensor/loader.h"
#include "tensor/ops.h"

enum { KN_WAN_VAE_MAX_LEVELS = 8, KN_WAN_VAE_MAX_Z = 256, KN_WAN_VAE_MAX_RES = 8 };

typedef struct kn_wan_vae_config {
    int base_dim, decoder_base_dim; /* channels at full resolution */
    int z_dim;
    int n_levels, dim_mult[KN_WAN_VAE_MAX_LEVELS];
    int n_res_blocks;
    bool temporal_downsample
        [KN_WAN_VAE_MAX_LEVELS]; /* config key "temperal_downsample", n_levels - 1 entries */
    bool residual;               /* 2.2: shortcuts around the resampling stages */
    int patch_size; /* 1, or 2 for 2.2: pixels folded into channels before the first convolution */
    int scale_spatial, scale_temporal;
    float latents_mean[KN_WAN_VAE_MAX_Z], latents_std[KN_WAN_VAE_MAX_Z];
} kn_wan_vae_config;

/* From vae/config.json; `origin` names it in messages. */
int kn_wan_vae_config_read(const json_t *obj, const char *origin, kn_wan_vae_config *ret, kn_err *err);
/* From the tensor shapes of a checkpoint with canonical names (single files carry no config).  The latent statistics
 * are the published ones of z_dim 16 (Wan 2.1) and 48 (Wan 2.2); another z_dim is KN_EUNSUPPORTED. */
int kn_wan_vae_config_derive(kn_checkpoint *ck, kn_wan_vae_config *ret, kn_err *err);

typedef struct kn_wan_res_block {
    kn_tensor norm1, norm2;
    const kn_weight *conv1, *conv2, *shortcut; /* shortcut NULL: identity */
    int64_t n_in, n_out;
} kn_wan_res_block;

typedef struct kn_wan_vae_attention {
    kn_tensor norm;
    const kn_weight *qkv, *proj;
} kn_wan_vae_attention;

typedef struct kn_wan_stage {
    kn_wan_res_block res[KN_WAN_VAE_MAX_RES];
    int n_res;
    int64_t n_in, n_out;
    const kn_weight *resample;  /* 3x3 per frame; NULL: no resampling */
    const kn_weight *time_conv; /* 3x1x1; NULL: time stays */
    int64_t n_resampled;        /* channels after `resample` */
    int factor_t, factor_s;     /* of the residual shortcut; 0: none */
} kn_wan_stage;

typedef struct kn_wan_half { /* encoder or decoder */
    const kn_weight *conv_in, *conv_out;
    int64_t n_first, n_last; /* channels after conv_in, before conv_out */
    kn_tensor norm_out;
    kn_wan_res_block mid[2];
    kn_wan_vae_attention attention;
    kn_wan_stage stages[KN_WAN_VAE_MAX_LEVELS];
    int n_stages;
} kn_wan_half;

typedef struct kn_wan_vae {
    kn_wan_vae_config config;
    kn_wan_half encoder, decoder; /* a half that was not loaded has conv_in NULL */
    const kn_weight *quant_conv, *post_quant_conv;
} kn_wan_vae;

enum { KN_WAN_VAE_ENCODER = 1, KN_WAN_VAE_DECODER = 2 };
/* Loads the wanted halves; l->err says how it went.  Use kn_wan_vae_ignore with kn_loader_finish. */
void kn_wan_vae_load(kn_wan_vae *v, const kn_wan_vae_config *config, kn_loader *l, unsigned halves);
extern const char *const kn_wan_vae_ignore_encoder[]; /* NULL-ended: what decoding alone leaves unread */
extern const char *const kn_wan_vae_ignore_decoder[];

/* Tiling in space, as diffusers does it: tiles of `min` pixels every `stride` pixels, overlaps blended linearly.
 * Used only where the picture is larger than the tile. */
typedef struct kn_wan_tiling {
    int min_height, min_width, stride_height, stride_width; /* pixels */
} kn_wan_tiling;

/* Receives finished pictures in order: n of them, [n, height, width, 3] f32 in -1..1 (clamped).  Non-zero stops. */
typedef int (*kn_wan_pictures_fn)(void *ud, int64_t first, int64_t n, const float *pictures, kn_err *err);
typedef void (*kn_wan_trace_fn)(void *ud, const char *name, kn_tensor t);

typedef struct kn_wan_vae_hooks {
    kn_wan_pictures_fn pictures;                             /* decode; not called on `meta` */
    void (*progress)(void *ud, int64_t done, int64_t total); /* in chunks (of all tiles); may be NULL */
    kn_wan_trace_fn trace; /* inner values for comparison with goldens; may be NULL */
    void *ud;
} kn_wan_vae_hooks;

/* latents: f32 [T, h, w, z] on the device.  tiling may be NULL. */
int kn_wan_vae_decode(kn_ctx *c, const kn_wan_vae *v, kn_tensor latents, const kn_wan_tiling *tiling,
                      const kn_wan_vae_hooks *hooks, kn_err *err);

/* A clip on the host: one pointer a frame, [height, width, 3] f32 in -1..1; NULL is a frame of zeros. */
typedef struct kn_wan_clip {
    int64_t n_frames, height, width;
    const float *const *frames;
} kn_wan_clip;

/* Returns the moments f32 [1 + (F-1)/4, h, w, 2z]: mean, then log variance.  Frames beyond 1 + 4k are ignored. */
kn_tensor kn_wan_vae_encode(kn_ctx *c, const kn_wan_vae *v, const kn_wan_clip *clip,
                            const kn_wan_tiling *tiling, const kn_wan_vae_hooks *hooks);

#endif
