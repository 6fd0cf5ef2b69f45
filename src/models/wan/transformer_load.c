/* The transformer's weights, by their diffusers names. */
#include <stdlib.h>

#include "base/mem.h"
#include "models/wan/transformer.h"

static void load_attention(kn_loader *l, kn_wan_attention *a, int64_t dim, bool image)
{
    a->q = kn_load_linear(l, "to_q", dim, dim, 0);
    a->k = kn_load_linear(l, "to_k", dim, dim, 0);
    a->v = kn_load_linear(l, "to_v", dim, dim, 0);
    a->o = kn_load_linear(l, "to_out.0", dim, dim, 0);
    a->norm_q = kn_load_vector(l, "norm_q.weight", 1, &dim, 0);
    a->norm_k = kn_load_vector(l, "norm_k.weight", 1, &dim, 0);
    if (!image)
        return;
    a->add_k = kn_load_linear(l, "add_k_proj", dim, dim, 0);
    a->add_v = kn_load_linear(l, "add_v_proj", dim, dim, 0);
    a->norm_added_k = kn_load_vector(l, "norm_added_k.weight", 1, &dim, 0);
}

static void load_block(kn_loader *l, const kn_wan_config *f, const char *kind, int i, kn_wan_block *b)
{
    int64_t dim = f->dim;
    *b = (kn_wan_block){0};
    kn_loader_prefix(l, "%s.%d.attn1.", kind, i);
    load_attention(l, &b->self, dim, false);
    kn_loader_prefix(l, "%s.%d.attn2.", kind, i);
    load_attention(l, &b->cross, dim, f->image_dim > 0);
    kn_loader_prefix(l, "%s.%d.", kind, i);
    if (f->cross_attn_norm) {
        b->norm2_w = kn_load_vector(l, "norm2.weight", 1, &dim, 0);
        b->norm2_b = kn_load_vector(l, "norm2.bias", 1, &dim, 0);
    }
    b->ffn_in = kn_load_linear(l, "ffn.net.0.proj", dim, f->ffn_dim, 0);
    b->ffn_out = kn_load_linear(l, "ffn.net.2", f->ffn_dim, dim, 0);
    b->modulation = kn_load_vector(l, "scale_shift_table", KN_DIMS(6, dim), 0);
}

static void load_main(kn_loader *l, const void *config, int i, void *ret)
{
    load_block(l, config, "blocks", i, ret);
}

static void load_vace(kn_loader *l, const void *config, int i, void *ret)
{
    const kn_wan_config *f = config;
    kn_wan_block *b = ret;
    load_block(l, f, "vace_blocks", i, b);
    if (i == 0)
        b->proj_in = kn_load_linear(l, "proj_in", f->dim, f->dim, 0);
    b->proj_out = kn_load_linear(l, "proj_out", f->dim, f->dim, 0);
}

static void load_blocks(kn_loader *l, kn_wan_transformer *m, int n_resident)
{
    int n = m->config.n_layers, rest = n_resident > n ? n_resident - n : 0;
    kn_blocks_spec spec = {.config = &m->config, .block_bytes = sizeof(kn_wan_block)};
    spec.load = load_vace;
    spec.n = m->config.n_vace;
    spec.n_resident = rest;
    m->vace_blocks = kn_blocks_new(l, &spec);
    spec.load = load_main;
    spec.n = n;
    spec.n_resident = n_resident;
    m->blocks = kn_blocks_new(l, &spec);
}

static void load_image_embedder(kn_loader *l, const kn_wan_config *f, kn_wan_image_embedder *e)
{
    kn_loader_prefix(l, "condition_embedder.image_embedder.");
    if (f->n_pos_embed)
        e->pos = kn_load_vector(l, "pos_embed", KN_DIMS(f->n_pos_embed, f->image_dim), 0);
    e->norm1_w = kn_load_vector(l, "norm1.weight", 1, &f->image_dim, 0);
    e->norm1_b = kn_load_vector(l, "norm1.bias", 1, &f->image_dim, 0);
    e->in = kn_load_linear(l, "ff.net.0.proj", f->image_dim, f->image_dim, KN_LOAD_KEEP_FLOAT);
    e->out = kn_load_linear(l, "ff.net.2", f->image_dim, f->dim, KN_LOAD_KEEP_FLOAT);
    e->norm2_w = kn_load_vector(l, "norm2.weight", 1, &f->dim, 0);
    e->norm2_b = kn_load_vector(l, "norm2.bias", 1, &f->dim, 0);
}

static void load_embedders(kn_loader *l, kn_wan_transformer *m)
{
    const kn_wan_config *f = &m->config;
    const int *p = f->patch;
    kn_loader_prefix(l, "%s", "");
    m->patch = kn_load_conv(l, "patch_embedding", f->in_channels, f->dim, p[0], p[1], p[2], KN_LOAD_F32);
    kn_loader_prefix(l, "condition_embedder.");
    /* The reference keeps the time embedder in float32 whatever the mode: everything is modulated by it. */
    m->time_1 = kn_load_linear(l, "time_embedder.linear_1", f->freq_dim, f->dim, KN_LOAD_F32);
    m->time_2 = kn_load_linear(l, "time_embedder.linear_2", f->dim, f->dim, KN_LOAD_F32);
    m->time_proj = kn_load_linear(l, "time_proj", f->dim, 6 * f->dim, KN_LOAD_KEEP_FLOAT);
    m->text_1 = kn_load_linear(l, "text_embedder.linear_1", f->text_dim, f->dim, KN_LOAD_KEEP_FLOAT);
    m->text_2 = kn_load_linear(l, "text_embedder.linear_2", f->dim, f->dim, KN_LOAD_KEEP_FLOAT);
    if (f->image_dim)
        load_image_embedder(l, f, &m->image);
    kn_loader_prefix(l, "%s", "");
}

void kn_wan_transformer_load(kn_wan_transformer *m, const kn_wan_config *config, int n_resident, kn_loader *l)
{
    *m = (kn_wan_transformer){.config = *config};
    const int *p = config->patch;
    load_embedders(l, m);
    if (config->n_vace)
        m->vace_patch = kn_load_conv(l, "vace_patch_embedding", config->vace_in_channels, config->dim, p[0],
                                     p[1], p[2], KN_LOAD_F32);
    m->modulation = kn_load_vector(l, "scale_shift_table", KN_DIMS(2, config->dim), 0);
    int64_t n_patch = (int64_t)p[0] * p[1] * p[2];
    m->proj_out = kn_load_linear(l, "proj_out", config->dim, n_patch * config->out_channels, KN_LOAD_F32);
    load_blocks(l, m, n_resident);
}

void kn_wan_transformer_done(kn_wan_transformer *m)
{
    kn_blocks_free(m->blocks);
    kn_blocks_free(m->vace_blocks);
    m->blocks = m->vace_blocks = NULL;
}

int kn_wan_n_blocks(const kn_wan_config *config)
{
    return config->n_layers + config->n_vace;
}
