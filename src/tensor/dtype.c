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

/* A small float of `n_exp` exponent and `n_man` mantissa bits to float32; every such value is exact in float32.
 * has_inf: the largest exponent holds infinities and NaNs (IEEE); otherwise only the all-ones pattern is NaN. */
static float small_float(uint32_t bits, int n_exp, int n_man, bool has_inf)
{
    uint32_t sign = bits >> (n_exp + n_man) << 31;
    uint32_t exp_max = (1u << n_exp) - 1, man_max = (1u << n_man) - 1;
    uint32_t e = bits >> n_man & exp_max, m = bits & man_max;
    int bias = (1 << (n_exp - 1)) - 1;
    union {
        uint32_t u;
        float f;
    } v;
    if (e == exp_max && (has_inf || m == man_max)) {
        v.u = sign | 0x7f800000u | m << (23 - n_man);
    } else if (e == 0) {
        v.u = (uint32_t)(127 + 1 - bias - n_man) << 23; /* the value of the lowest mantissa bit */
        v.f *= (float)m;
        v.u |= sign;
    } else {
        v.u = sign | (e + 127u - (uint32_t)bias) << 23 | m << (23 - n_man);
    }
    return v.f;
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
