/* The operations, about thirty, at the granularity that vendor libraries and fused kernels like.
 *
 * Each checks shapes, counts its work, takes its output (and workspace) from the pool and calls the device.
 * x may be f32 or bf16 unless said; `out` is the type of the result (KN_F32, KN_BF16). Parameters (gammas, tables,
 * biases) are f32. "rows" are all dimensions but the last, flattened. */
#ifndef KN_TENSOR_OPS_H
#define KN_TENSOR_OPS_H

#include "tensor/tensor.h"
#include "tensor/weight.h"

typedef enum kn_act {
    KN_ACT_NONE,
    KN_ACT_SILU,
    KN_ACT_GELU_TANH,
    KN_ACT_GELU_ERF,
    KN_ACT_QUICK_GELU, /* x * sigmoid(1.702 x), CLIP-L */
    KN_ACT_RELU
} kn_act;

/* Per-channel modulation that may differ by row: row r uses table[row_group[r], :].  Video models have few distinct
 * timesteps per token (TI2V: 0 and t), so the table has few rows.  row_group NULL: every row uses table row 0. */
typedef struct kn_mod {
    kn_tensor table;     /* f32 [groups, channels]; null = no modulation */
    kn_tensor row_group; /* i32 [rows]; null = all rows in group 0 */
} kn_mod;

/* ---- matrix products ---- */

/* act(x W^T + b): x [..., n_in] -> [..., n_out].  An int8 weight quantises x per row on the way (W8A8). */
kn_tensor kn_linear(kn_ctx *c, kn_tensor x, const kn_weight *w, kn_act act, kn_dtype out);

/* x += (x W^T + b) * gate, in place on `residual` (f32 [rows, n_out]); gate.table null = plain addition. */
void kn_linear_residual(kn_ctx *c, kn_tensor residual, kn_tensor x, const kn_weight *w, kn_mod gate);

typedef struct kn_conv_opts {
    int stride[3];            /* t, h, w; 0 means 1 */
    int pad_lo[3], pad_hi[3]; /* zeros before and after, t, h, w */
    bool upsample2;           /* the input is read as if each pixel were 2x2 (nearest), before padding */
    kn_tensor add;            /* null, or a tensor of the output's shape that is added */
} kn_conv_opts;

/* 3-D (or, with kt = 1, per-frame 2-D) convolution: x [T, H, W, C] -> [T', H', W', C'], bias included. */
kn_tensor kn_conv(kn_ctx *c, kn_tensor x, const kn_weight *w, const kn_conv_opts *opts, kn_dtype out);

typedef struct kn_attention_opts {
    float scale;        /* multiplies q k^T; 0 means 1/sqrt(head size) */
    bool causal;        /* query i sees keys 0 .. i + (nk - nq) */
    kn_tensor bias;     /* null, or f32 [heads or 1, nq or 1, nk], added to the scaled scores */
    kn_tensor rel_bias; /* null, or f32 [heads, 2R+1], by clamp(key - query, -R, R) (T5's buckets unrolled) */
} kn_attention_opts;

/* Softmax attention: q [nq, heads*d], k, v [nk, kv_heads*d] (kv_heads divides heads) -> [nq, heads*d] in `out`.
 * Batches: a leading dimension on all three ([b, n, heads*d]) attends within each entry. */
kn_tensor kn_attention(kn_ctx *c, kn_tensor q, kn_tensor k, kn_tensor v, int n_heads, int n_kv_heads,
                       const kn_attention_opts *opts, kn_dtype out);

/* ---- norms ---- */

/* Rotary embedding tables: cos, sin f32 [rows, d/2]; interleaved pairs (2i, 2i+1) or halves (i, i + d/2).  For x
 * [b, n, C] tables of n rows serve every batch entry. */
typedef struct kn_rope {
    kn_tensor cos, sin;
    bool halves;
} kn_rope;

/* x / sqrt(mean(x^2) + eps) * gamma, then act.  gamma f32 [C] or null.  With rope (may be NULL): rows are then
 * n_heads heads of C/n_heads and each is rotated. */
kn_tensor kn_rms_norm(kn_ctx *c, kn_tensor x, kn_tensor gamma, float eps, kn_act act, const kn_rope *rope,
                      int n_heads, kn_dtype out);
/* The same into an existing tensor (e.g. behind cached frames in a convolution's input); out.dims as x. */
void kn_rms_norm_into(kn_ctx *c, kn_tensor out, kn_tensor x, kn_tensor gamma, float eps, kn_act act);
/* Rotation alone, in place, on [rows, n_heads*d]. */
void kn_rope_apply(kn_ctx *c, kn_tensor x, const kn_rope *rope, int n_heads);

/* ((x - mean)/sqrt(var + eps) * gamma + beta) * (1 + scale) + shift; gamma/beta and shift/scale each optional. */
kn_tensor kn_layer_norm(kn_ctx *c, kn_tensor x, kn_tensor gamma, kn_tensor beta, float eps, kn_mod shift,
                        kn_mod scale, kn_dtype out);
/* Per group of channels over all rows: x [rows..., C]; then act.  gamma, beta f32 [C]. */
kn_tensor kn_group_norm(kn_ctx *c, kn_tensor x, int n_groups, kn_tensor gamma, kn_tensor beta, float eps,
                        kn_act act, kn_dtype out);

/* ---- element-wise; in place on the first argument ---- */
void kn_add(kn_ctx *c, kn_tensor x, kn_tensor y, float y_scale);  /* x += y_scale * y; y: x's shape, or [C] */
void kn_mul(kn_ctx *c, kn_tensor x, kn_tensor y);                 /* x *= y; y: x's shape, or [C] */
void kn_affine(kn_ctx *c, kn_tensor x, float scale, float shift); /* x = x * scale + shift */
void kn_clamp(kn_ctx *c, kn_tensor x, float lo, float hi);
void kn_activate(kn_ctx *c, kn_tensor x, kn_act act);
void kn_gate_add(kn_ctx *c, kn_tensor x, kn_tensor y, kn_mod gate); /* x += y * gate; x f32 */

/* ---- movement ---- */
kn_tensor kn_cast(kn_ctx *c, kn_tensor x, kn_dtype out);
void kn_copy(kn_ctx *c, kn_tensor dst, kn_tensor src);         /* same element count; converts */
kn_tensor kn_permute(kn_ctx *c, kn_tensor x, const int *perm); /* dim i of the result = dim perm[i] of x */
kn_tensor kn_concat(kn_ctx *c, int axis, int n, const kn_tensor *xs);           /* same dtype */
kn_tensor kn_slice(kn_ctx *c, kn_tensor x, int axis, int64_t begin, int64_t n); /* copy (kn_rows: view) */
kn_tensor kn_repeat_channels(kn_ctx *c, kn_tensor x, int r); /* [..., C] -> [..., C*r], each r times */
kn_tensor kn_mean_channels(kn_ctx *c, kn_tensor x, int g);   /* [..., C*g] -> [..., C], mean of g */

#endif
