#include "wan_dit.h"

static const kn_dtype dtypes[2] = {KN_F32, KN_BF16};

static void check_model(kn_device *dev, const char *fixture, const char *weights, const char *config,
                        const char *run, const char *out, int batch, bool traced, kn_dtype dtype)
{
    char w[512], j[512], golden[512], label[96];
    snprintf(w, sizeof w, KN_FIXTURES "/%s/%s", fixture, weights);
    snprintf(j, sizeof j, KN_FIXTURES "/%s/%s", fixture, config ? config : "");
    snprintf(golden, sizeof golden, KN_FIXTURES "/%s/golden.safetensors", fixture);
    snprintf(label, sizeof label, "%s %s", fixture, kn_dtype_name(dtype));
    kn_checkpoint *g = open_checkpoint(golden);
    dit d;
    dit_open(&d, dev, w, config ? j : NULL, dtype);
    for (int b = 0; b < batch; b++)
        check_run(&d, g, run, out, b, b % 2, label, tolerance_of(dtype), traced);
    dit_close(&d);
    kn_checkpoint_close(g);
}

#define CONFIG(folder) "model/" folder "/config.json"

static void diffusers_models_equal_the_reference(void **state)
{
    for (int i = 0; i < 2; i++) {
        kn_dtype t = dtypes[i];
        check_model(*state, "wan21-t2v", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    true, t);
        check_model(*state, "wan21-t2v", "model/transformer", CONFIG("transformer"), "dit2", "dit2.out", 2,
                    false, t);
        check_model(*state, "wan21-i2v", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    true, t);
        check_model(*state, "wan21-flf2v", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    true, t);
        check_model(*state, "wan21-vace", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    true, t);
        check_model(*state, "wan22-ti2v-5b", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    true, t);
        check_model(*state, "wan22-ti2v-5b", "model/transformer", CONFIG("transformer"), "dit2", "dit2.out",
                    1, false, t);
        check_model(*state, "wan22-t2v-a14b", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    false, t);
        check_model(*state, "wan22-t2v-a14b", "model/transformer_2", CONFIG("transformer_2"), "dit2",
                    "dit2.out", 1, false, t);
        check_model(*state, "wan22-i2v-a14b", "model/transformer", CONFIG("transformer"), "dit", "dit.out", 1,
                    false, t);
        check_model(*state, "wan22-i2v-a14b", "model/transformer_2", CONFIG("transformer_2"), "dit2",
                    "dit2.out", 1, false, t);
    }
}

static void original_files_equal_the_reference(void **state)
{
    static const char *const files[][4] = {
        {"wan21-original", "wan_t2v.safetensors", "dit", "dit.out.f32"},
        {"wan21-original", "wan_t2v_comfy_bf16.safetensors", "dit", "dit.out.bf16"},
        {"wan21-original", "wan_t2v_fp16.safetensors", "dit", "dit.out.f16"},
        {"wan21-original", "wan_t2v-F16.gguf", "dit", "dit.out.gguf_f16"},
        {"wan21-original", "wan_t2v-Q8_0.gguf", "dit", "dit.out.gguf_q8_0"},
        {"wan21-original", "wan_t2v-Q4_0.gguf", "dit", "dit.out.gguf_q4_0"},
        {"wan22-original", "wan2.2_ti2v_5B_bf16.safetensors", "dit", "dit.out.bf16"},
        {"wan21-i2v", "original/transformer.safetensors", "dit", "dit.out.original"},
        {"wan21-flf2v", "original/transformer.safetensors", "dit", "dit.out.original"},
        {"wan21-vace", "original/transformer.safetensors", "dit", "dit.out.original"},
        {"wan22-t2v-a14b", "original/high_noise.safetensors", "dit", "dit.out.original"},
        {"wan22-t2v-a14b", "original/low_noise.safetensors", "dit2", "dit2.out.original"},
        {"wan22-i2v-a14b", "original/high_noise.safetensors", "dit", "dit.out.original"},
        {"wan22-i2v-a14b", "original/low_noise.safetensors", "dit2", "dit2.out.original"},
    };
    for (int i = 0; i < 2; i++)
        for (size_t f = 0; f < sizeof files / sizeof *files; f++)
            check_model(*state, files[f][0], files[f][1], NULL, files[f][2], files[f][3], 1, false,
                        dtypes[i]);
}

/* What int8 costs, and that it is not nothing: it must really quantise. */
static void int8_stays_near_the_reference(void **state)
{
    if (!((kn_device *)*state)->has_int8)
        skip();
    kn_checkpoint *g = open_checkpoint(FIXTURE("wan21-t2v/golden.safetensors"));
    dit d;
    dit_open(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
             FIXTURE("wan21-t2v/model/transformer/config.json"), KN_I8);
    check_run(&d, g, "dit", "dit.out", 0, false, "wan21-t2v int8", 0.1, false);
    dit_close(&d);
    kn_checkpoint_close(g);
}

/* Random input of a real shape of grid, the two timesteps of TI2V, on any device. */
/* Two contexts in one forward, of which the second is in->context again and the first another text, are two forwards. */
static void check_pair(kn_ctx *c, const kn_wan_transformer *m, const kn_wan_input *in, kn_tensor image,
                       const float *want, int64_t n)
{
    kn_wan_input other = *in;
    kn_wan_context context;
    float text[7 * 64] = {0.5f, -1.0f, 0.25f}, *got = malloc(3 * (size_t)n * sizeof *got);
    assert_true(got && m->config.text_dim <= 64);
    kn_wan_context_init(c, m, kn_from_f32(c, KN_F32, KN_DIMS(7, m->config.text_dim), text), image, NULL,
                        &context);
    context.n_equal = 3;
    other.context = &context;
    kn_to_f32(c, kn_wan_transformer_forward(c, m, &other), got + 2 * n);
    kn_to_f32(c, kn_wan_transformer_forward_pair(c, m, &other, in->context), got);
    must_be_ok(c);
    assert_memory_equal(got, got + 2 * n, (size_t)n * sizeof *got);
    assert_memory_equal(got + n, want, (size_t)n * sizeof *got);
    if (!c->dev->is_meta) /* which computes zeros */
        assert_memory_not_equal(got, want, (size_t)n * sizeof *got);
    free(got);
}

static float *run_random_with(dit *d, const kn_wan_transformer *m, bool keep_kv, int64_t frames,
                              int64_t height, int64_t width, int64_t *ret_n)
{
    const kn_wan_config *f = &m->config;
    kn_ctx *c = &d->c;
    int64_t n = frames * height * width, n_tokens = n / 4;
    float *noise = malloc((size_t)(n * 96) * sizeof *noise);
    int32_t *tokens = calloc((size_t)n_tokens, sizeof *tokens);
    assert_true(noise && tokens);
    for (int64_t i = 0; i < n * 96; i++)
        noise[i] = (float)((i * 2654435761u) % 2001u) / 1000.0f - 1.0f;
    for (int64_t i = height * width / 4; i < n_tokens; i++)
        tokens[i] = 1;
    kn_scope scope = kn_scope_open(c);
    kn_wan_input in = {.timesteps = (const float[]){0, 900}, .n_timesteps = 2, .token_timestep = tokens};
    in.latents = kn_from_f32(c, KN_F32, KN_DIMS(frames, height, width, f->in_channels), noise);
    if (f->n_vace)
        in.control = kn_from_f32(c, KN_F32, KN_DIMS(frames, height, width, f->vace_in_channels), noise);
    kn_tensor text = kn_from_f32(c, KN_F32, KN_DIMS(20, f->text_dim), noise), image = {0};
    if (f->image_dim)
        image = kn_from_f32(c, KN_F32, KN_DIMS(f->n_pos_embed ? f->n_pos_embed : 7, f->image_dim), noise);
    kn_wan_context context;
    kn_wan_context_init(c, m, text, image, NULL, &context);
    if (keep_kv)
        kn_wan_context_keep_kv(c, m, &context);
    kn_rope rope = kn_wan_rope(c, f->head_dim, frames, height / 2, width / 2);
    in.context = &context;
    in.rope = &rope;
    kn_tensor y = kn_wan_transformer_forward(c, m, &in);
    must_be_ok(c);
    *ret_n = kn_numel(y);
    float *out = malloc((size_t)*ret_n * sizeof *out);
    kn_to_f32(c, y, out);
    check_pair(c, m, &in, image, out, *ret_n);
    kn_wan_context_done(&context);
    kn_scope_close(c, scope, (kn_tensor){0});
    free(noise);
    free(tokens);
    return out;
}

static float *run_random(dit *d, bool keep_kv, int64_t frames, int64_t height, int64_t width, int64_t *ret_n)
{
    return run_random_with(d, &d->m, keep_kv, frames, height, width, ret_n);
}

/* Kept keys and values, and a feed-forward in parts (more than 4096 tokens), change nothing. */
static void kept_keys_give_the_same_result(void **state)
{
    dit d;
    dit_open(&d, *state, FIXTURE("wan21-i2v/model/transformer"),
             FIXTURE("wan21-i2v/model/transformer/config.json"), KN_F32);
    int64_t n;
    float *a = run_random(&d, false, 3, 8, 6, &n), *b = run_random(&d, true, 3, 8, 6, &n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    free(a);
    free(b);
    dit_close(&d);
}

/* Blocks that come and go, none, some or all of them, with and without control blocks and kept keys. */
static void streamed_blocks_give_the_same_result(void **state)
{
    static const char *const models[][2] = {
        {FIXTURE("wan21-i2v/model/transformer"), FIXTURE("wan21-i2v/model/transformer/config.json")},
        {FIXTURE("wan21-vace/model/transformer"), FIXTURE("wan21-vace/model/transformer/config.json")},
    };
    for (int i = 0; i < 4; i++) {
        dit d;
        dit_open(&d, *state, models[i % 2][0], models[i % 2][1], dtypes[i / 2]);
        int64_t n;
        float *want = run_random(&d, false, 3, 8, 6, &n);
        int n_blocks = kn_wan_n_blocks(&d.m.config);
        for (int n_resident = 0; n_resident <= n_blocks; n_resident++) {
            double loaded = d.c.stats.loaded_bytes;
            size_t before = d.loader.set->bytes;
            dit_stream(&d, n_resident);
            size_t stay = d.loader.set->bytes - before;
            float *got = run_random_with(&d, &d.streamed, n_resident % 2, 3, 8, 6, &n);
            assert_memory_equal(got, want, (size_t)n * sizeof *got);
            assert_true(stay < before);
            assert_int_equal(d.c.stats.loaded_bytes > loaded, n_resident < n_blocks);
            free(got);
        }
        free(want);
        dit_close(&d);
    }
}

/* A context whose last 500 rows are equal, and the same with one of them counted 500 times. */
static float *run_padded_with(dit *d, const kn_wan_transformer *m, bool folded, const bool *skipped,
                              int64_t *ret_n)
{
    const kn_wan_config *f = &m->config;
    kn_ctx *c = &d->c;
    float text[512 * 64] = {0}, noise[4 * 4 * 4 * 64];
    assert_true(f->text_dim <= 64 && f->in_channels <= 64);
    for (int64_t i = 0; i < 12 * f->text_dim; i++)
        text[i] = (float)((i * 7919) % 201) / 100.0f - 1.0f;
    for (int64_t i = 0; i < 64 * f->in_channels; i++)
        noise[i] = (float)((i * 104729) % 201) / 100.0f - 1.0f;
    kn_scope scope = kn_scope_open(c);
    kn_wan_context context;
    kn_tensor t = kn_from_f32(c, KN_F32, KN_DIMS(folded ? 13 : 512, f->text_dim), text);
    kn_wan_context_init(c, m, t, (kn_tensor){0}, NULL, &context);
    context.n_equal = folded ? 500 : 0;
    context.skipped = skipped;
    kn_rope rope = kn_wan_rope(c, f->head_dim, 4, 2, 2);
    kn_wan_input in = {
        .timesteps = (const float[]){500}, .n_timesteps = 1, .context = &context, .rope = &rope};
    in.latents = kn_from_f32(c, KN_F32, KN_DIMS(4, 4, 4, f->in_channels), noise);
    kn_tensor y = kn_wan_transformer_forward(c, m, &in);
    must_be_ok(c);
    *ret_n = kn_numel(y);
    float *out = malloc((size_t)*ret_n * sizeof *out);
    kn_to_f32(c, y, out);
    kn_scope_close(c, scope, (kn_tensor){0});
    return out;
}

static float *run_padded(dit *d, bool folded, int64_t *ret_n)
{
    return run_padded_with(d, &d->m, folded, NULL, ret_n);
}

/* A block that a context leaves out is as if the model did not have it. */
static void skipped_blocks(void **state)
{
    dit d;
    dit_open(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
             FIXTURE("wan21-t2v/model/transformer/config.json"), KN_F32);
    kn_wan_config shorter = d.m.config;
    bool skipped[KN_WAN_MAX_LAYERS] = {0};
    skipped[--shorter.n_layers] = true;
    kn_wan_transformer_load(&d.streamed, &shorter, KN_ALL_BLOCKS, &d.loader);
    must(kn_loader_finish(&d.loader, (const char *const[]){NULL}, err));
    int64_t n;
    float *whole = run_padded(&d, true, &n), *got = run_padded_with(&d, &d.m, true, skipped, &n),
          *want = run_padded_with(&d, &d.streamed, true, NULL, &n);
    assert_memory_equal(got, want, (size_t)n * sizeof *got);
    assert_memory_not_equal(got, whole, (size_t)n * sizeof *got);
    free(whole);
    free(want);
    free(got);
    dit_close(&d);
}

static void folded_padding_gives_the_same_result(void **state)
{
    for (int i = 0; i < 2; i++) {
        dit d;
        dit_open(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
                 FIXTURE("wan21-t2v/model/transformer/config.json"), dtypes[i]);
        int64_t n;
        float *a = run_padded(&d, false, &n), *b = run_padded(&d, true, &n);
        check_close("folded padding", kn_dtype_name(dtypes[i]), b, a, n, i ? 1e-2 : 2e-6);
        free(a);
        free(b);
        dit_close(&d);
    }
}

static void meta_predicts_the_peak(void **state)
{
    static const char *const fixtures[] = {"wan21-t2v", "wan21-i2v", "wan21-flf2v", "wan21-vace",
                                           "wan22-ti2v-5b"};
    kn_device *devs[2] = {*state, NULL};
    must(kn_meta_device_open(*state, &devs[1], err));
    for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++)
        for (int t = 0; t < 2; t++) {
            size_t pool[2], weights[2], peak[2];
            for (int i = 0; i < 2; i++) {
                char w[512], j[544];
                snprintf(w, sizeof w, KN_FIXTURES "/%s/model/transformer", fixtures[f]);
                snprintf(j, sizeof j, "%s/config.json", w);
                dit d;
                dit_open(&d, devs[i], w, j, dtypes[t]);
                kn_device_reset_peak(devs[i]);
                int64_t n;
                free(run_random(&d, true, 4, 72, 60, &n)); /* 4320 tokens: two parts of the feed-forward */
                pool[i] = kn_pool_peak(&d.c);
                weights[i] = d.set.bytes;
                peak[i] = devs[i]->mem_peak_bytes;
                dit_close(&d);
            }
            print_message("%s %s: pool %zu, weights %zu bytes\n", fixtures[f], kn_dtype_name(dtypes[t]),
                          pool[0], weights[0]);
            assert_int_equal(pool[0], pool[1]);
            assert_int_equal(weights[0], weights[1]);
            assert_int_equal(peak[0], peak[1]);
        }
    kn_device_close(devs[1]);
}

static void refuse(const char *text, int code, const char *part)
{
    json_t *j = NULL;
    must(kn_json_parse(text, strlen(text), "transformer/config.json", &j, err));
    kn_wan_config f;
    kn_err err = {0};
    assert_int_equal(kn_wan_config_read(j, "transformer/config.json", &f, &err), code);
    if (!strstr(err.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
    json_decref(j);
}

static void wrong_configs_are_refused(void **state)
{
    (void)state;
    refuse("{\"num_layers\": 0}", KN_EFORMAT, "num_layers");
    refuse("{\"qk_norm\": \"layer_norm\"}", KN_EUNSUPPORTED, "layer_norm");
    refuse("{\"image_dim\": 1280}", KN_EUNSUPPORTED, "added_kv_proj_dim");
    refuse("{\"patch_size\": [1, 2]}", KN_EFORMAT, "patch_size");
    refuse("{\"num_layers\": 4, \"vace_in_channels\": 96, \"vace_layers\": [0, 4]}", KN_EFORMAT,
           "vace_layers");
    refuse("{\"num_layers\": 4, \"vace_in_channels\": 96, \"vace_layers\": [1, 2]}", KN_EUNSUPPORTED,
           "vace_layers");
    refuse("{\"num_layers\": 4, \"vace_layers\": [0, 2]}", KN_EFORMAT, "vace_in_channels");
}

static void wrong_inputs_are_refused(void **state)
{
    dit d;
    dit_open(&d, *state, FIXTURE("wan21-i2v/model/transformer"),
             FIXTURE("wan21-i2v/model/transformer/config.json"), KN_F32);
    kn_tensor text = kn_zeros(&d.c, KN_F32, KN_DIMS(4, 32));
    kn_wan_context context;
    kn_wan_context_init(&d.c, &d.m, text, (kn_tensor){0}, NULL, &context);
    assert_int_equal(d.c.err.code, KN_EINVAL);
    assert_non_null(strstr(d.c.err.msg, "picture"));
    dit_close(&d);

    dit_open(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
             FIXTURE("wan21-t2v/model/transformer/config.json"), KN_F32);
    kn_rope rope = {0};
    kn_wan_input in = {.latents = kn_zeros(&d.c, KN_F32, KN_DIMS(1, 3, 4, 8)),
                       .timesteps = (const float[]){1},
                       .n_timesteps = 1,
                       .context = &context,
                       .rope = &rope};
    assert_true(kn_is_null(kn_wan_transformer_forward(&d.c, &d.m, &in)));
    assert_int_equal(d.c.err.code, KN_EINVAL);
    assert_non_null(strstr(d.c.err.msg, "[1, 3, 4, 8]"));
    dit_close(&d);
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
        cmocka_unit_test(diffusers_models_equal_the_reference),
        cmocka_unit_test(original_files_equal_the_reference),
        cmocka_unit_test(int8_stays_near_the_reference),
        cmocka_unit_test(kept_keys_give_the_same_result),
        cmocka_unit_test(streamed_blocks_give_the_same_result),
        cmocka_unit_test(skipped_blocks),
        cmocka_unit_test(folded_padding_gives_the_same_result),
        cmocka_unit_test(meta_predicts_the_peak),
        cmocka_unit_test(wrong_configs_are_refused),
        cmocka_unit_test(wrong_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
