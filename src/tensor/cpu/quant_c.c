#define KN_SIMD KN_SIMD_C
#include "tensor/cpu/quant_impl.h"
