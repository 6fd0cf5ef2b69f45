#define KN_SIMD KN_SIMD_C
#include "tensor/cpu/ewise_impl.h"
