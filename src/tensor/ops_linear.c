/* Fronts of the matrix products with weights. */
#include "tensor/op.h"

static bool check_linear(kn_ctx *c, const char *op, kn_tensor x, const kn_weight *w)
{
    if (!w || w->spec.kind != KN_WEIGHT_LINEAR) {
        kn_ctx_fail(c, KN_EINTERNAL, "%s: %s, expected a linear weight", op,
                    w ? "a convolution's weight" : "no weight");
        return false;
    }
    if (!kn_op_float(c, op, "x", x))
        return false;
    char shape[KN_SHAPE_STR];
    if (kn_op_last(x) == w->spec.dims[1])
        return true;
    kn_ctx_fail(c, KN_EINTERNAL, "%s: x is %s, expected [..., %lld] for a weight [%lld, %lld]", op,
                kn_shape_str(x, shape, sizeof shape), (long long)w->spec.dims[1], (long long)w->spec.dims[0],
                (long long)w->spec.dims[1]);
    return false;
}

static void run_linear(kn_ctx *c, kn_linear_args *a)
{
    const kn_device_ops *ops = c->dev->ops;
    double rows = (double)a->x.dims[0];
    kn_op_count(c, KN_WORK_LINEAR, 2 * rows * (double)a->w->spec.dims[0] * (double)a->w->spec.dims[1],
                (double)(kn_bytes(a->x) + kn_bytes(a->out)));
    if (!kn_op_workspace(c, ops->linear_workspace ? ops->linear_workspace(c->dev, a) : 0, &a->workspace))
        return;
    KN_OP_CALL(c, "linear", linear, a);
    kn_op_workspace_done(c, a->workspace);
    if (c->on_linear && kn_ok(c))
        c->on_linear->fn(c->on_linear->ud, c, a->w, a->x);
}

static kn_tensor flat(kn_tensor t)
{
    int64_t rows = kn_op_rows(t), last = kn_op_last(t);
    kn_tensor r = {.data = t.data, .dtype = t.dtype, .n_dims = 2, .dims = {rows, last, 1, 1, 1, 1, 1, 1}};
    return r;
}

kn_tensor kn_linear(kn_ctx *c, kn_tensor x, const kn_weight *w, kn_act act, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !check_linear(c, "linear", x, w) || !kn_op_out(c, "linear", out))
        return (kn_tensor){0};
    kn_tensor y = kn_op_like(c, x, w->spec.dims[0], out);
    if (kn_is_null(y))
        return y;
    kn_linear_args a = {.x = flat(x), .out = flat(y), .w = w, .act = act, .cancel = c->cancel};
    run_linear(c, &a);
    return kn_ok(c) ? y : (kn_tensor){0};
}

void kn_linear_residual(kn_ctx *c, kn_tensor residual, kn_tensor x, const kn_weight *w, kn_mod gate)
{
    const char *op = "linear_residual";
    if (!kn_op_ready(c) || kn_is_null(residual) || kn_is_null(x) || !check_linear(c, op, x, w))
        return;
    int64_t rows = kn_op_rows(x), n_out = w->spec.dims[0];
    if (!kn_op_is(c, op, "residual (rows flattened)", flat(residual), KN_F32, KN_DIMS(rows, n_out)) ||
        !kn_op_mod(c, op, "gate", gate, rows, n_out))
        return;
    kn_linear_args a = {
        .x = flat(x), .out = flat(residual), .w = w, .accumulate = true, .gate = gate, .cancel = c->cancel};
    run_linear(c, &a);
}
