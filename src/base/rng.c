/* MT19937 (Matsumoto and Nishimura 1998) and the distributions of PyTorch's CPU generator.
 *
 * PyTorch draws 16 or more normal values with a vectorised Box-Muller whose logarithm, sine and cosine are the
 * single-precision polynomials of the Cephes library, with multiply-adds fused.  The same polynomials are evaluated
 * here in the same order with fmaf, one value at a time, so that every machine gives the same bits. */
#include "base/rng.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { MT_N = 624, MT_M = 397, NORMAL_CHUNK = 16 };

void kn_rng_seed(kn_rng *r, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->state[0] = (uint32_t)seed; /* torch.manual_seed keeps the low 32 bits only */
    for (uint32_t i = 1; i < MT_N; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ r->state[i - 1] >> 30) + i;
    r->next = MT_N;
}

static void twist(uint32_t *s)
{
    for (int i = 0; i < MT_N; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % MT_N] & 0x7fffffffu);
        s[i] = s[(i + MT_M) % MT_N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t kn_rng_u32(kn_rng *r)
{
    if (r->next >= MT_N) {
        twist(r->state);
        r->next = 0;
    }
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

uint64_t kn_rng_u64(kn_rng *r)
{
    uint64_t hi = kn_rng_u32(r);
    return hi << 32 | kn_rng_u32(r);
}

void kn_rng_uniform(kn_rng *r, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(kn_rng_u32(r) & 0xffffffu) * 0x1p-24f;
}

static double uniform_f64(kn_rng *r)
{
    return (double)(kn_rng_u64(r) & ((1ull << 53) - 1)) * 0x1p-53;
}

/* One value of the path for fewer than 16: Box-Muller in double precision, the sine half kept for the next call. */
static float normal_scalar(kn_rng *r)
{
    const double pi = 3.14159265358979323846;
    if (r->has_spare) {
        r->has_spare = false;
        return (float)r->spare;
    }
    double u1 = uniform_f64(r), u2 = uniform_f64(r);
    double radius = sqrt(-2.0 * log1p(-u2)), theta = 2.0 * pi * u1;
    r->spare = radius * sin(theta);
    r->has_spare = true;
    return (float)(radius * cos(theta));
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* p[0] x^(n-1) + ... + p[n-1] */
static float polynomial(const float *p, int n, float x)
{
    float y = p[0];
    for (int i = 1; i < n; i++)
        y = fmaf(y, x, p[i]);
    return y;
}

/* Cephes logf for normal x > 0: mantissa in [sqrt(1/2), sqrt(2)), ln 2 in two parts. */
static float cephes_log(float x)
{
    static const float p[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                              -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                              2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    const float sqrt_half = 0.707106781186547524f, ln2_lo = -2.12194440e-4f, ln2_hi = 0.693359375f;
    float e = (float)((int)(bits_of(x) >> 23) - 126);
    float m = from_bits((bits_of(x) & 0x007fffffu) | 0x3f000000u); /* [0.5, 1) */
    if (m < sqrt_half) {
        e -= 1.0f;
        m = (m - 1.0f) + m;
    } else {
        m -= 1.0f;
    }
    float z = m * m;
    float y = polynomial(p, 9, m) * m;
    y = fmaf(y, z, e * ln2_lo) - z * 0.5f;
    return fmaf(e, ln2_hi, m + y);
}

/* Cephes sinf and cosf for x >= 0: octant, then pi/4 subtracted in three parts. */
static void cephes_sincos(float x, float *ret_sin, float *ret_cos)
{
    static const float p_sin[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
    static const float p_cos[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
    const float four_over_pi = 1.27323954473516f;
    uint32_t octant = ((uint32_t)(x * four_over_pi) + 1) & ~1u;
    float k = (float)octant;
    x = fmaf(k, -0.78515625f, x);
    x = fmaf(k, -2.4187564849853515625e-4f, x);
    x = fmaf(k, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c = polynomial(p_cos, 3, z) * z;
    c = fmaf(c, z, -(z * 0.5f)) + 1.0f;
    float s = fmaf(polynomial(p_sin, 3, z) * z, x, x);
    bool swap = octant & 2;
    uint32_t sin_sign = (octant & 4) << 29, cos_sign = (~(octant - 2) & 4) << 29;
    *ret_sin = from_bits(bits_of(swap ? c : s) ^ sin_sign);
    *ret_cos = from_bits(bits_of(swap ? s : c) ^ cos_sign);
}

/* 16 uniform values become 16 normal ones: pairs (j, j + 8). */
static void box_muller_16(float *data)
{
    const float two_pi = 6.28318530717958647692f;
    for (int j = 0; j < NORMAL_CHUNK / 2; j++) {
        float radius = sqrtf(-2.0f * cephes_log(1.0f - data[j])), s, c;
        cephes_sincos(two_pi * data[j + 8], &s, &c);
        data[j] = radius * c + 0.0f; /* PyTorch adds the mean, which makes -0 a +0 */
        data[j + 8] = radius * s + 0.0f;
    }
}

void kn_rng_normal(kn_rng *r, float *out, int64_t n)
{
    if (n < NORMAL_CHUNK) {
        for (int64_t i = 0; i < n; i++)
            out[i] = normal_scalar(r);
        return;
    }
    kn_rng_uniform(r, out, n);
    for (int64_t i = 0; i + NORMAL_CHUNK <= n; i += NORMAL_CHUNK)
        box_muller_16(out + i);
    if (n % NORMAL_CHUNK) {
        float *last = out + n - NORMAL_CHUNK; /* drawn anew, overlapping what is there */
        kn_rng_uniform(r, last, NORMAL_CHUNK);
        box_muller_16(last);
    }
}
