/* T5's sizes: from config.json, or from the shapes of a checkpoint. */
#include <stdio.h>
#include <string.h>

#include "models/common/t5.h"

enum { MAX_LAYERS = 256, MAX_HEADS = 1024, MAX_WIDTH = 1 << 20, MAX_VOCAB = 1 << 24 };

static int read_feed_forward(const char *proj, const char *origin, kn_t5_config *f, kn_err *err)
{
    f->gated = !strncmp(proj, "gated-", 6);
    const char *act = f->gated ? proj + 6 : proj;
    if (!strcmp(act, "relu"))
        f->act = KN_ACT_RELU;
    else if (!strcmp(act, "silu"))
        f->act = KN_ACT_SILU;
    else if (!strcmp(act, "gelu")) /* transformers turns "gated-gelu" into gelu_new, the tanh form */
        f->act = f->gated ? KN_ACT_GELU_TANH : KN_ACT_GELU_ERF;
    else
        return kn_fail(
            err, KN_EUNSUPPORTED,
            "%s: feed_forward_proj is \"%s\", expected relu, gelu, silu or one of them after \"gated-\"",
            origin, proj);
    return 0;
}

int kn_t5_config_read(const json_t *obj, const char *origin, kn_t5_config *ret, kn_err *err)
{
    kn_t5_config f = {0};
    kn_json_reader r;
    kn_json_reader_init(&r, obj, origin);
    f.d_model = kn_json_int_req(&r, "d_model", 1, MAX_WIDTH);
    f.d_kv = kn_json_int_req(&r, "d_kv", 1, MAX_WIDTH);
    f.d_ff = kn_json_int_req(&r, "d_ff", 1, MAX_WIDTH);
    f.vocab_size = kn_json_int_req(&r, "vocab_size", 1, MAX_VOCAB);
    f.n_heads = (int)kn_json_int_req(&r, "num_heads", 1, MAX_HEADS);
    f.n_layers = (int)kn_json_int_req(&r, "num_layers", 1, MAX_LAYERS);
    f.n_buckets = (int)kn_json_int(&r, "relative_attention_num_buckets", 32, 4, 4096);
    f.max_distance = (int)kn_json_int(&r, "relative_attention_max_distance", 128, 2, 1 << 20);
    f.eps = (float)kn_json_real(&r, "layer_norm_epsilon", 1e-6, 0, 1);
    f.bias_per_layer = !strcmp(kn_json_str(&r, "model_type", "t5"), "umt5");
    const char *proj = kn_json_str(&r, "feed_forward_proj", "relu");
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    if (f.max_distance <= f.n_buckets / 4)
        return kn_fail(
            err, KN_EFORMAT,
            "%s: relative_attention_max_distance is %d, expected more than a quarter of the %d buckets",
            origin, f.max_distance, f.n_buckets);
    int rc = read_feed_forward(proj, origin, &f, err);
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

#define ATTENTION    "encoder.block.%d.layer.0.SelfAttention."
#define FEED_FORWARD "encoder.block.%d.layer.1.DenseReluDense."

int kn_t5_config_derive(kn_checkpoint *ck, kn_t5_config *ret, kn_err *err)
{
    kn_t5_config f = {.max_distance = 128, .eps = 1e-6f};
    f.vocab_size = dim_of(ck, 0, "shared.weight", 0);
    f.d_model = dim_of(ck, 1, "shared.weight", 0);
    int64_t n_heads = dim_of(ck, 1, ATTENTION "relative_attention_bias.weight", 0);
    int64_t n_buckets = dim_of(ck, 0, ATTENTION "relative_attention_bias.weight", 0);
    int64_t inner = dim_of(ck, 0, ATTENTION "q.weight", 0);
    f.gated = dim_of(ck, 0, FEED_FORWARD "wi_0.weight", 0) > 0;
    f.d_ff = dim_of(ck, 0, f.gated ? FEED_FORWARD "wi_0.weight" : FEED_FORWARD "wi.weight", 0);
    f.act = f.gated ? KN_ACT_GELU_TANH : KN_ACT_RELU;
    f.bias_per_layer = dim_of(ck, 0, ATTENTION "relative_attention_bias.weight", 1) > 0;
    while (f.n_layers < MAX_LAYERS && dim_of(ck, 0, ATTENTION "q.weight", f.n_layers))
        f.n_layers++;
    bool ok = f.vocab_size > 0 && f.d_model > 0 && f.d_ff > 0 && f.n_layers > 0 && n_heads > 0 &&
              n_heads <= MAX_HEADS && n_buckets >= 4 && n_buckets < 4 * f.max_distance && inner > 0 &&
              inner % n_heads == 0;
    if (!ok)
        return kn_fail(err, KN_EFORMAT,
                       "%s: not a T5 encoder: vocabulary %lld, width %lld, %d layers, %lld heads in %lld, "
                       "feed-forward %lld, %lld buckets; expected all above 0 and heads that divide",
                       kn_checkpoint_path(ck), (long long)f.vocab_size, (long long)f.d_model, f.n_layers,
                       (long long)n_heads, (long long)inner, (long long)f.d_ff, (long long)n_buckets);
    f.n_heads = (int)n_heads;
    f.n_buckets = (int)n_buckets;
    f.d_kv = inner / n_heads;
    *ret = f;
    return 0;
}
