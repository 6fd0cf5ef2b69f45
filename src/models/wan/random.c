/* Models of the published sizes with random weights: what benchmarks and plans without files run on. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "models/wan/model.h"

/* Sizes: the config.json files of Wan-AI's repositories on Hugging Face. */
typedef struct size {
    const char *name;
    int n_heads, n_layers;
    int64_t ffn_dim;
    int z_dim;
    bool image, experts;
} size;

static const size sizes[] = {
    {"wan-1.3b", 12, 30, 8960, 16, false, false},
    {"wan-14b", 40, 40, 13824, 16, false, false},
    {"wan-i2v-a14b", 40, 40, 13824, 16, true, true},
    {"wan-5b", 24, 30, 14336, 48, false, false},
    {NULL, 0, 0, 0, 0, false, false},
};

const char kn_wan_random_configs[] = "wan-1.3b|wan-14b|wan-i2v-a14b|wan-5b";

enum { HEAD_DIM = 128, TEXT_DIM = 4096, TEXT_LAYERS = 24, VOCABULARY = 256384 };

static kn_wan_config transformer_of(const size *s)
{
    return (kn_wan_config){
        .dim = (int64_t)s->n_heads * HEAD_DIM,
        .head_dim = HEAD_DIM,
        .ffn_dim = s->ffn_dim,
        .freq_dim = 256,
        .text_dim = TEXT_DIM,
        .in_channels = s->image ? 2 * s->z_dim + 4 : s->z_dim,
        .out_channels = s->z_dim,
        .n_heads = s->n_heads,
        .n_layers = s->n_layers,
        .patch = {1, 2, 2},
        .cross_attn_norm = true,
        .eps = 1e-6f,
    };
}

static kn_wan_vae_config vae_of(int64_t z_dim)
{
    bool second = z_dim == 48;
    kn_wan_vae_config f = {
        .base_dim = second ? 160 : 96,
        .decoder_base_dim = second ? 256 : 96,
        .z_dim = (int)z_dim,
        .n_levels = 4,
        .dim_mult = {1, 2, 4, 4},
        .n_res_blocks = 2,
        .temporal_downsample = {false, true, true},
        .residual = second,
        .patch_size = second ? 2 : 1,
        .scale_spatial = second ? 16 : 8,
        .scale_temporal = 4,
    };
    for (int i = 0; i < f.z_dim; i++)
        f.latents_std[i] = 1;
    return f;
}

static kn_t5_config text_of(bool with_text, int64_t text_dim)
{
    return (kn_t5_config){
        .d_model = text_dim,
        .d_kv = 64,
        .d_ff = 10240,
        .vocab_size = VOCABULARY,
        .n_heads = 64,
        .n_layers = with_text ? TEXT_LAYERS : 0,
        .n_buckets = 32,
        .max_distance = 128,
        .gated = true,
        .bias_per_layer = true,
        .act = KN_ACT_GELU_TANH,
        .eps = 1e-6f,
    };
}

/* A transformer/config.json instead of a published name. */
static int read_file(const char *path, kn_wan_config *ret, kn_err *err)
{
    json_t *j = NULL;
    int rc = kn_json_load(path, &j, err);
    if (!rc)
        rc = kn_wan_config_read(j, path, ret, err);
    json_decref(j);
    return rc;
}

int kn_wan_model_open_random(const char *config, bool with_text, kn_wan_model **ret, kn_err *err)
{
    const size *s = sizes, own = {.name = config, .n_heads = 1, .n_layers = 1};
    kn_wan_config dit = {0};
    while (s->name && strcmp(s->name, config) != 0)
        s++;
    if (s->name) {
        dit = transformer_of(s);
    } else if (kn_path_exists(config)) {
        int rc = read_file(config, &dit, err);
        if (rc)
            return rc;
        s = &own;
    } else {
        return kn_fail(err, KN_EINVAL, "config \"%.64s\" is neither a file nor one of %s", config,
                       kn_wan_random_configs);
    }
    kn_wan_model *m = kn_calloc(1, sizeof *m);
    if (!m)
        return kn_fail(err, KN_ENOMEM, "no memory for a model");
    m->dit[KN_WAN_HIGH] = m->dit[KN_WAN_LOW] = dit;
    m->vae = vae_of(dit.out_channels);
    m->text = text_of(with_text, dit.text_dim);
    m->boundary_ratio = s->experts ? 0.9 : -1;
    m->expand_timesteps = m->vae.z_dim == 48;
    kn_scheduler_config_default(&m->scheduler);
    int rc = kn_checkpoint_random(1, &m->dit_ck[KN_WAN_HIGH], err);
    if (!rc && s->experts)
        rc = kn_checkpoint_random(2, &m->dit_ck[KN_WAN_LOW], err);
    if (!rc)
        rc = kn_checkpoint_random(3, &m->vae_ck, err);
    if (!rc)
        rc = kn_checkpoint_random(4, &m->text_ck, err);
    if (rc)
        kn_wan_model_close(m);
    else
        *ret = m;
    return rc;
}
