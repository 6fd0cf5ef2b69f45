#include "tensor/cpu/dnnl_desc.h"

static dnnl_alg_kind_t act_alg(int act, float *ret_alpha)
{
    *ret_alpha = 0.0f;
    switch ((kn_act)act) {
    case KN_ACT_SILU:
        *ret_alpha = 1.0f;
        return dnnl_eltwise_swish;
    case KN_ACT_QUICK_GELU:
        *ret_alpha = 1.702f;
        return dnnl_eltwise_swish;
    case KN_ACT_GELU_TANH:
        return dnnl_eltwise_gelu_tanh;
    case KN_ACT_GELU_ERF:
        return dnnl_eltwise_gelu_erf;
    case KN_ACT_RELU:
        return dnnl_eltwise_relu;
    case KN_ACT_NONE:
        break;
    }
    return dnnl_alg_kind_undef;
}

static dnnl_status_t append_posts(kn_prim_desc *d, const kn_prim_key *key, dnnl_post_ops_t po)
{
    dnnl_status_t s = dnnl_success;
    float alpha;
    dnnl_alg_kind_t alg = act_alg(key->act, &alpha);
    if (alg != dnnl_alg_kind_undef)
        s = kn_dnnl_append_eltwise(po, alg, alpha);
    d->gate_post = -1;
    if (!s && (key->flags & KN_PRIM_GATE)) {
        d->gate_post = dnnl_post_ops_len(po);
        s = kn_dnnl_append_binary(po, dnnl_binary_mul, &d->row);
    }
    if (!s && (key->flags & KN_PRIM_SUM))
        s = kn_dnnl_append_sum(po);
    return s;
}

static int make_attr(kn_prim_desc *d, const kn_prim_key *key, dnnl_primitive_attr_t *ret, kn_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t po = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (!s)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!s)
        s = dnnl_post_ops_create(&po);
    if (!s)
        s = append_posts(d, key, po);
    if (!s)
        s = dnnl_primitive_attr_set_post_ops(attr, po);
    if (po)
        dnnl_post_ops_destroy(po);
    if (s && attr)
        dnnl_primitive_attr_destroy(attr);
    if (!s)
        *ret = attr;
    return kn_dnnl_check(s, "attributes", err);
}

/* ---- matrix products ---- */

static dnnl_status_t matmul_mds(kn_prim_desc *d, const kn_prim_key *key, const kn_md *layout)
{
    int64_t m = key->src[0], k = key->weights[1], n = key->weights[0];
    const int64_t src[2] = {m, k}, weights[2] = {k, n}, dst[2] = {m, n}, row[2] = {1, n};
    dnnl_status_t s = kn_md_tag(&d->src, 2, src, key->src_type, dnnl_ab);
    if (!s)
        s = layout->set ? kn_md_copy(&d->weights, layout)
                        : kn_md_tag(&d->weights, 2, weights, key->weights_type, dnnl_format_tag_any);
    if (!s)
        s = kn_md_tag(&d->dst, 2, dst, key->dst_type, dnnl_ab);
    if (!s)
        s = kn_md_tag(&d->row, 2, row, KN_F32, dnnl_ab);
    if (!s && (key->flags & KN_PRIM_BIAS))
        s = kn_md_tag(&d->bias, 2, row, KN_F32, dnnl_ab);
    return s;
}

dnnl_status_t kn_matmul_plain_md(kn_md *ret, const int64_t weights[2], kn_dtype t)
{
    const int64_t dims[2] = {weights[1], weights[0]};
    return kn_md_tag(ret, 2, dims, t, dnnl_ba);
}

/* ---- convolutions: one picture sequence is a batch of one, also where the kernel spans one frame ---- */

dnnl_status_t kn_conv_plain_md(kn_md *ret, const int64_t weights[5], kn_dtype t)
{
    return kn_md_tag(ret, 5, weights, t, dnnl_oidhw);
}

static int64_t out_extent(const kn_prim_key *key, int axis)
{
    return (key->src[axis] + key->pad_lo[axis] + key->pad_hi[axis] - key->weights[2 + axis]) /
               key->stride[axis] +
           1;
}

static dnnl_status_t conv_mds(kn_prim_desc *d, const kn_prim_key *key)
{
    int64_t c = key->weights[1], o = key->weights[0];
    const int64_t src[5] = {1, c, key->src[0], key->src[1], key->src[2]};
    const int64_t dst[5] = {1, o, out_extent(key, 0), out_extent(key, 1), out_extent(key, 2)};
    dnnl_status_t s = kn_md_tag(&d->src, 5, src, key->src_type, dnnl_ndhwc);
    if (!s)
        s = kn_md_tag(&d->weights, 5, key->weights, key->weights_type, dnnl_format_tag_any);
    if (!s)
        s = kn_md_tag(&d->dst, 5, dst, key->dst_type, dnnl_ndhwc);
    if (!s && (key->flags & KN_PRIM_BIAS))
        s = kn_md_tag(&d->bias, 1, &o, KN_F32, dnnl_a);
    return s;
}

/* ---- both ---- */

static int make_pd(kn_prim_desc *d, dnnl_engine_t engine, const kn_prim_key *key, kn_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    int rc = make_attr(d, key, &attr, err);
    if (rc)
        return rc;
    const kn_md *bias = d->bias.set ? &d->bias : NULL;
    dnnl_status_t s = key->kind == KN_PRIM_CONV
                          ? kn_dnnl_conv(engine, &d->src, &d->weights, bias, &d->dst, key->stride,
                                         key->pad_lo, key->pad_hi, attr, &d->pd)
                          : kn_dnnl_matmul(engine, &d->src, &d->weights, bias, &d->dst, attr, &d->pd);
    dnnl_primitive_attr_destroy(attr);
    return kn_dnnl_check(s, key->kind == KN_PRIM_CONV ? "convolution" : "matrix product", err);
}

int kn_prim_desc_init(kn_prim_desc *d, dnnl_engine_t engine, const kn_prim_key *key, const kn_md *layout,
                      kn_err *err)
{
    int rc = kn_dnnl_check(key->kind == KN_PRIM_CONV ? conv_mds(d, key) : matmul_mds(d, key, layout),
                           "memory layout", err);
    if (!rc)
        rc = make_pd(d, engine, key, err);
    if (!rc) {
        kn_md_done(&d->weights);
        rc = kn_dnnl_check(kn_md_query(&d->weights, d->pd, dnnl_query_weights_md), "weight layout", err);
    }
    if (!rc)
        rc = kn_dnnl_check(kn_md_query(&d->scratch, d->pd, dnnl_query_scratchpad_md), "scratchpad size", err);
    return rc;
}

void kn_prim_desc_done(kn_prim_desc *d)
{
    kn_md *mds[] = {&d->src, &d->weights, &d->dst, &d->scratch, &d->bias, &d->row};
    for (size_t i = 0; i < sizeof mds / sizeof *mds; i++)
        kn_md_done(mds[i]);
    if (d->pd)
        dnnl_primitive_desc_destroy(d->pd);
    d->pd = NULL;
}
