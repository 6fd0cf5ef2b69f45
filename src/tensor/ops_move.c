/* Fronts of the operations that only move elements. */
#include "tensor/op.h"

static void count(kn_ctx *c, kn_tensor dst, size_t bytes_read)
{
    kn_op_count(c, KN_WORK_MEMORY, 0, (double)(kn_bytes(dst) + bytes_read));
}

static bool check_movable(kn_ctx *c, const char *op, kn_tensor t)
{
    if (t.dtype == KN_F32 || t.dtype == KN_BF16 || t.dtype == KN_I32)
        return true;
    char shape[KN_SHAPE_STR];
    kn_ctx_fail(c, KN_EINTERNAL, "%s: %s, expected f32, bf16 or i32", op,
                kn_shape_str(t, shape, sizeof shape));
    return false;
}

static bool check_axis(kn_ctx *c, const char *op, kn_tensor t, int axis)
{
    char shape[KN_SHAPE_STR];
    if (axis >= 0 && axis < t.n_dims)
        return true;
    kn_ctx_fail(c, KN_EINTERNAL, "%s: axis %d of %s", op, axis, kn_shape_str(t, shape, sizeof shape));
    return false;
}

kn_tensor kn_cast(kn_ctx *c, kn_tensor x, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !check_movable(c, "cast", x))
        return (kn_tensor){0};
    if (out != x.dtype && (!kn_op_float(c, "cast", "x", x) || !kn_op_out(c, "cast", out)))
        return (kn_tensor){0};
    kn_tensor y = kn_op_like(c, x, 0, out);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(x));
    KN_OP_CALL(c, "cast", copy, y, x);
    return kn_ok(c) ? y : (kn_tensor){0};
}

void kn_copy(kn_ctx *c, kn_tensor dst, kn_tensor src)
{
    if (!kn_op_ready(c) || kn_is_null(dst) || kn_is_null(src) || !check_movable(c, "copy", dst))
        return;
    char sd[KN_SHAPE_STR], ss[KN_SHAPE_STR];
    if (kn_numel(dst) != kn_numel(src)) {
        kn_ctx_fail(c, KN_EINTERNAL, "copy: %s to %s, expected the same number of elements",
                    kn_shape_str(src, ss, sizeof ss), kn_shape_str(dst, sd, sizeof sd));
        return;
    }
    if (dst.dtype != src.dtype &&
        (!kn_op_float(c, "copy", "dst", dst) || !kn_op_float(c, "copy", "src", src)))
        return;
    count(c, dst, kn_bytes(src));
    KN_OP_CALL(c, "copy", copy, dst, src);
}

kn_tensor kn_permute(kn_ctx *c, kn_tensor x, const int *perm)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !check_movable(c, "permute", x))
        return (kn_tensor){0};
    int64_t dims[KN_MAX_DIMS];
    unsigned seen = 0;
    for (int i = 0; i < x.n_dims; i++) {
        if (!check_axis(c, "permute", x, perm[i]))
            return (kn_tensor){0};
        seen |= 1u << perm[i];
        dims[i] = x.dims[perm[i]];
    }
    if (seen != (1u << x.n_dims) - 1)
        return kn_ctx_fail(c, KN_EINTERNAL, "permute: an axis is named twice, expected each of %d once",
                           x.n_dims);
    kn_tensor y = kn_empty(c, x.dtype, x.n_dims, dims);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(x));
    KN_OP_CALL(c, "permute", permute, y, x, perm);
    return kn_ok(c) ? y : (kn_tensor){0};
}

/* The shape of xs joined along `axis`; false (with the error, or silently for a null tensor) if they do not match. */
static bool concat_shape(kn_ctx *c, int axis, int n, const kn_tensor *xs, int64_t *dims)
{
    char first[KN_SHAPE_STR], other[KN_SHAPE_STR];
    for (int i = 0; i < n; i++)
        if (kn_is_null(xs[i]))
            return false;
    if (!check_movable(c, "concat", xs[0]) || !check_axis(c, "concat", xs[0], axis))
        return false;
    for (int d = 0; d < xs[0].n_dims; d++)
        dims[d] = xs[0].dims[d];
    dims[axis] = 0;
    for (int i = 0; i < n; i++) {
        kn_tensor t = xs[i];
        t.dims[axis] = xs[0].dims[axis];
        if (t.dtype != xs[0].dtype || !kn_op_same_dims(t, xs[0])) {
            kn_ctx_fail(c, KN_EINTERNAL, "concat: part %d is %s, expected %s but for axis %d", i,
                        kn_shape_str(xs[i], other, sizeof other), kn_shape_str(xs[0], first, sizeof first),
                        axis);
            return false;
        }
        dims[axis] += xs[i].dims[axis];
    }
    return true;
}

kn_tensor kn_concat(kn_ctx *c, int axis, int n, const kn_tensor *xs)
{
    if (!kn_op_ready(c))
        return (kn_tensor){0};
    if (n < 1)
        return kn_ctx_fail(c, KN_EINTERNAL, "concat: %d tensors, expected at least 1", n);
    int64_t dims[KN_MAX_DIMS];
    if (!concat_shape(c, axis, n, xs, dims))
        return (kn_tensor){0};
    kn_tensor y = kn_empty(c, xs[0].dtype, xs[0].n_dims, dims);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(y));
    KN_OP_CALL(c, "concat", concat, y, axis, n, xs);
    return kn_ok(c) ? y : (kn_tensor){0};
}

kn_tensor kn_slice(kn_ctx *c, kn_tensor x, int axis, int64_t begin, int64_t n)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !check_movable(c, "slice", x) || !check_axis(c, "slice", x, axis))
        return (kn_tensor){0};
    char shape[KN_SHAPE_STR];
    if (begin < 0 || n < 1 || begin > x.dims[axis] || n > x.dims[axis] - begin)
        return kn_ctx_fail(c, KN_EINTERNAL, "slice: %lld from %lld along axis %d of %s", (long long)n,
                           (long long)begin, axis, kn_shape_str(x, shape, sizeof shape));
    int64_t dims[KN_MAX_DIMS];
    for (int i = 0; i < x.n_dims; i++)
        dims[i] = i == axis ? n : x.dims[i];
    kn_tensor y = kn_empty(c, x.dtype, x.n_dims, dims);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(y));
    KN_OP_CALL(c, "slice", slice, y, x, axis, begin);
    return kn_ok(c) ? y : (kn_tensor){0};
}

kn_tensor kn_repeat_channels(kn_ctx *c, kn_tensor x, int r)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !kn_op_float(c, "repeat_channels", "x", x))
        return (kn_tensor){0};
    if (r < 1 || kn_op_last(x) > INT64_MAX / r)
        return kn_ctx_fail(c, KN_EINTERNAL, "repeat_channels: %d times, expected at least once", r);
    kn_tensor y = kn_op_like(c, x, kn_op_last(x) * r, x.dtype);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(x));
    KN_OP_CALL(c, "repeat_channels", repeat_channels, y, x, r);
    return kn_ok(c) ? y : (kn_tensor){0};
}

kn_tensor kn_mean_channels(kn_ctx *c, kn_tensor x, int g)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !kn_op_float(c, "mean_channels", "x", x))
        return (kn_tensor){0};
    if (g < 1 || kn_op_last(x) % g)
        return kn_ctx_fail(c, KN_EINTERNAL,
                           "mean_channels: %lld channels in groups of %d, expected whole groups",
                           (long long)kn_op_last(x), g);
    kn_tensor y = kn_op_like(c, x, kn_op_last(x) / g, x.dtype);
    if (kn_is_null(y))
        return y;
    count(c, y, kn_bytes(x));
    KN_OP_CALL(c, "mean_channels", mean_channels, y, x, g);
    return kn_ok(c) ? y : (kn_tensor){0};
}
