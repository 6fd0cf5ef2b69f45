#include "tensor/cpu_check.h"

/* The kernels against double precision, for every instruction set of this machine and both types. */
typedef void (*case_fn)(kn_device *dev, kn_dtype in, kn_dtype out);

static void for_all(case_fn fn)
{
    const kn_dtype types[] = {KN_F32, KN_BF16};
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (int i = 0; i < 4; i++)
            fn(dev, types[i & 1], types[i >> 1]);
    }
}

static void rotate(double *row, int n_heads, int64_t d, const kn_rope *rope, int64_t table_row)
{
    for (int h = 0; h < n_heads; h++) {
        for (int64_t i = 0; i < d / 2; i++) {
            int64_t lo = h * d + (rope->halves ? i : 2 * i),
                    hi = h * d + (rope->halves ? i + d / 2 : 2 * i + 1);
            double c = check_get(rope->cos, table_row * (d / 2) + i);
            double s = check_get(rope->sin, table_row * (d / 2) + i), x = row[lo], y = row[hi];
            row[lo] = x * c - y * s;
            row[hi] = y * c + x * s;
        }
    }
}

static kn_rope make_rope(int64_t rows, int64_t half, bool halves)
{
    kn_rope r = {check_tensor(KN_F32, 2, (int64_t[]){rows, half}),
                 check_tensor(KN_F32, 2, (int64_t[]){rows, half}), halves};
    for (int64_t i = 0; i < rows * half; i++) {
        check_set(r.cos, i, cos(0.37 * (double)i));
        check_set(r.sin, i, sin(0.37 * (double)i));
    }
    return r;
}

static void one_rms(kn_device *dev, kn_dtype in, kn_dtype out, int64_t rows, int64_t n, kn_act act,
                    int n_heads, int rope_kind)
{
    kn_tensor x = check_random_tensor(in, 2, (int64_t[]){rows, n}, 7 + (uint64_t)n, 0.3, 2.0);
    kn_tensor gamma = check_random_tensor(KN_F32, 1, (int64_t[]){n}, 11, 1.0, 0.2);
    kn_tensor y = check_tensor(out, 2, (int64_t[]){rows, n});
    kn_rope rope = {0};
    if (rope_kind)
        rope = make_rope(rows, n / n_heads / 2, rope_kind == 2);
    kn_norm_args a = {.x = x,
                      .out = y,
                      .gamma = gamma,
                      .eps = 1e-6f,
                      .act = act,
                      .rope = rope_kind ? &rope : NULL,
                      .n_heads = n_heads};
    assert_int_equal(kn_cpu_rms_norm(dev, &a, NULL), 0);
    double *want = malloc((size_t)(rows * n) * sizeof *want);
    for (int64_t r = 0; r < rows; r++) {
        double ms = 0;
        for (int64_t i = 0; i < n; i++)
            ms += check_get(x, r * n + i) * check_get(x, r * n + i);
        double scale = 1 / sqrt(ms / (double)n + 1e-6);
        for (int64_t i = 0; i < n; i++)
            want[r * n + i] = check_act(check_get(x, r * n + i) * scale * check_get(gamma, i), act);
        if (rope_kind)
            rotate(want + r * n, n_heads, n / n_heads, &rope, r);
    }
    check_close(y, want, 5e-7, 4e-3, "rms %lld x %lld", (long long)rows, (long long)n);
    free(want);
    check_free(&x);
    check_free(&gamma);
    check_free(&y);
    check_free(&rope.cos);
    check_free(&rope.sin);
}

static void rms_cases(kn_device *dev, kn_dtype in, kn_dtype out)
{
    const int64_t sizes[] = {1, 3, 4, 16, 31, 96, 100, 257, 384, 1536, 5120, 20000};
    for (int i = 0; i < 12; i++)
        one_rms(dev, in, out, 5, sizes[i], i % 2 ? KN_ACT_SILU : KN_ACT_NONE, 1, 0);
    one_rms(dev, in, out, 70000, 3, KN_ACT_SILU, 1, 0);
    const int64_t heads[] = {2, 4, 6, 10, 16, 20, 64, 80, 128, 600};
    for (int i = 0; i < 10; i++)
        for (int kind = 1; kind <= 2; kind++)
            one_rms(dev, in, out, 9, heads[i] * 3, KN_ACT_NONE, 3, kind);
}

static void test_rms_norm(void **state)
{
    (void)state;
    for_all(rms_cases);
}

static void rope_cases(kn_device *dev, kn_dtype in, kn_dtype out)
{
    (void)out;
    const int64_t heads[] = {2, 4, 6, 10, 16, 20, 64, 80, 128};
    for (int i = 0; i < 18; i++) {
        int64_t d = heads[i % 9], rows = 5, n = 3 * d;
        kn_tensor x = check_random_tensor(in, 2, (int64_t[]){rows, n}, 5, 0, 1);
        kn_rope rope = make_rope(rows, d / 2, i >= 9);
        double *want = malloc((size_t)(rows * n) * sizeof *want);
        for (int64_t k = 0; k < rows * n; k++)
            want[k] = check_get(x, k);
        for (int64_t r = 0; r < rows; r++)
            rotate(want + r * n, 3, d, &rope, r);
        assert_int_equal(kn_cpu_rope(dev, x, &rope, 3, NULL), 0);
        check_close(x, want, 2e-7, 4e-3, "rope %lld", (long long)d);
        free(want);
        check_free(&x);
        check_free(&rope.cos);
        check_free(&rope.sin);
    }
}

static void test_rope(void **state)
{
    (void)state;
    for_all(rope_cases);
}

/* which: bit 0 gamma, bit 1 beta, bit 2 shift, bit 3 scale, bit 4 row groups. */
static void one_layer(kn_device *dev, kn_dtype in, kn_dtype out, int64_t n, int which, double mean)
{
    enum { ROWS = 7, GROUPS = 3 };
    const int64_t vec[] = {n}, tab[] = {GROUPS, n};
    kn_tensor x = check_random_tensor(in, 2, (int64_t[]){ROWS, n}, 3, mean, 1.0);
    kn_tensor p[4] = {
        check_random_tensor(KN_F32, 1, vec, 4, 1, 0.3), check_random_tensor(KN_F32, 1, vec, 5, 0, 1),
        check_random_tensor(KN_F32, 2, tab, 6, 0, 1), check_random_tensor(KN_F32, 2, tab, 7, 0, 0.5)};
    kn_tensor group = check_tensor(KN_I32, 1, (int64_t[]){ROWS}), none = {0};
    for (int r = 0; r < ROWS; r++)
        ((int32_t *)group.data)[r] = (which & 16) ? r * 2 % GROUPS : 0;
    kn_tensor y = check_tensor(out, 2, (int64_t[]){ROWS, n});
    kn_tensor row_group = which & 16 ? group : none;
    kn_norm_args a = {.x = x,
                      .out = y,
                      .eps = 1e-5f,
                      .gamma = which & 1 ? p[0] : none,
                      .beta = which & 2 ? p[1] : none,
                      .shift = {which & 4 ? p[2] : none, row_group},
                      .scale = {which & 8 ? p[3] : none, row_group}};
    assert_int_equal(kn_cpu_layer_norm(dev, &a, NULL), 0);
    double *want = malloc((size_t)(ROWS * n) * sizeof *want);
    for (int64_t r = 0; r < ROWS; r++) {
        double mu = 0, var = 0;
        for (int64_t i = 0; i < n; i++)
            mu += check_get(x, r * n + i) / (double)n;
        for (int64_t i = 0; i < n; i++)
            var += pow(check_get(x, r * n + i) - mu, 2) / (double)n;
        int64_t g = ((int32_t *)group.data)[r] * n;
        for (int64_t i = 0; i < n; i++) {
            double v = (check_get(x, r * n + i) - mu) / sqrt(var + 1e-5);
            v = (which & 1 ? v * check_get(p[0], i) : v) + (which & 2 ? check_get(p[1], i) : 0);
            want[r * n + i] =
                v * (1 + (which & 8 ? check_get(p[3], g + i) : 0)) + (which & 4 ? check_get(p[2], g + i) : 0);
        }
    }
    /* with a mean of 100 deviations, float inputs alone allow no more */
    check_close(y, want, mean > 10 ? 2e-5 : 5e-7, 4e-3, "layer %lld params %d mean %g", (long long)n, which,
                mean);
    free(want);
    for (int i = 0; i < 4; i++)
        check_free(&p[i]);
    check_free(&x);
    check_free(&y);
    check_free(&group);
}

static void layer_cases(kn_device *dev, kn_dtype in, kn_dtype out)
{
    const int64_t sizes[] = {2, 5, 16, 31, 64, 100, 768, 1280, 1536, 5120};
    for (int i = 0; i < 10; i++)
        one_layer(dev, in, out, sizes[i], i % 2 ? 3 : 12 + 16, 0.5);
    for (int which = 0; which < 32; which++)
        one_layer(dev, in, out, 49, which, 0);
    one_layer(dev, in, out, 1536, 31, 100);
}

static void test_layer_norm(void **state)
{
    (void)state;
    for_all(layer_cases);
}

static void one_group(kn_device *dev, kn_dtype in, kn_dtype out, int64_t rows, int64_t n, int groups,
                      kn_act act)
{
    kn_tensor x = check_random_tensor(in, 2, (int64_t[]){rows, n}, 3, 4.0, 1.0);
    kn_tensor gamma = check_random_tensor(KN_F32, 1, (int64_t[]){n}, 4, 1, 0.3);
    kn_tensor beta = check_random_tensor(KN_F32, 1, (int64_t[]){n}, 5, 0, 1);
    kn_tensor y = check_tensor(out, 2, (int64_t[]){rows, n});
    kn_norm_args a = {
        .x = x, .out = y, .gamma = gamma, .beta = beta, .eps = 1e-6f, .act = act, .n_groups = groups};
    a.workspace = malloc(kn_cpu_group_norm_workspace(dev, &a));
    assert_int_equal(kn_cpu_group_norm(dev, &a, NULL), 0);
    double *want = malloc((size_t)(rows * n) * sizeof *want);
    int64_t per = n / groups;
    for (int g = 0; g < groups; g++) {
        double mu = 0, var = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = g * per; i < (g + 1) * per; i++)
                mu += check_get(x, r * n + i) / (double)(rows * per);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = g * per; i < (g + 1) * per; i++)
                var += pow(check_get(x, r * n + i) - mu, 2) / (double)(rows * per);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = g * per; i < (g + 1) * per; i++)
                want[r * n + i] =
                    check_act((check_get(x, r * n + i) - mu) / sqrt(var + 1e-6) * check_get(gamma, i) +
                                  check_get(beta, i),
                              act);
    }
    check_close(y, want, 1e-6, 4e-3, "group %lld x %lld / %d", (long long)rows, (long long)n, groups);
    free(want);
    free(a.workspace);
    check_free(&x);
    check_free(&gamma);
    check_free(&beta);
    check_free(&y);
}

static void group_cases(kn_device *dev, kn_dtype in, kn_dtype out)
{
    one_group(dev, in, out, 1, 32, 32, KN_ACT_NONE);
    one_group(dev, in, out, 77, 48, 3, KN_ACT_SILU);
    one_group(dev, in, out, 3000, 64, 32, KN_ACT_SILU);
    one_group(dev, in, out, 513, 100, 4, KN_ACT_NONE);
}

static void test_group_norm(void **state)
{
    (void)state;
    for_all(group_cases);
}

/* The same bits with one, two and three threads. */
static void test_threads(void **state)
{
    (void)state;
    check_device d;
    kn_device *dev = check_device_init(&d, kn_cpu_isa_best());
    kn_tensor x = check_random_tensor(KN_F32, 2, (int64_t[]){3001, 96}, 3, 4.0, 1.0);
    kn_tensor first = check_tensor(KN_F32, 2, x.dims), y = check_tensor(KN_F32, 2, x.dims);
    for (int threads = 1; threads <= 3; threads++) {
        kn_parallel_set_threads(threads);
        kn_norm_args a = {
            .x = x, .out = threads == 1 ? first : y, .eps = 1e-6f, .n_groups = 32, .act = KN_ACT_SILU};
        a.workspace = malloc(kn_cpu_group_norm_workspace(dev, &a));
        assert_int_equal(kn_cpu_group_norm(dev, &a, NULL), 0);
        free(a.workspace);
        if (threads > 1)
            assert_memory_equal(first.data, y.data, kn_bytes(y));
    }
    kn_parallel_set_threads(0);
    check_free(&x);
    check_free(&first);
    check_free(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rms_norm), cmocka_unit_test(test_rope),
                                       cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_group_norm),
                                       cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
