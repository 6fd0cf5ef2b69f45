#include "tensor/cpu_check.h"

/* Movement is exact: element i holds a value that names it. */
static kn_tensor numbered(kn_dtype dtype, int n_dims, const int64_t *dims)
{
    kn_tensor t = check_tensor(dtype, n_dims, dims);
    for (int64_t i = 0; i < kn_numel(t); i++) {
        if (kn_dtype_block_bytes(dtype) == 2)
            ((uint16_t *)t.data)[i] = (uint16_t)(i * 40503u);
        else
            ((uint32_t *)t.data)[i] = (uint32_t)(i * 2654435761u);
    }
    return t;
}

static uint32_t at(kn_tensor t, int64_t i)
{
    return kn_dtype_block_bytes(t.dtype) == 2 ? ((uint16_t *)t.data)[i] : ((uint32_t *)t.data)[i];
}

static void check_permute(kn_device *dev, kn_dtype dtype, int n, const int64_t *dims, const int *perm)
{
    int64_t out_dims[KN_MAX_DIMS], stride[KN_MAX_DIMS], s = 1, idx[KN_MAX_DIMS] = {0};
    for (int i = n - 1; i >= 0; i--) {
        stride[i] = s;
        s *= dims[i];
    }
    for (int i = 0; i < n; i++)
        out_dims[i] = dims[perm[i]];
    kn_tensor src = numbered(dtype, n, dims), dst = check_tensor(dtype, n, out_dims);
    assert_int_equal(kn_cpu_permute(dev, dst, src, perm, NULL), 0);
    for (int64_t k = 0; k < s; k++) {
        int64_t from = 0;
        for (int i = 0; i < n; i++)
            from += idx[i] * stride[perm[i]];
        if (at(dst, k) != at(src, from))
            fail_msg("permute: element %lld is not that of %lld", (long long)k, (long long)from);
        for (int i = n - 1; i >= 0 && ++idx[i] == out_dims[i]; i--)
            idx[i] = 0;
    }
    check_free(&src);
    check_free(&dst);
}

static void test_permute(void **state)
{
    (void)state;
    check_device d;
    kn_device *dev = check_device_init(&d, kn_cpu_isa_best());
    for (int i = 0; i < 2; i++) {
        kn_dtype t = i ? KN_BF16 : KN_F32;
        check_permute(dev, t, 1, (int64_t[]){5}, (int[]){0});
        check_permute(dev, t, 2, (int64_t[]){1, 1}, (int[]){1, 0});
        check_permute(dev, t, 2, (int64_t[]){33, 47}, (int[]){1, 0});
        check_permute(dev, t, 3, (int64_t[]){17, 300, 5}, (int[]){2, 0, 1});
        check_permute(dev, t, 3, (int64_t[]){17, 30, 5}, (int[]){1, 0, 2});
        check_permute(dev, t, 4, (int64_t[]){3, 20, 18, 16}, (int[]){3, 0, 1, 2});
        check_permute(dev, t, 4, (int64_t[]){16, 3, 20, 18}, (int[]){1, 2, 3, 0});
        check_permute(dev, t, 5, (int64_t[]){1, 4, 1, 7, 9}, (int[]){4, 2, 3, 0, 1});
        check_permute(dev, t, 8, (int64_t[]){2, 3, 4, 5, 2, 2, 2, 3}, (int[]){0, 4, 1, 5, 2, 6, 3, 7});
        check_permute(dev, t, 8, (int64_t[]){2, 3, 4, 5, 2, 2, 2, 3}, (int[]){7, 4, 1, 5, 2, 6, 3, 0});
        check_permute(dev, t, 7, (int64_t[]){2, 3, 5, 301, 2, 2, 2}, (int[]){0, 4, 1, 5, 2, 6, 3});
        check_permute(dev, t, 3, (int64_t[]){301, 5, 3}, (int[]){2, 1, 0});
        check_permute(dev, t, 6, (int64_t[]){2, 3, 4, 5, 6, 7}, (int[]){5, 4, 3, 2, 1, 0});
    }
}

static void test_concat_and_slice(void **state)
{
    (void)state;
    check_device d;
    kn_device *dev = check_device_init(&d, kn_cpu_isa_best());
    const int64_t lens[] = {3, 1, 40};
    for (int axis = 0; axis < 3; axis++) {
        int64_t dims[] = {5, 7, 300};
        kn_tensor xs[3], whole;
        for (int i = 0; i < 3; i++) {
            dims[axis] = lens[i];
            xs[i] = numbered(KN_BF16, 3, dims);
        }
        dims[axis] = 44;
        whole = check_tensor(KN_BF16, 3, dims);
        assert_int_equal(kn_cpu_concat(dev, whole, axis, 3, xs, NULL), 0);
        int64_t begin = 0;
        for (int i = 0; i < 3; i++) {
            kn_tensor part = check_tensor(KN_BF16, 3, xs[i].dims);
            assert_int_equal(kn_cpu_slice(dev, part, whole, axis, begin, NULL), 0);
            assert_memory_equal(part.data, xs[i].data, kn_bytes(part));
            begin += lens[i];
            check_free(&part);
        }
        /* one element placed by hand: index `lens[0]` along the axis is the second tensor's first */
        int64_t stride = axis == 0 ? dims[1] * dims[2] : axis == 1 ? dims[2] : 1;
        assert_int_equal(at(whole, lens[0] * stride), at(xs[1], 0));
        for (int i = 0; i < 3; i++)
            check_free(&xs[i]);
        check_free(&whole);
    }
}

static void test_channels(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (int i = 0; i < 8; i++) {
            kn_dtype t = i & 1 ? KN_BF16 : KN_F32;
            int g = 1 + i * 3;
            int64_t rows = 501, n = 12;
            kn_tensor x = check_random_tensor(t, 2, (int64_t[]){rows, n}, 3, 0, 1);
            kn_tensor wide = check_tensor(t, 2, (int64_t[]){rows, n * g});
            assert_int_equal(kn_cpu_repeat_channels(dev, wide, x, g, NULL), 0);
            for (int64_t k = 0; k < rows * n * g; k++)
                assert_true(at(wide, k) == at(x, k / g));
            for (int64_t k = 0; k < rows * n * g; k++)
                check_set(wide, k, check_get(wide, k) + 0.25 * (double)(k % g));
            double *want = calloc((size_t)(rows * n), sizeof *want);
            for (int64_t k = 0; k < rows * n * g; k++)
                want[k / g] += check_get(wide, k) / g;
            assert_int_equal(kn_cpu_mean_channels(dev, x, wide, g, NULL), 0);
            check_close(x, want, 2e-7, 4e-3, "mean of %d", g);
            free(want);
            check_free(&x);
            check_free(&wide);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_permute),
                                       cmocka_unit_test(test_concat_and_slice),
                                       cmocka_unit_test(test_channels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
