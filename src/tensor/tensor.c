/* Shapes, views, and the way between host and device. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/op.h"

/* Conversions between host and device go through a buffer of this many elements. */
enum { CHUNK = 1 << 16 };

const char *kn_shape_str(kn_tensor t, char *buf, size_t size)
{
    if (!t.n_dims) {
        snprintf(buf, size, "no tensor");
        return buf;
    }
    size_t at = 0;
    for (int i = 0; i < t.n_dims && i < KN_MAX_DIMS && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%lld", i ? ", " : "[", (long long)t.dims[i]);
    if (at < size)
        snprintf(buf + at, size - at, "] %s", kn_dtype_name(t.dtype));
    return buf;
}

static kn_tensor reshape_fail(kn_ctx *c, kn_tensor t, int n_dims, const int64_t *dims)
{
    kn_tensor want = {.dtype = t.dtype, .n_dims = n_dims};
    for (int i = 0; i < n_dims; i++)
        want.dims[i] = dims[i];
    char from[KN_SHAPE_STR], to[KN_SHAPE_STR];
    return kn_ctx_fail(c, KN_EINTERNAL, "reshape: %s to %s, expected the same number of elements",
                       kn_shape_str(t, from, sizeof from), kn_shape_str(want, to, sizeof to));
}

kn_tensor kn_reshape(kn_ctx *c, kn_tensor t, int n_dims, const int64_t *dims)
{
    if (!kn_ok(c) || kn_is_null(t))
        return (kn_tensor){0};
    if (n_dims < 1 || n_dims > KN_MAX_DIMS)
        return kn_ctx_fail(c, KN_EINTERNAL, "reshape: %d dimensions, expected 1 to %d", n_dims, KN_MAX_DIMS);
    int64_t total = kn_numel(t), known = 1, full[KN_MAX_DIMS];
    int open = -1;
    for (int i = 0; i < n_dims; i++) {
        full[i] = dims[i];
        if (dims[i] == -1 && open < 0)
            open = i;
        else if (dims[i] < 1 || dims[i] > total / known)
            return reshape_fail(c, t, n_dims, dims);
        else
            known *= dims[i];
    }
    if (total % known || (open < 0 && total != known))
        return reshape_fail(c, t, n_dims, dims);
    if (open >= 0)
        full[open] = total / known;
    kn_tensor r;
    if (!kn_op_shape(c, "reshape", t.dtype, n_dims, full, &r))
        return (kn_tensor){0};
    r.data = t.data;
    return r;
}

kn_tensor kn_rows(kn_ctx *c, kn_tensor t, int64_t begin, int64_t n)
{
    if (!kn_ok(c) || kn_is_null(t))
        return (kn_tensor){0};
    char shape[KN_SHAPE_STR];
    if (begin < 0 || n < 1 || begin > t.dims[0] || n > t.dims[0] - begin)
        return kn_ctx_fail(c, KN_EINTERNAL, "rows: %lld rows from %lld of %s", (long long)n, (long long)begin,
                           kn_shape_str(t, shape, sizeof shape));
    size_t row = kn_bytes(t) / (size_t)t.dims[0];
    t.data = (void *)((uintptr_t)t.data + (size_t)begin * row);
    t.dims[0] = n;
    return t;
}

kn_tensor kn_from_host(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims, const void *src)
{
    kn_tensor t = kn_empty(c, dtype, n_dims, dims);
    if (!kn_is_null(t))
        c->dev->ops->upload(c->dev, t.data, src, kn_bytes(t), &c->err);
    return kn_ok(c) ? t : (kn_tensor){0};
}

static void encode(kn_dtype dtype, const float *src, void *dst, int64_t n)
{
    uint16_t *h = dst;
    int32_t *w = dst;
    if (dtype == KN_BF16) {
        for (int64_t i = 0; i < n; i++)
            h[i] = kn_f32_to_bf16(src[i]);
    } else {
        for (int64_t i = 0; i < n; i++)
            w[i] = (int32_t)src[i];
    }
}

kn_tensor kn_from_f32(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims, const float *src)
{
    if (dtype == KN_F32)
        return kn_from_host(c, dtype, n_dims, dims, src);
    if (dtype != KN_BF16 && dtype != KN_I32)
        return kn_ctx_fail(c, KN_EINTERNAL, "from_f32: to %s, expected f32, bf16 or i32",
                           kn_dtype_name(dtype));
    kn_tensor t = kn_empty(c, dtype, n_dims, dims);
    if (kn_is_null(t) || c->dev->is_meta)
        return t;
    void *buf = malloc((size_t)CHUNK * 4);
    if (!buf)
        return kn_ctx_fail(c, KN_ENOMEM, "from_f32: no memory for %d bytes", CHUNK * 4);
    int64_t n = kn_numel(t), esize = kn_dtype_block_bytes(dtype);
    for (int64_t i = 0; i < n && kn_ok(c); i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        encode(dtype, src + i, buf, m);
        c->dev->ops->upload(c->dev, (void *)((uintptr_t)t.data + (size_t)(i * esize)), buf,
                            (size_t)(m * esize), &c->err);
    }
    free(buf);
    return kn_ok(c) ? t : (kn_tensor){0};
}

void kn_to_f32(kn_ctx *c, kn_tensor t, float *dst)
{
    if (!kn_ok(c) || kn_is_null(t))
        return;
    if (t.dtype == KN_F32) {
        c->dev->ops->download(c->dev, dst, t.data, kn_bytes(t), &c->err);
        return;
    }
    if (t.dtype != KN_BF16 && t.dtype != KN_I32) {
        kn_ctx_fail(c, KN_EINTERNAL, "to_f32: from %s, expected f32, bf16 or i32", kn_dtype_name(t.dtype));
        return;
    }
    void *buf = malloc((size_t)CHUNK * 4);
    if (!buf) {
        kn_ctx_fail(c, KN_ENOMEM, "to_f32: no memory for %d bytes", CHUNK * 4);
        return;
    }
    int64_t n = kn_numel(t), esize = kn_dtype_block_bytes(t.dtype);
    for (int64_t i = 0; i < n && kn_ok(c); i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        if (!c->dev->ops->download(c->dev, buf, (void *)((uintptr_t)t.data + (size_t)(i * esize)),
                                   (size_t)(m * esize), &c->err))
            kn_dtype_to_f32(t.dtype, buf, dst + i, m);
    }
    free(buf);
}
