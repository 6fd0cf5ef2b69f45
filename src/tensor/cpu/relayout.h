/* From one blocked layout of a convolution's weights to another. */
#ifndef KN_TENSOR_CPU_RELAYOUT_H
#define KN_TENSOR_CPU_RELAYOUT_H

#include "tensor/cpu/dnnl_compat.h"

/* dst (of kn_md_bytes(to)) = src, both holding weights [O, C, kt, kh, kw] of 2 or 4 byte elements.  Our own, because
 * oneDNN 2.6 reads out of bounds on some pairs of layouts (blocks of 48 channels) and is slow on the others. */
int kn_relayout(const int64_t dims[5], int elem_bytes, const kn_md *from, const void *src, const kn_md *to,
                void *dst, kn_err *err);

#endif
