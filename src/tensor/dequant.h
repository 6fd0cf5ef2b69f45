/* Decoding of GGUF's block-quantised types to float32.
 *
 * Block layouts and formulas: the GGUF specification (ggml's ggml-common.h and ggml-quants.c). All arithmetic is
 * float32 after the block's half-precision scales have been widened, in the order of the reference. */
#ifndef KN_TENSOR_DEQUANT_H
#define KN_TENSOR_DEQUANT_H

#include <stdint.h>

#include "tensor/dtype.h"

/* Decodes n elements (a multiple of the block) of Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K.
 * src need not be aligned. Another type is a programming error. */
void kn_dequant_block_row(kn_dtype t, const void *src, float *dst, int64_t n);

#endif
