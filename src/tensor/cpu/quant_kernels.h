/* Rows to int8 and back: the inner loops, one table an instruction set. */
#ifndef KN_TENSOR_CPU_QUANT_KERNELS_H
#define KN_TENSOR_CPU_QUANT_KERNELS_H

#include "tensor/cpu/dispatch.h"

/* One row of a product of integers on its way to the result:
 * v = act(acc * row_scale * col_scale + bias); out = v, or out += v * gate. */
typedef struct kn_dequant_row {
    const void *acc; /* [n] int32, or f32 holding whole numbers */
    bool acc_f32;
    int64_t n;
    float row_scale;
    const float *col_scale; /* [n] */
    const float *bias;      /* [n] or NULL */
    const float *gate;      /* [n] or NULL; only with accumulate */
    kn_act act;
    void *out;
    bool out_bf16, accumulate; /* accumulate: out is f32 */
} kn_dequant_row;

typedef struct kn_quant_kernels {
    /* x[n] to whole numbers q in -127..127, x about q * returned scale; q is int8_t or, with q_f32, float. */
    float (*quantize)(const void *x, bool x_bf16, int64_t n, void *q, bool q_f32);
    void (*dequantize)(const kn_dequant_row *r);
} kn_quant_kernels;

KN_DECLARE_KERNELS(kn_quant_kernels, kn_quant_kernels);

#endif
