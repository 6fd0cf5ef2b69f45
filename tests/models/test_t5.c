#include "golden.h"

#include "models/common/t5.h"

static const kn_dtype dtypes[2] = {KN_F32, KN_BF16};

/* One encoder with its weights, on one device. */
typedef struct encoder {
    kn_device *dev;
    kn_ctx c;
    kn_checkpoint *ck;
    kn_t5_config config;
    kn_weight_set set;
    kn_loader loader;
    kn_t5 resident, streamed; /* all blocks stay, and none */
} encoder;

/* config NULL: derived from shapes. */
static void encoder_open(encoder *e, kn_device *dev, const char *weights, const char *config, kn_dtype dtype)
{
    memset(e, 0, sizeof *e);
    e->dev = dev;
    e->ck = open_checkpoint(weights);
    must(kn_t5_rename(e->ck, err));
    if (config) {
        json_t *j = open_json(config);
        must(kn_t5_config_read(j, config, &e->config, err));
        json_decref(j);
    } else {
        must(kn_t5_config_derive(e->ck, &e->config, err));
    }
    must(kn_ctx_init(&e->c, dev, dtype, 0, err));
    kn_weight_set_init(&e->set, dev);
    kn_loader_init(&e->loader, &e->set, e->ck, NULL, dtype);
    kn_t5_load(&e->resident, &e->config, KN_ALL_BLOCKS, &e->loader);
    kn_t5_load(&e->streamed, &e->config, 0, &e->loader);
    must(kn_loader_finish(&e->loader, kn_t5_ignore, err));
}

static void encoder_close(encoder *e)
{
    kn_t5_done(&e->resident);
    kn_t5_done(&e->streamed);
    kn_weight_set_done(&e->set);
    kn_ctx_done(&e->c);
    kn_checkpoint_close(e->ck);
}

/* Heap: the encoder's output. */
static float *run(encoder *e, bool streamed, const kn_t5_seq *seqs, int n_seqs, const kn_t5_hooks *hooks)
{
    kn_scope scope = kn_scope_open(&e->c);
    kn_tensor y =
        kn_t5_forward(&e->c, streamed ? &e->streamed : &e->resident, &e->loader, seqs, n_seqs, hooks);
    must_be_ok(&e->c);
    assert_int_equal(y.dtype, KN_F32);
    float *out = malloc((size_t)kn_numel(y) * sizeof *out);
    kn_to_f32(&e->c, y, out);
    kn_scope_close(&e->c, scope, (kn_tensor){0});
    assert_int_equal(kn_pool_live(&e->c), 0);
    return out;
}

static void buckets_equal_the_reference(void **state)
{
    (void)state;
    kn_checkpoint *g = open_checkpoint(FIXTURE("text-umt5/golden.safetensors"));
    int n;
    int32_t *want = golden_ids(g, "text.relative_buckets", &n);
    for (int i = 0; i < n; i++)
        if (kn_t5_bucket(i - n / 2, 32, 128) != want[i])
            fail_msg("distance %d: bucket %d, expected %d", i - n / 2, kn_t5_bucket(i - n / 2, 32, 128),
                     want[i]);
    free(want);
    kn_checkpoint_close(g);
}

static int count_tokens(const int32_t *mask, int n)
{
    int valid = 0;
    for (int i = 0; i < n; i++)
        valid += mask[i] != 0;
    return valid;
}

/* Hidden states of the padded batch of two prompts: hidden0 to hidden2 are between the blocks. */

static void compare_hidden(void *ud, const char *name, kn_tensor t)
{
    int block;
    char golden[32];
    if (!strcmp(name, "text.embed"))
        compare_traced(ud, "text.hidden0", t);
    else if (sscanf(name, "text.block%d.out", &block) == 1 && block < 2) {
        snprintf(golden, sizeof golden, "text.hidden%d", block + 1);
        compare_traced(ud, golden, t);
    } else if (!strcmp(name, "text.out")) {
        compare_traced(ud, "text.hidden3", t);
        compare_traced(ud, "text.out", t);
    }
}

static void check_umt5(kn_device *dev, kn_dtype dtype)
{
    encoder e;
    encoder_open(&e, dev, FIXTURE("text-umt5/model/text_encoder"),
                 FIXTURE("text-umt5/model/text_encoder/config.json"), dtype);
    assert_true(e.config.bias_per_layer);
    kn_checkpoint *g = open_checkpoint(FIXTURE("text-umt5/golden.safetensors"));
    int n, n_mask, n_single;
    int32_t *ids = golden_ids(g, "text.ids", &n), *mask = golden_ids(g, "text.mask", &n_mask);
    int32_t *single = golden_ids(g, "text.single.ids", &n_single);
    int len = n / 2;
    double tolerance = tolerance_of(dtype);
    const char *label = dtype == KN_F32 ? "text-umt5 f32" : "text-umt5 bf16";

    golden_trace trace = {&e.c, g, label, tolerance, 0};
    kn_t5_hooks hooks = {.trace = {compare_hidden, &trace}};
    kn_t5_seq padded[2] = {{ids, len, count_tokens(mask, len)},
                           {ids + len, len, count_tokens(mask + len, len)}};
    float *masked = run(&e, false, padded, 2, &hooks);
    assert_int_equal(trace.n_compared, 5);

    float *want = golden_f32(g, "text.wan.out");
    kn_t5_seq cut[2] = {{ids, padded[0].n_keys, 0}, {ids + len, padded[1].n_keys, 0}};
    float *got = run(&e, true, cut, 2, NULL);
    check_close(label, "text.wan.out (1)", got, want, (int64_t)cut[0].n * 32, tolerance);
    check_close(label, "text.wan.out (2)", got + cut[0].n * 32, want + len * 32, (int64_t)cut[1].n * 32,
                tolerance);
    free(got);
    free(want);

    kn_t5_seq unmasked[2] = {{ids, len, 0}, {ids + len, len, 0}};
    want = golden_f32(g, "text.nomask.out");
    got = run(&e, false, unmasked, 2, NULL);
    check_close(label, "text.nomask.out", got, want, (int64_t)n * 32, tolerance);
    free(got);
    free(want);

    want = golden_f32(g, "text.single.out");
    got = run(&e, false, &(kn_t5_seq){single, n_single, 0}, 1, NULL);
    check_close(label, "text.single.out", got, want, (int64_t)n_single * 32, tolerance);
    free(got);
    free(want);
    free(masked);
    free(ids);
    free(mask);
    free(single);
    kn_checkpoint_close(g);
    encoder_close(&e);
}

static void umt5_equals_the_reference(void **state)
{
    for (int i = 0; i < 2; i++)
        check_umt5(*state, dtypes[i]);
}

/* Wan's pipelines: block outputs, both prompts in one streamed run. */
static void check_wan_text(kn_device *dev, const char *fixture, kn_dtype dtype)
{
    char weights[512], config[544], golden[512], label[64];
    snprintf(weights, sizeof weights, KN_FIXTURES "/%s/model/text_encoder", fixture);
    snprintf(config, sizeof config, "%s/config.json", weights);
    snprintf(golden, sizeof golden, KN_FIXTURES "/%s/golden.safetensors", fixture);
    snprintf(label, sizeof label, "%s %s", fixture, kn_dtype_name(dtype));
    encoder e;
    encoder_open(&e, dev, weights, config, dtype);
    kn_checkpoint *g = open_checkpoint(golden);
    int n, n_neg;
    int32_t *ids = golden_ids(g, "text.ids", &n), *neg = golden_ids(g, "text_neg.ids", &n_neg);
    golden_trace trace = {&e.c, g, label, tolerance_of(dtype), 0};
    kn_t5_hooks hooks = {.trace = {compare_traced, &trace}};
    kn_t5_seq seqs[2] = {{ids, n, 0}, {neg, n_neg, 0}};
    float *got = run(&e, true, seqs, 2, &hooks); /* the prompt's rows come first, as in the goldens */
    assert_true(trace.n_compared >= 1);
    float *want = golden_f32(g, "text_neg.out");
    check_close(label, "text_neg.out", got + (int64_t)n * e.config.d_model, want, n_neg * e.config.d_model,
                tolerance_of(dtype));
    float *resident = run(&e, false, seqs, 2, NULL);
    assert_memory_equal(resident, got, (size_t)(n + n_neg) * (size_t)e.config.d_model * sizeof *got);
    free(resident);
    free(got);
    free(want);
    free(ids);
    free(neg);
    kn_checkpoint_close(g);
    encoder_close(&e);
}

static void wan_prompts_equal_the_reference(void **state)
{
    static const char *const fixtures[] = {"wan21-t2v",      "wan21-i2v",      "wan21-flf2v",  "wan21-vace",
                                           "wan22-t2v-a14b", "wan22-i2v-a14b", "wan22-ti2v-5b"};
    for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++)
        for (int i = 0; i < 2; i++)
            check_wan_text(*state, fixtures[f], dtypes[i]);
}

static void original_files_equal_the_reference(void **state)
{
    static const char *const files[][2] = {
        {"models_t5_umt5_bf16.safetensors", "text.out.bf16"},
        {"umt5_comfy_fp16.safetensors", "text.out.f16"},
        {"umt5_fp8_e4m3fn_scaled.safetensors", "text.out.fp8_scaled"},
        {"umt5-encoder-F16.gguf", "text.out.gguf_f16"},
        {"umt5-encoder-Q8_0.gguf", "text.out.gguf_q8_0"},
    };
    kn_checkpoint *g = open_checkpoint(FIXTURE("wan21-original/golden.safetensors"));
    int n;
    int32_t *ids = golden_ids(g, "text.ids", &n);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++)
        for (int i = 0; i < 2; i++) {
            char path[512], label[64];
            encoder e;
            snprintf(path, sizeof path, KN_FIXTURES "/wan21-original/%s", files[f][0]);
            snprintf(label, sizeof label, "original %s", kn_dtype_name(dtypes[i]));
            encoder_open(&e, *state, path, NULL, dtypes[i]);
            float *got = run(&e, true, &(kn_t5_seq){ids, n, 0}, 1, NULL), *want = golden_f32(g, files[f][1]);
            check_close(label, files[f][1], got, want, n * e.config.d_model, tolerance_of(dtypes[i]));
            free(got);
            free(want);
            encoder_close(&e);
        }
    free(ids);
    kn_checkpoint_close(g);
}

/* The planner's promise: the same forward on `meta` finds the same peaks, of the pool and of the device. */
static void meta_predicts_the_peak(void **state)
{
    kn_device *devs[2] = {*state, NULL};
    must(kn_meta_device_open(*state, &devs[1], err));
    size_t pool[2], device[2];
    int32_t ids[40];
    for (int i = 0; i < 40; i++)
        ids[i] = 3 + i;
    for (int i = 0; i < 2; i++) {
        kn_checkpoint *ck = open_checkpoint(FIXTURE("wan21-t2v/model/text_encoder"));
        kn_t5_config config;
        must(kn_t5_config_derive(ck, &config, err));
        kn_ctx c;
        kn_weight_set set;
        kn_loader l;
        must(kn_ctx_init(&c, devs[i], KN_BF16, 0, err));
        kn_weight_set_init(&set, devs[i]);
        kn_loader_init(&l, &set, ck, NULL, KN_BF16);
        kn_device_reset_peak(devs[i]);
        kn_t5_seq seqs[2] = {{ids, 40, 0}, {ids, 7, 0}};
        kn_t5 m;
        kn_t5_load(&m, &config, 0, &l);
        must(kn_loader_finish(&l, kn_t5_ignore, err));
        kn_tensor y = kn_t5_forward(&c, &m, &l, seqs, 2, NULL);
        must_be_ok(&c);
        assert_int_equal(y.dims[0], 47);
        pool[i] = kn_pool_peak(&c);
        device[i] = devs[i]->mem_peak_bytes;
        kn_t5_done(&m);
        kn_weight_set_done(&set);
        kn_ctx_done(&c);
        kn_checkpoint_close(ck);
    }
    assert_int_equal(pool[0], pool[1]);
    assert_int_equal(device[0], device[1]);
    kn_device_close(devs[1]);
}

static void wrong_ids_are_refused(void **state)
{
    encoder e;
    encoder_open(&e, *state, FIXTURE("wan21-t2v/model/text_encoder"), NULL, KN_F32);
    int32_t bad = (int32_t)e.config.vocab_size;
    kn_tensor y = kn_t5_forward(&e.c, &e.resident, &e.loader, &(kn_t5_seq){&bad, 1, 0}, 1, NULL);
    assert_true(kn_is_null(y));
    assert_int_equal(e.c.err.code, KN_EINVAL);
    assert_non_null(strstr(e.c.err.msg, "844"));
    encoder_close(&e);
}

static int open_device(void **state)
{
    *state = open_cpu();
    return 0;
}

static int close_device(void **state)
{
    kn_device_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_equal_the_reference),
        cmocka_unit_test(umt5_equals_the_reference),
        cmocka_unit_test(wan_prompts_equal_the_reference),
        cmocka_unit_test(original_files_equal_the_reference),
        cmocka_unit_test(meta_predicts_the_peak),
        cmocka_unit_test(wrong_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
