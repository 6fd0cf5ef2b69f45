/* One block: self attention, cross attention, feed-forward, on a residual stream. */
#include "models/wan/transformer_internal.h"

/* The hidden layer of the feed-forward is several times as wide as the rest: it is computed for this many tokens at a
 * time, enough for matrix products to run at full speed, so that it does not set the peak. */
enum { FFN_ROWS = 4096 };

kn_tensor kn_wan_modulate(kn_ctx *c, kn_tensor table, kn_tensor proj)
{
    kn_tensor m = kn_cast(c, proj, KN_F32);
    int64_t dim = proj.dims[2];
    for (int64_t i = 0; i < proj.dims[0] && kn_ok(c); i++) {
        kn_tensor rows = kn_reshape(c, kn_rows(c, m, i, 1), KN_DIMS(-1, dim));
        kn_add(c, rows, kn_reshape(c, kn_rows(c, table, i, 1), KN_DIMS(dim)), 1);
    }
    return m;
}

/* Modulation number i of `table` [6, timesteps, dim] for rows [begin, begin + n). */
static kn_mod pick(kn_ctx *c, const kn_wan_pass *p, kn_tensor table, int i, int64_t begin, int64_t n)
{
    int64_t dim = p->config->dim;
    return (kn_mod){.table = kn_reshape(c, kn_rows(c, table, i, 1), KN_DIMS(-1, dim)),
                    .row_group = kn_rows(c, p->row_group, begin, n)};
}

/* An output projection before gate and residual; only its comparison with a reference needs it on its own. */
static void trace_linear(kn_ctx *c, const kn_trace *trace, kn_tensor x, const kn_weight *w, const char *block,
                         const char *part)
{
    if (!kn_trace_wanted(trace))
        return;
    kn_tensor y = kn_linear(c, x, w, KN_ACT_NONE, KN_F32);
    kn_trace_tensor(trace, y, "%s.%s.out", block, part);
    kn_free(c, &y);
}

/* rms(x W + b), turned if there is a rope. */
static kn_tensor project_normed(kn_ctx *c, const kn_wan_config *f, kn_tensor x, const kn_weight *w,
                                kn_tensor norm, const kn_rope *rope)
{
    kn_tensor raw = kn_linear(c, x, w, KN_ACT_NONE, c->act);
    kn_tensor y = kn_rms_norm(c, raw, norm, f->eps, KN_ACT_NONE, rope, f->n_heads, c->act);
    kn_free(c, &raw);
    return y;
}

static void self_attention(kn_ctx *c, const kn_wan_pass *p, const kn_wan_block *b, const char *name,
                           kn_tensor x, kn_tensor mods)
{
    const kn_wan_config *f = p->config;
    const kn_wan_attention *a = &b->self;
    int64_t n = x.dims[0];
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_layer_norm(c, x, (kn_tensor){0}, (kn_tensor){0}, f->eps, pick(c, p, mods, 0, 0, n),
                                pick(c, p, mods, 1, 0, n), c->act);
    kn_tensor q = project_normed(c, f, h, a->q, a->norm_q, p->rope);
    kn_tensor k = project_normed(c, f, h, a->k, a->norm_k, p->rope);
    kn_tensor v = kn_linear(c, h, a->v, KN_ACT_NONE, c->act);
    kn_free(c, &h);
    kn_tensor o = kn_attention(c, q, k, v, f->n_heads, f->n_heads, NULL, c->act);
    kn_free(c, &q);
    kn_free(c, &k);
    kn_free(c, &v);
    trace_linear(c, p->trace, o, a->o, name, "attn1");
    kn_linear_residual(c, x, o, a->o, pick(c, p, mods, 2, 0, n));
    kn_scope_close(c, scope, (kn_tensor){0});
}

kn_wan_kv kn_wan_block_kv(kn_ctx *c, const kn_wan_config *f, const kn_wan_block *b,
                          const kn_wan_context *context)
{
    const kn_wan_attention *a = &b->cross;
    kn_wan_kv kv = {.k = project_normed(c, f, context->text, a->k, a->norm_k, NULL),
                    .v = kn_linear(c, context->text, a->v, KN_ACT_NONE, c->act)};
    if (f->image_dim) {
        kv.k_image = project_normed(c, f, context->image, a->add_k, a->norm_added_k, NULL);
        kv.v_image = kn_linear(c, context->image, a->add_v, KN_ACT_NONE, c->act);
    }
    return kv;
}

/* Text and picture are attended to apart (two softmaxes) and their results added. */
static void cross_attention(kn_ctx *c, const kn_wan_pass *p, const kn_wan_block *b, int index,
                            const char *name, kn_tensor x)
{
    const kn_wan_config *f = p->config;
    const kn_wan_attention *a = &b->cross;
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = f->cross_attn_norm
                      ? kn_layer_norm(c, x, b->norm2_w, b->norm2_b, f->eps, (kn_mod){0}, (kn_mod){0}, c->act)
                      : kn_cast(c, x, c->act);
    kn_tensor q = project_normed(c, f, h, a->q, a->norm_q, NULL);
    kn_free(c, &h);
    kn_wan_kv kv = p->context->kv ? p->context->kv[index] : kn_wan_block_kv(c, f, b, p->context);
    kn_attention_opts opts = {.bias = p->text_bias};
    kn_tensor o = kn_attention(c, q, kv.k, kv.v, f->n_heads, f->n_heads, &opts, c->act);
    if (f->image_dim) {
        kn_tensor i = kn_attention(c, q, kv.k_image, kv.v_image, f->n_heads, f->n_heads, NULL, c->act);
        kn_add(c, o, i, 1);
        kn_free(c, &i);
    }
    kn_free(c, &q);
    trace_linear(c, p->trace, o, a->o, name, "attn2");
    kn_linear_residual(c, x, o, a->o, (kn_mod){0});
    kn_scope_close(c, scope, (kn_tensor){0});
}

static void feed_forward(kn_ctx *c, const kn_wan_pass *p, const kn_wan_block *b, const char *name,
                         kn_tensor x, kn_tensor mods, int64_t begin, int64_t n)
{
    const kn_wan_config *f = p->config;
    kn_scope scope = kn_scope_open(c);
    kn_tensor rows = kn_rows(c, x, begin, n);
    kn_tensor h = kn_layer_norm(c, rows, (kn_tensor){0}, (kn_tensor){0}, f->eps,
                                pick(c, p, mods, 3, begin, n), pick(c, p, mods, 4, begin, n), c->act);
    kn_tensor g = kn_linear(c, h, b->ffn_in, KN_ACT_GELU_TANH, c->act);
    kn_free(c, &h);
    trace_linear(c, p->trace, g, b->ffn_out, name, "ffn");
    kn_linear_residual(c, rows, g, b->ffn_out, pick(c, p, mods, 5, begin, n));
    kn_scope_close(c, scope, (kn_tensor){0});
}

void kn_wan_block_forward(kn_ctx *c, const kn_wan_pass *p, const kn_wan_block *b, int index, const char *name,
                          kn_tensor x)
{
    if (!kn_ok(c) || kn_is_null(x))
        return;
    kn_scope scope = kn_scope_open(c);
    kn_tensor mods = kn_wan_modulate(c, b->modulation, p->time_proj);
    self_attention(c, p, b, name, x, mods);
    cross_attention(c, p, b, index, name, x);
    int64_t n = x.dims[0], parts = (n + FFN_ROWS - 1) / FFN_ROWS, rows = (n + parts - 1) / parts;
    for (int64_t at = 0; at < n && kn_ok(c); at += rows)
        feed_forward(c, p, b, name, x, mods, at, at + rows < n ? rows : n - at);
    kn_trace_tensor(p->trace, kn_ok(c) ? x : (kn_tensor){0}, "%s.out", name);
    kn_scope_close(c, scope, (kn_tensor){0});
}
