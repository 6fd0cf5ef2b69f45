/* Shared by the VAE's files only. */
#ifndef KN_MODELS_WAN_VAE_INTERNAL_H
#define KN_MODELS_WAN_VAE_INTERNAL_H

#include "models/wan/vae.h"
#include "tensor/device.h"

/* A convolution that looks two frames back keeps them here between chunks. */
enum { KN_WAN_HISTORY = 2, KN_WAN_VAE_MAX_CACHES = 160 };

typedef struct kn_wan_vae_state {
    kn_tensor cache[KN_WAN_VAE_MAX_CACHES];
    int n_caches;
    int next;      /* the cache of the next cached convolution of this chunk */
    int64_t chunk; /* 0 for the first */
    const kn_wan_vae_hooks *hooks;
    const char *half; /* "dec" or "enc", for trace names */
} kn_wan_vae_state;

/* Allocates zeroed caches for every cached convolution of a half, in the order the forward pass meets them;
 * height, width: of the input of conv_in. */
void kn_wan_state_init(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_vae *v, bool decoder, int64_t height,
                       int64_t width);

/* x [T, H, W, C] -> [T, H, W, C']: convolution 3x3x3 or 3x1x1 with the history of earlier chunks. */
kn_tensor kn_wan_causal_conv(kn_ctx *c, kn_wan_vae_state *s, kn_tensor x, const kn_weight *w, kn_dtype out);
/* The same on act(norm(x)), the normalised frames being written straight behind the history. */
kn_tensor kn_wan_norm_conv(kn_ctx *c, kn_wan_vae_state *s, kn_tensor x, kn_tensor gamma, const kn_weight *w,
                           kn_tensor add, kn_dtype out);
kn_tensor kn_wan_res_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_res_block *b, kn_tensor x);
/* All residual blocks of a stage. Frees x unless the stage's shortcut still needs it. */
kn_tensor kn_wan_stage_blocks(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor *x);
/* Residual block, attention, residual block. Frees x. */
kn_tensor kn_wan_mid_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_half *h, kn_tensor x);
void kn_wan_trace(kn_wan_vae_state *s, kn_tensor t, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One chunk through the decoder: z [1, h, w, z] -> [1 or 4, H, W, 3 * patch^2] f32, before unpatchifying. */
kn_tensor kn_wan_decode_chunk(kn_ctx *c, const kn_wan_vae *v, kn_wan_vae_state *s, kn_tensor z);
/* One chunk through the encoder: x [1 or 4, H, W, 3 * patch^2] -> moments [1, h, w, 2z] f32. */
kn_tensor kn_wan_encode_chunk(kn_ctx *c, const kn_wan_vae *v, kn_wan_vae_state *s, kn_tensor x);

/* Pixels <-> channels; channel order: colour, then x offset, then y offset (diffusers' patchify). */
kn_tensor kn_wan_patchify(kn_ctx *c, kn_tensor x, int p);
kn_tensor kn_wan_unpatchify(kn_ctx *c, kn_tensor x, int p);

/* ---- tiling (vae_tile.c) ---- */
typedef struct kn_wan_tile_grid {
    int64_t n_rows, n_cols;
    int64_t tile_h, tile_w, stride_h, stride_w; /* input units */
    int64_t out_stride_h, out_stride_w;         /* output units */
    int64_t blend_h, blend_w;                   /* output units */
    int64_t in_h, in_w, out_h, out_w;
} kn_wan_tile_grid;

/* Pixels [frames, h, w, channels] on the host; NULL on `meta`. */
typedef struct kn_wan_host_tile {
    int64_t h, w;
    float *pixels;
} kn_wan_host_tile;

/* Host tiles blended into a canvas as diffusers does: above first, then left, with already blended neighbours.  On `meta`
 * it only accounts for the memory. */
typedef struct kn_wan_canvas {
    kn_device *dev;
    const kn_wan_tile_grid *grid;
    int64_t n_frames, channels;
    float *pixels;                 /* [frames, out_h, out_w, channels] */
    kn_wan_host_tile *above, *row; /* n_cols each */
} kn_wan_canvas;

int kn_wan_canvas_init(kn_wan_canvas *cv, kn_device *dev, const kn_wan_tile_grid *g, int64_t n_frames,
                       int64_t channels, kn_err *err);
void kn_wan_canvas_done(kn_wan_canvas *cv);
/* A tile for this canvas. KN_ENOMEM. */
int kn_wan_canvas_tile(kn_wan_canvas *cv, int64_t h, int64_t w, kn_wan_host_tile *ret, kn_err *err);
void kn_wan_canvas_drop(kn_wan_canvas *cv, kn_wan_host_tile *t);
/* Takes the tile. Tiles come row by row. */
void kn_wan_canvas_put(kn_wan_canvas *cv, int64_t row, int64_t col, kn_wan_host_tile t);

#endif
