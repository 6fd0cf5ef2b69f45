/* Every check of the operations' fronts: the message names the operation, what was found and what was expected. */
#include "fake_device.h"

typedef struct fixture {
    fake_device *fake;
    kn_ctx c;
    kn_weight *linear, *conv;
    kn_tensor x, h, img, null, ints, vec4; /* [3, 8] f32 and bf16, [4, 6, 8, 4] f32, [3, 8] i32, f32 [4] */
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
    f->x = kn_empty(c, KN_F32, KN_DIMS(3, 8));
    f->h = kn_empty(c, KN_BF16, KN_DIMS(3, 8));
    f->img = kn_empty(c, KN_F32, KN_DIMS(4, 6, 8, 4));
    f->ints = kn_empty(c, KN_I32, KN_DIMS(3, 8));
    f->vec4 = kn_empty(c, KN_F32, KN_DIMS(4));
    *state = f;
    return 0;
}

/* No check that failed may have reached the device. */
static int teardown(void **state)
{
    fixture *f = *state;
    int n_calls = f->fake->n_calls;
    kn_weight_free(&f->fake->dev, f->linear);
    kn_weight_free(&f->fake->dev, f->conv);
    kn_ctx_done(&f->c);
    kn_device_close(&f->fake->dev);
    free(f);
    return n_calls;
}

#define EXPECT(message) assert_error(c, KN_EINTERNAL, message)

static void test_linear(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_tensor wide = kn_empty(c, KN_F32, KN_DIMS(3, 6));
    kn_mod none = {0};
    kn_linear(c, wide, f->linear, KN_ACT_NONE, KN_F32);
    EXPECT("linear: x is [3, 6] f32, expected [..., 8] for a weight [6, 8]");
    kn_linear(c, f->x, f->conv, KN_ACT_NONE, KN_F32);
    EXPECT("linear: a convolution's weight, expected a linear weight");
    kn_linear(c, f->x, NULL, KN_ACT_NONE, KN_F32);
    EXPECT("linear: no weight");
    kn_linear(c, f->ints, f->linear, KN_ACT_NONE, KN_F32);
    EXPECT("linear: x is [3, 8] i32, expected f32 or bf16");
    kn_linear(c, f->x, f->linear, KN_ACT_NONE, KN_I8);
    EXPECT("linear: result in int8, expected f32 or bf16");
    kn_linear_residual(c, f->x, f->x, f->linear, none);
    EXPECT("linear_residual: residual (rows flattened) is [3, 8] f32, expected [3, 6] f32");
    kn_linear_residual(c, kn_empty(c, KN_BF16, KN_DIMS(3, 6)), f->x, f->linear, none);
    EXPECT("[3, 6] bf16, expected [3, 6] f32");
    kn_linear_residual(c, wide, f->x, f->linear, (kn_mod){.table = f->x});
    EXPECT("linear_residual: table of gate is [3, 8] f32, expected [groups, 6] f32");
    kn_linear_residual(c, wide, f->x, f->linear, (kn_mod){.table = wide, .row_group = f->ints});
    EXPECT("row groups of a modulation is [3, 8] i32, expected [3] i32");
    kn_linear_residual(c, wide, f->x, f->linear, (kn_mod){.row_group = f->ints});
    EXPECT("gate has row groups [3, 8] i32 but no table");
}

static void test_conv(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_conv(c, f->x, f->conv, NULL, KN_F32);
    EXPECT("conv: x is [3, 8] f32, expected [frames, height, width, 4]");
    kn_conv(c, kn_empty(c, KN_F32, KN_DIMS(4, 6, 8, 3)), f->conv, NULL, KN_F32);
    EXPECT("conv: x is [4, 6, 8, 3] f32, expected [frames, height, width, 4]");
    kn_conv(c, f->img, f->linear, NULL, KN_F32);
    EXPECT("conv: a linear weight, expected a convolution's weight");
    kn_conv(c, kn_empty(c, KN_F32, KN_DIMS(2, 6, 8, 4)), f->conv, NULL, KN_F32);
    EXPECT("conv: 2 in time with padding, expected at least the kernel's 3");
    kn_conv(c, f->img, f->conv, &(kn_conv_opts){.stride = {1, -2, 1}}, KN_F32);
    EXPECT("conv: stride -2 and padding 0, 0 in height");
    kn_conv(c, f->img, f->conv, &(kn_conv_opts){.pad_hi = {0, 0, -1}}, KN_F32);
    EXPECT("conv: stride 1 and padding 0, -1 in width");
    kn_conv(c, f->img, f->conv, &(kn_conv_opts){.add = f->img}, KN_F32);
    EXPECT("conv: add is [4, 6, 8, 4] f32, expected [2, 4, 6, 5] f32");
}

static void test_attention(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_tensor k = kn_empty(c, KN_F32, KN_DIMS(2, 8)), b = kn_empty(c, KN_F32, KN_DIMS(2, 3, 8));
    const char *shapes = "attention: q [3, 8] f32, k ";
    kn_attention(c, f->x, k, f->x, 2, 2, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->x, f->h, f->h, 2, 2, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->x, b, b, 2, 2, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->x, f->x, f->x, 3, 3, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->x, f->x, f->x, 4, 2, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->x, f->x, f->x, 0, 0, NULL, KN_F32);
    EXPECT(shapes);
    kn_attention(c, f->ints, f->ints, f->ints, 2, 2, NULL, KN_F32);
    EXPECT("attention: q is [3, 8] i32, expected f32 or bf16");
    kn_attention(c, f->x, k, k, 2, 2, &(kn_attention_opts){.causal = true}, KN_F32);
    EXPECT("attention: causal with 3 queries and 2 keys");
    kn_attention(c, f->x, k, k, 2, 2, &(kn_attention_opts){.bias = f->x}, KN_F32);
    EXPECT("attention: bias is [3, 8] f32, expected [2, 3, 2] f32");
    kn_attention(c, f->x, k, k, 2, 2, &(kn_attention_opts){.bias = kn_empty(c, KN_F32, KN_DIMS(1, 3, 3))},
                 KN_F32);
    EXPECT("attention: bias is [1, 3, 3] f32, expected [1, 3, 2] f32");
    kn_attention(c, f->x, k, k, 2, 2, &(kn_attention_opts){.rel_bias = k}, KN_F32);
    EXPECT("attention: relative bias is [2, 8] f32, expected [2, 2R + 1] f32");
}

static void test_norms(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_mod none = {0}, bad = {.table = f->vec4};
    kn_rope rope = {.cos = f->x, .sin = f->x};
    kn_rms_norm(c, f->x, f->vec4, 0, KN_ACT_NONE, NULL, 0, KN_F32);
    EXPECT("rms_norm: gamma is [4] f32, expected [8] f32");
    kn_rms_norm(c, f->x, f->null, 0, KN_ACT_NONE, &rope, 2, KN_F32);
    EXPECT("rms_norm: rope's cos is [3, 8] f32, expected [3, 2] f32");
    kn_rms_norm(c, f->x, f->null, 0, KN_ACT_NONE, &rope, 8, KN_F32);
    EXPECT("rms_norm: 8 channels in 8 heads, expected heads of an even size");
    kn_rms_norm_into(c, f->img, f->x, f->null, 0, KN_ACT_NONE);
    EXPECT("rms_norm_into: out is [4, 6, 8, 4] f32, expected [3, 8] f32");
    kn_rope_apply(c, f->ints, &rope, 2);
    EXPECT("rope: x is [3, 8] i32, expected f32 or bf16");
    kn_rope_apply(c, f->x, &rope, 3);
    EXPECT("rope: 8 channels in 3 heads");
    kn_layer_norm(c, f->x, f->null, f->vec4, 0, none, none, KN_F32);
    EXPECT("layer_norm: beta is [4] f32, expected [8] f32");
    kn_layer_norm(c, f->x, f->null, f->null, 0, bad, none, KN_F32);
    EXPECT("layer_norm: table of shift is [4] f32, expected [groups, 8] f32");
    kn_layer_norm(c, f->x, f->null, f->null, 0, none, bad, KN_F32);
    EXPECT("layer_norm: table of scale is [4] f32");
    kn_group_norm(c, f->x, 3, f->null, f->null, 0, KN_ACT_NONE, KN_F32);
    EXPECT("group_norm: 8 channels in 3 groups");
    kn_group_norm(c, f->x, 0, f->null, f->null, 0, KN_ACT_NONE, KN_F32);
    EXPECT("group_norm: 8 channels in 0 groups");
}

static void test_rope_of_a_batch(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_tensor x = kn_empty(c, KN_F32, KN_DIMS(2, 3, 8)), cs = kn_empty(c, KN_F32, KN_DIMS(2, 2));
    kn_rope_apply(c, x, &(kn_rope){.cos = cs, .sin = cs}, 2);
    EXPECT("rope: rope's cos is [2, 2] f32, expected [6, 2] f32");
    cs = kn_empty(c, KN_F32, KN_DIMS(3, 2));
    kn_rope_apply(c, x, &(kn_rope){.cos = cs, .sin = cs}, 2);
    assert_true(kn_ok(c));
    f->fake->n_calls = 0;
}

static void test_ewise(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_add(c, f->x, f->vec4, 1);
    EXPECT("add: y is [4] f32, expected the shape of x, [3, 8] f32, or its last dimension");
    kn_mul(c, f->x, f->ints);
    EXPECT("mul: y is [3, 8] i32, expected f32 or bf16");
    kn_affine(c, f->ints, 1, 1);
    EXPECT("affine: x is [3, 8] i32");
    kn_gate_add(c, f->h, f->x, (kn_mod){0});
    EXPECT("gate_add: x is [3, 8] bf16, expected [3, 8] f32");
    kn_gate_add(c, f->x, f->h, (kn_mod){.table = f->vec4});
    EXPECT("gate_add: table of gate is [4] f32, expected [groups, 8] f32");
}

static void test_moves(void **state)
{
    fixture *f = *state;
    kn_ctx *c = &f->c;
    kn_cast(c, f->ints, KN_F32);
    EXPECT("cast: x is [3, 8] i32, expected f32 or bf16");
    kn_cast(c, f->x, KN_I32);
    EXPECT("cast: result in i32");
    kn_copy(c, f->x, f->img);
    EXPECT("copy: [4, 6, 8, 4] f32 to [3, 8] f32, expected the same number of elements");
    kn_copy(c, f->x, f->ints);
    EXPECT("copy: src is [3, 8] i32");
    kn_permute(c, f->x, (int[]){0, 0});
    EXPECT("permute: an axis is named twice");
    kn_permute(c, f->x, (int[]){0, 2});
    EXPECT("permute: axis 2 of [3, 8] f32");
    kn_permute(c, kn_empty(c, KN_U8, KN_DIMS(2, 2)), (int[]){0, 1});
    EXPECT("permute: [2, 2] u8, expected f32, bf16 or i32");
    kn_concat(c, 0, 2, (kn_tensor[]){f->x, f->h});
    EXPECT("concat: part 1 is [3, 8] bf16, expected [3, 8] f32 but for axis 0");
    kn_concat(c, 0, 2, (kn_tensor[]){f->x, f->vec4});
    EXPECT("concat: part 1 is [4] f32");
    kn_concat(c, 2, 1, &f->x);
    EXPECT("concat: axis 2 of [3, 8] f32");
    kn_concat(c, 0, 0, NULL);
    EXPECT("concat: 0 tensors");
    kn_slice(c, f->x, 1, 7, 2);
    EXPECT("slice: 2 from 7 along axis 1 of [3, 8] f32");
    kn_slice(c, f->x, 1, -1, 2);
    EXPECT("slice: 2 from -1");
    kn_slice(c, f->x, -1, 0, 1);
    EXPECT("slice: axis -1");
    kn_slice(c, f->x, 0, 1, INT64_MAX);
    EXPECT("slice: 9223372036854775807 from 1");
    kn_repeat_channels(c, f->x, 0);
    EXPECT("repeat_channels: 0 times");
    kn_mean_channels(c, f->x, 3);
    EXPECT("mean_channels: 8 channels in groups of 3");
}

static void test_weights(void **state)
{
    fixture *f = *state;
    kn_weight *w = NULL;
    kn_err err = {0};
    float x[4] = {0};
    kn_weight_src src = {.data = x, .dtype = KN_F32};
    kn_weight_spec good = {.kind = KN_WEIGHT_LINEAR, .dims = {2, 2}, .dtype = KN_F32}, bad = good;
    bad.dims[1] = 0;
    assert_int_equal(kn_weight_new(&f->fake->dev, &bad, &src, &w, &err), KN_EINTERNAL);
    assert_non_null(strstr(err.msg, "dimension 1 is 0"));
    bad.dims[0] = bad.dims[1] = 1ll << 32;
    assert_int_equal(kn_weight_new(&f->fake->dev, &bad, &src, &w, &err), KN_EINTERNAL);
    bad = (kn_weight_spec){.kind = KN_WEIGHT_CONV, .dims = {1, 1, 1, 1, 1}, .dtype = KN_I8};
    assert_int_equal(kn_weight_new(&f->fake->dev, &bad, &src, &w, &err), KN_EUNSUPPORTED);
    bad = good;
    bad.dtype = KN_F16;
    assert_int_equal(kn_weight_new(&f->fake->dev, &bad, &src, &w, &err), KN_EINTERNAL);
    bad = good;
    bad.bias = true;
    assert_int_equal(kn_weight_new(&f->fake->dev, &bad, &src, &w, &err), KN_EINTERNAL);
    assert_string_equal(err.msg, "weight: a bias is expected but missing");
    src.dtype = KN_Q4_0;
    assert_int_equal(kn_weight_new(&f->fake->dev, &good, &src, &w, &err), KN_EINTERNAL);
    assert_int_equal(kn_weight_new(&f->fake->dev, &good, NULL, &w, &err), KN_EINTERNAL);
    assert_null(w);
    kn_weight_free(&f->fake->dev, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_linear),          TEST(test_conv),  TEST(test_attention), TEST(test_norms),
        TEST(test_rope_of_a_batch), TEST(test_ewise), TEST(test_moves),     TEST(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
