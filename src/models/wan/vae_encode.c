/* Pictures to latents. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "models/wan/vae_internal.h"
#include "tensor/device.h"

/* Half the size, then (not for the first chunk) half as many frames. */
static kn_tensor downsample(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    kn_conv_opts halve = {.stride = {1, 2, 2}, .pad_hi = {0, 1, 1}};
    kn_tensor y = kn_conv(c, x, st->resample, &halve, c->act);
    if (!st->time_conv)
        return kn_scope_close(c, scope, y);
    kn_tensor cache = s->cache[s->next++];
    kn_tensor last = kn_rows(c, y, y.dims[0] - 1, 1);
    if (s->chunk > 0) {
        kn_tensor with_past = kn_concat(c, 0, 2, (kn_tensor[]){cache, y});
        kn_tensor halved = kn_conv(c, with_past, st->time_conv, &(kn_conv_opts){.stride = {2, 1, 1}}, c->act);
        kn_free(c, &with_past);
        kn_copy(c, cache, last);
        y = halved;
    } else {
        kn_copy(c, cache, last);
    }
    return kn_scope_close(c, scope, y);
}

/* The 2.2 encoder's shortcut around a stage: new channels are means over pixels, frames and channels (AvgDown3D). */
static kn_tensor average_down(kn_ctx *c, const kn_wan_stage *st, kn_tensor x)
{
    int64_t ft = st->factor_t, fs = st->factor_s;
    if (x.dims[0] % ft) {
        int64_t pad = ft - x.dims[0] % ft;
        kn_tensor zeros = kn_zeros(c, x.dtype, KN_DIMS(pad, x.dims[1], x.dims[2], x.dims[3]));
        x = kn_concat(c, 0, 2, (kn_tensor[]){zeros, x});
    }
    int64_t t = x.dims[0] / ft, h = x.dims[1] / fs, w = x.dims[2] / fs, ch = x.dims[3];
    kn_tensor v = kn_reshape(c, x, KN_DIMS(t, ft, h, fs, w, fs, ch));
    v = kn_permute(c, v, (const int[]){0, 2, 4, 6, 1, 3, 5});
    v = kn_reshape(c, v, KN_DIMS(t, h, w, ch * ft * fs * fs));
    return kn_mean_channels(c, v, (int)(ch * ft * fs * fs / st->n_out));
}

/* Frees x. */
static kn_tensor stage_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_wan_stage_blocks(c, s, st, &x), y = h;
    if (st->resample) {
        y = downsample(c, s, st, h);
        kn_free(c, &h);
    }
    if (st->factor_s)
        kn_add(c, y, average_down(c, st, x), 1.0f);
    kn_free(c, &x);
    return kn_scope_close(c, scope, y);
}

kn_tensor kn_wan_encode_chunk(kn_ctx *c, const kn_wan_vae *v, kn_wan_vae_state *s, kn_tensor x)
{
    const kn_wan_half *e = &v->encoder;
    kn_scope scope = kn_scope_open(c);
    s->next = 0;
    kn_tensor y = kn_wan_causal_conv(c, s, x, e->conv_in, c->act);
    kn_wan_trace(s, y, "conv_in");
    for (int i = 0; i < e->n_stages; i++)
        y = stage_forward(c, s, &e->stages[i], y);
    y = kn_wan_mid_forward(c, s, e, y);
    kn_tensor z = kn_wan_norm_conv(c, s, y, e->norm_out, e->conv_out, (kn_tensor){0}, KN_F32);
    kn_tensor moments = kn_conv(c, z, v->quant_conv, &(kn_conv_opts){0}, KN_F32);
    KN_ASSERT(!kn_ok(c) || s->next == s->n_caches);
    s->chunk++;
    return kn_scope_close(c, scope, moments);
}

/* A window of a clip, in pixels of the picture; patchified on upload. */
typedef struct window {
    const kn_wan_clip *clip;
    int64_t y, h, x, w;
} window;

static kn_tensor upload(kn_ctx *c, const window *win, int64_t first, int64_t n, int patch)
{
    if (c->dev->is_meta)
        return kn_wan_patchify(c, kn_empty(c, KN_F32, KN_DIMS(n, win->h, win->w, 3)), patch);
    size_t row = (size_t)win->w * 3, frame = (size_t)win->h * row;
    float *host = kn_calloc((size_t)n * frame, sizeof(float));
    if (!host)
        return kn_ctx_fail(c, KN_ENOMEM, "no memory for %lld pictures of %lldx%lld", (long long)n,
                           (long long)win->w, (long long)win->h);
    for (int64_t i = 0; i < n; i++) {
        const float *src = win->clip->frames[first + i];
        for (int64_t y = 0; src && y < win->h; y++)
            memcpy(host + (size_t)i * frame + (size_t)y * row,
                   src + ((size_t)(win->y + y) * (size_t)win->clip->width + (size_t)win->x) * 3,
                   row * sizeof(float));
    }
    kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(n, win->h, win->w, 3), host);
    free(host);
    return kn_wan_patchify(c, x, patch);
}

/* Encodes one window into `out` [T', h', w', 2z]. */
static void encode_window(kn_ctx *c, const kn_wan_vae *v, const window *win, kn_tensor out,
                          const kn_wan_vae_hooks *hooks, int64_t done, int64_t total)
{
    int p = v->config.patch_size;
    kn_scope scope = kn_scope_open(c);
    kn_wan_vae_state s = {.hooks = hooks};
    kn_wan_state_init(c, &s, v, false, win->h / p, win->w / p);
    for (int64_t i = 0; i < out.dims[0] && kn_ok(c); i++) {
        kn_scope inner = kn_scope_open(c);
        int64_t group = v->config.scale_temporal;
        kn_tensor x = i ? upload(c, win, 1 + group * (i - 1), group, p) : upload(c, win, 0, 1, p);
        kn_copy(c, kn_rows(c, out, i, 1), kn_wan_encode_chunk(c, v, &s, x));
        kn_scope_close(c, inner, (kn_tensor){0});
        if (hooks && hooks->progress)
            hooks->progress(hooks->ud, done + i + 1, total);
    }
    kn_scope_close(c, scope, (kn_tensor){0});
}

/* Latent size of a window: each resampling halves rounding down, after padding one at the far edge. */
static int64_t encoded_size(const kn_wan_vae *v, int64_t pixels)
{
    int64_t n = pixels / v->config.patch_size;
    for (int i = 0; i + 1 < v->config.n_levels; i++)
        n = (n + 1 - 3) / 2 + 1;
    return n;
}

static kn_tensor encode_tiled(kn_ctx *c, const kn_wan_vae *v, const kn_wan_clip *clip,
                              const kn_wan_tiling *tl, int64_t n_latents, const kn_wan_vae_hooks *hooks)
{
    /* A quirk of the reference that its goldens hold: with patch_size 2 the tile sizes, meant in pixels, are applied
     * to the patchified picture, so tiles are twice as large here as in decoding. */
    int64_t p = v->config.patch_size, ratio = v->config.scale_spatial / p, z2 = 2 * v->config.z_dim;
    kn_wan_tile_grid g = {
        .tile_h = tl->min_height,
        .tile_w = tl->min_width,
        .stride_h = tl->stride_height,
        .stride_w = tl->stride_width,
        .out_stride_h = tl->stride_height / ratio,
        .out_stride_w = tl->stride_width / ratio,
        .blend_h = tl->min_height / ratio - tl->stride_height / ratio,
        .blend_w = tl->min_width / ratio - tl->stride_width / ratio,
        .in_h = clip->height / p,
        .in_w = clip->width / p,
        .out_h = clip->height / p / ratio,
        .out_w = clip->width / p / ratio,
    };
    if (g.stride_h < ratio || g.stride_w < ratio)
        return kn_ctx_fail(c, KN_EINVAL, "VAE tile stride of %dx%d pixels: must be at least %d",
                           tl->stride_width, tl->stride_height, v->config.scale_spatial);
    g.n_rows = (g.in_h + g.stride_h - 1) / g.stride_h;
    g.n_cols = (g.in_w + g.stride_w - 1) / g.stride_w;
    kn_tensor result = kn_empty(c, KN_F32, KN_DIMS(n_latents, g.out_h, g.out_w, z2));
    kn_wan_canvas cv = {0};
    kn_err err = {0};
    if (kn_wan_canvas_init(&cv, c->dev, &g, n_latents, z2, &err))
        return kn_ctx_fail(c, err.code, "%s", err.msg);
    for (int64_t i = 0; i < g.n_rows * g.n_cols && kn_ok(c); i++) {
        int64_t row = i / g.n_cols, col = i % g.n_cols, y = row * g.stride_h, x = col * g.stride_w;
        int64_t h = g.in_h - y < g.tile_h ? g.in_h - y : g.tile_h,
                w = g.in_w - x < g.tile_w ? g.in_w - x : g.tile_w;
        window win = {clip, y * p, h * p, x * p, w * p};
        kn_scope scope = kn_scope_open(c);
        int64_t oh = encoded_size(v, h * p), ow = encoded_size(v, w * p);
        kn_tensor tile = kn_empty(c, KN_F32, KN_DIMS(n_latents, oh, ow, z2));
        encode_window(c, v, &win, tile, hooks, i * n_latents, g.n_rows * g.n_cols * n_latents);
        kn_wan_host_tile host;
        if (kn_ok(c) && kn_wan_canvas_tile(&cv, oh, ow, &host, &err))
            kn_ctx_fail(c, err.code, "%s", err.msg);
        if (kn_ok(c)) {
            if (host.pixels)
                kn_to_f32(c, tile, host.pixels);
            kn_wan_canvas_put(&cv, row, col, host);
        }
        kn_scope_close(c, scope, (kn_tensor){0});
    }
    if (!c->dev->is_meta && kn_ok(c))
        kn_copy(c, result, kn_from_f32(c, KN_F32, KN_DIMS(n_latents, g.out_h, g.out_w, z2), cv.pixels));
    kn_wan_canvas_done(&cv);
    return result;
}

kn_tensor kn_wan_vae_encode(kn_ctx *c, const kn_wan_vae *v, const kn_wan_clip *clip,
                            const kn_wan_tiling *tiling, const kn_wan_vae_hooks *hooks)
{
    int64_t n = 1 + (clip->n_frames - 1) / v->config.scale_temporal;
    if (clip->n_frames < 1 || clip->height % v->config.scale_spatial || clip->width % v->config.scale_spatial)
        return kn_ctx_fail(c, KN_EINTERNAL,
                           "cannot encode %lld pictures of %lldx%lld: sizes must be multiples of %d",
                           (long long)clip->n_frames, (long long)clip->width, (long long)clip->height,
                           v->config.scale_spatial);
    kn_scope scope = kn_scope_open(c);
    if (tiling && (clip->width > tiling->min_width || clip->height > tiling->min_height))
        return kn_scope_close(c, scope, encode_tiled(c, v, clip, tiling, n, hooks));
    window whole = {clip, 0, clip->height, 0, clip->width};
    kn_tensor out = kn_empty(
        c, KN_F32,
        KN_DIMS(n, encoded_size(v, clip->height), encoded_size(v, clip->width), 2 * v->config.z_dim));
    encode_window(c, v, &whole, out, hooks, 0, n);
    return kn_scope_close(c, scope, out);
}
