#include "tensor/op.h"

#include "tensor/pool.h"

bool kn_op_ready(kn_ctx *c)
{
    if (!kn_ok(c))
        return false;
    if (c->cancel && atomic_load_explicit(c->cancel, memory_order_relaxed)) {
        kn_ctx_fail(c, KN_ECANCELLED, "cancelled");
        return false;
    }
    return true;
}

bool kn_op_shape(kn_ctx *c, const char *op, kn_dtype dtype, int n_dims, const int64_t *dims, kn_tensor *ret)
{
    if (n_dims < 1 || n_dims > KN_MAX_DIMS || (unsigned)dtype >= KN_DTYPE_COUNT ||
        kn_dtype_block(dtype) != 1) {
        kn_ctx_fail(c, KN_EINTERNAL, "%s: a tensor of %d dimensions of %s, expected 1 to %d of a plain type",
                    op, n_dims, kn_dtype_name(dtype), KN_MAX_DIMS);
        return false;
    }
    kn_tensor t = {.dtype = dtype, .n_dims = n_dims};
    int64_t bytes = kn_dtype_block_bytes(dtype);
    bool ok = true;
    for (int i = 0; i < KN_MAX_DIMS; i++) {
        t.dims[i] = i < n_dims ? dims[i] : 1;
        ok = ok && t.dims[i] > 0 && !__builtin_mul_overflow(bytes, t.dims[i], &bytes);
    }
    if (!ok) {
        char shape[KN_SHAPE_STR];
        kn_ctx_fail(c, KN_EINTERNAL, "%s: shape %s, expected positive dimensions that fit into memory", op,
                    kn_shape_str(t, shape, sizeof shape));
        return false;
    }
    *ret = t;
    return true;
}

kn_tensor kn_op_like(kn_ctx *c, kn_tensor x, int64_t last, kn_dtype dtype)
{
    if (last)
        x.dims[x.n_dims - 1] = last;
    return kn_empty(c, dtype, x.n_dims, x.dims);
}

bool kn_op_float(kn_ctx *c, const char *op, const char *arg, kn_tensor t)
{
    if (t.dtype == KN_F32 || t.dtype == KN_BF16)
        return true;
    char shape[KN_SHAPE_STR];
    kn_ctx_fail(c, KN_EINTERNAL, "%s: %s is %s, expected f32 or bf16", op, arg,
                kn_shape_str(t, shape, sizeof shape));
    return false;
}

bool kn_op_out(kn_ctx *c, const char *op, kn_dtype out)
{
    if (out == KN_F32 || out == KN_BF16)
        return true;
    kn_ctx_fail(c, KN_EINTERNAL, "%s: result in %s, expected f32 or bf16", op, kn_dtype_name(out));
    return false;
}

bool kn_op_is(kn_ctx *c, const char *op, const char *arg, kn_tensor t, kn_dtype dtype, int n_dims,
              const int64_t *dims)
{
    kn_tensor want = {.dtype = dtype, .n_dims = n_dims};
    for (int i = 0; i < n_dims; i++)
        want.dims[i] = dims[i];
    if (t.dtype == dtype && kn_op_same_dims(t, want))
        return true;
    char found[KN_SHAPE_STR], expected[KN_SHAPE_STR];
    kn_ctx_fail(c, KN_EINTERNAL, "%s: %s is %s, expected %s", op, arg, kn_shape_str(t, found, sizeof found),
                kn_shape_str(want, expected, sizeof expected));
    return false;
}

bool kn_op_same_dims(kn_tensor a, kn_tensor b)
{
    bool same = a.n_dims == b.n_dims;
    for (int i = 0; same && i < a.n_dims; i++)
        same = a.dims[i] == b.dims[i];
    return same;
}

bool kn_op_vector(kn_ctx *c, const char *op, const char *arg, kn_tensor t, int64_t n)
{
    return kn_is_null(t) || kn_op_is(c, op, arg, t, KN_F32, KN_DIMS(n));
}

bool kn_op_mod(kn_ctx *c, const char *op, const char *arg, kn_mod m, int64_t rows, int64_t channels)
{
    char shape[KN_SHAPE_STR];
    if (kn_is_null(m.table)) {
        if (kn_is_null(m.row_group))
            return true;
        kn_ctx_fail(c, KN_EINTERNAL, "%s: %s has row groups %s but no table", op, arg,
                    kn_shape_str(m.row_group, shape, sizeof shape));
        return false;
    }
    if (m.table.n_dims != 2 || m.table.dtype != KN_F32 || m.table.dims[1] != channels) {
        kn_ctx_fail(c, KN_EINTERNAL, "%s: table of %s is %s, expected [groups, %lld] f32", op, arg,
                    kn_shape_str(m.table, shape, sizeof shape), (long long)channels);
        return false;
    }
    return kn_is_null(m.row_group) ||
           kn_op_is(c, op, "row groups of a modulation", m.row_group, KN_I32, KN_DIMS(rows));
}

bool kn_op_rope(kn_ctx *c, const char *op, const kn_rope *rope, int n_heads, kn_tensor x)
{
    int64_t channels = kn_op_last(x), rows = kn_op_rows(x);
    if (n_heads < 1 || channels % n_heads || channels / n_heads % 2) {
        kn_ctx_fail(c, KN_EINTERNAL, "%s: %lld channels in %d heads, expected heads of an even size", op,
                    (long long)channels, n_heads);
        return false;
    }
    if (x.n_dims > 2 && rope->cos.dims[0] == x.dims[x.n_dims - 2])
        rows = rope->cos.dims[0];
    int64_t half = channels / n_heads / 2;
    return kn_op_is(c, op, "rope's cos", rope->cos, KN_F32, KN_DIMS(rows, half)) &&
           kn_op_is(c, op, "rope's sin", rope->sin, KN_F32, KN_DIMS(rows, half));
}

void kn_op_count(kn_ctx *c, kn_work work, double flops, double bytes)
{
    c->stats.flops[work] += flops;
    c->stats.bytes[work] += bytes;
    c->stats.n_ops++;
}

bool kn_op_workspace(kn_ctx *c, size_t bytes, void **ret)
{
    *ret = NULL;
    if (!bytes)
        return true;
    *ret = kn_pool_alloc(c->pool, bytes, c->depth, &c->err);
    return *ret != NULL;
}

void kn_op_workspace_done(kn_ctx *c, void *workspace)
{
    if (workspace)
        kn_pool_release(c->pool, kn_pool_find(c->pool, workspace));
}

bool kn_op_runs(kn_ctx *c, const char *op, bool has_slot)
{
    if (!kn_ok(c) || c->dev->is_meta)
        return false;
    if (!has_slot)
        kn_ctx_fail(c, KN_EUNSUPPORTED, "%s is not supported by device %s", op, c->dev->name);
    return has_slot;
}

bool kn_op_done(kn_ctx *c, const char *op, int rc, const kn_err *err)
{
    if (rc)
        kn_ctx_fail(c, rc, "%s: %s", op, err->code ? err->msg : kn_err_text(rc));
    return rc == 0;
}
