#include "models/common/clip_vision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_LAYERS = 256, MAX_HEADS = 1024, MAX_WIDTH = 1 << 20, MAX_SIDE = 4096 };

static int read_act(const char *name, const char *origin, kn_act *ret, kn_err *err)
{
    static const struct {
        const char *name;
        kn_act act;
    } acts[] = {{"gelu", KN_ACT_GELU_ERF},
                {"quick_gelu", KN_ACT_QUICK_GELU},
                {"gelu_new", KN_ACT_GELU_TANH},
                {"gelu_pytorch_tanh", KN_ACT_GELU_TANH}};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(name, acts[i].name)) {
            *ret = acts[i].act;
            return 0;
        }
    return kn_fail(err, KN_EUNSUPPORTED, "%s: hidden_act is \"%s\", expected gelu, quick_gelu or gelu_new",
                   origin, name);
}

int kn_clip_vision_config_read(const json_t *obj, const char *origin, kn_clip_vision_config *ret, kn_err *err)
{
    kn_clip_vision_config f = {0};
    const json_t *nested = json_object_get(obj, "vision_config");
    kn_json_reader r;
    kn_json_reader_init(&r, json_is_object(nested) ? nested : obj, origin);
    f.hidden = kn_json_int(&r, "hidden_size", 768, 1, MAX_WIDTH);
    f.intermediate = kn_json_int(&r, "intermediate_size", 3072, 1, MAX_WIDTH);
    f.n_heads = (int)kn_json_int(&r, "num_attention_heads", 12, 1, MAX_HEADS);
    f.n_layers = (int)kn_json_int(&r, "num_hidden_layers", 12, 1, MAX_LAYERS);
    f.image_size = (int)kn_json_int(&r, "image_size", 224, 1, MAX_SIDE);
    f.patch_size = (int)kn_json_int(&r, "patch_size", 32, 1, MAX_SIDE);
    f.eps = (float)kn_json_real(&r, "layer_norm_eps", 1e-5, 0, 1);
    int64_t n_channels = kn_json_int(&r, "num_channels", 3, 1, 1024);
    const char *act = kn_json_str(&r, "hidden_act", "quick_gelu");
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    if (n_channels != 3)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: num_channels is %lld, expected 3", origin,
                       (long long)n_channels);
    if (f.hidden % f.n_heads || f.patch_size > f.image_size)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: width %lld in %d heads, patches of %d in pictures of %d; expected heads that divide "
            "the width and patches within the picture",
            origin, (long long)f.hidden, f.n_heads, f.patch_size, f.image_size);
    int rc = read_act(act, origin, &f.act, err);
    if (!rc)
        *ret = f;
    return rc;
}

static void load_layer(kn_loader *l, const kn_clip_vision_config *f, kn_clip_layer *y)
{
    int64_t d = f->hidden;
    y->norm1_w = kn_load_vector(l, "layer_norm1.weight", 1, &d, 0);
    y->norm1_b = kn_load_vector(l, "layer_norm1.bias", 1, &d, 0);
    y->q = kn_load_linear(l, "self_attn.q_proj", d, d, 0);
    y->k = kn_load_linear(l, "self_attn.k_proj", d, d, 0);
    y->v = kn_load_linear(l, "self_attn.v_proj", d, d, 0);
    y->out = kn_load_linear(l, "self_attn.out_proj", d, d, 0);
    y->norm2_w = kn_load_vector(l, "layer_norm2.weight", 1, &d, 0);
    y->norm2_b = kn_load_vector(l, "layer_norm2.bias", 1, &d, 0);
    y->fc1 = kn_load_linear(l, "mlp.fc1", d, f->intermediate, 0);
    y->fc2 = kn_load_linear(l, "mlp.fc2", f->intermediate, d, 0);
}

void kn_clip_vision_load(kn_clip_vision *m, const kn_clip_vision_config *config, kn_loader *l)
{
    *m = (kn_clip_vision){.config = *config};
    m->layers = kn_calloc((size_t)config->n_layers, sizeof *m->layers);
    if (!m->layers) {
        kn_fail(&l->err, KN_ENOMEM, "no memory for %d image encoder layers", config->n_layers);
        return;
    }
    int64_t d = config->hidden, side = config->image_size / config->patch_size, n = side * side + 1;
    int64_t shape[KN_ENTRY_MAX_DIMS];
    /* transformers 5 writes CLIPVisionModel with or without the outer name, depending on the minor version. */
    kn_loader_prefix(l, "%s", "");
    bool bare =
        kn_loader_shape(l, "embeddings.class_embedding", shape) > 0 && !kn_checkpoint_is_random(l->ck);
    const char *root = bare ? "" : "vision_model.";
    kn_loader_prefix(l, "%s", root);
    m->patch = kn_load_conv(l, "embeddings.patch_embedding", 3, d, 1, config->patch_size, config->patch_size,
                            KN_LOAD_NO_BIAS | KN_LOAD_F32);
    m->class_embed = kn_load_vector(l, "embeddings.class_embedding", 1, &d, 0);
    m->pos_embed = kn_load_vector(l, "embeddings.position_embedding.weight", KN_DIMS(n, d), 0);
    m->pre_w = kn_load_vector(l, "pre_layrnorm.weight", 1, &d, 0);
    m->pre_b = kn_load_vector(l, "pre_layrnorm.bias", 1, &d, 0);
    for (int i = 0; i + 1 < config->n_layers; i++) {
        kn_loader_prefix(l, "%sencoder.layers.%d.", root, i);
        load_layer(l, config, &m->layers[i]);
    }
    kn_loader_prefix(l, "%s", "");
    snprintf(m->last_layer, sizeof m->last_layer, "%sencoder.layers.%d.", root, config->n_layers - 1);
    const char *ignore[8] = {m->last_layer,
                             bare ? "post_layernorm." : "vision_model.post_layernorm.",
                             bare ? "embeddings.position_ids" : "vision_model.embeddings.position_ids",
                             "visual_projection.",
                             "text_model.",
                             "text_projection.",
                             "logit_scale",
                             NULL};
    memcpy(m->ignore, ignore, sizeof ignore);
}

void kn_clip_vision_done(kn_clip_vision *m)
{
    free(m->layers);
    m->layers = NULL;
}

/* Patches behind the class token, with positions: f32 [1 + patches, hidden]. */
static kn_tensor embed(kn_ctx *c, const kn_clip_vision *m, kn_tensor pixels)
{
    const kn_clip_vision_config *f = &m->config;
    kn_tensor x = kn_permute(c, pixels, (const int[]){1, 2, 0});
    x = kn_reshape(c, x, KN_DIMS(1, f->image_size, f->image_size, 3));
    kn_conv_opts opts = {.stride = {1, f->patch_size, f->patch_size}};
    kn_tensor patches = kn_conv(c, x, m->patch, &opts, KN_F32);
    kn_tensor parts[2] = {kn_reshape(c, m->class_embed, KN_DIMS(1, f->hidden)),
                          kn_reshape(c, patches, KN_DIMS(-1, f->hidden))};
    kn_tensor tokens = kn_concat(c, 0, 2, parts);
    kn_add(c, tokens, m->pos_embed, 1);
    return kn_layer_norm(c, tokens, m->pre_w, m->pre_b, f->eps, (kn_mod){0}, (kn_mod){0}, KN_F32);
}

static void run_layer(kn_ctx *c, const kn_clip_vision_config *f, const kn_clip_layer *y, kn_tensor x)
{
    const kn_mod none = {0};
    kn_scope scope = kn_scope_open(c);
    kn_tensor h = kn_layer_norm(c, x, y->norm1_w, y->norm1_b, f->eps, none, none, c->act);
    kn_tensor q = kn_linear(c, h, y->q, KN_ACT_NONE, c->act);
    kn_tensor k = kn_linear(c, h, y->k, KN_ACT_NONE, c->act);
    kn_tensor v = kn_linear(c, h, y->v, KN_ACT_NONE, c->act);
    kn_tensor o = kn_attention(c, q, k, v, f->n_heads, f->n_heads, &(kn_attention_opts){0}, c->act);
    kn_linear_residual(c, x, o, y->out, none);
    h = kn_layer_norm(c, x, y->norm2_w, y->norm2_b, f->eps, none, none, c->act);
    kn_linear_residual(c, x, kn_linear(c, h, y->fc1, f->act, c->act), y->fc2, none);
    kn_scope_close(c, scope, (kn_tensor){0});
}

kn_tensor kn_clip_vision_forward(kn_ctx *c, const kn_clip_vision *m, kn_tensor pixels, const kn_trace *trace)
{
    kn_scope scope = kn_scope_open(c);
    kn_tensor x = embed(c, m, pixels);
    kn_trace_tensor(trace, x, "image.hidden0");
    for (int i = 0; i + 1 < m->config.n_layers; i++) {
        run_layer(c, &m->config, &m->layers[i], x);
        kn_trace_tensor(trace, kn_ok(c) ? x : (kn_tensor){0}, "image.hidden%d", i + 1);
    }
    return kn_scope_close(c, scope, x);
}
