/* Attention: which kernel takes it. */
#include "tensor/cuda/cuda_device.h"

static void describe_biases(kn_k_attention *k, const kn_attention_opts *o)
{
    k->bias = o->bias.data;
    if (k->bias) {
        int64_t rows = o->bias.dims[1], keys = o->bias.dims[2];
        k->bias_head_stride = o->bias.dims[0] > 1 ? rows * keys : 0;
        k->bias_row_stride = rows > 1 ? keys : 0;
    }
    k->rel_bias = o->rel_bias.data;
    k->rel_radius = k->rel_bias ? (int)(o->rel_bias.dims[1] / 2) : 0;
}

int kn_cuda_attention(kn_device *dev, const kn_attention_args *a, kn_err *err)
{
    kn_k_attention k = {.q = a->q.data,
                        .k = a->k.data,
                        .v = a->v.data,
                        .out = a->out.data,
                        .in_bf16 = a->q.dtype == KN_BF16,
                        .out_bf16 = a->out.dtype == KN_BF16,
                        .batch = a->q.dims[0],
                        .nq = a->q.dims[1],
                        .nk = a->k.dims[1],
                        .n_heads = a->n_heads,
                        .n_kv_heads = a->n_kv_heads,
                        .d = (int)(a->q.dims[2] / a->n_heads),
                        .scale = a->opts.scale,
                        .causal = a->opts.causal};
    describe_biases(&k, &a->opts);
    if (k.d > KN_K_ATTENTION_MAX_HEAD)
        return kn_fail(err, KN_EUNSUPPORTED, "attention heads of %d values, expected at most %d", k.d,
                       KN_K_ATTENTION_MAX_HEAD);
    if (kn_k_attention_is_fast(&k))
        kn_k_attention_fast(&k, kn_cuda_stream(dev));
    else
        kn_k_attention_any(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "attention", err);
}
