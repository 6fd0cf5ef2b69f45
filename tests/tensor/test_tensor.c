#include "fake_device.h"

typedef struct fixture {
    fake_device *fake;
    kn_ctx c;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->fake = fake_device_new(8 << 20);
    assert_int_equal(kn_ctx_init(&f->c, &f->fake->dev, KN_F32, 0, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    kn_ctx_done(&f->c);
    kn_device_close(&f->fake->dev);
    free(f);
    return 0;
}

static kn_ctx *ctx_of(void **state)
{
    return &((fixture *)*state)->c;
}

static void test_sizes(void **state)
{
    kn_ctx *c = ctx_of(state);
    kn_tensor t = kn_empty(c, KN_BF16, KN_DIMS(2, 3, 5));
    assert_int_equal(kn_numel(t), 30);
    assert_int_equal(kn_bytes(t), 60);
    assert_int_equal(t.dims[3], 1);
    assert_int_equal(t.dims[KN_MAX_DIMS - 1], 1);
    assert_int_equal(kn_numel((kn_tensor){0}), 0);
    assert_int_equal(kn_bytes((kn_tensor){0}), 0);
    assert_int_equal((uintptr_t)t.data % 64, 0);
}

static void test_shape_strings(void **state)
{
    (void)state;
    char s[KN_SHAPE_STR], tiny[8];
    kn_tensor t = {.dtype = KN_BF16, .n_dims = 2, .dims = {16, 1536}};
    assert_string_equal(kn_shape_str(t, s, sizeof s), "[16, 1536] bf16");
    assert_string_equal(kn_shape_str(t, tiny, sizeof tiny), "[16, 15");
    assert_string_equal(kn_shape_str((kn_tensor){0}, s, sizeof s), "no tensor");
    t.n_dims = KN_MAX_DIMS;
    for (int i = 0; i < KN_MAX_DIMS; i++)
        t.dims[i] = INT64_MAX;
    assert_int_equal(strlen(kn_shape_str(t, s, sizeof s)), sizeof s - 1);
}

static void test_impossible_shapes(void **state)
{
    kn_ctx *c = ctx_of(state);
    int64_t dims[KN_MAX_DIMS + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    kn_empty(c, KN_F32, 0, dims);
    assert_error(c, KN_EINTERNAL, "empty: a tensor of 0 dimensions");
    kn_empty(c, KN_F32, KN_MAX_DIMS + 1, dims);
    assert_error(c, KN_EINTERNAL, "empty: a tensor of 9 dimensions");
    kn_empty(c, KN_Q4_K, 1, dims);
    assert_error(c, KN_EINTERNAL, "of q4_k, expected 1 to 8 of a plain type");
    kn_empty(c, KN_F32, KN_DIMS(4, 0));
    assert_error(c, KN_EINTERNAL, "empty: shape [4, 0] f32");
    kn_empty(c, KN_F32, KN_DIMS(4, -4));
    assert_error(c, KN_EINTERNAL, "empty: shape [4, -4] f32");
    kn_empty(c, KN_F32, KN_DIMS(1ll << 31, 1ll << 31));
    assert_error(c, KN_EINTERNAL, "empty: shape [2147483648, 2147483648] f32");
    kn_empty(c, KN_F32, KN_DIMS(1ll << 40));
    assert_error(c, KN_ENOMEM, "4398046511104 bytes do not fit into the pool of device fake");
}

static void test_reshape(void **state)
{
    kn_ctx *c = ctx_of(state);
    kn_tensor t = kn_empty(c, KN_F32, KN_DIMS(4, 6));
    size_t live = kn_pool_live(c);
    kn_tensor r = kn_reshape(c, t, KN_DIMS(2, -1, 3));
    assert_ptr_equal(r.data, t.data);
    assert_int_equal(r.n_dims, 3);
    assert_int_equal(r.dims[1], 4);
    assert_int_equal(r.dims[3], 1);
    assert_int_equal(kn_reshape(c, t, KN_DIMS(-1)).dims[0], 24);
    assert_int_equal(kn_pool_live(c), live);
    assert_true(kn_ok(c));
    kn_reshape(c, t, KN_DIMS(5, -1));
    assert_error(c, KN_EINTERNAL, "reshape: [4, 6] f32 to [5, -1] f32, expected the same number of elements");
    kn_reshape(c, t, KN_DIMS(-1, -1));
    assert_error(c, KN_EINTERNAL, "reshape: [4, 6] f32 to [-1, -1] f32");
    kn_reshape(c, t, KN_DIMS(4, 5));
    assert_error(c, KN_EINTERNAL, "reshape: [4, 6] f32 to [4, 5] f32");
    kn_reshape(c, t, KN_DIMS(0, -1));
    assert_error(c, KN_EINTERNAL, "reshape: [4, 6] f32 to [0, -1] f32");
    kn_reshape(c, t, KN_DIMS(1ll << 62, 1ll << 62));
    assert_error(c, KN_EINTERNAL, "reshape: [4, 6] f32 to [4611686018427387904,");
    kn_reshape(c, t, 0, NULL);
    assert_error(c, KN_EINTERNAL, "reshape: 0 dimensions");
}

static void test_rows(void **state)
{
    kn_ctx *c = ctx_of(state);
    kn_tensor t = kn_empty(c, KN_BF16, KN_DIMS(4, 3, 5));
    kn_tensor r = kn_rows(c, t, 1, 2);
    assert_int_equal((uintptr_t)r.data - (uintptr_t)t.data, 15 * 2);
    assert_int_equal(r.dims[0], 2);
    assert_int_equal(r.dims[1], 3);
    kn_rows(c, t, 3, 2);
    assert_error(c, KN_EINTERNAL, "rows: 2 rows from 3 of [4, 3, 5] bf16");
    kn_rows(c, t, -1, 2);
    assert_error(c, KN_EINTERNAL, "rows: 2 rows from -1");
    kn_rows(c, t, 0, 0);
    assert_error(c, KN_EINTERNAL, "rows: 0 rows from 0");
    kn_rows(c, t, 1, INT64_MAX);
    assert_error(c, KN_EINTERNAL, "rows: 9223372036854775807 rows from 1");
}

/* Longer than the conversion buffer, and not a multiple of it. */
static void test_round_trip_through_every_type(void **state)
{
    enum { N = 150001 };
    static const kn_dtype types[] = {KN_F32, KN_BF16, KN_I32};
    kn_ctx *c = ctx_of(state);
    float *in = malloc(N * sizeof *in), *out = malloc(N * sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    for (int i = 0; i < N; i++)
        in[i] = (float)(i % 257 - 128); /* exact in each */
    for (size_t k = 0; k < 3; k++) {
        memset(out, 0, N * sizeof *out);
        kn_tensor t = kn_from_f32(c, types[k], KN_DIMS(N), in);
        assert_int_equal(t.dtype, types[k]);
        kn_to_f32(c, t, out);
        assert_true(kn_ok(c));
        assert_memory_equal(in, out, N * sizeof *in);
    }
    free(in);
    free(out);
}

static void test_bf16_rounds_to_even(void **state)
{
    kn_ctx *c = ctx_of(state);
    const float in[4] = {1.00390625f, 1.01171875f, -1.0039064f, 3.3895314e38f};
    const float expected[4] = {1.0f, 1.015625f, -1.0078125f, 3.3895314e38f};
    float out[4];
    kn_to_f32(c, kn_from_f32(c, KN_BF16, KN_DIMS(2, 2), in), out);
    assert_memory_equal(out, expected, sizeof out);
}

static void test_transfers_of_other_types_are_errors(void **state)
{
    kn_ctx *c = ctx_of(state);
    float x[4] = {0};
    kn_from_f32(c, KN_I8, KN_DIMS(4), x);
    assert_error(c, KN_EINTERNAL, "from_f32: to int8");
    kn_tensor bytes = kn_from_host(c, KN_U8, KN_DIMS(4), "abcd");
    assert_memory_equal(bytes.data, "abcd", 4);
    kn_to_f32(c, bytes, x);
    assert_error(c, KN_EINTERNAL, "to_f32: from u8");
}

static void test_zeros_are_zero(void **state)
{
    kn_ctx *c = ctx_of(state);
    kn_tensor t = kn_empty(c, KN_F32, KN_DIMS(64));
    memset(t.data, 0xff, kn_bytes(t));
    kn_free(c, &t);
    t = kn_zeros(c, KN_F32, KN_DIMS(64));
    for (int i = 0; i < 64; i++)
        assert_true(((float *)t.data)[i] == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sizes),
        TEST(test_shape_strings),
        TEST(test_impossible_shapes),
        TEST(test_reshape),
        TEST(test_rows),
        TEST(test_round_trip_through_every_type),
        TEST(test_bf16_rounds_to_even),
        TEST(test_transfers_of_other_types_are_errors),
        TEST(test_zeros_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
