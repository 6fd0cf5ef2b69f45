#include "tensor/dtype.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "tensor/dequant.h"

typedef struct dtype_info {
    const char *name;
    int block, bytes;
} dtype_info;

static const dtype_info infos[KN_DTYPE_COUNT] = {
#define X(sym, name, block, bytes) {name, block, bytes},
    KN_DTYPE_LIST(X)
#undef X
};

const char *kn_dtype_name(kn_dtype t)
{
    return (unsigned)t < KN_DTYPE_COUNT ? infos[t].name : "unknown";
}

int kn_dtype_block(kn_dtype t)
{
    KN_ASSERT((unsigned)t < KN_DTYPE_COUNT);
    return infos[t].block;
}

int kn_dtype_block_bytes(kn_dtype t)
{
    KN_ASSERT((unsigned)t < KN_DTYPE_COUNT);
    return infos[t].bytes;
}

int kn_dtype_from_name(const char *name, kn_dtype *ret)
{
    for (int i = 0; i < KN_DTYPE_COUNT; i++) {
        if (!strcmp(infos[i].name, name)) {
            *ret = (kn_dtype)i;
            return 0;
        }
    }
    return -1;
}

static inline float from_bits(uint32_t u)
{
    union {
        uint32_t u;
        float f;
    } v = {u};
    return v.f;
}

/* A small float of `n_exp` exponent and `n_man` mantissa bits to float32; every such value is exact in float32.
 * has_inf: the largest exponent holds infinities and NaNs (IEEE); otherwise only the all-ones pattern is NaN.
 * All three cases are computed and one is picked by masks, so that the loops over it become vector code. */
static inline float small_float(uint32_t bits, int n_exp, int n_man, bool has_inf)
{
    const uint32_t exp_max = (1u << n_exp) - 1, mag_max = (1u << (n_exp + n_man)) - 1;
    const uint32_t rebias = 127u - ((1u << (n_exp - 1)) - 1), tiny = (rebias + 1)
                                                                     << 23; /* smallest normal value */
    uint32_t sign = bits >> (n_exp + n_man) << 31, mag = (bits & mag_max) << (23 - n_man);
    uint32_t e = bits >> n_man & exp_max;
    uint32_t normal = mag + (rebias << 23);
    uint32_t special = mag | 0x7f800000u;
    union {
        float f;
        uint32_t u;
    } subnormal = {from_bits(mag | tiny) - from_bits(tiny)};
    uint32_t pick_special = -(uint32_t)(has_inf ? e == exp_max : (bits & mag_max) == mag_max);
    uint32_t pick_subnormal = -(uint32_t)(e == 0), pick_normal = ~(pick_special | pick_subnormal);
    return from_bits(sign | (special & pick_special) | (subnormal.u & pick_subnormal) |
                     (normal & pick_normal));
}

/* Sources may lie unaligned in a file. */
#define DECODE(name, type, expr)                                                                             \
    static void name(const void *src, float *dst, int64_t n)                                                 \
    {                                                                                                        \
        const unsigned char *p = src;                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            type v;                                                                                          \
            memcpy(&v, p + (size_t)i * sizeof v, sizeof v);                                                  \
            dst[i] = expr;                                                                                   \
        }                                                                                                    \
    }
DECODE(decode_bf16, uint16_t, kn_bf16_to_f32(v))
DECODE(decode_f16, uint16_t, small_float(v, 5, 10, true))
DECODE(decode_f64, double, (float)v)
DECODE(decode_i8, int8_t, (float)v)
DECODE(decode_u8, uint8_t, (float)v)
DECODE(decode_i16, int16_t, (float)v)
DECODE(decode_i32, int32_t, (float)v)
DECODE(decode_i64, int64_t, (float)v)
DECODE(decode_e4m3, uint8_t, small_float(v, 4, 3, false))
DECODE(decode_e5m2, uint8_t, small_float(v, 5, 2, true))

void kn_dtype_to_f32(kn_dtype t, const void *src, float *dst, int64_t n)
{
    switch (t) {
    case KN_F32:
        if (n > 0)
            memcpy(dst, src, (size_t)n * sizeof *dst);
        return;
    case KN_BF16:
        decode_bf16(src, dst, n);
        return;
    case KN_F16:
        decode_f16(src, dst, n);
        return;
    case KN_F64:
        decode_f64(src, dst, n);
        return;
    case KN_I8:
        decode_i8(src, dst, n);
        return;
    case KN_U8:
        decode_u8(src, dst, n);
        return;
    case KN_I16:
        decode_i16(src, dst, n);
        return;
    case KN_I32:
        decode_i32(src, dst, n);
        return;
    case KN_I64:
        decode_i64(src, dst, n);
        return;
    case KN_F8_E4M3:
        decode_e4m3(src, dst, n);
        return;
    case KN_F8_E5M2:
        decode_e5m2(src, dst, n);
        return;
    default:
        kn_dequant_block_row(t, src, dst, n);
    }
}
