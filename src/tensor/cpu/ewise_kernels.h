/* Element-wise operations and conversion: the inner loops, one table an instruction set. */
#ifndef KN_TENSOR_CPU_EWISE_KERNELS_H
#define KN_TENSOR_CPU_EWISE_KERNELS_H

#include "tensor/cpu/dispatch.h"

/* n consecutive elements; y and gate are as long as x or NULL. */
typedef struct kn_ewise_span {
    kn_ewise op;
    kn_act act;
    bool x_bf16, y_bf16;
    void *x;
    const void *y;
    const float *gate;
    float a, b;
    int64_t n;
} kn_ewise_span;

typedef struct kn_ewise_kernels {
    void (*run)(const kn_ewise_span *s);
    void (*convert)(void *dst, bool dst_bf16, const void *src, bool src_bf16, int64_t n);
    /* dst[i] = mean of src[i * g ... i * g + g) */
    void (*mean)(void *dst, const void *src, bool bf16, int64_t n, int g);
} kn_ewise_kernels;

KN_DECLARE_KERNELS(kn_ewise_kernels, kn_ewise_kernels);

#endif
