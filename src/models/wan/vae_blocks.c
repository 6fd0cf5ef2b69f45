/* The pieces both halves are made of: convolutions with history, residual blocks, attention. */
#include <stdio.h>
#include <string.h>

#include "models/wan/vae_internal.h"

/* F.normalize clamps the norm at 1e-12; as an epsilon inside the root of the mean that is 1e-24 / C. */
static float norm_eps(int64_t channels)
{
    return 1e-24f / (float)channels;
}

void kn_wan_trace(kn_wan_vae_state *s, kn_tensor t, const char *fmt, ...)
{
    if (!s->hooks || !s->hooks->trace || kn_is_null(t))
        return;
    char name[64], part[48];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    snprintf(name, sizeof name, "vae.%s.%s.chunk%lld", s->half, part, (long long)s->chunk);
    s->hooks->trace(s->hooks->ud, name, t);
}

/* A buffer [history + T, H, W, C] whose first frames are the history; the caller fills the rest. */
static kn_tensor history_begin(kn_ctx *c, kn_wan_vae_state *s, int64_t n_frames)
{
    kn_tensor cache = s->cache[s->next];
    kn_tensor buf = kn_empty(c, cache.dtype,
                             KN_DIMS(cache.dims[0] + n_frames, cache.dims[1], cache.dims[2], cache.dims[3]));
    kn_copy(c, kn_rows(c, buf, 0, cache.dims[0]), cache);
    return buf;
}

static void history_end(kn_ctx *c, kn_wan_vae_state *s, kn_tensor buf)
{
    kn_tensor cache = s->cache[s->next++];
    kn_copy(c, cache, kn_rows(c, buf, buf.dims[0] - cache.dims[0], cache.dims[0]));
}

static kn_tensor convolve(kn_ctx *c, kn_wan_vae_state *s, kn_tensor buf, const kn_weight *w, kn_tensor add,
                          kn_dtype out)
{
    if (!w)
        return (kn_tensor){0};
    int ph = (int)w->spec.dims[3] / 2, pw = (int)w->spec.dims[4] / 2;
    kn_conv_opts opts = {.pad_lo = {0, ph, pw}, .pad_hi = {0, ph, pw}, .add = add};
    history_end(c, s, buf);
    kn_tensor y = kn_conv(c, buf, w, &opts, out);
    kn_free(c, &buf);
    return y;
}

kn_tensor kn_wan_causal_conv(kn_ctx *c, kn_wan_vae_state *s, kn_tensor x, const kn_weight *w, kn_dtype out)
{
    kn_tensor buf = history_begin(c, s, x.dims[0]);
    kn_copy(c, kn_rows(c, buf, KN_WAN_HISTORY, x.dims[0]), x);
    return convolve(c, s, buf, w, (kn_tensor){0}, out);
}

kn_tensor kn_wan_norm_conv(kn_ctx *c, kn_wan_vae_state *s, kn_tensor x, kn_tensor gamma, const kn_weight *w,
                           kn_tensor add, kn_dtype out)
{
    kn_tensor buf = history_begin(c, s, x.dims[0]);
    kn_rms_norm_into(c, kn_rows(c, buf, KN_WAN_HISTORY, x.dims[0]), x, gamma, norm_eps(x.dims[3]),
                     KN_ACT_SILU);
    return convolve(c, s, buf, w, add, out);
}

kn_tensor kn_wan_res_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_res_block *b, kn_tensor x)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_wan_norm_conv(c, s, x, b->norm1, b->conv1, (kn_tensor){0}, c->act);
    kn_tensor shortcut = x;
    if (b->shortcut)
        shortcut = kn_conv(c, x, b->shortcut, &(kn_conv_opts){0}, c->act);
    kn_tensor y = kn_wan_norm_conv(c, s, h, b->norm2, b->conv2, shortcut, c->act);
    return kn_scope_close(c, scope, y);
}

kn_tensor kn_wan_stage_blocks(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_stage *st, kn_tensor *x)
{
    kn_tensor y = *x;
    for (int i = 0; i < st->n_res; i++) {
        kn_tensor next = kn_wan_res_forward(c, s, &st->res[i], y);
        if (i > 0)
            kn_free(c, &y);
        else if (!st->factor_s)
            kn_free(c, x);
        y = next;
    }
    return y;
}

/* Single-head attention over the pixels of each frame: x + proj(attend(norm(x))). */
static kn_tensor attend(kn_ctx *c, const kn_wan_vae_attention *a, kn_tensor x)
{
    int64_t t = x.dims[0], n = x.dims[1] * x.dims[2], ch = x.dims[3];
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_rms_norm(c, x, a->norm, norm_eps(ch), KN_ACT_NONE, NULL, 1, c->act);
    kn_tensor qkv = kn_linear(c, kn_reshape(c, h, KN_DIMS(t, n, ch)), a->qkv, KN_ACT_NONE, c->act);
    kn_free(c, &h);
    kn_tensor q = kn_slice(c, qkv, 2, 0, ch), k = kn_slice(c, qkv, 2, ch, ch),
              v = kn_slice(c, qkv, 2, 2 * ch, ch);
    kn_free(c, &qkv);
    kn_tensor o = kn_attention(c, q, k, v, 1, 1, &(kn_attention_opts){0}, c->act);
    kn_tensor y = kn_linear(c, o, a->proj, KN_ACT_NONE, c->act);
    y = kn_reshape(c, y, KN_DIMS(t, x.dims[1], x.dims[2], ch));
    kn_add(c, y, x, 1.0f);
    return kn_scope_close(c, scope, y);
}

kn_tensor kn_wan_mid_forward(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_half *h, kn_tensor x)
{
    kn_tensor a = kn_wan_res_forward(c, s, &h->mid[0], x);
    kn_free(c, &x);
    kn_tensor b = attend(c, &h->attention, a);
    kn_free(c, &a);
    kn_tensor y = kn_wan_res_forward(c, s, &h->mid[1], b);
    kn_free(c, &b);
    kn_wan_trace(s, y, "mid");
    return y;
}

static void add_cache(kn_ctx *c, kn_wan_vae_state *s, int64_t frames, int64_t h, int64_t w, int64_t channels)
{
    KN_ASSERT(s->n_caches < KN_WAN_VAE_MAX_CACHES);
    s->cache[s->n_caches++] = kn_zeros(c, c->act, KN_DIMS(frames, h, w, channels));
}

static void add_res_caches(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_res_block *b, int64_t h, int64_t w)
{
    add_cache(c, s, KN_WAN_HISTORY, h, w, b->n_in);
    add_cache(c, s, KN_WAN_HISTORY, h, w, b->n_out);
}

static void add_mid_caches(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_half *half, int64_t h, int64_t w)
{
    add_res_caches(c, s, &half->mid[0], h, w);
    add_res_caches(c, s, &half->mid[1], h, w);
}

void kn_wan_state_init(kn_ctx *c, kn_wan_vae_state *s, const kn_wan_vae *v, bool decoder, int64_t h,
                       int64_t w)
{
    const kn_wan_half *half = decoder ? &v->decoder : &v->encoder;
    int64_t n_in = decoder ? v->config.z_dim : 3 * v->config.patch_size * v->config.patch_size;
    s->half = decoder ? "dec" : "enc";
    add_cache(c, s, KN_WAN_HISTORY, h, w, n_in);
    if (decoder)
        add_mid_caches(c, s, half, h, w);
    for (int i = 0; i < half->n_stages; i++) {
        const kn_wan_stage *st = &half->stages[i];
        for (int j = 0; j < st->n_res; j++)
            add_res_caches(c, s, &st->res[j], h, w);
        if (decoder && st->time_conv)
            add_cache(c, s, KN_WAN_HISTORY, h, w, st->n_out);
        if (st->resample) {
            h = decoder ? 2 * h : (h + 1 - 3) / 2 + 1;
            w = decoder ? 2 * w : (w + 1 - 3) / 2 + 1;
        }
        if (!decoder && st->time_conv) /* stride 2 of kernel 3 reaches one frame back */
            add_cache(c, s, 1, h, w, st->n_out);
    }
    if (!decoder)
        add_mid_caches(c, s, half, h, w);
    add_cache(c, s, KN_WAN_HISTORY, h, w, half->n_last);
}

kn_tensor kn_wan_patchify(kn_ctx *c, kn_tensor x, int p)
{
    if (p == 1 || kn_is_null(x))
        return x;
    int64_t t = x.dims[0], h = x.dims[1] / p, w = x.dims[2] / p, ch = x.dims[3];
    kn_tensor v = kn_reshape(c, x, KN_DIMS(t, h, p, w, p, ch));
    v = kn_permute(c, v, (const int[]){0, 1, 3, 5, 4, 2});
    return kn_reshape(c, v, KN_DIMS(t, h, w, ch * p * p));
}

kn_tensor kn_wan_unpatchify(kn_ctx *c, kn_tensor x, int p)
{
    if (p == 1 || kn_is_null(x))
        return x;
    int64_t t = x.dims[0], h = x.dims[1], w = x.dims[2], ch = x.dims[3] / (p * p);
    kn_tensor v = kn_reshape(c, x, KN_DIMS(t, h, w, ch, p, p));
    v = kn_permute(c, v, (const int[]){0, 1, 5, 2, 4, 3});
    return kn_reshape(c, v, KN_DIMS(t, h * p, w * p, ch));
}
