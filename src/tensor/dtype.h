/* Element types: those tensors compute in, and those weights may lie in on disk. */
#ifndef KN_TENSOR_DTYPE_H
#define KN_TENSOR_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* X(symbol, name, elements per block, bytes per block).  Plain types have blocks of one element.
 * Block layouts of the quantised types: the GGUF specification (ggml's ggml-common.h). */
#define KN_DTYPE_LIST(X)                                                                                     \
    X(KN_F32, "f32", 1, 4)                                                                                   \
    X(KN_BF16, "bf16", 1, 2)                                                                                 \
    X(KN_F16, "f16", 1, 2)                                                                                   \
    X(KN_F64, "f64", 1, 8)                                                                                   \
    X(KN_I8, "int8", 1, 1)                                                                                   \
    X(KN_U8, "u8", 1, 1)                                                                                     \
    X(KN_I16, "i16", 1, 2)                                                                                   \
    X(KN_I32, "i32", 1, 4)                                                                                   \
    X(KN_I64, "i64", 1, 8)                                                                                   \
    X(KN_F8_E4M3, "f8_e4m3fn", 1, 1)                                                                         \
    X(KN_F8_E5M2, "f8_e5m2", 1, 1)                                                                           \
    X(KN_Q4_0, "q4_0", 32, 18)                                                                               \
    X(KN_Q4_1, "q4_1", 32, 20)                                                                               \
    X(KN_Q5_0, "q5_0", 32, 22)                                                                               \
    X(KN_Q5_1, "q5_1", 32, 24)                                                                               \
    X(KN_Q8_0, "q8_0", 32, 34)                                                                               \
    X(KN_Q2_K, "q2_k", 256, 84)                                                                              \
    X(KN_Q3_K, "q3_k", 256, 110)                                                                             \
    X(KN_Q4_K, "q4_k", 256, 144)                                                                             \
    X(KN_Q5_K, "q5_k", 256, 176)                                                                             \
    X(KN_Q6_K, "q6_k", 256, 210)

typedef enum kn_dtype {
#define X(sym, name, block, bytes) sym,
    KN_DTYPE_LIST(X)
#undef X
        KN_DTYPE_COUNT
} kn_dtype;

const char *kn_dtype_name(kn_dtype t);
int kn_dtype_block(kn_dtype t);                          /* elements per block */
int kn_dtype_block_bytes(kn_dtype t);                    /* bytes per block */
int kn_dtype_from_name(const char *name, kn_dtype *ret); /* 0, or -1 if unknown */

/* Bytes of n elements; n must be a multiple of the block. */
static inline size_t kn_dtype_bytes(kn_dtype t, int64_t n)
{
    return (size_t)(n / kn_dtype_block(t)) * (size_t)kn_dtype_block_bytes(t);
}

/* Decodes n elements (a multiple of the block) of any type to float32. */
void kn_dtype_to_f32(kn_dtype t, const void *src, float *dst, int64_t n);

static inline float kn_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)h << 16};
    return v.f;
}

/* Round to nearest even, as torch does; NaN stays NaN. */
static inline uint16_t kn_f32_to_bf16(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {f};
    if ((v.u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((v.u >> 16) | 0x40u);
    return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}

#endif
