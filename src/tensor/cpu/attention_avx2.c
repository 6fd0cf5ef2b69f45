#if defined __x86_64__
#define KN_SIMD            KN_SIMD_AVX2
#define KN_PAIR            1
#define KN_ATTENTION_TABLE kn_attention_kernels_avx2
#include "tensor/cpu/attention_impl.h"
#endif
