/* simd.h for any machine: four floats through the compilers' vector extension (SSE2, NEON, or plain code). */
#ifndef KN_TENSOR_CPU_SIMD_C_H
#define KN_TENSOR_CPU_SIMD_C_H

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vmask __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
enum { VL = 4 };

KN_INLINE vf v_set1(float x)
{
    return (vf){x, x, x, x};
}

KN_INLINE vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

KN_INLINE vf v_load_n(const float *p, int n)
{
    vf v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

KN_INLINE void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

KN_INLINE void v_store_n(float *p, vf v, int n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}

KN_INLINE vf v_load_bf16(const uint16_t *p)
{
    return (vf)((vu){p[0], p[1], p[2], p[3]} << 16);
}

KN_INLINE vf v_load_bf16_n(const uint16_t *p, int n)
{
    uint16_t t[4] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return v_load_bf16(t);
}

/* Round to nearest even; NaN stays NaN. */
KN_INLINE void v_store_bf16(uint16_t *p, vf v)
{
    vu u = (vu)v, rounded = u + 0x7fff + ((u >> 16) & 1), nan = (vu)(v != v);
    vu h = ((rounded & ~nan) | ((u | 0x400000) & nan)) >> 16;
    for (int i = 0; i < VL; i++)
        p[i] = (uint16_t)h[i];
}

KN_INLINE void v_store_bf16_n(uint16_t *p, vf v, int n)
{
    uint16_t t[VL];
    v_store_bf16(t, v);
    memcpy(p, t, (size_t)n * sizeof *t);
}

/* mask ? a : b */
KN_INLINE vf v_select(vmask m, vf a, vf b)
{
    return (vf)(((vmask)a & m) | ((vmask)b & ~m));
}

KN_INLINE vf v_reciprocal(vf a)
{
    return v_set1(1.0f) / a;
}

KN_INLINE vmask v_lt(vf a, vf b)
{
    return (vmask)(a < b);
}

KN_INLINE vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

/* NaN in b is kept. */
KN_INLINE vf v_max(vf a, vf b)
{
    return v_select((vmask)(a > b), a, b);
}

KN_INLINE vf v_min(vf a, vf b)
{
    return v_select((vmask)(a < b), a, b);
}

KN_INLINE vf v_abs(vf a)
{
    return (vf)((vmask)a & 0x7fffffff);
}

/* To the nearest whole number, |a| < 2^22: the addition drops the fraction bits. */
KN_INLINE vf v_round(vf a)
{
    const vf magic = v_set1(12582912.0f);
    return (a + magic) - magic;
}

/* a * 2^n, n whole, -126 <= n <= 127. */
#define V_LDEXP_WIDE 0
KN_INLINE vf v_ldexp(vf a, vf n)
{
    vmask e = __builtin_convertvector(n, vmask);
    return a * (vf)((vu)(e + 127) << 23);
}

/* a with the sign of b. */
KN_INLINE vf v_copysign(vf a, vf b)
{
    return (vf)(((vmask)a & 0x7fffffff) | ((vmask)b & (vmask)v_set1(-0.0f)));
}

/* Lanes n and above zeroed. */
KN_INLINE vf v_first(vf a, int n)
{
    return (vf)((vmask)a & ((vmask){0, 1, 2, 3} < n));
}

KN_INLINE float v_sum(vf a)
{
    return (a[0] + a[2]) + (a[1] + a[3]);
}

KN_INLINE float v_reduce_max(vf a)
{
    float x = a[0] > a[1] ? a[0] : a[1], y = a[2] > a[3] ? a[2] : a[3];
    return x > y ? x : y;
}

/* Turns 4 rows of 4 into columns. */
KN_INLINE void v_transpose(vf r[4])
{
    vf a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < 4; i++)
        r[i] = (vf){a[i], b[i], c[i], d[i]};
}

/* (a0 a1 a2 a3) -> (a1 a0 a3 a2) */
KN_INLINE vf v_swap_pairs(vf a)
{
    return (vf){a[1], a[0], a[3], a[2]};
}

/* The first VL/2 floats at p, each twice. */
KN_INLINE vf v_load_twice(const float *p)
{
    return (vf){p[0], p[0], p[1], p[1]};
}

/* +-a: even lanes negated. */
KN_INLINE vf v_negate_even(vf a)
{
    return (vf){-a[0], a[1], -a[2], a[3]};
}

#endif
