/* Packing: conversion to the device's type and to the layout oneDNN likes, once. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "tensor/cpu/cpu_device.h"
#include "tensor/cpu/cpu_memory.h"
#include "tensor/cpu/dnnl_desc.h"
#include "tensor/cpu/quant.h"

/* The picture whose best layout a convolution's weights are packed in; another picture may want another one, which
 * conv.c then brings about. */
enum { TYPICAL_FRAMES = 4, TYPICAL_SIDE = 64 };

kn_dtype kn_cpu_weight_type(kn_device *dev, const kn_weight_spec *spec)
{
    const kn_cpu *cpu = kn_cpu_of(dev);
    bool native = spec->dtype == KN_BF16 ? cpu->bf16_math : spec->dtype == KN_I8 ? cpu->int8_math : true;
    return native ? spec->dtype : KN_F32;
}

int kn_cpu_n_packed(const kn_weight_spec *spec)
{
    return spec->upsample2 ? 4 : 1;
}

kn_weight_spec kn_cpu_packed_spec(const kn_weight_spec *spec)
{
    kn_weight_spec s = *spec;
    if (spec->upsample2)
        s.dims[3] = s.dims[4] = 2;
    return s;
}

kn_prim_key kn_cpu_weight_key(kn_device *dev, const kn_weight_spec *whole)
{
    kn_weight_spec packed = kn_cpu_packed_spec(whole), *spec = &packed;
    kn_dtype type = kn_cpu_weight_type(dev, spec);
    bool conv = spec->kind == KN_WEIGHT_CONV;
    kn_prim_key key = {.kind = conv ? KN_PRIM_CONV : KN_PRIM_MATMUL_LAYOUT,
                       .src_type = type,
                       .weights_type = type,
                       .dst_type = type == KN_I8 ? KN_I32 : type};
    memcpy(key.weights, spec->dims, (conv ? 5 : 2) * sizeof *key.weights);
    if (!conv) {
        key.src[0] = KN_PRIM_TYPICAL_ROWS;
        key.src[1] = spec->dims[1];
        return key;
    }
    for (int i = 0; i < 3; i++) {
        key.src[i] = i == 0 ? TYPICAL_FRAMES : TYPICAL_SIDE;
        key.stride[i] = 1;
        key.pad_lo[i] = key.pad_hi[i] = spec->dims[2 + i] / 2;
    }
    key.src[3] = spec->dims[1];
    return key;
}

typedef struct parts {
    size_t packed; /* bytes of each packed matrix, of the bias, of the scales */
    size_t bias, scales;
} parts;

static parts parts_of(const kn_weight_spec *spec, const kn_md *layout)
{
    size_t row = kn_cpu_align((size_t)spec->dims[0] * sizeof(float));
    return (parts){.packed = kn_cpu_align(kn_md_bytes(layout)),
                   .bias = spec->bias ? row : 0,
                   .scales = spec->dtype == KN_I8 ? row : 0};
}

size_t kn_cpu_weight_bytes(kn_device *dev, const kn_weight_spec *spec)
{
    kn_prim_key key = kn_cpu_weight_key(dev, spec);
    kn_prim *prim = NULL;
    if (kn_prim_get(kn_cpu_of(dev)->prims, &key, &prim, NULL))
        return 0; /* kn_cpu_weight_new will say why */
    parts p = parts_of(spec, kn_prim_weights(prim));
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return (size_t)kn_cpu_n_packed(spec) * p.packed + p.bias + p.scales;
}

static int64_t weight_numel(const kn_weight_spec *spec)
{
    int64_t n = spec->dims[0] * spec->dims[1];
    return spec->kind == KN_WEIGHT_CONV ? n * spec->dims[2] * spec->dims[3] * spec->dims[4] : n;
}

/* Says where the parts lie in the block. */
static int divide(kn_cpu_weight *cw, const kn_weight_spec *spec, const kn_md *layout, void *block,
                  kn_err *err)
{
    parts p = parts_of(spec, layout);
    size_t packed = (size_t)cw->n_packed * p.packed;
    char *at = cw->block = block;
    cw->block_bytes = packed + p.bias + p.scales;
    for (int i = 0; i < cw->n_packed; i++) {
        cw->packed[i].data = at + (size_t)i * p.packed;
        cw->packed[i].bytes = p.packed;
        int rc = kn_dnnl_check(kn_md_copy(&cw->packed[i].layout, layout), "weight layout", err);
        if (rc)
            return rc;
    }
    cw->bias = p.bias ? (float *)(void *)(at + packed) : NULL;
    cw->col_scales = p.scales ? (float *)(void *)(at + packed + p.bias) : NULL;
    return 0;
}

/* Zeroed: what lies between the parts is saved with them. */
static int alloc_parts(kn_cpu_weight *cw, const kn_weight_spec *spec, const kn_md *layout, kn_err *err)
{
    parts p = parts_of(spec, layout);
    size_t bytes = (size_t)cw->n_packed * p.packed + p.bias + p.scales;
    void *block = kn_cpu_block_new(bytes);
    if (!block)
        return kn_fail(err, KN_ENOMEM, "no memory for a weight of %zu bytes", bytes);
    return divide(cw, spec, layout, block, err);
}

static bool is_readable(const kn_weight_spec *spec, kn_dtype type)
{
    return type == KN_F32 || (type == KN_BF16 && !spec->upsample2);
}

/* What `pack` below allocates for the time of a call. */
size_t kn_cpu_weight_packing(kn_device *dev, const kn_weight_spec *spec, kn_dtype source)
{
    int64_t n = weight_numel(spec);
    size_t bytes = is_readable(spec, source) ? 0 : (size_t)n * sizeof(float);
    if (spec->dtype == KN_I8)
        bytes += kn_dtype_bytes(kn_cpu_weight_type(dev, spec), n);
    else if (spec->upsample2)
        bytes += (size_t)(spec->dims[0] * spec->dims[1]) * 4 * sizeof(float);
    return bytes;
}

/* Row-major data in a type oneDNN or the quantiser reads; *ret_temp is to be freed. */
static int readable(const kn_weight_spec *spec, const kn_weight_src *src, const void **ret,
                    kn_dtype *ret_type, void **ret_temp, kn_err *err)
{
    *ret_temp = NULL;
    *ret = src->data;
    *ret_type = src->dtype;
    if (is_readable(spec, src->dtype))
        return 0;
    int64_t n = weight_numel(spec);
    float *f = kn_calloc((size_t)n, sizeof *f);
    if (!f)
        return kn_fail(err, KN_ENOMEM, "no memory to convert a weight of %lld elements", (long long)n);
    kn_dtype_to_f32(src->dtype, src->data, f, n);
    *ret = *ret_temp = f;
    *ret_type = KN_F32;
    return 0;
}

static int reorder_plain(kn_device *dev, const kn_weight_spec *spec, kn_cpu_packed *to, const void *data,
                         kn_dtype type, kn_err *err)
{
    kn_md plain = {0};
    dnnl_status_t s = spec->kind == KN_WEIGHT_CONV ? kn_conv_plain_md(&plain, spec->dims, type)
                                                   : kn_matmul_plain_md(&plain, spec->dims, type);
    int rc = kn_dnnl_check(s, "weight layout", err);
    if (!rc)
        rc = kn_prims_reorder(kn_cpu_of(dev)->prims, &plain, data, &to->layout, to->data, err);
    kn_md_done(&plain);
    return rc;
}

static int pack_quantized(kn_device *dev, const kn_weight_spec *spec, kn_cpu_weight *cw, const void *data,
                          kn_dtype type, kn_err *err)
{
    int64_t n = weight_numel(spec);
    void *q = kn_calloc((size_t)n, kn_dtype_bytes(cw->type, 1));
    if (!q)
        return kn_fail(err, KN_ENOMEM, "no memory to quantise a weight of %lld elements", (long long)n);
    kn_tensor rows = {
        .data = (void *)data, .dtype = type, .n_dims = 2, .dims = {spec->dims[0], spec->dims[1]}};
    kn_cpu_quantize(dev, rows, q, cw->type, cw->col_scales);
    int rc = reorder_plain(dev, spec, &cw->packed[0], q, cw->type, err);
    free(q);
    return rc;
}

/* Three taps on a doubled picture are two on the picture: on even places the first falls on the pixel before and the
 * others on the same pixel, on odd places the last falls on the pixel after. */
static int tap(int odd, int64_t i)
{
    return odd ? i == 2 : i >= 1;
}

/* Kernels [O, C, 1, 3, 3] summed to [O, C, 1, 2, 2] for output pixels of one parity. */
static void sum_taps(const float *src, int64_t n_kernels, int odd_y, int odd_x, float *dst)
{
    memset(dst, 0, (size_t)n_kernels * 4 * sizeof *dst);
    for (int64_t k = 0; k < n_kernels; k++)
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 3; x++)
                dst[k * 4 + tap(odd_y, y) * 2 + tap(odd_x, x)] += src[k * 9 + y * 3 + x];
}

static int pack_doubled(kn_device *dev, const kn_weight_spec *spec, kn_cpu_weight *cw, const float *data,
                        kn_err *err)
{
    kn_weight_spec part = kn_cpu_packed_spec(spec);
    int64_t n = spec->dims[0] * spec->dims[1];
    float *summed = kn_calloc((size_t)n * 4, sizeof *summed);
    if (!summed)
        return kn_fail(err, KN_ENOMEM, "no memory to sum %lld kernels", (long long)n);
    int rc = 0;
    for (int i = 0; i < 4 && !rc; i++) {
        sum_taps(data, n, i / 2, i % 2, summed);
        rc = reorder_plain(dev, &part, &cw->packed[i], summed, KN_F32, err);
    }
    free(summed);
    return rc;
}

static int pack(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_cpu_weight *cw,
                kn_err *err)
{
    const void *data;
    kn_dtype type;
    void *temp;
    int rc = readable(spec, src, &data, &type, &temp, err);
    if (rc)
        return rc;
    if (spec->dtype == KN_I8)
        rc = pack_quantized(dev, spec, cw, data, type, err);
    else if (spec->upsample2)
        rc = pack_doubled(dev, spec, cw, data, err);
    else
        rc = reorder_plain(dev, spec, &cw->packed[0], data, type, err);
    free(temp);
    if (!rc && cw->bias)
        memcpy(cw->bias, src->bias, (size_t)spec->dims[0] * sizeof *cw->bias);
    return rc;
}

static void weight_done(kn_cpu_weight *cw)
{
    if (!cw)
        return;
    for (int i = 0; i < cw->n_packed; i++)
        kn_md_done(&cw->packed[i].layout);
    if (cw->is_mapped)
        kn_map_release(cw->block, cw->block_bytes);
    else
        kn_cpu_block_free(cw->block, cw->block_bytes);
    free(cw);
}

/* `fill` finds cw with type and number of parts, and the layout of each. */
typedef int (*fill_fn)(kn_device *dev, const kn_weight_spec *spec, kn_cpu_weight *cw, const kn_md *layout,
                       const void *arg, kn_err *err);

static int make(kn_device *dev, const kn_weight_spec *spec, fill_fn fill, const void *arg, kn_weight *w,
                kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    kn_prim_key key = kn_cpu_weight_key(dev, spec);
    kn_prim *prim = NULL;
    kn_cpu_weight *cw = NULL;
    int rc = kn_prim_get(prims, &key, &prim, err);
    if (rc)
        goto out;
    cw = kn_calloc(1, sizeof *cw);
    if (!cw) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for a weight");
        goto out;
    }
    cw->type = kn_cpu_weight_type(dev, spec);
    cw->n_packed = kn_cpu_n_packed(spec);
    rc = fill(dev, spec, cw, kn_prim_weights(prim), arg, err);
    if (!rc) {
        w->priv = cw;
        cw = NULL;
    }
out:
    weight_done(cw);
    kn_prim_put(prims, prim);
    return rc;
}

static int fill_packed(kn_device *dev, const kn_weight_spec *spec, kn_cpu_weight *cw, const kn_md *layout,
                       const void *arg, kn_err *err)
{
    int rc = alloc_parts(cw, spec, layout, err);
    return rc ? rc : pack(dev, spec, arg, cw, err);
}

int kn_cpu_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight *w,
                      kn_err *err)
{
    return make(dev, spec, fill_packed, src, w, err);
}

void kn_cpu_weight_free(kn_device *dev, kn_weight *w)
{
    (void)dev;
    weight_done(w->priv);
    w->priv = NULL;
}

/* ---- packed weights that outlive the process: the block, as it lies ---- */

uint64_t kn_cpu_weight_format(kn_device *dev, const kn_weight_spec *spec)
{
    kn_prim_key key = kn_cpu_weight_key(dev, spec);
    kn_prim *prim = NULL;
    if (kn_prim_get(kn_cpu_of(dev)->prims, &key, &prim, NULL))
        return 0;
    uint64_t h = kn_md_hash(kn_prim_weights(prim));
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return h ? h : 1;
}

int kn_cpu_weight_save(kn_device *dev, const kn_weight *w, kn_put_fn put, void *ud)
{
    (void)dev;
    const kn_cpu_weight *cw = w->priv;
    return put(ud, cw->block, cw->block_bytes);
}

/* A convolution's weights are turned over in place (conv_weights.c), so they are copied. */
static int fill_mapped(kn_device *dev, const kn_weight_spec *spec, kn_cpu_weight *cw, const kn_md *layout,
                       const void *arg, kn_err *err)
{
    (void)dev;
    if (spec->kind == KN_WEIGHT_CONV) {
        int rc = alloc_parts(cw, spec, layout, err);
        if (!rc)
            memcpy(cw->block, arg, cw->block_bytes);
        return rc;
    }
    cw->is_mapped = true;
    return divide(cw, spec, layout, (void *)(uintptr_t)arg, err);
}

int kn_cpu_weight_map(kn_device *dev, const kn_weight_spec *spec, const void *data, size_t bytes,
                      kn_weight *w, kn_err *err)
{
    KN_ASSERT(bytes == w->bytes && (uintptr_t)data % 64 == 0);
    return make(dev, spec, fill_mapped, data, w, err);
}
