/* Fronts of the norms and of the rotary embedding. */
#include "tensor/op.h"

/* Multiplications and additions an element, about: norms are bound by memory. */
enum { NORM_FLOPS = 8, ROPE_FLOPS = 6 };

static void count(kn_ctx *c, kn_tensor x, kn_tensor out, double flops)
{
    kn_op_count(c, KN_WORK_MEMORY, flops * (double)kn_numel(x), (double)(kn_bytes(x) + kn_bytes(out)));
}

static bool check_norm(kn_ctx *c, const char *op, const kn_norm_args *a)
{
    int64_t channels = kn_op_last(a->x);
    return kn_op_float(c, op, "x", a->x) && kn_op_vector(c, op, "gamma", a->gamma, channels) &&
           kn_op_vector(c, op, "beta", a->beta, channels);
}

kn_tensor kn_rms_norm(kn_ctx *c, kn_tensor x, kn_tensor gamma, float eps, kn_act act, const kn_rope *rope,
                      int n_heads, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x))
        return (kn_tensor){0};
    kn_norm_args a = {.x = x, .gamma = gamma, .eps = eps, .act = act, .rope = rope, .n_heads = n_heads};
    if (!check_norm(c, "rms_norm", &a) || !kn_op_out(c, "rms_norm", out) ||
        (rope && !kn_op_rope(c, "rms_norm", rope, n_heads, x)))
        return (kn_tensor){0};
    a.out = kn_op_like(c, x, 0, out);
    if (kn_is_null(a.out))
        return a.out;
    count(c, x, a.out, rope ? NORM_FLOPS + ROPE_FLOPS : NORM_FLOPS);
    KN_OP_CALL(c, "rms_norm", rms_norm, &a);
    return kn_ok(c) ? a.out : (kn_tensor){0};
}

void kn_rms_norm_into(kn_ctx *c, kn_tensor out, kn_tensor x, kn_tensor gamma, float eps, kn_act act)
{
    if (!kn_op_ready(c) || kn_is_null(x) || kn_is_null(out))
        return;
    kn_norm_args a = {.x = x, .out = out, .gamma = gamma, .eps = eps, .act = act};
    if (!check_norm(c, "rms_norm_into", &a) || !kn_op_out(c, "rms_norm_into", out.dtype) ||
        !kn_op_is(c, "rms_norm_into", "out", out, out.dtype, x.n_dims, x.dims))
        return;
    count(c, x, out, NORM_FLOPS);
    KN_OP_CALL(c, "rms_norm_into", rms_norm, &a);
}

void kn_rope_apply(kn_ctx *c, kn_tensor x, const kn_rope *rope, int n_heads)
{
    if (!kn_op_ready(c) || kn_is_null(x) || kn_is_null(rope->cos) || kn_is_null(rope->sin))
        return;
    if (!kn_op_float(c, "rope", "x", x) || !kn_op_rope(c, "rope", rope, n_heads, x))
        return;
    count(c, x, x, ROPE_FLOPS);
    KN_OP_CALL(c, "rope", rope, x, rope, n_heads);
}

kn_tensor kn_layer_norm(kn_ctx *c, kn_tensor x, kn_tensor gamma, kn_tensor beta, float eps, kn_mod shift,
                        kn_mod scale, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x))
        return (kn_tensor){0};
    kn_norm_args a = {.x = x, .gamma = gamma, .beta = beta, .eps = eps, .shift = shift, .scale = scale};
    int64_t rows = kn_op_rows(x), channels = kn_op_last(x);
    if (!check_norm(c, "layer_norm", &a) || !kn_op_out(c, "layer_norm", out) ||
        !kn_op_mod(c, "layer_norm", "shift", shift, rows, channels) ||
        !kn_op_mod(c, "layer_norm", "scale", scale, rows, channels))
        return (kn_tensor){0};
    a.out = kn_op_like(c, x, 0, out);
    if (kn_is_null(a.out))
        return a.out;
    count(c, x, a.out, NORM_FLOPS);
    KN_OP_CALL(c, "layer_norm", layer_norm, &a);
    return kn_ok(c) ? a.out : (kn_tensor){0};
}

kn_tensor kn_group_norm(kn_ctx *c, kn_tensor x, int n_groups, kn_tensor gamma, kn_tensor beta, float eps,
                        kn_act act, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x))
        return (kn_tensor){0};
    kn_norm_args a = {.x = x, .gamma = gamma, .beta = beta, .eps = eps, .act = act, .n_groups = n_groups};
    if (n_groups < 1 || kn_op_last(x) % n_groups)
        return kn_ctx_fail(c, KN_EINTERNAL,
                           "group_norm: %lld channels in %d groups, expected groups of one size",
                           (long long)kn_op_last(x), n_groups);
    if (!check_norm(c, "group_norm", &a) || !kn_op_out(c, "group_norm", out))
        return (kn_tensor){0};
    a.out = kn_op_like(c, x, 0, out);
    if (kn_is_null(a.out))
        return a.out;
    count(c, x, a.out, NORM_FLOPS);
    const kn_device_ops *ops = c->dev->ops;
    if (!kn_op_workspace(c, ops->group_norm_workspace ? ops->group_norm_workspace(c->dev, &a) : 0,
                         &a.workspace))
        return (kn_tensor){0};
    KN_OP_CALL(c, "group_norm", group_norm, &a);
    kn_op_workspace_done(c, a.workspace);
    return kn_ok(c) ? a.out : (kn_tensor){0};
}
