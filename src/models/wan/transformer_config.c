/* The transformer's sizes: from config.json, or from the shapes of a checkpoint. */
#include <stdio.h>
#include <string.h>

#include "models/wan/transformer.h"

enum { MAX_WIDTH = 1 << 20, MAX_CHANNELS = 1 << 16, MAX_PATCH = 16, PUBLISHED_HEAD_DIM = 128 };

static int read_vace_layers(kn_json_reader *r, kn_wan_config *f, const char *origin, kn_err *err)
{
    int64_t layers[KN_WAN_MAX_LAYERS];
    f->n_vace = kn_json_ints(r, "vace_layers", layers, KN_WAN_MAX_LAYERS, 0, KN_WAN_MAX_LAYERS - 1);
    for (int i = 0; i < f->n_vace; i++) {
        f->vace_layers[i] = (int)layers[i];
        if (layers[i] >= f->n_layers || (i && layers[i] <= layers[i - 1]))
            return kn_fail(err, KN_EFORMAT,
                           "%s: vace_layers[%d] is %lld, expected ascending indices below %d", origin, i,
                           (long long)layers[i], f->n_layers);
    }
    if (f->n_vace)
        f->vace_in_channels = kn_json_int_req(r, "vace_in_channels", 1, MAX_CHANNELS);
    return 0;
}

/* What the code cannot do is refused here, by name. */
static int check(const kn_wan_config *f, const char *origin, kn_err *err)
{
    if (f->dim > MAX_WIDTH || f->head_dim % 2 || f->freq_dim % 2)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: width %lld, head size %lld, freq_dim %lld; expected a width up to %d and even sizes", origin,
            (long long)f->dim, (long long)f->head_dim, (long long)f->freq_dim, MAX_WIDTH);
    if (f->n_vace && f->vace_layers[0] != 0)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: vace_layers begins with %d, expected 0", origin,
                       f->vace_layers[0]);
    return 0;
}

int kn_wan_config_read(const json_t *obj, const char *origin, kn_wan_config *ret, kn_err *err)
{
    kn_wan_config f = {0};
    int64_t patch[3] = {1, 2, 2};
    kn_json_reader r;
    kn_json_reader_init(&r, obj, origin);
    f.n_heads = (int)kn_json_int(&r, "num_attention_heads", 40, 1, 1024);
    f.head_dim = kn_json_int(&r, "attention_head_dim", PUBLISHED_HEAD_DIM, 2, 4096);
    f.dim = f.n_heads * f.head_dim;
    f.in_channels = kn_json_int(&r, "in_channels", 16, 1, MAX_CHANNELS);
    f.out_channels = kn_json_int(&r, "out_channels", 16, 1, MAX_CHANNELS);
    f.text_dim = kn_json_int(&r, "text_dim", 4096, 1, MAX_WIDTH);
    f.freq_dim = kn_json_int(&r, "freq_dim", 256, 2, MAX_WIDTH);
    f.ffn_dim = kn_json_int(&r, "ffn_dim", 13824, 1, MAX_WIDTH);
    f.n_layers = (int)kn_json_int(&r, "num_layers", 40, 1, KN_WAN_MAX_LAYERS);
    f.cross_attn_norm = kn_json_bool(&r, "cross_attn_norm", true);
    f.eps = (float)kn_json_real(&r, "eps", 1e-6, 0, 1);
    f.image_dim = kn_json_int(&r, "image_dim", 0, 1, MAX_WIDTH);
    f.n_pos_embed = kn_json_int(&r, "pos_embed_seq_len", 0, 1, MAX_WIDTH);
    int64_t added = kn_json_int(&r, "added_kv_proj_dim", 0, 1, MAX_WIDTH);
    int n_patch = kn_json_ints(&r, "patch_size", patch, 3, 1, MAX_PATCH);
    const char *qk_norm = kn_json_str(&r, "qk_norm", "rms_norm_across_heads");
    int rc = read_vace_layers(&r, &f, origin, err);
    if (rc)
        return rc;
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    for (int i = 0; i < 3; i++)
        f.patch[i] = (int)patch[i];
    if (n_patch && n_patch != 3)
        return kn_fail(err, KN_EFORMAT, "%s: patch_size has %d numbers, expected 3", origin, n_patch);
    if (strcmp(qk_norm, "rms_norm_across_heads") != 0)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: qk_norm is \"%s\", expected rms_norm_across_heads", origin,
                       qk_norm);
    if ((f.image_dim > 0) != (added > 0) || (added && added != f.dim))
        return kn_fail(
            err, KN_EUNSUPPORTED,
            "%s: image_dim %lld with added_kv_proj_dim %lld, expected both or neither, the latter %lld",
            origin, (long long)f.image_dim, (long long)added, (long long)f.dim);
    rc = check(&f, origin, err);
    if (!rc)
        *ret = f;
    return rc;
}

/* Dimension i of an entry; 0 if there is none. */
static int64_t dim_of(kn_checkpoint *ck, int i, const char *fmt, int layer)
{
    char name[128];
    snprintf(name, sizeof name, fmt, layer);
    const kn_entry *e = kn_checkpoint_find(ck, name);
    return e && e->n_dims > i ? e->dims[i] : 0;
}

static int count_blocks(kn_checkpoint *ck, const char *fmt)
{
    int n = 0;
    while (n <= KN_WAN_MAX_LAYERS && dim_of(ck, 0, fmt, n))
        n++;
    return n;
}

/* Published VACE models control every second block (1.3B, 15 of 30) or every fifth (14B, 8 of 40). */
static void spread_vace_layers(kn_wan_config *f)
{
    int stride = f->n_vace ? (f->n_layers + f->n_vace - 1) / f->n_vace : 1;
    for (int i = 0; i < f->n_vace; i++)
        f->vace_layers[i] = i * stride;
}

int kn_wan_config_derive(kn_checkpoint *ck, int64_t head_dim, kn_wan_config *ret, kn_err *err)
{
    kn_wan_config f = {.head_dim = head_dim ? head_dim : PUBLISHED_HEAD_DIM, .eps = 1e-6f};
    const char *origin = kn_checkpoint_path(ck);
    f.dim = dim_of(ck, 0, "patch_embedding.weight", 0);
    f.in_channels = dim_of(ck, 1, "patch_embedding.weight", 0);
    int64_t n_patch = 1;
    for (int i = 0; i < 3; i++) {
        f.patch[i] = (int)dim_of(ck, 2 + i, "patch_embedding.weight", 0);
        n_patch *= f.patch[i];
    }
    f.ffn_dim = dim_of(ck, 0, "blocks.%d.ffn.net.0.proj.weight", 0);
    f.text_dim = dim_of(ck, 1, "condition_embedder.text_embedder.linear_1.weight", 0);
    f.freq_dim = dim_of(ck, 1, "condition_embedder.time_embedder.linear_1.weight", 0);
    f.image_dim = dim_of(ck, 0, "condition_embedder.image_embedder.norm1.weight", 0);
    f.n_pos_embed = dim_of(ck, 1, "condition_embedder.image_embedder.pos_embed", 0);
    f.cross_attn_norm = dim_of(ck, 0, "blocks.%d.norm2.weight", 0) > 0;
    f.n_layers = count_blocks(ck, "blocks.%d.attn1.to_q.weight");
    f.n_vace = count_blocks(ck, "vace_blocks.%d.attn1.to_q.weight");
    f.vace_in_channels = dim_of(ck, 1, "vace_patch_embedding.weight", 0);
    f.out_channels = n_patch ? dim_of(ck, 0, "proj_out.weight", 0) / n_patch : 0;
    if (f.dim < 1 || f.in_channels < 1 || f.out_channels < 1 || f.ffn_dim < 1 || f.text_dim < 1 ||
        f.freq_dim < 2 || f.n_layers < 1 || f.n_layers > KN_WAN_MAX_LAYERS || f.n_vace > f.n_layers)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: not a Wan transformer: width %lld, %lld to %lld channels, feed-forward %lld, text %lld, "
            "frequencies %lld, %d blocks, %d control blocks",
            origin, (long long)f.dim, (long long)f.in_channels, (long long)f.out_channels,
            (long long)f.ffn_dim, (long long)f.text_dim, (long long)f.freq_dim, f.n_layers, f.n_vace);
    if (f.head_dim < 2 || f.dim % f.head_dim)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: width %lld is no multiple of the head size %lld; a model of another head size needs "
            "its config.json",
            origin, (long long)f.dim, (long long)f.head_dim);
    f.n_heads = (int)(f.dim / f.head_dim);
    spread_vace_layers(&f);
    int rc = check(&f, origin, err);
    if (!rc)
        *ret = f;
    return rc;
}
