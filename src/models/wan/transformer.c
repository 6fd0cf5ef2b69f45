#include "models/wan/transformer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "models/common/timestep.h"
#include "models/wan/transformer_internal.h"

/* ---- what depends on the prompt and the picture ---- */

static kn_tensor embed_text(kn_ctx *c, const kn_wan_transformer *m, kn_tensor text)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_linear(c, text, m->text_1, KN_ACT_GELU_TANH, c->act);
    return kn_scope_close(c, scope, kn_linear(c, h, m->text_2, KN_ACT_NONE, c->act));
}

/* Norms of torch.nn.LayerNorm's default eps, unlike those of the blocks. */
static const float image_eps = 1e-5f;

static kn_tensor embed_image(kn_ctx *c, const kn_wan_transformer *m, kn_tensor image)
{
    const kn_wan_image_embedder *e = &m->image;
    const kn_mod none = {0};
    kn_scope scope = kn_scope_open(c);
    kn_tensor x = kn_cast(c, image, KN_F32);
    if (m->config.n_pos_embed)
        kn_add(c, x, e->pos, 1);
    kn_tensor h = kn_layer_norm(c, x, e->norm1_w, e->norm1_b, image_eps, none, none, c->act);
    h = kn_linear(c, h, e->in, KN_ACT_GELU_ERF, c->act);
    h = kn_linear(c, h, e->out, KN_ACT_NONE, KN_F32);
    return kn_scope_close(c, scope,
                          kn_layer_norm(c, h, e->norm2_w, e->norm2_b, image_eps, none, none, c->act));
}

static bool check_image(kn_ctx *c, const kn_wan_config *f, kn_tensor image)
{
    if (kn_is_null(image) != (f->image_dim == 0))
        kn_ctx_fail(c, KN_EINVAL, "transformer: %s",
                    f->image_dim ? "no picture states, and the model needs them"
                                 : "picture states for a model without");
    else if (f->n_pos_embed && image.dims[0] != f->n_pos_embed)
        kn_ctx_fail(c, KN_EINVAL,
                    "transformer: %lld picture tokens, expected %lld (a first and a last picture together)",
                    (long long)image.dims[0], (long long)f->n_pos_embed);
    return kn_ok(c);
}

void kn_wan_context_init(kn_ctx *c, const kn_wan_transformer *m, kn_tensor text, kn_tensor image,
                         const kn_trace *trace, kn_wan_context *ret)
{
    *ret = (kn_wan_context){0};
    if (!kn_ok(c) || !check_image(c, &m->config, image))
        return;
    ret->text = embed_text(c, m, text);
    kn_trace_tensor(trace, ret->text, "dit.text");
    if (m->config.image_dim)
        ret->image = embed_image(c, m, image);
    kn_trace_tensor(trace, ret->image, "dit.image");
}

void kn_wan_context_keep_kv(kn_ctx *c, const kn_wan_transformer *m, kn_wan_context *context)
{
    const kn_wan_config *f = &m->config;
    kn_wan_context_done(context);
    context->kv = kn_calloc((size_t)kn_wan_n_blocks(f), sizeof *context->kv);
    if (!context->kv) {
        kn_ctx_fail(c, KN_ENOMEM, "no memory for keys and values of %d blocks", kn_wan_n_blocks(f));
        return;
    }
    for (int i = 0; i < f->n_layers && kn_ok(c); i++)
        context->kv[i] = kn_wan_block_kv(c, f, kn_blocks_use(c, m->blocks, i), context);
    for (int i = 0; i < f->n_vace && kn_ok(c); i++)
        context->kv[f->n_layers + i] = kn_wan_block_kv(c, f, kn_blocks_use(c, m->vace_blocks, i), context);
    kn_blocks_rest(c, m->blocks);
    kn_blocks_rest(c, m->vace_blocks);
}

void kn_wan_context_done(kn_wan_context *context)
{
    free(context->kv);
    context->kv = NULL;
}

/* ---- what depends on the step ---- */

/* f32 [timesteps, dim]. */
static kn_tensor embed_time(kn_ctx *c, const kn_wan_transformer *m, const float *timesteps, int n)
{
    int64_t freq_dim = m->config.freq_dim;
    float *waves = kn_calloc((size_t)n, (size_t)freq_dim * sizeof *waves);
    if (!waves)
        return kn_ctx_fail(c, KN_ENOMEM, "no memory for %d timesteps", n);
    kn_timestep_embedding(timesteps, n, (int)freq_dim, waves);
    kn_scope scope = kn_scope_open(c);
    kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(n, freq_dim), waves);
    free(waves);
    kn_tensor h = kn_linear(c, x, m->time_1, KN_ACT_SILU, KN_F32);
    return kn_scope_close(c, scope, kn_linear(c, h, m->time_2, KN_ACT_NONE, KN_F32));
}

/* f32 [6, timesteps, dim]: a table for each modulation. */
static kn_tensor project_time(kn_ctx *c, const kn_wan_transformer *m, kn_tensor temb, const kn_trace *trace)
{
    int64_t n = temb.dims[0], dim = m->config.dim;
    kn_scope scope = kn_scope_open(c);
    kn_tensor x = kn_cast(c, temb, KN_F32);
    kn_activate(c, x, KN_ACT_SILU);
    kn_tensor p = kn_linear(c, x, m->time_proj, KN_ACT_NONE, KN_F32);
    kn_trace_tensor(trace, p, "dit.time_proj");
    p = kn_permute(c, kn_reshape(c, p, KN_DIMS(n, KN_WAN_MODS, dim)), (const int[]){1, 0, 2});
    return kn_scope_close(c, scope, p);
}

/* Softmax weights of n equal keys add up: one key whose score is raised by log n.  f32 [1, 1, n_text]. */
static kn_tensor text_bias(kn_ctx *c, const kn_wan_context *context)
{
    int64_t n = context->text.dims[0];
    float *bias = kn_calloc((size_t)n, sizeof *bias);
    if (!bias)
        return kn_ctx_fail(c, KN_ENOMEM, "no memory for %lld text tokens", (long long)n);
    bias[n - 1] = logf((float)context->n_equal);
    kn_tensor t = kn_from_f32(c, KN_F32, KN_DIMS(1, 1, n), bias);
    free(bias);
    return t;
}

/* [frames, height, width, channels] -> f32 [tokens, dim]. */
static kn_tensor patchify(kn_ctx *c, const kn_wan_config *f, const kn_weight *w, kn_tensor x)
{
    kn_conv_opts opts = {.stride = {f->patch[0], f->patch[1], f->patch[2]}};
    return kn_reshape(c, kn_conv(c, x, w, &opts, KN_F32), KN_DIMS(-1, f->dim));
}

/* [tokens, patch * channels] with channels fastest -> [frames, height, width, channels]. */
static kn_tensor unpatchify(kn_ctx *c, const kn_wan_config *f, kn_tensor x, const int64_t *grid)
{
    const int *p = f->patch;
    x = kn_reshape(c, x, KN_DIMS(grid[0], grid[1], grid[2], p[0], p[1], p[2], f->out_channels));
    x = kn_permute(c, x, (const int[]){0, 3, 1, 4, 2, 5, 6});
    return kn_reshape(c, x, KN_DIMS(grid[0] * p[0], grid[1] * p[1], grid[2] * p[2], f->out_channels));
}

static kn_tensor head(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_pass *p, kn_tensor x,
                      kn_tensor temb)
{
    int64_t n = temb.dims[0], dim = m->config.dim;
    kn_scope scope = kn_scope_open(c);
    kn_tensor twice[2] = {temb, temb};
    kn_tensor both = kn_reshape(c, kn_concat(c, 0, 2, twice), KN_DIMS(2, n, dim));
    kn_tensor mods = kn_wan_modulate(c, m->modulation, both);
    kn_mod shift = {kn_reshape(c, kn_rows(c, mods, 0, 1), KN_DIMS(n, dim)), p->row_group};
    kn_mod scale = {kn_reshape(c, kn_rows(c, mods, 1, 1), KN_DIMS(n, dim)), p->row_group};
    kn_tensor h = kn_layer_norm(c, x, (kn_tensor){0}, (kn_tensor){0}, m->config.eps, shift, scale, KN_F32);
    return kn_scope_close(c, scope, kn_linear(c, h, m->proj_out, KN_ACT_NONE, KN_F32));
}

/* ---- the blocks ---- */

/* One context's way through the blocks. */
typedef struct stream {
    kn_wan_pass pass;
    kn_tensor x;       /* f32 [tokens, dim] */
    kn_tensor control; /* the same of VACE's blocks; null without */
} stream;

/* The control stream where the first VACE block takes it up: proj_in(control) + x. */
static kn_tensor begin_control(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in, kn_tensor x)
{
    kn_tensor control = patchify(c, &m->config, m->vace_patch, in->control);
    const kn_wan_block *first = kn_blocks_use(c, m->vace_blocks, 0);
    if (!first)
        return (kn_tensor){0};
    kn_tensor s = kn_linear(c, control, first->proj_in, KN_ACT_NONE, KN_F32);
    kn_free(c, &control);
    kn_add(c, s, x, 1);
    return s;
}

/* VACE block i moves the control streams on and adds its hint to x.  A control stream never sees the main blocks, so
 * running it beside them gives the hints the reference computes beforehand, without keeping them all. */
static void add_hints(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in, int i, stream *s, int n)
{
    char name[32];
    snprintf(name, sizeof name, "dit.vace%d", i);
    const kn_wan_block *b = kn_blocks_use(c, m->vace_blocks, i);
    for (int k = 0; k < n && b; k++) {
        kn_scope scope = kn_scope_open(c);
        kn_wan_block_forward(c, &s[k].pass, b, m->config.n_layers + i, name, s[k].control);
        kn_tensor hint = kn_linear(c, s[k].control, b->proj_out, KN_ACT_NONE, c->act);
        kn_trace_tensor(s[k].pass.trace, hint, "%s.hint", name);
        kn_add(c, s[k].x, hint, in->control_scale ? in->control_scale[i] : 1);
        kn_scope_close(c, scope, (kn_tensor){0});
    }
    kn_blocks_rest(c, m->vace_blocks);
}

static bool is_skipped(const stream *s, int block)
{
    const bool *skipped = s->pass.context->skipped;
    return skipped && skipped[block];
}

static void run_blocks(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in, stream *s, int n)
{
    const kn_wan_config *f = &m->config;
    int n_hints = 0;
    for (int k = 0; k < n && f->n_vace; k++)
        s[k].control = begin_control(c, m, in, s[k].x);
    for (int i = 0; i < f->n_layers; i++) {
        char name[32];
        const kn_wan_block *b = kn_blocks_use(c, m->blocks, i);
        if (!b)
            return;
        snprintf(name, sizeof name, "dit.block%d", i);
        for (int k = 0; k < n; k++)
            if (!is_skipped(&s[k], i))
                kn_wan_block_forward(c, &s[k].pass, b, i, name, s[k].x);
        if (n_hints < f->n_vace && f->vace_layers[n_hints] == i)
            add_hints(c, m, in, n_hints++, s, n);
    }
    kn_blocks_rest(c, m->blocks);
}

/* ---- forward ---- */

static bool check_clip(kn_ctx *c, const kn_wan_config *f, const char *what, kn_tensor t, int64_t channels)
{
    char shape[KN_SHAPE_STR];
    bool ok = t.n_dims == 4 && t.dims[3] == channels;
    for (int i = 0; ok && i < 3; i++)
        ok = t.dims[i] % f->patch[i] == 0;
    if (!ok)
        kn_ctx_fail(c, KN_EINVAL,
                    "transformer: %s %s, expected [frames, height, width, %lld] in multiples of %d, %d, %d",
                    what, kn_shape_str(t, shape, sizeof shape), (long long)channels, f->patch[0], f->patch[1],
                    f->patch[2]);
    return ok;
}

static bool check_input(kn_ctx *c, const kn_wan_config *f, const kn_wan_input *in, int64_t n_tokens)
{
    if (!kn_ok(c) || !check_clip(c, f, "latents", in->latents, f->in_channels) ||
        (f->n_vace && !check_clip(c, f, "control", in->control, f->vace_in_channels)))
        return false;
    if (in->n_timesteps < 1 || (in->n_timesteps > 1 && !in->token_timestep))
        kn_ctx_fail(c, KN_EINVAL, "transformer: %d timesteps, expected 1, or more with one named a token",
                    in->n_timesteps);
    for (int64_t i = 0; in->token_timestep && i < n_tokens && kn_ok(c); i++)
        if (in->token_timestep[i] < 0 || in->token_timestep[i] >= in->n_timesteps)
            kn_ctx_fail(c, KN_EINVAL, "transformer: token %lld has timestep %d of %d", (long long)i,
                        (int)in->token_timestep[i], in->n_timesteps);
    return kn_ok(c);
}

static void trace_rope(kn_ctx *c, const kn_trace *trace, const kn_rope *rope)
{
    if (!kn_trace_wanted(trace))
        return;
    kn_tensor cosines = kn_repeat_channels(c, rope->cos, 2), sines = kn_repeat_channels(c, rope->sin, 2);
    kn_trace_tensor(trace, cosines, "dit.rope.cos");
    kn_trace_tensor(trace, sines, "dit.rope.sin");
    kn_free(c, &cosines);
    kn_free(c, &sines);
}

/* Everything that does not depend on the context. */
static void begin_streams(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in, int64_t n_tokens,
                          stream *s, int n, kn_tensor *ret_temb)
{
    const kn_wan_config *f = &m->config;
    kn_wan_pass pass = {.config = f, .rope = in->rope, .trace = in->trace};
    if (in->token_timestep)
        pass.row_group = kn_from_host(c, KN_I32, KN_DIMS(n_tokens), in->token_timestep);
    trace_rope(c, in->trace, in->rope);
    *ret_temb = embed_time(c, m, in->timesteps, in->n_timesteps);
    kn_trace_tensor(in->trace, *ret_temb, "dit.temb");
    pass.time_proj = project_time(c, m, *ret_temb, in->trace);
    for (int k = 0; k < n; k++) {
        s[k].pass = pass;
        s[k].x = k ? kn_cast(c, s[0].x, KN_F32) : patchify(c, f, m->patch, in->latents);
        kn_trace_tensor(pass.trace, s[k].x, "dit.patch");
        pass.trace = NULL; /* of the first only: names are the same for all */
    }
}

static int64_t count_tokens(const kn_wan_config *f, const kn_wan_input *in, int64_t ret_grid[3])
{
    int64_t n = 1;
    for (int i = 0; i < 3; i++) {
        ret_grid[i] = in->latents.dims[i] / f->patch[i];
        n *= ret_grid[i];
    }
    return n;
}

static void set_context(kn_ctx *c, stream *s, const kn_wan_context *context)
{
    s->pass.context = context;
    if (context->n_equal > 1)
        s->pass.text_bias = text_bias(c, context);
}

static kn_tensor forward(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in,
                         const kn_wan_context *const *contexts, int n)
{
    const kn_wan_config *f = &m->config;
    int64_t grid[3], n_tokens = count_tokens(f, in, grid);
    stream s[2] = {0};
    kn_tensor temb, y[2];
    if (!check_input(c, f, in, n_tokens))
        return (kn_tensor){0};
    kn_scope scope = kn_scope_open(c);
    begin_streams(c, m, in, n_tokens, s, n, &temb);
    for (int k = 0; k < n; k++)
        set_context(c, &s[k], contexts[k]);
    run_blocks(c, m, in, s, n);
    for (int k = 0; k < n; k++)
        y[k] = unpatchify(c, f, head(c, m, &s[k].pass, s[k].x, temb), grid);
    return kn_scope_close(c, scope, n == 1 ? y[0] : kn_concat(c, 0, n, y));
}

kn_tensor kn_wan_transformer_forward(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in)
{
    return forward(c, m, in, &in->context, 1);
}

kn_tensor kn_wan_transformer_forward_pair(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in,
                                          const kn_wan_context *other)
{
    return forward(c, m, in, (const kn_wan_context *[]){in->context, other}, 2);
}

/* ---- for step caches ---- */

/* Runs of neighbouring tokens, spread evenly. */
enum { SAMPLE_RUNS = 16, SAMPLE_RUN = KN_WAN_SAMPLE_TOKENS / SAMPLE_RUNS };

static void read_sample(kn_ctx *c, kn_tensor x, float *ret)
{
    int64_t n = x.dims[0];
    if (n <= KN_WAN_SAMPLE_TOKENS) {
        kn_to_f32(c, x, ret);
        return;
    }
    for (int i = 0; i < SAMPLE_RUNS && kn_ok(c); i++)
        kn_to_f32(c, kn_rows(c, x, (n - SAMPLE_RUN) * i / (SAMPLE_RUNS - 1), SAMPLE_RUN),
                  ret + (int64_t)i * SAMPLE_RUN * x.dims[1]);
}

int64_t kn_wan_first_block_size(const kn_wan_config *f, const kn_wan_input *in)
{
    int64_t grid[3], n = count_tokens(f, in, grid);
    return (n < KN_WAN_SAMPLE_TOKENS ? n : KN_WAN_SAMPLE_TOKENS) * f->dim;
}

void kn_wan_transformer_first_block(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in,
                                    float *ret)
{
    const kn_wan_config *f = &m->config;
    int64_t grid[3], n_tokens = count_tokens(f, in, grid), n = kn_wan_first_block_size(f, in);
    stream s = {0};
    kn_tensor temb;
    float *before = kn_calloc((size_t)n, sizeof *before);
    if (!before)
        kn_ctx_fail(c, KN_ENOMEM, "no memory for %lld values of the first block", (long long)n);
    if (!check_input(c, f, in, n_tokens)) {
        free(before);
        return;
    }
    kn_scope scope = kn_scope_open(c);
    begin_streams(c, m, in, n_tokens, &s, 1, &temb);
    set_context(c, &s, in->context);
    read_sample(c, s.x, before);
    const kn_wan_block *b = kn_blocks_use(c, m->blocks, 0);
    if (b)
        kn_wan_block_forward(c, &s.pass, b, 0, "dit.block0", s.x);
    kn_blocks_rest(c, m->blocks);
    read_sample(c, s.x, ret);
    for (int64_t i = 0; i < n && kn_ok(c); i++)
        ret[i] -= before[i];
    kn_scope_close(c, scope, (kn_tensor){0});
    free(before);
}

int64_t kn_wan_projected_time_size(const kn_wan_config *f)
{
    return KN_WAN_MODS * f->dim;
}

void kn_wan_transformer_projected_time(kn_ctx *c, const kn_wan_transformer *m, float timestep, float *ret)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor temb = embed_time(c, m, &timestep, 1);
    if (kn_ok(c))
        kn_to_f32(c, project_time(c, m, temb, NULL), ret);
    kn_scope_close(c, scope, (kn_tensor){0});
}
