#include "tensor/dequant.h"

#include <string.h>

#include "base/err.h"

/* Blocks are read byte by byte: they have odd sizes and lie unaligned in files. */
typedef void (*block_fn)(const uint8_t *b, float *y);

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float read_f16(const uint8_t *p)
{
    uint32_t h = (uint32_t)p[0] | (uint32_t)p[1] << 8;
    uint32_t sign = (h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 0x3ffu;
    union {
        uint32_t u;
        float f;
    } v;
    if (e == 0) {
        v.f = (float)m * 0x1p-24f;
        v.u |= sign;
    } else {
        v.u = sign | (e == 31 ? 0xffu : e + 112u) << 23 | m << 13;
    }
    return v.f;
}

/* ---- blocks of 32: f16 d (and m), then the quants ---- */

static void q4_0(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    const uint8_t *qs = b + 2;
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((qs[i] & 15) - 8) * d;
        y[i + 16] = (float)((qs[i] >> 4) - 8) * d;
    }
}

static void q4_1(const uint8_t *b, float *y)
{
    float d = read_f16(b), m = read_f16(b + 2);
    const uint8_t *qs = b + 4;
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(qs[i] & 15) * d + m;
        y[i + 16] = (float)(qs[i] >> 4) * d + m;
    }
}

/* Five-bit quants: the low four bits in nibbles, the fifth of element i in bit i of a 32-bit word. */
static int q5_bits(const uint8_t *qs, uint32_t qh, int i)
{
    int low = i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
    return low | (int)(qh >> i & 1u) << 4;
}

static void q5_0(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    uint32_t qh = read_u32(b + 2);
    for (int i = 0; i < 32; i++)
        y[i] = (float)(q5_bits(b + 6, qh, i) - 16) * d;
}

static void q5_1(const uint8_t *b, float *y)
{
    float d = read_f16(b), m = read_f16(b + 2);
    uint32_t qh = read_u32(b + 4);
    for (int i = 0; i < 32; i++)
        y[i] = (float)q5_bits(b + 8, qh, i) * d + m;
}

static void q8_0(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    for (int i = 0; i < 32; i++)
        y[i] = (float)(int8_t)b[2 + i] * d;
}

/* ---- super-blocks of 256: sixteen groups of 16 or eight of 32, each with a small integer scale ---- */

/* scales[16] (low nibble scale, high nibble minimum), qs[64], f16 d, f16 dmin */
static void q2_k(const uint8_t *b, float *y)
{
    const uint8_t *scales = b, *qs = b + 16;
    float d = read_f16(b + 80), dmin = read_f16(b + 82);
    for (int g = 0; g < 16; g++, y += 16) {
        float dl = d * (float)(scales[g] & 15), ml = dmin * (float)(scales[g] >> 4);
        const uint8_t *q = qs + 32 * (g / 8) + 16 * (g & 1);
        int shift = 2 * (g / 2 & 3);
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)(q[i] >> shift & 3) - ml;
    }
}

/* hmask[32], qs[64], scales[12] (sixteen of 6 bits, minus 32), f16 d */
static void q3_k(const uint8_t *b, float *y)
{
    const uint8_t *hmask = b, *qs = b + 32, *sc = b + 96;
    float d = read_f16(b + 108);
    for (int g = 0; g < 16; g++, y += 16) {
        int low = g < 8 ? sc[g] & 15 : sc[g - 8] >> 4, high = sc[8 + g % 4] >> 2 * (g / 4) & 3;
        float dl = d * (float)((low | high << 4) - 32);
        const uint8_t *q = qs + 32 * (g / 8) + 16 * (g & 1), *h = hmask + 16 * (g & 1);
        int shift = 2 * (g / 2 & 3), bit = g / 2;
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)((q[i] >> shift & 3) - (h[i] >> bit & 1 ? 0 : 4));
    }
}

/* The scale and minimum, 6 bits each, of group j of eight, packed in 12 bytes. */
static void k4_scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

/* f16 d, f16 dmin, scales[12], qs[128] */
static void q4_k(const uint8_t *b, float *y)
{
    float d = read_f16(b), dmin = read_f16(b + 2);
    for (int g = 0; g < 8; g++, y += 32) {
        int scale, min, shift = 4 * (g & 1);
        k4_scale_min(b + 4, g, &scale, &min);
        float dl = d * (float)scale, ml = dmin * (float)min;
        const uint8_t *q = b + 16 + 32 * (g / 2);
        for (int i = 0; i < 32; i++)
            y[i] = dl * (float)(q[i] >> shift & 15) - ml;
    }
}

/* f16 d, f16 dmin, scales[12], qh[32], qs[128] */
static void q5_k(const uint8_t *b, float *y)
{
    float d = read_f16(b), dmin = read_f16(b + 2);
    const uint8_t *qh = b + 16;
    for (int g = 0; g < 8; g++, y += 32) {
        int scale, min, shift = 4 * (g & 1);
        k4_scale_min(b + 4, g, &scale, &min);
        float dl = d * (float)scale, ml = dmin * (float)min;
        const uint8_t *q = b + 48 + 32 * (g / 2);
        for (int i = 0; i < 32; i++)
            y[i] = dl * (float)((q[i] >> shift & 15) + (qh[i] >> g & 1) * 16) - ml;
    }
}

/* ql[128], qh[64], int8 scales[16], f16 d */
static void q6_k(const uint8_t *b, float *y)
{
    float d = read_f16(b + 208);
    for (int g = 0; g < 16; g++, y += 16) {
        int half = g / 8, quarter = g / 2 & 3, odd = g & 1;
        const uint8_t *ql = b + 64 * half + 32 * (quarter & 1) + 16 * odd;
        const uint8_t *qh = b + 128 + 32 * half + 16 * odd;
        float dl = d * (float)(int8_t)b[192 + g];
        int low_shift = 4 * (quarter >> 1), high_shift = 2 * quarter;
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)(((ql[i] >> low_shift & 15) | (qh[i] >> high_shift & 3) << 4) - 32);
    }
}

static block_fn block_decoder(kn_dtype t)
{
    switch (t) {
    case KN_Q4_0:
        return q4_0;
    case KN_Q4_1:
        return q4_1;
    case KN_Q5_0:
        return q5_0;
    case KN_Q5_1:
        return q5_1;
    case KN_Q8_0:
        return q8_0;
    case KN_Q2_K:
        return q2_k;
    case KN_Q3_K:
        return q3_k;
    case KN_Q4_K:
        return q4_k;
    case KN_Q5_K:
        return q5_k;
    case KN_Q6_K:
        return q6_k;
    default:
        return NULL;
    }
}

void kn_dequant_block_row(kn_dtype t, const void *src, float *dst, int64_t n)
{
    block_fn decode = block_decoder(t);
    KN_ASSERT(decode);
    int64_t block = kn_dtype_block(t);
    size_t bytes = (size_t)kn_dtype_block_bytes(t);
    KN_ASSERT(n % block == 0);
    const uint8_t *b = src;
    for (int64_t i = 0; i < n; i += block, b += bytes)
        decode(b, dst + i);
}
