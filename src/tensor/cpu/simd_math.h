/* Vector exp, erf and activations, accurate to about 2e-7 of the result.
 * Coefficients: Chebyshev interpolation in exact arithmetic on the intervals given. */
#ifndef KN_TENSOR_CPU_SIMD_MATH_H
#define KN_TENSOR_CPU_SIMD_MATH_H

#include "tensor/cpu/simd.h"
#include "tensor/ops.h"

#define LOG2E 1.44269504f

/* sum of c[i] x^i */
KN_INLINE vf v_poly(vf x, const float *c, int n)
{
    vf r = v_set1(c[n - 1]);
    for (int i = n - 2; i >= 0; i--)
        r = v_fma(r, x, v_set1(c[i]));
    return r;
}

/* e^x; 0 below -87.3 (where results turn denormal; AVX-512: below -104), inf above 88.7. */
KN_INLINE vf v_exp(vf x)
{
    /* e^r on |r| <= ln(2)/2 */
    static const float c[] = {1.0f,           1.000000040f,    0.500000005f,   0.1666640542f,
                              0.04166634029f, 0.008375958627f, 0.001394214784f};
    const vf lowest = v_set1(V_LDEXP_WIDE ? -110.0f : -87.3f);
    vf t = v_max(lowest, v_min(v_set1(88.8f), x));
    vf n = v_round(t * v_set1(LOG2E));
    /* ln 2 in two parts, the first with few enough bits that n * part is exact */
    vf r = v_fma(n, v_set1(-0.693359375f), t);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    vf p = v_poly(r, c, 7);
    if (V_LDEXP_WIDE)
        return v_ldexp(p, n);
    /* 2^n in two steps: 2^128 is no float although e^88.7 is */
    vf half = v_round(n * v_set1(0.5f));
    p = v_ldexp(v_ldexp(p, half), n - half);
    return v_select(v_lt(x, lowest), v_set1(0.0f), p);
}

/* x / (1 + 2^t); t is cut where the result is x or (nearly) 0 and no step overflows. */
KN_INLINE vf v_logistic2(vf x, vf t)
{
    /* 2^r on |r| <= 1/2 */
    static const float c[] = {1.000000075f,   0.6931471880f,   0.2402210749f,
                              0.05550357114f, 0.009676031918f, 0.001339086336f};
    t = v_max(v_set1(-60.0f), v_min(v_set1(125.0f), t));
    vf n = v_round(t), power = v_ldexp(v_poly(t - n, c, 6), n);
    return x * v_reciprocal(v_set1(1.0f) + power);
}

KN_INLINE vf v_erf(vf x)
{
    /* erf(x)/x in x^2 on [0, 1] */
    static const float near[] = {1.128379167f,    -0.3761263847f,   0.1128378250f,   -0.02686543073f,
                                 0.005221031807f, -8.484080391e-4f, 1.126595892e-4f, -9.667044295e-6f};
    /* -ln(erfc(x)) on [0.9, 4.05]; beyond, erf is 1 in float */
    static const float far[] = {-3.129130498e-4f, 1.130206045f,     0.6318706306f,
                                0.1100392832f,    -0.02639814640f,  0.004751432830f,
                                -5.950237578e-4f, 4.583974723e-05f, -1.625671377e-6f};
    vf a = v_abs(x);
    vf lo = x * v_poly(x * x, near, 8);
    vf hi = v_set1(1.0f) - v_exp(-v_poly(v_min(v_set1(4.05f), a), far, 9));
    return v_select(v_lt(a, v_set1(1.0f)), lo, v_copysign(hi, x));
}

KN_INLINE vf v_act(vf x, kn_act act)
{
    const vf half = v_set1(0.5f), one = v_set1(1.0f);
    switch (act) {
    case KN_ACT_SILU:
        return v_logistic2(x, x * v_set1(-LOG2E));
    case KN_ACT_GELU_TANH: {
        /* x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
        const float twice = -2.0f * 0.79788456f * LOG2E;
        return v_logistic2(x, x * v_fma(x * x, v_set1(twice * 0.044715f), v_set1(twice)));
    }
    case KN_ACT_GELU_ERF:
        return half * x * (one + v_erf(x * v_set1(0.70710678f)));
    case KN_ACT_QUICK_GELU:
        return v_logistic2(x, x * v_set1(-1.702f * LOG2E));
    case KN_ACT_RELU:
        return v_max(v_set1(0.0f), x);
    case KN_ACT_NONE:
        break;
    }
    return x;
}

#endif
