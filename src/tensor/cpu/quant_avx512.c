#if defined __x86_64__
#define KN_SIMD KN_SIMD_AVX512
#include "tensor/cpu/quant_impl.h"
#endif
