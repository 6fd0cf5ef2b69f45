#include "weights_check.h"

#include "tensor/dequant.h"

/* Blocks of pseudo-random bytes with known scales; the expected values come from a program of its own that follows the
 * loops of the GGUF specification, with every operation rounded to float32. */
enum { MAX_BLOCK = 256, N_SAMPLES = 10 };

static const struct {
    kn_dtype dtype;
    struct {
        int offset;
        uint16_t f16;
    } scales[2];              /* written over the bytes */
    float samples[N_SAMPLES]; /* at small_at or large_at */
    double sum;               /* of (i + 1) * value i, in double precision */
} cases[] = {
    {KN_Q4_0,
     {{0, 0x2e66}, {0, 0x2e66}},
     {-0x1.6650000000000p-1f, -0x1.9980000000000p-2f, -0x1.ffe0000000000p-2f, 0x0.0p+0f,
      0x1.3320000000000p-2f, -0x1.3320000000000p-2f, -0x1.6650000000000p-1f, -0x1.6650000000000p-1f,
      -0x1.6650000000000p-1f, -0x1.6650000000000p-1f},
     -0x1.0fef000000000p+3},
    {KN_Q4_1,
     {{0, 0x2e66}, {2, 0xb4cd}},
     {0x1.9960000000000p-2f, 0x1.1980000000000p+0f, 0x1.9970000000000p-1f, 0x1.9970000000000p-1f,
      -0x1.99c0000000000p-3f, 0x1.3300000000000p-2f, 0x1.9960000000000p-2f, 0x1.9960000000000p-2f,
      0x1.9960000000000p-2f, 0x1.9960000000000p-2f},
     0x1.ab5de00000000p+7},
    {KN_Q5_0,
     {{0, 0xac7b}, {0, 0xac7b}},
     {-0x1.ae20000000000p-3f, -0x1.ae20000000000p-3f, -0x1.6670000000000p-1f, 0x1.ae20000000000p-2f,
      -0x1.ae20000000000p-2f, -0x1.ae20000000000p-3f, -0x1.ae20000000000p-3f, -0x1.ae20000000000p-3f,
      -0x1.ae20000000000p-3f, -0x1.ae20000000000p-3f},
     -0x1.960ae00000000p+5},
    {KN_Q5_1,
     {{0, 0x2a66}, {2, 0x3ecd}},
     {0x1.199c000000000p+1f, 0x1.399a000000000p+1f, 0x1.7330000000000p+1f, 0x1.7330000000000p+1f,
      0x1.2668000000000p+1f, 0x1.0cd0000000000p+1f, 0x1.199c000000000p+1f, 0x1.199c000000000p+1f,
      0x1.199c000000000p+1f, 0x1.199c000000000p+1f},
     0x1.39a76c0000000p+10},
    {KN_Q8_0,
     {{0, 0x0032}, {0, 0x0032}},
     {0x1.8380000000000p-13f, -0x1.db00000000000p-14f, 0x1.3560000000000p-12f, -0x1.9000000000000p-14f,
      0x1.f400000000000p-15f, 0x1.4500000000000p-12f, 0x1.8380000000000p-13f, 0x1.8380000000000p-13f,
      0x1.8380000000000p-13f, 0x1.8380000000000p-13f},
     0x1.de2c800000000p-6},
    {KN_Q2_K,
     {{80, 0x251f}, {82, 0x27ae}},
     {-0x1.70a0000000000p-4f, -0x1.3d68000000000p-2f, 0x1.9a20000000000p-4f, -0x1.ae10000000000p-2f,
      0x1.1f00000000000p-3f, -0x1.eb80000000000p-3f, -0x1.47a0000000000p-3f, -0x1.1e60000000000p-4f,
      0x1.ae50000000000p-3f, 0x1.8f76000000000p-1f},
     0x1.fd03ad8000000p+9},
    {KN_Q3_K,
     {{108, 0x22a8}, {108, 0x22a8}},
     {-0x1.aa00000000000p-2f, 0x1.aa00000000000p-5f, 0x1.b750000000000p-1f, 0x1.24e0000000000p-1f,
      0x1.74c0000000000p-3f, -0x1.df40000000000p-4f, 0x1.df40000000000p-1f, 0x1.8f60000000000p-3f,
      0x1.24e0000000000p-1f, -0x1.3f80000000000p-2f},
     -0x1.d796e70000000p+11},
    {KN_Q4_K,
     {{0, 0x21a2}, {2, 0x245a}},
     {0x1.04be800000000p+3f, 0x1.7e07000000000p+0f, -0x1.5c20000000000p-3f, 0x1.429e000000000p+0f,
      0x1.878a000000000p+0f, 0x1.a846000000000p+1f, 0x1.e8c6c00000000p+2f, 0x1.a697400000000p+2f,
      0x1.80b6000000000p+1f, 0x1.02a9800000000p+2f},
     0x1.c7b2054000000p+16},
    {KN_Q5_K,
     {{0, 0x209c}, {2, 0x2560}},
     {0x1.1b1f000000000p+1f, 0x1.73f0000000000p-1f, 0x1.29b4800000000p+2f, 0x1.336c000000000p-1f,
      0x1.a318000000000p+2f, 0x1.857f000000000p+2f, 0x1.38b0000000000p+0f, 0x1.09d1000000000p+1f,
      -0x1.5498000000000p-2f, 0x1.871b000000000p+1f},
     0x1.c375a63400000p+16},
    {KN_Q6_K,
     {{208, 0x9a59}, {208, 0x9a59}},
     {0x1.cf93c80000000p+2f, 0x1.c0b3300000000p+1f, 0x1.9b02c00000000p+2f, -0x1.b26af00000000p+2f,
      0x1.c908000000000p+1f, 0x1.15b5c00000000p-1f, -0x1.3709000000000p+0f, -0x1.efe9200000000p+0f,
      -0x1.d28d800000000p+0f, -0x1.92adf00000000p+2f},
     0x1.8d08a17700000p+13},
};

static const int small_at[N_SAMPLES] = {0, 1, 15, 16, 17, 31, 0, 0, 0, 0};
static const int large_at[N_SAMPLES] = {0, 16, 37, 63, 100, 128, 160, 177, 222, 255};

static void make_block(size_t c, unsigned char *b)
{
    uint32_t x = (uint32_t)c + 1;
    for (int i = 0; i < kn_dtype_block_bytes(cases[c].dtype); i++) {
        x = x * 1664525u + 1013904223u;
        b[i] = (unsigned char)(x >> 24);
    }
    for (int i = 0; i < 2; i++) {
        b[cases[c].scales[i].offset] = (unsigned char)cases[c].scales[i].f16;
        b[cases[c].scales[i].offset + 1] = (unsigned char)(cases[c].scales[i].f16 >> 8);
    }
}

static void every_type(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int n = kn_dtype_block(cases[c].dtype), bytes = kn_dtype_block_bytes(cases[c].dtype);
        unsigned char *b = malloc((size_t)bytes * 2 + 1);
        float y[2 * MAX_BLOCK];
        make_block(c, b + 1); /* unaligned */
        make_block(c, b + 1 + bytes);
        kn_dequant_block_row(cases[c].dtype, b + 1, y, 2 * n);
        const int *at = n == 32 ? small_at : large_at;
        for (int i = 0; i < N_SAMPLES; i++)
            if (y[at[i]] != cases[c].samples[i])
                fail_msg("%s element %d is %a, expected %a", kn_dtype_name(cases[c].dtype), at[i],
                         (double)y[at[i]], (double)cases[c].samples[i]);
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (i + 1) * (double)y[i];
        if (sum != cases[c].sum)
            fail_msg("%s sums to %a, expected %a", kn_dtype_name(cases[c].dtype), sum, cases[c].sum);
        assert_memory_equal(y, y + n, (size_t)n * sizeof *y);
        kn_dtype_to_f32(cases[c].dtype, b + 1, y + n, n); /* the common entry leads here */
        assert_memory_equal(y, y + n, (size_t)n * sizeof *y);
        free(b);
    }
}

static void scales_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        uint16_t f16;
        float value;
    } halves[] = {{0x0000, 0},        {0x8000, -0.0f}, {0x0001, 0x1p-24f}, {0x83ff, -0x1.ff8p-15f},
                  {0x0400, 0x1p-14f}, {0x3c00, 1},     {0xfbff, -65504}};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        unsigned char b[34] = {(unsigned char)halves[i].f16, (unsigned char)(halves[i].f16 >> 8), 1, 0x80};
        float y[32];
        kn_dequant_block_row(KN_Q8_0, b, y, 32);
        assert_true(y[0] == halves[i].value);
        assert_true(y[1] == -128 * halves[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(scales_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
