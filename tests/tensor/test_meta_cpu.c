/* What meta predicts for the CPU device against a run on it: the counters exactly, resident memory nearly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensor/device.h"

enum { DIM = 256, HEADS = 4, N_WEIGHTS = 4 };

typedef struct model {
    kn_weight *w[N_WEIGHTS];
} model;

static const kn_weight_spec specs[N_WEIGHTS] = {
    {.kind = KN_WEIGHT_LINEAR, .dims = {DIM, DIM}, .bias = true},
    {.kind = KN_WEIGHT_LINEAR, .dims = {4 * DIM, DIM}, .bias = true},
    {.kind = KN_WEIGHT_LINEAR, .dims = {DIM, 4 * DIM}, .bias = false},
    {.kind = KN_WEIGHT_CONV, .dims = {32, DIM, 3, 3, 3}, .bias = true},
};

static void model_new(model *m, kn_device *dev, kn_dtype dtype)
{
    float *data = calloc((size_t)DIM * 32 * 27 + 4 * DIM * DIM, sizeof *data), bias[4 * DIM] = {0};
    assert_non_null(data);
    kn_err err = {0};
    for (int i = 0; i < N_WEIGHTS; i++) {
        kn_weight_spec spec = specs[i];
        spec.dtype = dtype == KN_I8 && spec.kind == KN_WEIGHT_CONV ? KN_BF16 : dtype;
        kn_weight_src src = {.data = data, .dtype = KN_F32, .bias = spec.bias ? bias : NULL};
        if (kn_weight_new(dev, &spec, &src, &m->w[i], &err))
            fail_msg("%s", err.msg);
    }
    free(data);
}

static void model_free(model *m, kn_device *dev)
{
    for (int i = 0; i < N_WEIGHTS; i++)
        kn_weight_free(dev, m->w[i]);
}

static void forward(kn_ctx *c, const model *m, int64_t n_tokens)
{
    kn_tensor x = kn_zeros(c, KN_F32, KN_DIMS(n_tokens, DIM));
    kn_tensor cs = kn_zeros(c, KN_F32, KN_DIMS(n_tokens, DIM / HEADS / 2));
    kn_rope rope = {.cos = cs, .sin = cs};
    for (int i = 0; i < 2; i++) {
        kn_scope s = kn_scope_open(c);
        kn_mod none = {0};
        kn_tensor h = kn_layer_norm(c, x, (kn_tensor){0}, (kn_tensor){0}, 1e-6f, none, none, c->act);
        kn_tensor q = kn_linear(c, h, m->w[0], KN_ACT_NONE, c->act);
        kn_tensor k = kn_rms_norm(c, q, (kn_tensor){0}, 1e-6f, KN_ACT_NONE, &rope, HEADS, c->act);
        kn_linear_residual(c, x, kn_attention(c, q, k, k, HEADS, HEADS, NULL, c->act), m->w[0], none);
        kn_free(c, &q);
        kn_tensor f = kn_linear(c, h, m->w[1], KN_ACT_GELU_TANH, c->act);
        kn_linear_residual(c, x, f, m->w[2], none);
        kn_group_norm(c, x, 8, (kn_tensor){0}, (kn_tensor){0}, 1e-6f, KN_ACT_SILU, c->act);
        kn_scope_close(c, s, (kn_tensor){0});
    }
    kn_tensor grid = kn_reshape(c, x, KN_DIMS(n_tokens / 64, 8, 8, DIM));
    kn_conv_opts opts = {.pad_lo = {2, 1, 1}, .pad_hi = {0, 1, 1}, .upsample2 = true};
    kn_conv(c, kn_cast(c, grid, c->act), m->w[3], &opts, c->act);
}

static void run(kn_device *dev, kn_dtype weights, kn_dtype act, kn_ctx *ret)
{
    model m;
    kn_err err = {0};
    model_new(&m, dev, weights);
    if (kn_ctx_init(ret, dev, act, 0, &err))
        fail_msg("%s", err.msg);
    forward(ret, &m, 1024);
    if (!kn_ok(ret))
        fail_msg("%s", ret->err.msg);
    model_free(&m, dev);
}

static void test_prediction(void **state)
{
    (void)state;
    static const kn_dtype modes[][2] = {{KN_F32, KN_F32}, {KN_BF16, KN_BF16}, {KN_I8, KN_BF16}};
    for (size_t i = 0; i < 3; i++) {
        kn_device *cpu, *meta;
        kn_cpu_options opts = {.n_threads = 2};
        assert_int_equal(kn_cpu_device_open(&opts, &cpu, NULL), 0);
        assert_int_equal(kn_meta_device_open(cpu, &meta, NULL), 0);
        if (modes[i][0] == KN_I8 && !cpu->has_int8) {
            kn_device_close(meta);
            kn_device_close(cpu);
            continue;
        }
        kn_ctx predicted, measured;
        run(meta, modes[i][0], modes[i][1], &predicted);
        assert_int_equal(cpu->mem_peak_bytes, 0);
        run(cpu, modes[i][0], modes[i][1], &measured);
        assert_int_equal(kn_pool_peak(&predicted), kn_pool_peak(&measured));
        assert_int_equal(meta->mem_peak_bytes, cpu->mem_peak_bytes);
        assert_memory_equal(&predicted.stats, &measured.stats, sizeof predicted.stats);
        kn_ctx_done(&predicted);
        kn_ctx_done(&measured);
        assert_int_equal(cpu->mem_weights_bytes + cpu->mem_pool_bytes, 0);
        kn_device_close(meta);
        kn_device_close(cpu);
    }
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) /* their shadow memory is resident too */
static int64_t resident_bytes(void)
{
    long total, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

/* The extent is what the process really holds, and trimming really gives it back. */
static void test_extent_is_resident_memory(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, SLACK = 4 * MIB };
    kn_device *cpu;
    kn_ctx c;
    assert_int_equal(kn_cpu_device_open(NULL, &cpu, NULL), 0);
    assert_int_equal(kn_ctx_init(&c, cpu, KN_F32, 0, NULL), 0);
    int64_t before = resident_bytes();
    kn_tensor low = kn_empty(&c, KN_U8, KN_DIMS(32 * MIB));
    kn_tensor kept = kn_zeros(&c, KN_U8, KN_DIMS(16 * MIB));
    kn_tensor high = kn_zeros(&c, KN_U8, KN_DIMS(64 * MIB));
    memset(low.data, 1, kn_bytes(low));
    int64_t full = resident_bytes() - before;
    assert_true(full > 112 * MIB - SLACK && full < 112 * MIB + SLACK);
    kn_free(&c, &low);
    kn_free(&c, &high);
    kn_pool_trim(&c);
    int64_t trimmed = resident_bytes() - before;
    assert_true(trimmed > 16 * MIB - SLACK && trimmed < 16 * MIB + SLACK);
    for (int i = 0; i < 16 * MIB; i += 4096)
        assert_int_equal(((unsigned char *)kept.data)[i], 0);
    kn_ctx_done(&c);
    kn_device_close(cpu);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prediction),
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_extent_is_resident_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
