#include "tensor/cpu/dnnl_compat.h"

#include <string.h>

#include "base/hash.h"

static const char *status_text(dnnl_status_t status)
{
    switch ((int)status) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented for this shape, type and processor";
    case dnnl_runtime_error:
        return "runtime error";
    default:
        return "failed";
    }
}

int kn_dnnl_check(dnnl_status_t status, const char *what, kn_err *err)
{
    if (status == dnnl_success)
        return 0;
    return kn_fail(err, status == dnnl_out_of_memory ? KN_ENOMEM : KN_EDEVICE, "oneDNN %d.%d: %s: %s",
                   DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, what, status_text(status));
}

dnnl_data_type_t kn_dnnl_type(kn_dtype t)
{
    switch (t) {
    case KN_F32:
        return dnnl_f32;
    case KN_BF16:
        return dnnl_bf16;
    case KN_I8:
        return dnnl_s8;
    case KN_I32:
        return dnnl_s32;
    default:
        return dnnl_data_type_undef;
    }
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t kn_md_tag(kn_md *ret, int n_dims, const int64_t *dims, kn_dtype t, dnnl_format_tag_t tag)
{
    dnnl_status_t s = dnnl_memory_desc_create_with_tag(&ret->d, n_dims, dims, kn_dnnl_type(t), tag);
    ret->set = s == dnnl_success;
    return s;
}

dnnl_status_t kn_md_copy(kn_md *ret, const kn_md *src)
{
    dnnl_status_t s = dnnl_memory_desc_clone(&ret->d, src->d);
    ret->set = s == dnnl_success;
    return s;
}

dnnl_status_t kn_md_query(kn_md *ret, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    const_dnnl_memory_desc_t d = dnnl_primitive_desc_query_md(pd, what, 0);
    dnnl_status_t s = d ? dnnl_memory_desc_clone(&ret->d, d) : dnnl_invalid_arguments;
    ret->set = s == dnnl_success;
    return s;
}

void kn_md_done(kn_md *md)
{
    if (md->set)
        dnnl_memory_desc_destroy(md->d);
    md->set = false;
}

size_t kn_md_bytes(const kn_md *md)
{
    return dnnl_memory_desc_get_size(md->d);
}

bool kn_md_equal(const kn_md *a, const kn_md *b)
{
    return dnnl_memory_desc_equal(a->d, b->d) != 0;
}

dnnl_status_t kn_md_memory(const kn_md *md, dnnl_engine_t engine, void *data, dnnl_memory_t *ret)
{
    return dnnl_memory_create(ret, md->d, engine, data);
}

dnnl_status_t kn_md_query_blocks(const kn_md *md, kn_md_blocks *ret)
{
    dnnl_format_kind_t kind;
    dnnl_dims_t *strides, *padded, *sizes, *dims;
    int n_dims;
    dnnl_status_t s = dnnl_memory_desc_query(md->d, dnnl_query_format_kind, &kind);
    if (!s && kind != dnnl_blocked)
        s = dnnl_unimplemented;
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_ndims_s32, &n_dims);
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_strides, &strides);
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_padded_dims, &padded);
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_inner_nblks_s32, &ret->n_blocks);
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_inner_blks, &sizes);
    if (!s)
        s = dnnl_memory_desc_query(md->d, dnnl_query_inner_idxs, &dims);
    if (s)
        return s;
    memcpy(ret->strides, *strides, (size_t)n_dims * sizeof **strides);
    memcpy(ret->padded, *padded, (size_t)n_dims * sizeof **padded);
    memcpy(ret->sizes, *sizes, (size_t)ret->n_blocks * sizeof **sizes);
    memcpy(ret->dims, *dims, (size_t)ret->n_blocks * sizeof **dims);
    return s;
}

dnnl_status_t kn_dnnl_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha)
{
    return dnnl_post_ops_append_eltwise(po, alg, alpha, 0.0f);
}

dnnl_status_t kn_dnnl_append_binary(dnnl_post_ops_t po, dnnl_alg_kind_t alg, const kn_md *md)
{
    return dnnl_post_ops_append_binary(po, alg, md->d);
}

dnnl_status_t kn_dnnl_append_sum(dnnl_post_ops_t po)
{
    return dnnl_post_ops_append_sum(po, 1.0f, 0, dnnl_data_type_undef);
}

dnnl_status_t kn_dnnl_matmul(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                             const kn_md *dst, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret)
{
    return dnnl_matmul_primitive_desc_create(ret, engine, src->d, weights->d, bias ? bias->d : NULL, dst->d,
                                             attr);
}

dnnl_status_t kn_dnnl_conv(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                           const kn_md *dst, const int64_t *strides, const int64_t *pad_lo,
                           const int64_t *pad_hi, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret)
{
    const dnnl_dims_t dilates = {0};
    return dnnl_convolution_forward_primitive_desc_create(
        ret, engine, dnnl_forward_inference, dnnl_convolution_direct, src->d, weights->d,
        bias ? bias->d : NULL, dst->d, strides, dilates, pad_lo, pad_hi, attr);
}

dnnl_status_t kn_dnnl_reorder(dnnl_engine_t engine, const kn_md *src, const kn_md *dst,
                              dnnl_primitive_desc_t *ret)
{
    return dnnl_reorder_primitive_desc_create(ret, src->d, engine, dst->d, engine, NULL);
}

#else

dnnl_status_t kn_md_tag(kn_md *ret, int n_dims, const int64_t *dims, kn_dtype t, dnnl_format_tag_t tag)
{
    dnnl_status_t s = dnnl_memory_desc_init_by_tag(&ret->d, n_dims, dims, kn_dnnl_type(t), tag);
    ret->set = s == dnnl_success;
    return s;
}

dnnl_status_t kn_md_copy(kn_md *ret, const kn_md *src)
{
    *ret = *src;
    return dnnl_success;
}

dnnl_status_t kn_md_query(kn_md *ret, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(pd, what, 0);
    if (!d)
        return dnnl_invalid_arguments;
    ret->d = *d;
    ret->set = true;
    return dnnl_success;
}

void kn_md_done(kn_md *md)
{
    md->set = false;
}

size_t kn_md_bytes(const kn_md *md)
{
    return dnnl_memory_desc_get_size(&md->d);
}

bool kn_md_equal(const kn_md *a, const kn_md *b)
{
    return dnnl_memory_desc_equal(&a->d, &b->d) != 0;
}

dnnl_status_t kn_md_memory(const kn_md *md, dnnl_engine_t engine, void *data, dnnl_memory_t *ret)
{
    return dnnl_memory_create(ret, &md->d, engine, data);
}

dnnl_status_t kn_md_query_blocks(const kn_md *md, kn_md_blocks *ret)
{
    if (md->d.format_kind != dnnl_blocked || md->d.extra.flags)
        return dnnl_unimplemented;
    const dnnl_blocking_desc_t *b = &md->d.format_desc.blocking;
    memcpy(ret->strides, b->strides, sizeof ret->strides);
    memcpy(ret->padded, md->d.padded_dims, sizeof ret->padded);
    memcpy(ret->sizes, b->inner_blks, sizeof ret->sizes);
    memcpy(ret->dims, b->inner_idxs, sizeof ret->dims);
    ret->n_blocks = b->inner_nblks;
    return dnnl_success;
}

dnnl_status_t kn_dnnl_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha)
{
    return dnnl_post_ops_append_eltwise(po, 1.0f, alg, alpha, 0.0f);
}

dnnl_status_t kn_dnnl_append_binary(dnnl_post_ops_t po, dnnl_alg_kind_t alg, const kn_md *md)
{
    return dnnl_post_ops_append_binary(po, alg, &md->d);
}

dnnl_status_t kn_dnnl_append_sum(dnnl_post_ops_t po)
{
    return dnnl_post_ops_append_sum(po, 1.0f);
}

dnnl_status_t kn_dnnl_matmul(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                             const kn_md *dst, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret)
{
    dnnl_matmul_desc_t op;
    dnnl_status_t s = dnnl_matmul_desc_init(&op, &src->d, &weights->d, bias ? &bias->d : NULL, &dst->d);
    return s ? s : dnnl_primitive_desc_create(ret, &op, attr, engine, NULL);
}

dnnl_status_t kn_dnnl_conv(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                           const kn_md *dst, const int64_t *strides, const int64_t *pad_lo,
                           const int64_t *pad_hi, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t s = dnnl_convolution_forward_desc_init(&op, dnnl_forward_inference, dnnl_convolution_direct,
                                                         &src->d, &weights->d, bias ? &bias->d : NULL,
                                                         &dst->d, strides, pad_lo, pad_hi);
    return s ? s : dnnl_primitive_desc_create(ret, &op, attr, engine, NULL);
}

dnnl_status_t kn_dnnl_reorder(dnnl_engine_t engine, const kn_md *src, const kn_md *dst,
                              dnnl_primitive_desc_t *ret)
{
    return dnnl_reorder_primitive_desc_create(ret, &src->d, engine, &dst->d, engine, NULL);
}

#endif

uint64_t kn_md_hash(const kn_md *md)
{
    kn_md_blocks b = {0};
    uint64_t bytes = kn_md_bytes(md), extra = 0;
#if DNNL_VERSION_MAJOR < 3
    kn_md plain = *md; /* sums that oneDNN adds behind the matrix are no part of the blocks */
    extra = md->d.extra.flags;
    plain.d.extra.flags = 0;
    dnnl_status_t s = kn_md_query_blocks(&plain, &b);
#else
    dnnl_status_t s = kn_md_query_blocks(md, &b);
#endif
    uint64_t h = kn_fnv1a(KN_FNV1A_BEGIN, &bytes, sizeof bytes);
    h = kn_fnv1a(h, &extra, sizeof extra);
    h = kn_fnv1a(h, &s, sizeof s);
    for (int i = 0; i < DNNL_MAX_NDIMS; i++) {
        int64_t facts[4] = {b.strides[i], b.padded[i], b.sizes[i], b.dims[i]};
        h = kn_fnv1a(h, facts, sizeof facts);
    }
    return h;
}
