/* Latents to pictures. */
#include <stdlib.h>

#include "base/mem.h"
#include "models/wan/vae_internal.h"
#include "tensor/device.h"

/* [T, H, W, 2C] -> [2T, H, W, C]: the channel halves are the even and the odd frame. */
static kn_tensor interleave_frames(kn_ctx *c, kn_tensor x)
{
    int64_t t = x.dims[0], h = x.dims[1], w = x.dims[2], ch = x.dims[3] / 2;
    kn_tensor v = kn_reshape(c, x, KN_DIMS(t, h, w, 2, ch));
    v = kn_permute(c, v, (const int[]){0, 3, 1, 2, 4});
    return kn_reshape(c, v, KN_DIMS(2 * t, h, w, ch));
}

/* Twice as many frames (not for the first chunk, which stands for a single picture), then twice the size. */
static kn_tensor upsample(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    if (st->time_conv) {
        if (s->chunk == 0) {
            s->next++;
        } else {
            kn_tensor both = kn_wan_causal_conv(c, s, x, st->time_conv, c->act);
            x = interleave_frames(c, both);
            kn_free(c, &both);
        }
    }
    kn_conv_opts opts = {.pad_lo = {0, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = true};
    return kn_scope_close(c, scope, kn_conv(c, x, st->resample, &opts, c->act));
}

/* The 2.2 decoder's shortcut around a stage: channels dealt out over the new pixels and frames (DupUp3D), added to y.
 * One frame at a time: all of them would be the largest tensor of the whole decoding. */
static void add_duplicated(kn_ctx *c, const kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor x,
                           kn_tensor y)
{
    int64_t h = x.dims[1], w = x.dims[2], ft = st->factor_t, fs = st->factor_s, n_out = st->n_resampled;
    int64_t kept = s->chunk == 0 ? 1 : ft; /* the first chunk stands for a single picture */
    for (int64_t t = 0; t < x.dims[0]; t++) {
        kn_scope scope = kn_scope_open(c);
        kn_tensor r = kn_repeat_channels(c, kn_rows(c, x, t, 1), (int)(n_out * ft * fs * fs / st->n_in));
        kn_tensor v = kn_reshape(c, r, KN_DIMS(h, w, n_out, ft, fs, fs));
        v = kn_permute(c, v, (const int[]){3, 0, 4, 1, 5, 2});
        kn_free(c, &r);
        v = kn_reshape(c, v, KN_DIMS(ft, h * fs, w * fs, n_out));
        kn_add(c, kn_rows(c, y, t * kept, kept), kn_rows(c, v, ft - kept, kept), 1.0f);
        kn_scope_close(c, scope, (kn_tensor){0});
    }
}

/* Frees x. */
static kn_tensor stage_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_wan_stage_blocks(c, s, st, &x), y = h;
    if (st->resample) {
        y = upsample(c, s, st, h);
        kn_free(c, &h);
    }
    if (st->factor_s)
        add_duplicated(c, s, st, x, y);
    kn_free(c, &x);
    return kn_scope_close(c, scope, y);
}

kn_tensor kn_wan_decode_chunk(kn_ctx *c, const kn_wan_vae *v, kn_wan_vae_state *s, kn_tensor z)
{
    const kn_wan_half *d = &v->decoder;
    kn_scope scope = kn_scope_open(c);
    s->next = 0;
    kn_tensor x = kn_conv(c, z, v->post_quant_conv, &(kn_conv_opts){0}, c->act);
    kn_tensor y = kn_wan_causal_conv(c, s, x, d->conv_in, c->act);
    kn_free(c, &x);
    kn_wan_trace(s, y, "conv_in");
    y = kn_wan_mid_forward(c, s, d, y);
    for (int i = 0; i < d->n_stages; i++) {
        y = stage_forward(c, s, &d->stages[i], y);
        kn_wan_trace(s, y, "up%d", i);
    }
    kn_tensor out = kn_wan_norm_conv(c, s, y, d->norm_out, d->conv_out, (kn_tensor){0}, KN_F32);
    KN_ASSERT(!kn_ok(c) || s->next == s->n_caches);
    s->chunk++;
    return kn_scope_close(c, scope, out);
}

/* Decodes all chunks of one latent block [T, h, w, z]; `take` gets each chunk [n, H, W, 3 * p * p] f32. */
typedef int (*chunk_fn)(void *ud, kn_tensor chunk, int64_t first_frame, kn_err *err);

static int decode_chunks(kn_ctx *c, const kn_wan_vae *v, kn_tensor z, const kn_wan_vae_hooks *hooks,
                         int64_t done, int64_t total, chunk_fn take, void *ud, kn_err *err)
{
    int rc = 0;
    kn_scope scope = kn_scope_open(c);
    kn_wan_vae_state s = {.hooks = hooks};
    kn_wan_state_init(c, &s, v, true, z.dims[1], z.dims[2]);
    int64_t first = 0;
    for (int64_t i = 0; i < z.dims[0] && !rc; i++) {
        kn_scope inner = kn_scope_open(c);
        kn_tensor chunk = kn_wan_decode_chunk(c, v, &s, kn_rows(c, z, i, 1));
        rc = kn_ctx_error(c, err);
        if (!rc)
            rc = take(ud, chunk, first, err);
        first += chunk.dims[0];
        kn_scope_close(c, inner, (kn_tensor){0});
        if (!rc && hooks && hooks->progress)
            hooks->progress(hooks->ud, done + i + 1, total);
    }
    kn_scope_close(c, scope, (kn_tensor){0});
    return rc;
}

typedef struct untiled {
    kn_ctx *c;
    const kn_wan_vae *v;
    const kn_wan_vae_hooks *hooks;
    float *host;
    size_t host_size;
} untiled;

static int take_pictures(void *ud, kn_tensor chunk, int64_t first, kn_err *err)
{
    untiled *u = ud;
    kn_tensor rgb = kn_wan_unpatchify(u->c, chunk, u->v->config.patch_size);
    kn_clamp(u->c, rgb, -1.0f, 1.0f);
    if (u->c->dev->is_meta || !u->hooks || !u->hooks->pictures)
        return kn_ctx_error(u->c, err);
    size_t size = (size_t)kn_numel(rgb) * sizeof(float);
    if (size > u->host_size) {
        float *host = realloc(u->host, size);
        if (!host)
            return kn_fail(err, KN_ENOMEM, "no memory for %zu bytes of decoded pictures", size);
        u->host = host;
        u->host_size = size;
    }
    kn_to_f32(u->c, rgb, u->host);
    int rc = kn_ctx_error(u->c, err);
    return rc ? rc : u->hooks->pictures(u->hooks->ud, first, rgb.dims[0], u->host, err);
}

static int decode_untiled(kn_ctx *c, const kn_wan_vae *v, kn_tensor z, const kn_wan_vae_hooks *hooks,
                          kn_err *err)
{
    untiled u = {.c = c, .v = v, .hooks = hooks};
    int rc = decode_chunks(c, v, z, hooks, 0, z.dims[0], take_pictures, &u, err);
    free(u.host);
    return rc;
}

/* ---- tiled ---- */

typedef struct tile_sink {
    kn_ctx *c;
    float *pixels; /* [frames, h, w, channels]; NULL on meta */
} tile_sink;

static int take_tile_chunk(void *ud, kn_tensor chunk, int64_t first, kn_err *err)
{
    tile_sink *t = ud;
    if (t->pixels)
        kn_to_f32(t->c, chunk, t->pixels + first * kn_numel(kn_rows(t->c, chunk, 0, 1)));
    return kn_ctx_error(t->c, err);
}

/* z[:, y:y+h, x:x+w, :] */
static kn_tensor crop(kn_ctx *c, kn_tensor z, int64_t y, int64_t h, int64_t x, int64_t w)
{
    return kn_slice(c, kn_slice(c, z, 1, y, h), 2, x, w);
}

static int decode_tile(kn_ctx *c, const kn_wan_vae *v, kn_tensor z, const kn_wan_tile_grid *g, int64_t row,
                       int64_t col, kn_wan_canvas *cv, const kn_wan_vae_hooks *hooks, kn_err *err)
{
    int64_t y = row * g->stride_h, x = col * g->stride_w;
    int64_t h = g->in_h - y < g->tile_h ? g->in_h - y : g->tile_h;
    int64_t w = g->in_w - x < g->tile_w ? g->in_w - x : g->tile_w;
    int64_t up = g->out_h / g->in_h, n_tiles = g->n_rows * g->n_cols;
    kn_wan_host_tile tile;
    int rc = kn_wan_canvas_tile(cv, h * up, w * up, &tile, err);
    if (rc)
        return rc;
    tile_sink t = {.c = c, .pixels = tile.pixels};
    kn_scope scope = kn_scope_open(c);
    kn_tensor part = crop(c, z, y, h, x, w);
    rc = decode_chunks(c, v, part, hooks, (row * g->n_cols + col) * z.dims[0], n_tiles * z.dims[0],
                       take_tile_chunk, &t, err);
    kn_scope_close(c, scope, (kn_tensor){0});
    if (rc)
        kn_wan_canvas_drop(cv, &tile);
    else
        kn_wan_canvas_put(cv, row, col, tile);
    return rc;
}

/* The blended canvas, still patchified, as pictures. */
static int emit_canvas(const kn_wan_canvas *cv, int p, const kn_wan_vae_hooks *hooks, kn_err *err)
{
    int64_t h = cv->grid->out_h, w = cv->grid->out_w;
    float *rgb = kn_calloc((size_t)(h * p * w * p), 3 * sizeof(float));
    if (!rgb)
        return kn_fail(err, KN_ENOMEM, "no memory for a picture of %lldx%lld", (long long)(w * p),
                       (long long)(h * p));
    int rc = 0;
    for (int64_t f = 0; f < cv->n_frames && !rc; f++) {
        const float *src = cv->pixels + f * h * w * cv->channels;
        for (int64_t y = 0; y < h * p; y++)
            for (int64_t x = 0; x < w * p; x++)
                for (int64_t k = 0; k < 3; k++) {
                    float a = src[((y / p) * w + x / p) * cv->channels + (k * p + x % p) * p + y % p];
                    rgb[(y * w * p + x) * 3 + k] = a < -1.0f ? -1.0f : a > 1.0f ? 1.0f : a;
                }
        rc = hooks->pictures(hooks->ud, f, 1, rgb, err);
    }
    free(rgb);
    return rc;
}

static int decode_tiled(kn_ctx *c, const kn_wan_vae *v, kn_tensor z, const kn_wan_tiling *tl,
                        const kn_wan_vae_hooks *hooks, kn_err *err)
{
    int ratio = v->config.scale_spatial, p = v->config.patch_size;
    kn_wan_tile_grid g = {
        .tile_h = tl->min_height / ratio,
        .tile_w = tl->min_width / ratio,
        .stride_h = tl->stride_height / ratio,
        .stride_w = tl->stride_width / ratio,
        .out_stride_h = tl->stride_height / p,
        .out_stride_w = tl->stride_width / p,
        .blend_h = tl->min_height / p - tl->stride_height / p,
        .blend_w = tl->min_width / p - tl->stride_width / p,
        .in_h = z.dims[1],
        .in_w = z.dims[2],
        .out_h = z.dims[1] * ratio / p,
        .out_w = z.dims[2] * ratio / p,
    };
    if (g.stride_h < 1 || g.stride_w < 1 || g.tile_h < g.stride_h || g.tile_w < g.stride_w)
        return kn_fail(
            err, KN_EINVAL,
            "VAE tiles of %dx%d every %dx%d pixels: sizes must be at least %d and strides not larger",
            tl->min_width, tl->min_height, tl->stride_width, tl->stride_height, ratio);
    g.n_rows = (g.in_h + g.stride_h - 1) / g.stride_h;
    g.n_cols = (g.in_w + g.stride_w - 1) / g.stride_w;
    int64_t n_frames = 1 + (z.dims[0] - 1) * v->config.scale_temporal;
    kn_wan_canvas cv = {0};
    int rc = kn_wan_canvas_init(&cv, c->dev, &g, n_frames, 3 * p * p, err);
    for (int64_t i = 0; i < g.n_rows && !rc; i++)
        for (int64_t j = 0; j < g.n_cols && !rc; j++)
            rc = decode_tile(c, v, z, &g, i, j, &cv, hooks, err);
    if (!rc && !c->dev->is_meta && hooks && hooks->pictures)
        rc = emit_canvas(&cv, p, hooks, err);
    kn_wan_canvas_done(&cv);
    return rc;
}

int kn_wan_vae_decode(kn_ctx *c, const kn_wan_vae *v, kn_tensor z, const kn_wan_tiling *tiling,
                      const kn_wan_vae_hooks *hooks, kn_err *err)
{
    if (!kn_ok(c) || kn_is_null(z))
        return kn_ctx_error(c, err);
    int ratio = v->config.scale_spatial;
    if (tiling && (z.dims[2] > tiling->min_width / ratio || z.dims[1] > tiling->min_height / ratio))
        return decode_tiled(c, v, z, tiling, hooks, err);
    return decode_untiled(c, v, z, hooks, err);
}
