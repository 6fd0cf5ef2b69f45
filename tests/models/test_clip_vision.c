#include "golden.h"

#include "models/common/clip_vision.h"

static void check(kn_device *dev, const char *fixture, kn_dtype dtype)
{
    char weights[512], config_path[544], golden[512], label[64];
    snprintf(weights, sizeof weights, KN_FIXTURES "/%s/model/image_encoder", fixture);
    snprintf(config_path, sizeof config_path, "%s/config.json", weights);
    snprintf(golden, sizeof golden, KN_FIXTURES "/%s/golden.safetensors", fixture);
    snprintf(label, sizeof label, "%s %s", fixture, kn_dtype_name(dtype));
    kn_checkpoint *ck = open_checkpoint(weights), *g = open_checkpoint(golden);
    json_t *j = open_json(config_path);
    kn_clip_vision_config config;
    kn_clip_vision m;
    kn_ctx c;
    kn_weight_set set;
    kn_loader l;
    must(kn_clip_vision_config_read(j, config_path, &config, err));
    must(kn_ctx_init(&c, dev, dtype, 0, err));
    kn_weight_set_init(&set, dev);
    kn_loader_init(&l, &set, ck, NULL, dtype);
    kn_clip_vision_load(&m, &config, &l);
    must(kn_loader_finish(&l, m.ignore, err));

    float *pixels = golden_f32(g, "image.pixels"), *want = golden_f32(g, "image.out");
    kn_tensor x = kn_from_f32(&c, KN_F32, KN_DIMS(3, config.image_size, config.image_size), pixels);
    golden_trace trace = {&c, g, label, tolerance_of(dtype), 0};
    kn_tensor y = kn_clip_vision_forward(&c, &m, x, &(kn_trace){compare_traced, &trace});
    must_be_ok(&c);
    assert_int_equal(trace.n_compared, config.n_layers);
    float *got = malloc((size_t)kn_numel(y) * sizeof *got);
    kn_to_f32(&c, y, got);
    check_close(label, "image.out", got, want, kn_numel(y), tolerance_of(dtype));
    free(got);
    free(pixels);
    free(want);
    json_decref(j);
    kn_clip_vision_done(&m);
    kn_weight_set_done(&set);
    kn_ctx_done(&c);
    kn_checkpoint_close(ck);
    kn_checkpoint_close(g);
}

static void states_equal_the_reference(void **state)
{
    check(*state, "wan21-i2v", KN_F32);
    check(*state, "wan21-i2v", KN_BF16);
    check(*state, "wan21-flf2v", KN_F32);
    check(*state, "wan21-flf2v", KN_BF16);
}

static void unknown_activation_is_refused(void **state)
{
    (void)state;
    json_t *j = NULL;
    const char *text = "{\"hidden_act\": \"mish\"}";
    must(kn_json_parse(text, strlen(text), "config.json", &j, err));
    kn_clip_vision_config config;
    kn_err err = {0};
    assert_int_equal(kn_clip_vision_config_read(j, "config.json", &config, &err), KN_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "mish"));
    json_decref(j);
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
        cmocka_unit_test(states_equal_the_reference),
        cmocka_unit_test(unknown_activation_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
