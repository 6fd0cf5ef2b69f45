#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tensor/dtype.h"

static float decode(kn_dtype t, const void *src)
{
    float f;
    kn_dtype_to_f32(t, src, &f, 1);
    return f;
}

/* The value of a small float by its definition. */
static double by_definition(uint32_t bits, int n_exp, int n_man, int bias)
{
    int e = (int)(bits >> n_man) & ((1 << n_exp) - 1), m = (int)(bits & ((1u << n_man) - 1));
    double v = e ? ldexp(1 + ldexp(m, -n_man), e - bias) : ldexp(m, 1 - bias - n_man);
    return bits >> (n_exp + n_man) ? -v : v;
}

static void assert_value(float found, double expected, unsigned bits)
{
    if ((double)found != expected || !signbit(found) != !signbit(expected))
        fail_msg("bits 0x%x give %a, expected %a", bits, (double)found, expected);
}

static void test_names_and_sizes(void **state)
{
    (void)state;
    kn_dtype t = KN_F32;
    assert_string_equal(kn_dtype_name(KN_BF16), "bf16");
    assert_string_equal(kn_dtype_name((kn_dtype)KN_DTYPE_COUNT), "unknown");
    assert_int_equal(kn_dtype_from_name("q6_k", &t), 0);
    assert_int_equal(t, KN_Q6_K);
    assert_int_equal(kn_dtype_from_name("q7_k", &t), -1);
    assert_int_equal(t, KN_Q6_K);
    assert_int_equal(kn_dtype_bytes(KN_Q6_K, 512), 420);
    assert_int_equal(kn_dtype_bytes(KN_Q8_0, 64), 68);
    assert_int_equal(kn_dtype_bytes(KN_F64, 3), 24);
    for (int i = 0; i < KN_DTYPE_COUNT; i++) {
        assert_int_equal(kn_dtype_from_name(kn_dtype_name((kn_dtype)i), &t), 0);
        assert_int_equal(t, i);
    }
}

static void test_every_f16(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t h = (uint16_t)bits;
        float f = decode(KN_F16, &h);
        if ((bits >> 10 & 31) < 31)
            assert_value(f, by_definition(bits, 5, 10, 15), bits);
        else if (bits & 0x3ff)
            assert_true(isnan(f));
        else
            assert_value(f, bits >> 15 ? -INFINITY : INFINITY, bits);
    }
}

/* e4m3fn has no infinities and two NaNs; e5m2 is IEEE (OCP 8-bit floating point specification, 2023). */
static void test_every_f8(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 256; bits++) {
        uint8_t b = (uint8_t)bits;
        float f = decode(KN_F8_E4M3, &b);
        if ((bits & 0x7f) == 0x7f)
            assert_true(isnan(f));
        else
            assert_value(f, by_definition(bits, 4, 3, 7), bits);
        f = decode(KN_F8_E5M2, &b);
        if ((bits >> 2 & 31) < 31)
            assert_value(f, by_definition(bits, 5, 2, 15), bits);
        else if (bits & 3)
            assert_true(isnan(f));
        else
            assert_value(f, bits >> 7 ? -INFINITY : INFINITY, bits);
    }
    assert_value(decode(KN_F8_E4M3, &(uint8_t){0x7e}), 448, 0x7e);
    assert_value(decode(KN_F8_E5M2, &(uint8_t){0x7b}), 57344, 0x7b);
}

static void test_bf16_both_ways(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t h = (uint16_t)bits;
        float f = decode(KN_BF16, &h);
        if (isnan(f))
            assert_true(isnan(kn_bf16_to_f32(kn_f32_to_bf16(f))));
        else
            assert_int_equal(kn_f32_to_bf16(f), bits);
    }
    assert_int_equal(kn_f32_to_bf16(1.00390625f), 0x3f80); /* halves go to the even neighbour */
    assert_int_equal(kn_f32_to_bf16(1.01171875f), 0x3f82);
    assert_int_equal(kn_f32_to_bf16(3.4e38f), 0x7f80);
    assert_true(isnan(kn_bf16_to_f32(kn_f32_to_bf16(nanf("")))));
}

static void test_integers_and_f64(void **state)
{
    (void)state;
    assert_value(decode(KN_I8, &(int8_t){-128}), -128, 0);
    assert_value(decode(KN_U8, &(uint8_t){255}), 255, 0);
    assert_value(decode(KN_I16, &(int16_t){-32768}), -32768, 0);
    assert_value(decode(KN_I32, &(int32_t){-2147483647 - 1}), -2147483648.0, 0);
    assert_value(decode(KN_I64, &(int64_t){1ll << 40}), 1099511627776.0, 0);
    assert_value(decode(KN_F64, &(double){-0.1}), (double)-0.1f, 0);
    assert_value(decode(KN_F32, &(float){1.5f}), 1.5, 0);
}

/* safetensors data begins at any byte. */
static void test_unaligned_sources(void **state)
{
    (void)state;
    static const kn_dtype types[] = {KN_F32, KN_F64, KN_I64, KN_I32, KN_I16};
    for (size_t k = 0; k < 5; k++) {
        unsigned char buf[33] = {0};
        float out[4];
        double f64[4] = {1, -2, 3, -4};
        float f32[4] = {1, -2, 3, -4};
        int64_t i64[4] = {1, -2, 3, -4};
        int32_t i32[4] = {1, -2, 3, -4};
        int16_t i16[4] = {1, -2, 3, -4};
        const void *src[] = {f32, f64, i64, i32, i16};
        memcpy(buf + 1, src[k], kn_dtype_bytes(types[k], 4));
        kn_dtype_to_f32(types[k], buf + 1, out, 4);
        assert_memory_equal(out, f32, sizeof f32);
    }
    kn_dtype_to_f32(KN_F32, NULL, NULL, 0);
}

/* The decoding itself is tested with dequant.c. */
static void test_block_types_are_decoded(void **state)
{
    (void)state;
    unsigned char block[34] = {0x00, 0x38}; /* q8_0: scale 0.5 in f16, 32 signed bytes */
    float out[32];
    for (int i = 0; i < 32; i++)
        block[2 + i] = (unsigned char)(i - 16);
    kn_dtype_to_f32(KN_Q8_0, block, out, 32);
    for (int i = 0; i < 32; i++)
        assert_value(out[i], 0.5 * (i - 16), (unsigned)i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_sizes),
        cmocka_unit_test(test_every_f16),
        cmocka_unit_test(test_every_f8),
        cmocka_unit_test(test_bf16_both_ways),
        cmocka_unit_test(test_integers_and_f64),
        cmocka_unit_test(test_unaligned_sources),
        cmocka_unit_test(test_block_types_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
