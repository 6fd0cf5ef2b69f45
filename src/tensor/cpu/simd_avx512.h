/* simd.h for AVX-512 (F, BW, DQ, VL). */
#ifndef KN_TENSOR_CPU_SIMD_AVX512_H
#define KN_TENSOR_CPU_SIMD_AVX512_H

#include <immintrin.h>

typedef float vf __attribute__((vector_size(64)));
typedef __mmask16 vmask;
enum { VL = 16 };

KN_INLINE __mmask16 v_first_n(int n)
{
    return (__mmask16)((1u << n) - 1);
}

KN_INLINE vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}

KN_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

KN_INLINE vf v_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps(v_first_n(n), p);
}

KN_INLINE void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

KN_INLINE void v_store_n(float *p, vf v, int n)
{
    _mm512_mask_storeu_ps(p, v_first_n(n), v);
}

KN_INLINE vf v_widen_bf16(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

KN_INLINE vf v_load_bf16(const uint16_t *p)
{
    return v_widen_bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

KN_INLINE vf v_load_bf16_n(const uint16_t *p, int n)
{
    return v_widen_bf16(_mm256_maskz_loadu_epi16(v_first_n(n), p));
}

/* Round to nearest even; NaN stays NaN. */
KN_INLINE __m256i v_narrow_bf16(vf v)
{
    __m512i u = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, odd), _mm512_set1_epi32(0x7fff));
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
}

KN_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v_narrow_bf16(v));
}

KN_INLINE void v_store_bf16_n(uint16_t *p, vf v, int n)
{
    _mm256_mask_storeu_epi16(p, v_first_n(n), v_narrow_bf16(v));
}

KN_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* NaN in b is kept. */
KN_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

KN_INLINE vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

KN_INLINE vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}

KN_INLINE vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n for any whole n: results overflow to inf and underflow to 0. */
#define V_LDEXP_WIDE 1
KN_INLINE vf v_ldexp(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

/* 1/a, |a| < 2^126, by one Newton step from 14 bits; above, 0 or nearly. */
KN_INLINE vf v_reciprocal(vf a)
{
    vf r = _mm512_rcp14_ps(a);
    return v_fma(r, _mm512_fnmadd_ps(a, r, v_set1(1.0f)), r);
}

KN_INLINE vmask v_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

/* mask ? a : b */
KN_INLINE vf v_select(vmask m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

/* a with the sign of b. */
KN_INLINE vf v_copysign(vf a, vf b)
{
    __m512 sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}

/* Lanes n and above zeroed. */
KN_INLINE vf v_first(vf a, int n)
{
    return _mm512_maskz_mov_ps(v_first_n(n), a);
}

KN_INLINE float v_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}

KN_INLINE float v_reduce_max(vf a)
{
    return _mm512_reduce_max_ps(a);
}

/* Turns 16 rows of 16 into columns. */
KN_INLINE void v_transpose(vf r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 4) { /* 4 x 4 within each quarter of a vector */
        __m512d a = (__m512d)_mm512_unpacklo_ps(r[i], r[i + 1]),
                b = (__m512d)_mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512d c = (__m512d)_mm512_unpacklo_ps(r[i + 2], r[i + 3]);
        __m512d d = (__m512d)_mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = (__m512)_mm512_unpacklo_pd(a, c);
        t[i + 1] = (__m512)_mm512_unpackhi_pd(a, c);
        t[i + 2] = (__m512)_mm512_unpacklo_pd(b, d);
        t[i + 3] = (__m512)_mm512_unpackhi_pd(b, d);
    }
    for (int i = 0; i < 4; i++) { /* then the quarters */
        __m512 a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        __m512 d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

/* (a0 a1 a2 a3 ...) -> (a1 a0 a3 a2 ...) */
KN_INLINE vf v_swap_pairs(vf a)
{
    return _mm512_permute_ps(a, 0xb1);
}

/* The first VL/2 floats at p, each twice. */
KN_INLINE vf v_load_twice(const float *p)
{
    __m512i idx = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(idx, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}

/* +-a: even lanes negated. */
KN_INLINE vf v_negate_even(vf a)
{
    return _mm512_xor_ps(a, _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000ll)));
}

#endif
