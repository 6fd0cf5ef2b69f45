/* The context: first error, scopes, and tensors from the pool. */
#include "tensor/tensor.h"

#include <string.h>

#include "tensor/op.h"
#include "tensor/pool.h"

/* More than any plan asks for; addresses of `meta` cost nothing, so that it can predict what does not fit. */
#define META_POOL_BYTES (1ull << 44)

int kn_ctx_init(kn_ctx *c, kn_device *dev, kn_dtype act, size_t pool_bytes, kn_err *err)
{
    if (act != KN_F32 && act != KN_BF16)
        return kn_fail(err, KN_EINVAL, "activations are %s, expected f32 or bf16", kn_dtype_name(act));
    if (!pool_bytes)
        pool_bytes = dev->is_meta ? META_POOL_BYTES : dev->mem_total_bytes;
    kn_pool *pool = NULL;
    int rc = kn_pool_new(dev, pool_bytes, &pool, err);
    if (rc)
        return rc;
    memset(c, 0, sizeof *c);
    c->dev = dev;
    c->pool = pool;
    c->act = act;
    return 0;
}

void kn_ctx_done(kn_ctx *c)
{
    kn_pool_free(c->pool);
    c->pool = NULL;
}

kn_tensor kn_ctx_fail(kn_ctx *c, int code, const char *fmt, ...)
{
    if (kn_ok(c)) {
        va_list ap;
        va_start(ap, fmt);
        kn_vfail(&c->err, code, fmt, ap);
        va_end(ap);
    }
    return (kn_tensor){0};
}

int kn_ctx_error(const kn_ctx *c, kn_err *err)
{
    if (c->err.code && err)
        *err = c->err;
    return c->err.code;
}

kn_scope kn_scope_open(kn_ctx *c)
{
    return (kn_scope){.depth = ++c->depth};
}

/* Closing goes on after an error, so that the memory of a failed run is free again. */
kn_tensor kn_scope_close(kn_ctx *c, kn_scope s, kn_tensor keep)
{
    if (s.depth != c->depth)
        kn_ctx_fail(c, KN_EINTERNAL, "scope of depth %d closed, expected the innermost of depth %d", s.depth,
                    c->depth);
    if (s.depth < 1 || s.depth > c->depth)
        return (kn_tensor){0};
    kn_pool_block *kept = kn_is_null(keep) ? NULL : kn_pool_find(c->pool, keep.data);
    if (kept && kept->depth >= s.depth)
        kept->depth = s.depth - 1;
    kn_pool_release_depth(c->pool, s.depth);
    c->depth = s.depth - 1;
    return kn_ok(c) ? keep : (kn_tensor){0};
}

void kn_free(kn_ctx *c, kn_tensor *t)
{
    if (kn_is_null(*t))
        return;
    kn_pool_block *b = kn_pool_find(c->pool, t->data);
    char shape[KN_SHAPE_STR];
    if (!b || c->pool->base + b->offset != (uintptr_t)t->data)
        kn_ctx_fail(c, KN_EINTERNAL,
                    "free: %s is not the beginning of a live block (a view, or freed before)",
                    kn_shape_str(*t, shape, sizeof shape));
    else
        kn_pool_release(c->pool, b);
    *t = (kn_tensor){0};
}

kn_tensor kn_empty(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims)
{
    if (!kn_op_ready(c))
        return (kn_tensor){0};
    kn_tensor t;
    if (!kn_op_shape(c, "empty", dtype, n_dims, dims, &t))
        return (kn_tensor){0};
    t.data = kn_pool_alloc(c->pool, kn_bytes(t), c->depth, &c->err);
    return t.data ? t : (kn_tensor){0};
}

kn_tensor kn_zeros(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims)
{
    kn_tensor t = kn_empty(c, dtype, n_dims, dims);
    if (!kn_is_null(t))
        c->dev->ops->fill_zero(c->dev, t.data, kn_bytes(t), &c->err);
    return kn_ok(c) ? t : (kn_tensor){0};
}

size_t kn_pool_peak(const kn_ctx *c)
{
    return c->pool->peak;
}

size_t kn_pool_live(const kn_ctx *c)
{
    return c->pool->live;
}

void kn_pool_reset_peak(kn_ctx *c)
{
    c->pool->peak = c->pool->extent;
}

void kn_pool_trim(kn_ctx *c)
{
    kn_pool_give_back(c->pool);
}
