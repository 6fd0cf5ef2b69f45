/* The text of the int8 kernels; included once for each instruction set. */
#include "tensor/cpu/quant_kernels.h"
#include "tensor/cpu/simd_math.h"

#if KN_SIMD == KN_SIMD_AVX512

KN_INLINE vf load_i32(const int32_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

KN_INLINE void store_i8(int8_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}

#elif KN_SIMD == KN_SIMD_AVX2

KN_INLINE vf load_i32(const int32_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

KN_INLINE void store_i8(int8_t *p, vf v)
{
    __m256i i = _mm256_cvtps_epi32(v);
    __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(h, h));
}

#else

KN_INLINE vf load_i32(const int32_t *p)
{
    return (vf){(float)p[0], (float)p[1], (float)p[2], (float)p[3]};
}

KN_INLINE void store_i8(int8_t *p, vf v)
{
    v = v_round(v);
    for (int i = 0; i < VL; i++)
        p[i] = (int8_t)v[i];
}

#endif

/* The first n of VL integers. */
KN_INLINE vf load_i32_n(const int32_t *p, int n)
{
    int32_t t[VL] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return load_i32(t);
}

KN_INLINE void store_i8_n(int8_t *p, vf v, int n)
{
    int8_t t[VL];
    store_i8(t, v);
    memcpy(p, t, (size_t)n);
}

KN_INLINE float largest(const void *x, bool bf16, int64_t n)
{
    vf m = v_set1(0);
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        m = v_max(m, v_abs(v_get(x, bf16, i)));
    if (i < n)
        m = v_max(m, v_abs(v_get_n(x, bf16, i, (int)(n - i))));
    return v_reduce_max(m);
}

KN_INLINE void to_whole(const void *x, bool bf16, int64_t n, void *q, bool q_f32, float inverse)
{
    const vf f = v_set1(inverse);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = v_get(x, bf16, i) * f;
        if (q_f32)
            v_store((float *)q + i, v_round(v));
        else
            store_i8((int8_t *)q + i, v);
    }
    if (i < n) {
        int m = (int)(n - i);
        vf v = v_get_n(x, bf16, i, m) * f;
        if (q_f32)
            v_store_n((float *)q + i, v_round(v), m);
        else
            store_i8_n((int8_t *)q + i, v, m);
    }
}

static float quantize(const void *x, bool x_bf16, int64_t n, void *q, bool q_f32)
{
    float max = x_bf16 ? largest(x, true, n) : largest(x, false, n);
    float inverse = max > 1e-30f ? 127.0f / max : 0.0f; /* 127 / max must be finite */
    if (x_bf16)
        to_whole(x, true, n, q, q_f32, inverse);
    else
        to_whole(x, false, n, q, q_f32, inverse);
    return max / 127.0f;
}

KN_INLINE void dequant_span(const kn_dequant_row *r, bool acc_f32, bool out_bf16, bool accumulate, int64_t i,
                            int n)
{
    vf v = acc_f32 ? v_load_n((const float *)r->acc + i, n)
                   : (n == VL ? load_i32((const int32_t *)r->acc + i)
                              : load_i32_n((const int32_t *)r->acc + i, n));
    vf scale = v_set1(r->row_scale) * v_load_n(r->col_scale + i, n);
    v = v_fma(v, scale, r->bias ? v_load_n(r->bias + i, n) : v_set1(0));
    v = v_act(v, r->act);
    if (accumulate)
        v = v_fma(v, r->gate ? v_load_n(r->gate + i, n) : v_set1(1), v_load_n((float *)r->out + i, n));
    v_put_n(r->out, out_bf16, i, v, n);
}

KN_INLINE void dequant(const kn_dequant_row *r, bool acc_f32, bool out_bf16, bool accumulate)
{
    int64_t i = 0;
    for (; i + VL <= r->n; i += VL)
        dequant_span(r, acc_f32, out_bf16, accumulate, i, VL);
    if (i < r->n)
        dequant_span(r, acc_f32, out_bf16, accumulate, i, (int)(r->n - i));
}

static void dequantize(const kn_dequant_row *r)
{
    if (r->accumulate)
        r->acc_f32 ? dequant(r, true, false, true) : dequant(r, false, false, true);
    else if (r->out_bf16)
        r->acc_f32 ? dequant(r, true, true, false) : dequant(r, false, true, false);
    else
        r->acc_f32 ? dequant(r, true, false, false) : dequant(r, false, false, false);
}

const kn_quant_kernels KN_FN(kn_quant_kernels) = {.quantize = quantize, .dequantize = dequantize};
