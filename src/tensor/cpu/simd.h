/* A vector of floats, so that one kernel text serves AVX-512, AVX2 and plain C.
 *
 * A file of one instruction set defines KN_SIMD (and gets its compiler flags from its name) and includes the kernel
 * text.  Arithmetic uses the operators + - * / of the compilers' vector types; the rest is here. */
#ifndef KN_TENSOR_CPU_SIMD_H
#define KN_TENSOR_CPU_SIMD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tensor/dtype.h"

#define KN_SIMD_C      0
#define KN_SIMD_AVX2   1
#define KN_SIMD_AVX512 2

#define KN_INLINE static inline __attribute__((always_inline))

#if KN_SIMD == KN_SIMD_AVX512
#include "tensor/cpu/simd_avx512.h"
#define KN_FN(name) name##_avx512
#elif KN_SIMD == KN_SIMD_AVX2
#include "tensor/cpu/simd_avx2.h"
#define KN_FN(name) name##_avx2
#else
#include "tensor/cpu/simd_c.h"
#define KN_FN(name) name##_c
#endif

/* ---- the same for every instruction set ---- */

/* Element i of an f32 or bf16 row; `bf16` is a constant after inlining. */
KN_INLINE vf v_get(const void *row, bool bf16, int64_t i)
{
    return bf16 ? v_load_bf16((const uint16_t *)row + i) : v_load((const float *)row + i);
}

KN_INLINE vf v_get_n(const void *row, bool bf16, int64_t i, int n)
{
    return bf16 ? v_load_bf16_n((const uint16_t *)row + i, n) : v_load_n((const float *)row + i, n);
}

KN_INLINE void v_put(void *row, bool bf16, int64_t i, vf v)
{
    if (bf16)
        v_store_bf16((uint16_t *)row + i, v);
    else
        v_store((float *)row + i, v);
}

KN_INLINE void v_put_n(void *row, bool bf16, int64_t i, vf v, int n)
{
    if (bf16)
        v_store_bf16_n((uint16_t *)row + i, v, n);
    else
        v_store_n((float *)row + i, v, n);
}

#endif
