/* What the fronts of all operations share: checks, work counting, outputs, workspace, dispatch. */
#ifndef KN_TENSOR_OP_H
#define KN_TENSOR_OP_H

#include "tensor/device.h"

/* False after an error or once cancelled (then that becomes the error). */
bool kn_op_ready(kn_ctx *c);

/* Checks a shape (1 to KN_MAX_DIMS positive dims, bytes that fit size_t) and fills *ret, without memory. */
bool kn_op_shape(kn_ctx *c, const char *op, kn_dtype dtype, int n_dims, const int64_t *dims, kn_tensor *ret);
/* A new tensor of x's dims, the last one replaced by `last` unless it is 0. */
kn_tensor kn_op_like(kn_ctx *c, kn_tensor x, int64_t last, kn_dtype dtype);

static inline int64_t kn_op_last(kn_tensor t)
{
    return t.dims[t.n_dims - 1];
}
static inline int64_t kn_op_rows(kn_tensor t)
{
    return kn_numel(t) / kn_op_last(t);
}

/* Checks that record an error naming `op`, the argument and both shapes; true if all is well. */
bool kn_op_float(kn_ctx *c, const char *op, const char *arg, kn_tensor t); /* f32 or bf16 */
bool kn_op_out(kn_ctx *c, const char *op, kn_dtype out);                   /* f32 or bf16 */
bool kn_op_is(kn_ctx *c, const char *op, const char *arg, kn_tensor t, kn_dtype dtype, int n_dims,
              const int64_t *dims); /* exactly this */
bool kn_op_same_dims(kn_tensor a, kn_tensor b);
bool kn_op_vector(kn_ctx *c, const char *op, const char *arg, kn_tensor t, int64_t n); /* null, or f32 [n] */
bool kn_op_mod(kn_ctx *c, const char *op, const char *arg, kn_mod m, int64_t rows, int64_t channels);
/* cos and sin of a rope for x with n_heads heads: a row for each row of x, or for each row of one batch entry. */
bool kn_op_rope(kn_ctx *c, const char *op, const kn_rope *rope, int n_heads, kn_tensor x);

/* Counts one operation: multiplications and additions, and bytes read and written. */
void kn_op_count(kn_ctx *c, kn_work work, double flops, double bytes);

/* A workspace block of `bytes` in *ret (NULL for 0); false without memory. Freed right after the call it serves. */
bool kn_op_workspace(kn_ctx *c, size_t bytes, void **ret);
void kn_op_workspace_done(kn_ctx *c, void *workspace);

/* Whether to call the device: not on `meta`; an empty slot elsewhere is KN_EUNSUPPORTED. */
bool kn_op_runs(kn_ctx *c, const char *op, bool has_slot);
/* Records the failure of a device call; true if rc is 0. */
bool kn_op_done(kn_ctx *c, const char *op, int rc, const kn_err *err);

/* Calls slot `slot` of the device with the remaining arguments, unless on `meta`; records errors. */
#define KN_OP_CALL(c, op, slot, ...)                                                                         \
    do {                                                                                                     \
        if (kn_op_runs(c, op, (c)->dev->ops->slot != NULL)) {                                                \
            kn_err err_ = {0};                                                                               \
            int rc_ = (c)->dev->ops->slot((c)->dev, __VA_ARGS__, &err_);                                     \
            kn_op_done(c, op, rc_, &err_);                                                                   \
        }                                                                                                    \
    } while (0)

#endif
