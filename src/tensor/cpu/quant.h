/* Rows of a matrix to int8 and back (W8A8): symmetric, one scale a row; own SIMD kernels, all cores. */
#ifndef KN_TENSOR_CPU_QUANT_H
#define KN_TENSOR_CPU_QUANT_H

#include "tensor/device.h"

/* x [rows, n] f32 or bf16 to q [rows, n] whole numbers in -127..127 (KN_I8, or KN_F32 where products of integers
 * are not to be had) and scales [rows]. */
void kn_cpu_quantize(kn_device *dev, kn_tensor x, void *q, kn_dtype q_type, float *scales);

/* Rows [first_row, first_row + acc rows) of a product: acc [rows, n] (KN_I32 or KN_F32) times both scales, + bias,
 * act; into a->out or, with a->accumulate, added to it through the gate. */
void kn_cpu_dequantize(kn_device *dev, const kn_linear_args *a, int64_t first_row, kn_tensor acc,
                       const float *row_scales, const float *col_scales, const float *bias);

#endif
