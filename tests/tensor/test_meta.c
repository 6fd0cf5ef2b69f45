/* The promise of the meta device: the same code costs the same there, to the byte. */
#include "fake_device.h"

enum { TOTAL = 16 << 20 };

/* A small transformer with everything that moves memory: scopes, early frees, keeps, workspaces, trims. */
static void forward(kn_ctx *c, kn_weight *const *w, int64_t n_tokens)
{
    kn_tensor x = kn_zeros(c, KN_F32, KN_DIMS(n_tokens, 64));
    kn_tensor cs = kn_empty(c, KN_F32, KN_DIMS(n_tokens, 8));
    kn_rope rope = {.cos = kn_concat(c, 0, 1, &cs), .sin = cs};
    for (int i = 0; i < 3; i++) {
        kn_scope s = kn_scope_open(c);
        kn_tensor h =
            kn_layer_norm(c, x, (kn_tensor){0}, (kn_tensor){0}, 1e-6f, (kn_mod){0}, (kn_mod){0}, KN_BF16);
        kn_tensor q = kn_linear(c, h, w[0], KN_ACT_NONE, KN_BF16),
                  k = kn_linear(c, h, w[0], KN_ACT_NONE, KN_BF16);
        kn_tensor qn = kn_rms_norm(c, q, (kn_tensor){0}, 1e-6f, KN_ACT_NONE, &rope, 4, KN_BF16);
        kn_free(c, &q);
        kn_tensor a = kn_attention(c, qn, k, k, 4, 4, NULL, KN_BF16);
        kn_linear_residual(c, x, a, w[0], (kn_mod){0});
        kn_tensor f = kn_linear(c, h, w[1], KN_ACT_GELU_TANH, KN_BF16);
        kn_linear_residual(c, x, f, w[2], (kn_mod){0});
        kn_tensor last = kn_scope_close(c, s, kn_cast(c, x, KN_BF16));
        if (i == 1)
            kn_pool_trim(c);
        kn_tensor grid = kn_reshape(c, last, KN_DIMS(n_tokens / 16, 4, 4, 64));
        kn_conv(c, grid, w[3], &(kn_conv_opts){.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = i == 2},
                KN_F32);
    }
}

static void make_weights(kn_device *dev, kn_weight *w[4])
{
    w[0] = fake_linear_weight(dev, 64, 64);
    w[1] = fake_linear_weight(dev, 256, 64);
    w[2] = fake_linear_weight(dev, 64, 256);
    w[3] = fake_weight(dev,
                       (kn_weight_spec){.kind = KN_WEIGHT_CONV, .dims = {8, 64, 3, 3, 3}, .dtype = KN_BF16});
}

static void run(kn_device *dev, int64_t n_tokens, kn_ctx *ret)
{
    kn_weight *w[4];
    make_weights(dev, w);
    kn_err err = {0};
    if (kn_ctx_init(ret, dev, KN_BF16, 0, &err))
        fail_msg("%s", err.msg);
    forward(ret, w, n_tokens);
    if (!kn_ok(ret))
        fail_msg("%s", ret->err.msg);
    for (int i = 0; i < 4; i++)
        kn_weight_free(dev, w[i]);
}

static void test_meta_predicts_a_real_run_exactly(void **state)
{
    (void)state;
    static const int64_t sizes[] = {16, 48, 208, 1024};
    for (size_t i = 0; i < 4; i++) {
        fake_device *f = fake_device_new(TOTAL);
        kn_device *meta;
        assert_int_equal(kn_meta_device_open(&f->dev, &meta, NULL), 0);
        kn_ctx predicted, measured;
        run(meta, sizes[i], &predicted);
        assert_int_equal(f->n_calls + f->n_weights, 0);
        run(&f->dev, sizes[i], &measured);
        assert_true(f->n_calls > 20);
        assert_int_equal(kn_pool_peak(&predicted), kn_pool_peak(&measured));
        assert_int_equal(kn_pool_live(&predicted), kn_pool_live(&measured));
        assert_int_equal(meta->mem_pool_bytes, f->dev.mem_pool_bytes);
        assert_int_equal(meta->mem_peak_bytes, f->dev.mem_peak_bytes);
        assert_memory_equal(&predicted.stats, &measured.stats, sizeof predicted.stats);
        kn_ctx_done(&predicted);
        kn_ctx_done(&measured);
        kn_device_close(meta);
        kn_device_close(&f->dev);
    }
}

static void test_meta_stands_for_its_device(void **state)
{
    (void)state;
    fake_device *f = fake_device_new(TOTAL);
    f->dev.has_int8 = true;
    kn_device *meta;
    assert_int_equal(kn_meta_device_open(&f->dev, &meta, NULL), 0);
    assert_true(meta->is_meta);
    assert_string_equal(meta->name, "fake");
    assert_string_equal(meta->description, f->dev.description);
    assert_true(meta->has_bf16 && meta->has_int8);
    assert_int_equal(meta->mem_total_bytes, TOTAL);
    kn_weight *w = fake_linear_weight(meta, 100, 10);
    assert_int_equal(w->bytes, 2400);
    assert_int_equal(meta->mem_peak_bytes, 2400);
    assert_int_equal(f->dev.mem_peak_bytes, 0);
    kn_weight_free(meta, w);
    kn_device_close(meta);
    kn_device_close(&f->dev);
}

static void test_meta_computes_nothing(void **state)
{
    (void)state;
    fake_device *f = fake_device_new(TOTAL);
    kn_device *meta;
    assert_int_equal(kn_meta_device_open(&f->dev, &meta, NULL), 0);
    kn_ctx a, b;
    assert_int_equal(kn_ctx_init(&a, meta, KN_F32, 0, NULL), 0);
    assert_int_equal(kn_ctx_init(&b, meta, KN_F32, 0, NULL), 0);
    float out[3] = {1, 2, 3};
    kn_tensor x = kn_from_f32(&a, KN_BF16, KN_DIMS(3), out), y = kn_from_host(&b, KN_F32, KN_DIMS(3), NULL);
    assert_true(x.data != y.data);
    kn_to_f32(&a, x, out);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    kn_tensor more_than_any_machine = kn_zeros(&a, KN_F32, KN_DIMS(1ll << 40));
    assert_non_null(more_than_any_machine.data);
    assert_int_equal(kn_pool_peak(&a), (4ull << 40) + 64);
    kn_ctx_done(&a);
    kn_ctx_done(&b);
    assert_int_equal(meta->mem_pool_bytes, 0);
    kn_device_close(meta);
    kn_device_close(&f->dev);
    kn_device_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_predicts_a_real_run_exactly),
        cmocka_unit_test(test_meta_stands_for_its_device),
        cmocka_unit_test(test_meta_computes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
