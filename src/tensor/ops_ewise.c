/* Fronts of the element-wise operations; all work in place on x. */
#include "tensor/op.h"

static void run(kn_ctx *c, const char *op, const kn_ewise_args *a)
{
    size_t bytes = 2 * kn_bytes(a->x) + (kn_is_null(a->y) ? 0 : kn_bytes(a->y));
    kn_op_count(c, KN_WORK_MEMORY, 2 * (double)kn_numel(a->x), (double)bytes);
    KN_OP_CALL(c, op, ewise, a);
}

static void run_unary(kn_ctx *c, const char *op, const kn_ewise_args *a)
{
    if (kn_op_ready(c) && !kn_is_null(a->x) && kn_op_float(c, op, "x", a->x))
        run(c, op, a);
}

/* y has x's shape, or is one row that every row of x meets. */
static void run_binary(kn_ctx *c, const char *op, const kn_ewise_args *a)
{
    if (!kn_op_ready(c) || kn_is_null(a->x) || kn_is_null(a->y))
        return;
    if (!kn_op_float(c, op, "x", a->x) || !kn_op_float(c, op, "y", a->y))
        return;
    if (!kn_op_same_dims(a->x, a->y) && !(a->y.n_dims == 1 && a->y.dims[0] == kn_op_last(a->x))) {
        char sx[KN_SHAPE_STR], sy[KN_SHAPE_STR];
        kn_ctx_fail(c, KN_EINTERNAL, "%s: y is %s, expected the shape of x, %s, or its last dimension", op,
                    kn_shape_str(a->y, sy, sizeof sy), kn_shape_str(a->x, sx, sizeof sx));
        return;
    }
    run(c, op, a);
}

void kn_add(kn_ctx *c, kn_tensor x, kn_tensor y, float y_scale)
{
    run_binary(c, "add", &(kn_ewise_args){.op = KN_EWISE_ADD, .x = x, .y = y, .a = y_scale});
}

void kn_mul(kn_ctx *c, kn_tensor x, kn_tensor y)
{
    run_binary(c, "mul", &(kn_ewise_args){.op = KN_EWISE_MUL, .x = x, .y = y});
}

void kn_affine(kn_ctx *c, kn_tensor x, float scale, float shift)
{
    run_unary(c, "affine", &(kn_ewise_args){.op = KN_EWISE_AFFINE, .x = x, .a = scale, .b = shift});
}

void kn_clamp(kn_ctx *c, kn_tensor x, float lo, float hi)
{
    run_unary(c, "clamp", &(kn_ewise_args){.op = KN_EWISE_CLAMP, .x = x, .a = lo, .b = hi});
}

void kn_activate(kn_ctx *c, kn_tensor x, kn_act act)
{
    run_unary(c, "activate", &(kn_ewise_args){.op = KN_EWISE_ACT, .x = x, .act = act});
}

void kn_gate_add(kn_ctx *c, kn_tensor x, kn_tensor y, kn_mod gate)
{
    const char *op = "gate_add";
    if (!kn_op_ready(c) || kn_is_null(x) || kn_is_null(y))
        return;
    if (!kn_op_float(c, op, "y", y) || !kn_op_is(c, op, "x", x, KN_F32, y.n_dims, y.dims) ||
        !kn_op_mod(c, op, "gate", gate, kn_op_rows(x), kn_op_last(x)))
        return;
    run(c, op, &(kn_ewise_args){.op = KN_EWISE_GATE_ADD, .x = x, .y = y, .gate = gate});
}
