#define KN_SIMD            KN_SIMD_C
#define KN_PAIR            1
#define KN_ATTENTION_TABLE kn_attention_kernels_c
#include "tensor/cpu/attention_impl.h"
