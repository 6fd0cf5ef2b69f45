#if defined __x86_64__
#define KN_SIMD            KN_SIMD_AVX512
#define KN_PAIR            2
#define KN_ATTENTION_TABLE kn_attention_kernels_avx512bf16
#include "tensor/cpu/attention_impl.h"
#endif
