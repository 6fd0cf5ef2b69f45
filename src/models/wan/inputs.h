/* Pictures and clips as the reference prepares them, on the host.
 *
 * Pictures become f32 [H, W, 3] in -1..1.  Conditions are in the reference's layout [C, T, h, w]. */
#ifndef KN_MODELS_WAN_INPUTS_H
#define KN_MODELS_WAN_INPUTS_H

#include "media/image.h"
#include "models/wan/vae.h"

/* A picture stretched to width x height with PIL's Lanczos filter. *ret: heap. */
int kn_wan_picture(const kn_image *im, int width, int height, float **ret, kn_err *err);

/* How pictures for CLIP are prepared (image_processor/preprocessor_config.json). */
typedef struct kn_wan_clip_pixels {
    int shortest_edge, crop_width, crop_height;
    float mean[3], std[3], rescale;
    bool resize, crop, normalize;
} kn_wan_clip_pixels;
void kn_wan_clip_pixels_default(kn_wan_clip_pixels *ret, int size); /* OpenAI's mean and deviation */
int kn_wan_clip_pixels_read(const json_t *obj, const char *origin, kn_wan_clip_pixels *ret, kn_err *err);
/* -> f32 [3, crop_height, crop_width]; as torchvision resizes, or (pil) as PIL does. *ret: heap. */
int kn_wan_clip_preprocess(const kn_wan_clip_pixels *p, const kn_image *im, bool pil, float **ret,
                           kn_err *err);

/* z <- (z - mean) / std, and back; z [T, h, w, z_dim]. */
void kn_wan_normalize(const kn_wan_vae_config *f, float *z, int64_t n);
void kn_wan_denormalize(const kn_wan_vae_config *f, float *z, int64_t n);

/* [T, h, w, C] <-> [C, T, h, w]; positions = T*h*w. */
void kn_wan_to_channels_first(const float *src, float *dst, int64_t positions, int64_t channels);
void kn_wan_to_channels_last(const float *src, float *dst, int64_t positions, int64_t channels,
                             int64_t dst_stride);

/* The mask channels of image conditioning [4, T, h, w]: ones where a latent's pictures are given: the first n_first latents',
 * perhaps the last picture. */
void kn_wan_image_mask(float *out, int64_t t, int64_t h, int64_t w, int64_t n_first, bool last_given);

/* A control clip for VACE: frames and mask at the target size. */
typedef struct kn_wan_control {
    int64_t n_frames, height, width;
    float *video;       /* [F, H, W, 3] in -1..1; zeros where none was given */
    float *mask;        /* [F, H, W] in 0..1; ones where none was given */
    float **references; /* n_references x [H, W, 3] on a white canvas */
    int n_references;
} kn_wan_control;
int kn_wan_control_init(kn_wan_control *c, int64_t n_frames, int64_t height, int64_t width, int n_references,
                        kn_err *err);
void kn_wan_control_done(kn_wan_control *c);
/* Frames beyond the last given one are KN_EINVAL; too many are cut. */
int kn_wan_control_video(kn_wan_control *c, const kn_image *frames, int n, kn_err *err);
int kn_wan_control_mask(kn_wan_control *c, const kn_image *frames, int n, kn_err *err);
int kn_wan_control_reference(kn_wan_control *c, int i, const kn_image *im, kn_err *err);
/* Mask as latent channels [s*s, T', h/s, w/s] (s: the VAE's spatial scale): pixels become channels, time is taken
 * nearest-exact. T' = (F + scale_temporal - 1) / scale_temporal. */
void kn_wan_control_mask_latents(const kn_wan_control *c, int scale, int scale_temporal, float *out);

#endif
