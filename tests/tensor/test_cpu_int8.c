/* W8A8 products: within the error that rounding to 8 bits brings, exact where nothing is rounded, the same on every
 * instruction set. */
#include "tensor/cpu_linear_check.h"

static void test_shapes(void **state)
{
    (void)state;
    const int64_t shapes[][3] = {{1, 32, 40}, {3, 40, 128}, {17, 3, 64}, {100, 129, 300}, {64, 64, 64}};
    for (int i = 0; i < 5; i++)
        for (int types = 0; types < 4; types++)
            check_linear_case(&(linear_case){.m = shapes[i][0],
                                             .n = shapes[i][1],
                                             .k = shapes[i][2],
                                             .x = types & 1 ? KN_BF16 : KN_F32,
                                             .w = KN_I8,
                                             .out = types & 2 ? KN_BF16 : KN_F32,
                                             .bias = i % 2 == 0});
}

static void test_acts_and_accumulation(void **state)
{
    (void)state;
    for (int act = KN_ACT_NONE; act <= KN_ACT_RELU; act++)
        check_linear_case(&(linear_case){.m = 40,
                                         .n = 50,
                                         .k = 512,
                                         .x = KN_BF16,
                                         .w = KN_I8,
                                         .out = KN_BF16,
                                         .act = (kn_act)act,
                                         .bias = true});
    for (int groups = 0; groups <= 3; groups++)
        check_linear_case(&(linear_case){.m = 40,
                                         .n = 50,
                                         .k = 512,
                                         .x = KN_BF16,
                                         .w = KN_I8,
                                         .out = KN_F32,
                                         .bias = true,
                                         .accumulate = true,
                                         .groups = groups});
}

/* Many chunks of rows, the last one shorter. */
static void test_chunks(void **state)
{
    (void)state;
    check_linear_case(&(linear_case){.m = 1001,
                                     .n = 2500,
                                     .k = 24,
                                     .x = KN_F32,
                                     .w = KN_I8,
                                     .out = KN_F32,
                                     .accumulate = true,
                                     .groups = 3});
}

/* Rows of whole numbers that reach 127 lose nothing. */
static void test_exact(void **state)
{
    (void)state;
    enum { M = 5, N = 20, K = 96 };
    kn_device *dev = NULL;
    kn_weight *w = NULL;
    kn_err err = {0};
    assert_int_equal(kn_cpu_device_open(NULL, &dev, &err), 0);
    float weights[N * K], x[M * K], out[M * N];
    for (int i = 0; i < N * K; i++)
        weights[i] = (float)(i % K == 0 ? 127 : i * 7 % 255 - 127) * 0.25f;
    for (int i = 0; i < M * K; i++)
        x[i] = (float)(i % K == 1 ? -127 : i * 11 % 255 - 127);
    memset(x + 2 * K, 0, K * sizeof *x); /* a row of zeros */
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {N, K}, .dtype = KN_I8};
    kn_weight_src src = {.data = weights, .dtype = KN_F32};
    assert_int_equal(kn_weight_new(dev, &spec, &src, &w, &err), 0);
    assert_int_equal(w->bytes, dev->ops->weight_bytes(dev, &spec));
    kn_linear_args a = {.x = {.data = x, .dtype = KN_F32, .n_dims = 2, .dims = {M, K}},
                        .out = {.data = out, .dtype = KN_F32, .n_dims = 2, .dims = {M, N}},
                        .w = w};
    a.workspace = aligned_alloc(64, (dev->ops->linear_workspace(dev, &a) + 127) & ~(size_t)63);
    assert_non_null(a.workspace);
    assert_int_equal(dev->ops->linear(dev, &a, &err), 0);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double want = 0;
            for (int k = 0; k < K; k++)
                want += (double)x[i * K + k] * (double)weights[j * K + k];
            assert_true(fabs((double)out[i * N + j] - want) <= 1e-6 * fabs(want));
        }
    free(a.workspace);
    kn_weight_free(dev, w);
    kn_device_close(dev);
}

static void test_same_everywhere(void **state)
{
    (void)state;
    const char *isas[] = {"c", "avx2", "avx512", "avx512_bf16"};
    linear_case c = {.m = 30, .n = 70, .k = 200, .x = KN_BF16, .w = KN_I8, .out = KN_F32, .bias = true};
    kn_tensor first = {0};
    kn_cpu_isa best = kn_cpu_isa_best();
    for (int i = 0; i <= (int)best; i++) {
        linear_rig r;
        c.isa = isas[i];
        linear_rig_init(&r, &c, 0);
        linear_rig_run(&r);
        if (i == 0)
            first = check_clone(r.args.out);
        for (int64_t j = 0; j < kn_numel(first); j++)
            assert_true(fabs(check_get(first, j) - check_get(r.args.out, j)) <=
                        2e-6 * (fabs(check_get(first, j)) + 1));
        linear_rig_done(&r);
    }
    check_free(&first);
}

static void test_repeatable(void **state)
{
    (void)state;
    linear_case c = {.m = 300, .n = 200, .k = 500, .x = KN_BF16, .w = KN_I8, .out = KN_BF16, .bias = true};
    kn_tensor outs[3];
    for (int i = 0; i < 3; i++) {
        linear_rig r;
        linear_rig_init(&r, &c, i == 2 ? 1 : 2);
        linear_rig_run(&r);
        outs[i] = check_clone(r.args.out);
        linear_rig_done(&r);
    }
    for (int i = 1; i < 3; i++)
        assert_memory_equal(outs[0].data, outs[i].data, kn_bytes(outs[0]));
    for (int i = 0; i < 3; i++)
        check_free(&outs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_acts_and_accumulation),
        cmocka_unit_test(test_chunks),          cmocka_unit_test(test_exact),
        cmocka_unit_test(test_same_everywhere), cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
