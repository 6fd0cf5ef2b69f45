#include "fake_device.h"

typedef struct fixture {
    fake_device *fake;
    kn_ctx c;
    kn_weight *linear, *conv;            /* [6, 8]; [5, 4, 3, 3, 3] */
    kn_tensor x, h, img, null;           /* [3, 8] f32, [3, 8] bf16, [4, 6, 8, 4] f32 */
    kn_tensor vec8, table, groups, ints; /* f32 [8]; f32 [2, 8]; i32 [3]; i32 [3, 8] */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->fake = fake_device_new(8 << 20);
    kn_ctx *c = &f->c;
    assert_int_equal(kn_ctx_init(c, &f->fake->dev, KN_F32, 0, NULL), 0);
    f->linear = fake_linear_weight(&f->fake->dev, 6, 8);
    f->conv = fake_weight(&f->fake->dev,
                          (kn_weight_spec){.kind = KN_WEIGHT_CONV, .dims = {5, 4, 3, 3, 3}, .dtype = KN_F32});
    f->x = kn_zeros(c, KN_F32, KN_DIMS(3, 8));
    f->h = kn_zeros(c, KN_BF16, KN_DIMS(3, 8));
    f->img = kn_zeros(c, KN_F32, KN_DIMS(4, 6, 8, 4));
    f->vec8 = kn_zeros(c, KN_F32, KN_DIMS(8));
    f->table = kn_zeros(c, KN_F32, KN_DIMS(2, 8));
    f->groups = kn_zeros(c, KN_I32, KN_DIMS(3));
    f->ints = kn_zeros(c, KN_I32, KN_DIMS(3, 8));
    assert_true(kn_ok(c));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    kn_weight_free(&f->fake->dev, f->linear);
    kn_weight_free(&f->fake->dev, f->conv);
    kn_ctx_done(&f->c);
    kn_device_close(&f->fake->dev);
    free(f);
    return 0;
}

static void assert_shape(kn_tensor t, const char *expected)
{
    char s[KN_SHAPE_STR];
    assert_non_null(t.data);
    assert_string_equal(kn_shape_str(t, s, sizeof s), expected);
}

/* Every operation once, on right arguments; `x` etc. may be replaced by null tensors. Returns how many gave a result. */
static int all_operations(fixture *f, kn_tensor x, kn_tensor h, kn_tensor img)
{
    kn_ctx *c = &f->c;
    kn_mod gate = {f->table, f->groups}, none = {0};
    kn_tensor cs = kn_empty(c, KN_F32, KN_DIMS(3, 2));
    kn_rope rope = {.cos = cs, .sin = cs};
    kn_tensor residual = kn_is_null(x) ? x : kn_empty(c, KN_F32, KN_DIMS(3, 6));
    int n = 0;
    n += !kn_is_null(kn_linear(c, x, f->linear, KN_ACT_SILU, KN_BF16));
    kn_linear_residual(c, residual, h, f->linear, none);
    n += !kn_is_null(kn_conv(c, img, f->conv, NULL, KN_F32));
    n += !kn_is_null(kn_attention(c, x, x, x, 2, 2, NULL, KN_F32));
    n += !kn_is_null(kn_rms_norm(c, x, f->vec8, 1e-6f, KN_ACT_NONE, &rope, 2, KN_BF16));
    kn_rms_norm_into(c, h, x, f->vec8, 1e-6f, KN_ACT_NONE);
    kn_rope_apply(c, x, &rope, 2);
    n += !kn_is_null(kn_layer_norm(c, x, f->vec8, f->vec8, 1e-6f, gate, gate, KN_BF16));
    n += !kn_is_null(kn_group_norm(c, x, 4, f->vec8, f->vec8, 1e-6f, KN_ACT_SILU, KN_F32));
    kn_add(c, x, h, 0.5f);
    kn_mul(c, x, h);
    kn_affine(c, x, 2, 1);
    kn_clamp(c, x, -1, 1);
    kn_activate(c, x, KN_ACT_RELU);
    kn_gate_add(c, x, h, gate);
    n += !kn_is_null(kn_cast(c, x, KN_BF16));
    kn_copy(c, h, x);
    n += !kn_is_null(kn_permute(c, x, (int[]){1, 0}));
    n += !kn_is_null(kn_concat(c, 0, 2, (kn_tensor[]){x, x}));
    n += !kn_is_null(kn_slice(c, x, 1, 2, 3));
    n += !kn_is_null(kn_repeat_channels(c, x, 2));
    n += !kn_is_null(kn_mean_channels(c, x, 4));
    return n;
}

/* ---- errors, cancelling, devices ---- */

static void test_every_operation_reaches_the_device(void **state)
{
    fixture *f = *state;
    size_t live = kn_pool_live(&f->c);
    kn_scope s = kn_scope_open(&f->c);
    assert_int_equal(all_operations(f, f->x, f->h, f->img), 12);
    if (f->c.err.code)
        fail_msg("%s", f->c.err.msg);
    assert_int_equal(f->fake->n_calls, 22);
    assert_int_equal(f->c.stats.n_ops, 22);
    kn_scope_close(&f->c, s, f->null);
    assert_int_equal(kn_pool_live(&f->c), live);
}

static void test_after_an_error_nothing_happens(void **state)
{
    fixture *f = *state;
    kn_ctx_fail(&f->c, KN_EIO, "gone");
    size_t live = kn_pool_live(&f->c);
    assert_int_equal(all_operations(f, f->x, f->h, f->img), 0);
    assert_null(kn_reshape(&f->c, f->x, KN_DIMS(24)).data);
    assert_null(kn_rows(&f->c, f->x, 0, 1).data);
    assert_null(kn_from_f32(&f->c, KN_BF16, KN_DIMS(1), (float[]){1}).data);
    float untouched[24] = {7};
    kn_to_f32(&f->c, f->x, untouched);
    assert_true(untouched[0] == 7);
    assert_int_equal(f->fake->n_calls, 0);
    assert_int_equal(f->c.stats.n_ops, 0);
    assert_int_equal(kn_pool_live(&f->c), live);
    assert_error(&f->c, KN_EIO, "gone");
}

static void test_null_tensors_pass_silently(void **state)
{
    fixture *f = *state;
    assert_int_equal(all_operations(f, f->null, f->null, f->null), 0);
    assert_null(kn_concat(&f->c, 0, 2, (kn_tensor[]){f->x, f->null}).data);
    assert_null(kn_reshape(&f->c, f->null, KN_DIMS(24)).data);
    assert_null(kn_rows(&f->c, f->null, 0, 1).data);
    kn_to_f32(&f->c, f->null, NULL);
    assert_int_equal(f->fake->n_calls, 0);
    assert_true(kn_ok(&f->c));
}

static void test_cancel_is_polled(void **state)
{
    fixture *f = *state;
    atomic_bool cancel = false;
    f->c.cancel = &cancel;
    kn_affine(&f->c, f->x, 1, 0);
    assert_int_equal(f->fake->n_calls, 1);
    atomic_store(&cancel, true);
    assert_int_equal(all_operations(f, f->x, f->h, f->img), 0);
    assert_int_equal(f->fake->n_calls, 1);
    assert_error(&f->c, KN_ECANCELLED, "cancelled");
}

static void test_empty_slot_is_unsupported(void **state)
{
    fixture *f = *state;
    f->fake->ops.group_norm = NULL;
    assert_null(kn_group_norm(&f->c, f->x, 4, f->null, f->null, 0, KN_ACT_NONE, KN_F32).data);
    assert_error(&f->c, KN_EUNSUPPORTED, "group_norm is not supported by device fake");
}

static void test_device_failure_is_passed_on(void **state)
{
    fixture *f = *state;
    f->fake->fail_with = KN_EDEVICE;
    assert_null(kn_linear(&f->c, f->x, f->linear, KN_ACT_NONE, KN_F32).data);
    assert_error(&f->c, KN_EDEVICE, "linear: the fake broke");
    kn_weight *w = (kn_weight *)f;
    kn_err err = {0};
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {2, 2}, .dtype = KN_F32};
    kn_weight_src src = {.data = f, .dtype = KN_F32};
    size_t before = f->fake->dev.mem_weights_bytes;
    assert_int_equal(kn_weight_new(&f->fake->dev, &spec, &src, &w, &err), KN_EDEVICE);
    assert_ptr_equal(w, f);
    assert_int_equal(f->fake->dev.mem_weights_bytes, before);
}

static void test_full_pool_fails_the_operation(void **state)
{
    fixture *f = *state;
    kn_empty(&f->c, KN_U8, KN_DIMS((8 << 20) - (int64_t)kn_pool_live(&f->c)));
    assert_true(kn_ok(&f->c));
    assert_null(kn_linear(&f->c, f->x, f->linear, KN_ACT_NONE, KN_F32).data);
    assert_int_equal(f->fake->n_calls, 0);
    assert_error(&f->c, KN_ENOMEM, "do not fit into the pool");
}

/* ---- what the device is given ---- */

static void test_linear_rows_are_flattened(void **state)
{
    fixture *f = *state;
    kn_tensor x = kn_reshape(&f->c, f->x, KN_DIMS(1, 3, 8));
    assert_shape(kn_linear(&f->c, x, f->linear, KN_ACT_GELU_TANH, KN_BF16), "[1, 3, 6] bf16");
    assert_shape(f->fake->linear.x, "[3, 8] f32");
    assert_shape(f->fake->linear.out, "[3, 6] bf16");
    assert_int_equal(f->fake->linear.act, KN_ACT_GELU_TANH);
    assert_false(f->fake->linear.accumulate);
    assert_non_null(f->fake->linear.workspace);
}

static void test_residual_accumulates(void **state)
{
    fixture *f = *state;
    kn_tensor residual = kn_empty(&f->c, KN_F32, KN_DIMS(3, 6)),
              table = kn_empty(&f->c, KN_F32, KN_DIMS(2, 6));
    size_t live = kn_pool_live(&f->c);
    kn_linear_residual(&f->c, residual, f->h, f->linear, (kn_mod){table, f->groups});
    assert_true(f->fake->linear.accumulate);
    assert_ptr_equal(f->fake->linear.out.data, residual.data);
    assert_ptr_equal(f->fake->linear.gate.table.data, table.data);
    assert_int_equal(kn_pool_live(&f->c), live);
}

static void test_conv_shape_arithmetic(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    assert_shape(kn_conv(c, f->img, f->conv, NULL, KN_F32), "[2, 4, 6, 5] f32");
    assert_int_equal(f->fake->conv.opts.stride[1], 1);
    kn_conv_opts same = {.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}};
    assert_shape(kn_conv(c, f->img, f->conv, &same, KN_BF16), "[4, 6, 8, 5] bf16");
    kn_conv_opts down = {.stride = {1, 2, 2}, .pad_lo = {2, 0, 0}, .pad_hi = {0, 1, 1}};
    assert_shape(kn_conv(c, f->img, f->conv, &down, KN_F32), "[4, 3, 4, 5] f32");
    kn_conv_opts up = {.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = true};
    kn_tensor y = kn_conv(c, f->img, f->conv, &up, KN_F32);
    assert_shape(y, "[4, 12, 16, 5] f32");
    up.add = y;
    assert_shape(kn_conv(c, f->img, f->conv, &up, KN_F32), "[4, 12, 16, 5] f32");
    assert_true(kn_ok(c));
}

static void test_attention_is_batched_and_scaled(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_tensor q = kn_empty(c, KN_BF16, KN_DIMS(5, 64)), kv = kn_empty(c, KN_BF16, KN_DIMS(7, 32));
    assert_shape(kn_attention(c, q, kv, kv, 4, 2, NULL, KN_F32), "[5, 64] f32");
    assert_shape(f->fake->attention.q, "[1, 5, 64] bf16");
    assert_shape(f->fake->attention.k, "[1, 7, 32] bf16");
    assert_shape(f->fake->attention.out, "[1, 5, 64] f32");
    assert_true(f->fake->attention.opts.scale == 0.25f);
    kn_tensor b = kn_empty(c, KN_F32, KN_DIMS(2, 3, 8));
    kn_attention_opts opts = {.scale = 2, .causal = true};
    assert_shape(kn_attention(c, b, b, b, 2, 2, &opts, KN_BF16), "[2, 3, 8] bf16");
    assert_true(f->fake->attention.opts.scale == 2);
    assert_true(kn_ok(c));
}

static void test_results_have_the_shape_the_name_says(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    assert_shape(kn_permute(c, f->img, (int[]){3, 0, 2, 1}), "[4, 4, 8, 6] f32");
    assert_shape(kn_concat(c, 1, 3, (kn_tensor[]){f->x, kn_slice(c, f->x, 1, 0, 1), f->x}), "[3, 17] f32");
    assert_shape(kn_concat(c, 0, 1, (kn_tensor[]){f->ints}), "[3, 8] i32");
    assert_shape(kn_slice(c, f->img, 2, 7, 1), "[4, 6, 1, 4] f32");
    assert_shape(kn_repeat_channels(c, f->h, 3), "[3, 24] bf16");
    assert_shape(kn_mean_channels(c, f->h, 4), "[3, 2] bf16");
    assert_shape(kn_cast(c, f->ints, KN_I32), "[3, 8] i32");
    assert_shape(kn_group_norm(c, f->img, 2, f->null, f->null, 0, KN_ACT_NONE, KN_BF16), "[4, 6, 8, 4] bf16");
    assert_true(kn_ok(c));
}

/* ---- work ---- */

static void test_work_is_counted(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_linear(c, f->x, f->linear, KN_ACT_NONE, KN_BF16);
    assert_true(c->stats.flops[KN_WORK_LINEAR] == 2.0 * 3 * 6 * 8);
    assert_true(c->stats.bytes[KN_WORK_LINEAR] == 3 * 8 * 4 + 3 * 6 * 2);
    kn_conv(c, f->img, f->conv, NULL, KN_F32);
    assert_true(c->stats.flops[KN_WORK_CONV] == 2.0 * (2 * 4 * 6 * 5) * 4 * 27);
    kn_attention_opts causal = {.causal = true};
    kn_attention(c, f->x, f->x, f->x, 2, 2, NULL, KN_F32);
    assert_true(c->stats.flops[KN_WORK_ATTENTION] == 4.0 * 3 * 3 * 8);
    kn_attention(c, f->x, f->x, f->x, 2, 2, &causal, KN_F32);
    assert_true(c->stats.flops[KN_WORK_ATTENTION] == 6.0 * 3 * 3 * 8);
    kn_cast(c, f->x, KN_BF16);
    assert_true(c->stats.bytes[KN_WORK_MEMORY] == 3 * 8 * 4 + 3 * 8 * 2);
    assert_int_equal(c->stats.n_ops, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_operation_reaches_the_device),
        TEST(test_after_an_error_nothing_happens),
        TEST(test_null_tensors_pass_silently),
        TEST(test_cancel_is_polled),
        TEST(test_empty_slot_is_unsupported),
        TEST(test_device_failure_is_passed_on),
        TEST(test_full_pool_fails_the_operation),
        TEST(test_linear_rows_are_flattened),
        TEST(test_residual_accumulates),
        TEST(test_conv_shape_arithmetic),
        TEST(test_attention_is_batched_and_scaled),
        TEST(test_results_have_the_shape_the_name_says),
        TEST(test_work_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
