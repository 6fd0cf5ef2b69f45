/* The kernels, as the device's C code sees them: plain structs of device addresses in, a launch on a stream out.
 *
 * "bf16" flags say what a `void *` holds, bf16 or f32.  Rows are all dimensions but the last.  A launch reports nothing:
 * kn_gpu_launched (driver.h) tells whether it worked. */
#ifndef KN_TENSOR_CUDA_KERNELS_H
#define KN_TENSOR_CUDA_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Activations and element-wise operations, by the numbers of tensor/ops.h and tensor/device.h. */
enum { KN_K_NONE, KN_K_SILU, KN_K_GELU_TANH, KN_K_GELU_ERF, KN_K_QUICK_GELU, KN_K_RELU };
enum { KN_K_ADD, KN_K_MUL, KN_K_AFFINE, KN_K_CLAMP, KN_K_ACT, KN_K_GATE_ADD };

/* kn_mod: row r uses table[group[r], :]; table NULL: none; group NULL: row 0 for all. */
typedef struct kn_k_mod {
    const float *table;
    const int32_t *group;
} kn_k_mod;

/* Whether the kernels have code for the current card. */
int kn_k_is_built(void);

/* ---- norms (norm.cu, group_norm.cu) ---- */
typedef struct kn_k_norm {
    const void *x;
    void *out;
    int x_bf16, out_bf16;
    int64_t rows;
    int n; /* channels */
    const float *gamma, *beta;
    float eps;
    int act;
    kn_k_mod shift, scale;  /* layer norm */
    const float *cos, *sin; /* RMS norm with rotation: [rope_rows, n / n_heads / 2] */
    int64_t rope_rows;
    int halves, n_heads;
    int n_groups; /* group norm */
    void *workspace;
} kn_k_norm;

void kn_k_rms_norm(const kn_k_norm *a, void *stream);
void kn_k_layer_norm(const kn_k_norm *a, void *stream);
size_t kn_k_group_norm_workspace(int64_t rows, int n);
void kn_k_group_norm(const kn_k_norm *a, void *stream);
/* Rotation alone, of x in place; the fields of a norm that it needs. */
void kn_k_rope(const kn_k_norm *a, void *stream);

/* ---- element-wise (ewise.cu) ---- */
typedef struct kn_k_ewise {
    int op;
    void *x;
    const void *y; /* NULL, x's shape, or [row] */
    int x_bf16, y_bf16, y_is_row;
    int64_t n, row; /* elements; of a row */
    float a, b;
    int act;
    kn_k_mod gate;
} kn_k_ewise;

void kn_k_ewise_run(const kn_k_ewise *a, void *stream);

/* What a matrix product left to do: out = act(acc * row_scale * col_scale + bias), or out += that * gate. */
typedef struct kn_k_finish {
    const void *acc; /* [rows, n], of type acc_type */
    int acc_type;    /* KN_K_F32, KN_K_BF16, KN_K_I32 */
    void *out;
    int out_bf16, accumulate;
    int64_t rows;
    int n;
    const float *row_scale, *col_scale, *bias; /* NULL: 1, 1, 0 */
    int act;
    kn_k_mod gate;
} kn_k_finish;

enum { KN_K_F32, KN_K_BF16, KN_K_F16, KN_K_I32 };
void kn_k_finish_run(const kn_k_finish *a, void *stream);

/* Rows of x to whole numbers of [-127, 127], with scale[row] = largest / 127; q's rows are `stride` bytes, zeros behind. */
void kn_k_quantize(const void *x, int x_type, int64_t rows, int n, int8_t *q, int64_t stride, float *scale,
                   void *stream);

/* ---- movement (move.cu) ---- */
void kn_k_convert(void *dst, int dst_bf16, const void *src, int src_type, int64_t n, void *stream);
/* dst[i...] = src[...]: n_dims dimensions of dst, the innermost contiguous in dst; stride in elements of src. */
typedef struct kn_k_permute {
    void *dst;
    const void *src;
    int element_bytes; /* 2 or 4 */
    int n_dims;
    int64_t dims[8], stride[8];
} kn_k_permute;
void kn_k_permute_run(const kn_k_permute *a, void *stream);
void kn_k_repeat_channels(void *dst, const void *src, int bf16, int64_t n_src, int times, void *stream);
void kn_k_mean_channels(void *dst, const void *src, int bf16, int64_t n_dst, int group, void *stream);
/* Weights [n_out, n_in, taps] as they lie in files to [n_out, taps, n_in]. */
void kn_k_relayout(void *dst, int dst_bf16, const void *src, int src_type, int64_t n_out, int64_t n_in,
                   int taps, void *stream);

/* ---- attention (attention.cu, attention_any.cu) ---- */
typedef struct kn_k_attention {
    const void *q, *k, *v; /* [batch, n, heads * d] */
    void *out;
    int in_bf16, out_bf16;
    int64_t batch, nq, nk;
    int n_heads, n_kv_heads, d;
    float scale;
    int causal;
    const float *bias;                         /* NULL or [heads or 1, nq or 1, nk] */
    int64_t bias_head_stride, bias_row_stride; /* 0 where it is broadcast */
    const float *rel_bias;                     /* NULL or [heads, 2 R + 1] */
    int rel_radius;
} kn_k_attention;

/* Whether the tensor cores' kernel takes it: bf16, heads of at most 128 in steps of 8, no bias. */
int kn_k_attention_is_fast(const kn_k_attention *a);
void kn_k_attention_fast(const kn_k_attention *a, void *stream);
/* Anything; heads of at most 1024. */
void kn_k_attention_any(const kn_k_attention *a, void *stream);
enum { KN_K_ATTENTION_MAX_HEAD = 1024 };

/* ---- convolution (conv.cu, conv_any.cu) ---- */
typedef struct kn_k_conv {
    const void *x; /* [in[0], in[1], in[2], n_in] */
    const void *w; /* [n_out, taps, n_in] */
    void *out;     /* [o[0], o[1], o[2], n_out] */
    int x_bf16, w_bf16, out_bf16, add_bf16;
    int64_t in[3], o[3]; /* time, height, width; `in` before doubling */
    int n_in, n_out;
    int kernel[3], stride[3], pad[3];
    int doubled; /* the picture is read as if each pixel were 2 x 2 */
    const float *bias;
    const void *add;
} kn_k_conv;

/* Whether the tensor cores' kernel takes it: bf16 on both sides, input channels in steps of 8. */
int kn_k_conv_is_fast(const kn_k_conv *a);
void kn_k_conv_fast(const kn_k_conv *a, void *stream);
void kn_k_conv_any(const kn_k_conv *a, void *stream);

#ifdef __cplusplus
}
#endif

#endif
