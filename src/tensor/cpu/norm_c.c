#define KN_SIMD KN_SIMD_C
#include "tensor/cpu/norm_impl.h"
