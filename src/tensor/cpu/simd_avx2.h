/* simd.h for AVX2 with FMA. */
#ifndef KN_TENSOR_CPU_SIMD_AVX2_H
#define KN_TENSOR_CPU_SIMD_AVX2_H

#include <immintrin.h>

typedef float vf __attribute__((vector_size(32)));
typedef __m256 vmask;
enum { VL = 8 };

KN_INLINE __m256i v_first_n(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

KN_INLINE vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}

KN_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

KN_INLINE vf v_load_n(const float *p, int n)
{
    return _mm256_maskload_ps(p, v_first_n(n));
}

KN_INLINE void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

KN_INLINE void v_store_n(float *p, vf v, int n)
{
    _mm256_maskstore_ps(p, v_first_n(n), v);
}

KN_INLINE vf v_widen_bf16(__m128i h)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

KN_INLINE vf v_load_bf16(const uint16_t *p)
{
    return v_widen_bf16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

KN_INLINE vf v_load_bf16_n(const uint16_t *p, int n)
{
    uint16_t t[8] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return v_load_bf16(t);
}

/* Round to nearest even; NaN stays NaN. */
KN_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, odd), _mm256_set1_epi32(0x7fff));
    __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    r = _mm256_srli_epi32(_mm256_blendv_epi8(r, quiet, nan), 16);
    __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
    _mm_storeu_si128((__m128i *)(void *)p, h);
}

KN_INLINE void v_store_bf16_n(uint16_t *p, vf v, int n)
{
    uint16_t t[8];
    v_store_bf16(t, v);
    memcpy(p, t, (size_t)n * sizeof *t);
}

KN_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* NaN in b is kept. */
KN_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

KN_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

KN_INLINE vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

KN_INLINE vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n, n whole, -126 <= n <= 127. */
#define V_LDEXP_WIDE 0
KN_INLINE vf v_ldexp(vf a, vf n)
{
    __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return a * _mm256_castsi256_ps(e);
}

KN_INLINE vf v_reciprocal(vf a)
{
    return v_set1(1.0f) / a;
}

KN_INLINE vmask v_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

/* mask ? a : b */
KN_INLINE vf v_select(vmask m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, m);
}

/* a with the sign of b. */
KN_INLINE vf v_copysign(vf a, vf b)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}

/* Lanes n and above zeroed. */
KN_INLINE vf v_first(vf a, int n)
{
    return _mm256_and_ps(a, _mm256_castsi256_ps(v_first_n(n)));
}

KN_INLINE float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

KN_INLINE float v_reduce_max(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Turns 8 rows of 8 into columns. */
KN_INLINE void v_transpose(vf r[8])
{
    __m256 t[8];
    for (int i = 0; i < 8; i += 4) { /* 4 x 4 within each half of a vector */
        __m256d a = (__m256d)_mm256_unpacklo_ps(r[i], r[i + 1]),
                b = (__m256d)_mm256_unpackhi_ps(r[i], r[i + 1]);
        __m256d c = (__m256d)_mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        __m256d d = (__m256d)_mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = (__m256)_mm256_unpacklo_pd(a, c);
        t[i + 1] = (__m256)_mm256_unpackhi_pd(a, c);
        t[i + 2] = (__m256)_mm256_unpacklo_pd(b, d);
        t[i + 3] = (__m256)_mm256_unpackhi_pd(b, d);
    }
    for (int i = 0; i < 4; i++) { /* then the halves */
        r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

/* (a0 a1 a2 a3 ...) -> (a1 a0 a3 a2 ...) */
KN_INLINE vf v_swap_pairs(vf a)
{
    return _mm256_permute_ps(a, 0xb1);
}

/* The first VL/2 floats at p, each twice. */
KN_INLINE vf v_load_twice(const float *p)
{
    __m256i idx = _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), idx);
}

/* +-a: even lanes negated. */
KN_INLINE vf v_negate_even(vf a)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000ll)));
}

#endif
