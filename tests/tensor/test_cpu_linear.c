/* Products with weights against double precision: odd shapes, types, activations, accumulation, repeatability. */
#include "tensor/cpu_linear_check.h"

static const kn_act acts[] = {KN_ACT_NONE,     KN_ACT_SILU,       KN_ACT_GELU_TANH,
                              KN_ACT_GELU_ERF, KN_ACT_QUICK_GELU, KN_ACT_RELU};

static void test_shapes(void **state)
{
    (void)state;
    const int64_t ms[] = {1, 3, 17, 100},
                  nks[][2] = {{32, 40}, {3, 32}, {40, 3}, {129, 77}, {1, 1}, {64, 256}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 6; j++)
            for (int types = 0; types < 8; types++) {
                linear_case c = {.m = ms[i], .n = nks[j][0], .k = nks[j][1], .bias = (i + j) % 2 == 0};
                c.x = types & 1 ? KN_BF16 : KN_F32;
                c.w = types & 2 ? KN_BF16 : KN_F32;
                c.out = types & 4 ? KN_BF16 : KN_F32;
                check_linear_case(&c);
            }
}

static void test_acts(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            kn_dtype t = bf16 ? KN_BF16 : KN_F32;
            check_linear_case(&(linear_case){
                .m = 33, .n = 80, .k = 48, .x = t, .w = t, .out = t, .act = acts[i], .bias = true});
        }
}

static void test_accumulate(void **state)
{
    (void)state;
    for (int groups = 0; groups <= 3; groups++)
        for (int types = 0; types < 4; types++)
            check_linear_case(&(linear_case){.m = 50,
                                             .n = 96,
                                             .k = 64,
                                             .x = types & 1 ? KN_BF16 : KN_F32,
                                             .w = types & 2 ? KN_BF16 : KN_F32,
                                             .out = KN_F32,
                                             .bias = true,
                                             .accumulate = true,
                                             .groups = groups});
}

/* Products that pass through the workspace in several chunks, the last one shorter. */
static void test_chunks(void **state)
{
    (void)state;
    check_linear_case(&(linear_case){
        .m = 1003, .n = 48, .k = 6400, .x = KN_F32, .w = KN_BF16, .out = KN_BF16, .bias = true});
    check_linear_case(&(linear_case){.m = 777,
                                     .n = 4096,
                                     .k = 16,
                                     .x = KN_BF16,
                                     .w = KN_F32,
                                     .out = KN_F32,
                                     .accumulate = true,
                                     .groups = 3});
}

/* bf16 weights on a processor without bf16 products are used as f32. */
static void test_without_bf16(void **state)
{
    (void)state;
    const char *isas[] = {"c", "avx2"};
    for (int i = 0; i < 2; i++)
        for (int types = 0; types < 4; types++)
            check_linear_case(&(linear_case){.isa = isas[i],
                                             .m = 70,
                                             .n = 40,
                                             .k = 96,
                                             .x = types & 1 ? KN_BF16 : KN_F32,
                                             .w = KN_BF16,
                                             .out = types & 2 ? KN_BF16 : KN_F32,
                                             .act = KN_ACT_GELU_TANH,
                                             .bias = true});
}

static void test_f16_source(void **state)
{
    (void)state;
    check_linear_case(
        &(linear_case){.m = 9, .n = 32, .k = 64, .x = KN_F32, .w = KN_F32, .out = KN_F32, .from_f16 = true});
}

static void run_at(int threads, const linear_case *c, kn_tensor *out)
{
    linear_rig r;
    linear_rig_init(&r, c, threads);
    linear_rig_run(&r);
    *out = check_clone(r.args.out);
    linear_rig_done(&r);
}

static void test_repeatable(void **state)
{
    (void)state;
    const linear_case cases[] = {
        {.m = 300, .n = 256, .k = 512, .x = KN_F32, .w = KN_F32, .out = KN_F32, .bias = true},
        {.m = 5, .n = 64, .k = 4096, .x = KN_F32, .w = KN_F32, .out = KN_F32},
        {.m = 300,
         .n = 256,
         .k = 512,
         .x = KN_BF16,
         .w = KN_BF16,
         .out = KN_F32,
         .accumulate = true,
         .groups = 1}};
    for (int i = 0; i < 3; i++) {
        kn_tensor a, b, one;
        run_at(2, &cases[i], &a);
        run_at(2, &cases[i], &b);
        run_at(1, &cases[i], &one);
        assert_memory_equal(a.data, b.data, kn_bytes(a));
        double *want = malloc((size_t)kn_numel(a) * sizeof *want);
        assert_non_null(want);
        for (int64_t j = 0; j < kn_numel(a); j++)
            want[j] = check_get(a, j);
        check_close(one, want, 1e-6, 1e-6, "one thread against two, case %d", i);
        free(want);
        check_free(&a);
        check_free(&b);
        check_free(&one);
    }
}

static void test_cancel(void **state)
{
    (void)state;
    linear_rig r;
    linear_rig_init(&r, &(linear_case){.m = 4, .n = 8, .k = 8, .x = KN_F32, .w = KN_F32, .out = KN_F32}, 0);
    atomic_bool cancel = true;
    r.args.cancel = &cancel;
    kn_err err = {0};
    assert_int_equal(r.dev->ops->linear(r.dev, &r.args, &err), KN_ECANCELLED);
    linear_rig_done(&r);
}

static void test_open(void **state)
{
    (void)state;
    kn_device *dev = NULL;
    kn_err err = {0};
    assert_int_equal(kn_cpu_device_open(&(kn_cpu_options){.isa = "sse9"}, &dev, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "sse9"));
    assert_null(dev);
    assert_int_equal(kn_cpu_device_open(NULL, &dev, &err), 0);
    assert_true(dev->mem_total_bytes > 64u << 20);
    assert_true(strlen(dev->description) > 8);
    size_t bytes = (size_t)1 << 34;
    char *p = dev->ops->reserve(dev, bytes);
    assert_non_null(p);
    p[0] = 1;
    p[bytes - 1] = 2;
    dev->ops->trim(dev, p, 4096);
    assert_int_equal(p[0], 0);
    assert_int_equal(p[bytes - 1], 2);
    dev->ops->unreserve(dev, p, bytes);
    kn_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),       cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_acts),       cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_chunks),     cmocka_unit_test(test_without_bf16),
        cmocka_unit_test(test_f16_source), cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
