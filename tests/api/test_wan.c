/* Every variant of Wan end to end through the command line, and its plan. */
#include "api/wan_variants.h"
#include "program.h"

/* A command line of a variant; returns the number of arguments. */
static int compose(const wan_variant *v, const char *command, const char *dtype, const char *args[MAX_ARGS])
{
    const char *const first[] = {KN_PROGRAM,  command, "--model", v->model, "--prompt",
                                 "a red cat", TINY,    "--dtype", dtype,    "--json"};
    int n = 0;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        args[n++] = first[i];
    for (int i = 0; i < MAX_EXTRA && v->extra[i]; i++)
        args[n++] = v->extra[i];
    args[n] = NULL;
    return n;
}

/* Control clips: a folder of pictures, the same as a video, and a mask of as many frames. */
static void make_clips(void)
{
    static const char *const outputs[] = {"control/", "control.mp4", "mask/"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs && !kn_path_exists(outputs[i]); i++)
        check_runs(run("generate", "--model", "testsrc", "--prompt", "x", "--width", "64", "--height", "32",
                       "--frames", "5", "-o", outputs[i]));
}

static json_t *last_line(const outcome *o)
{
    size_t n = strlen(o->out);
    while (n > 1 && o->out[n - 2] != '\n')
        n--;
    return parse_json(o->out + n - 1);
}

static json_t *planned(const wan_variant *v, const char *dtype)
{
    const char *args[MAX_ARGS];
    compose(v, "plan", dtype, args);
    outcome o = finish(start_args(NULL, args));
    if (o.code)
        fail_msg("%s: plan: %s", v->name, o.err);
    json_t *j = parse_json(o.out);
    outcome_done(&o);
    return j;
}

static json_t *generated(const wan_variant *v, const char *dtype)
{
    const char *args[MAX_ARGS];
    int n = compose(v, "generate", dtype, args);
    args[n++] = "-o";
    args[n++] = "out.mp4";
    args[n] = NULL;
    outcome o = finish(start_args(NULL, args));
    if (o.code)
        fail_msg("%s: generate: %s", v->name, o.err);
    json_t *j = last_line(&o);
    outcome_done(&o);
    return j;
}

static void check_variant(const wan_variant *v, const char *dtype)
{
    json_t *plan = planned(v, dtype), *done = generated(v, dtype), *info = NULL;
    outcome o = run("info", "--json", "out.mp4");
    must_succeed(&o);
    info = parse_json(o.out);
    assert_int_equal(json_integer_value(json_object_get(info, "frames")), 5);
    assert_int_equal(json_integer_value(json_object_get(info, "width")), 64);
    double want = (double)json_integer_value(json_object_get(plan, "peak_bytes")),
           got = (double)json_integer_value(json_object_get(done, "peak_bytes"));
    print_message("%-20s %-5s planned %8.0f bytes, used %8.0f\n", v->name, dtype, want, got);
    assert_true(got > 0 && want >= 0.95 * got && want <= 1.05 * got);
    assert_true(json_real_value(json_object_get(plan, "seconds")) > 0);
    json_decref(plan);
    json_decref(done);
    json_decref(info);
    outcome_done(&o);
    unlink("out.mp4");
}

static void test_variants(void **state)
{
    (void)state;
    make_clips();
    for (size_t i = 0; i < sizeof wan_variants / sizeof *wan_variants; i++)
        check_variant(&wan_variants[i], "bf16");
}

/* A LoRA of one expert changes the result; of strength 0 it does not. */
static void test_lora_experts(void **state)
{
    (void)state;
    static const wan_variant lines[] = {
        {"plain", FIXTURE("wan22-t2v-a14b/model"), {0}},
        {"zero", FIXTURE("wan22-t2v-a14b/model"), {"--lora", "lora.safetensors:0"}},
        {"high", FIXTURE("wan22-t2v-a14b/model"), {"--lora", "lora.safetensors:1:high"}},
        {"low", FIXTURE("wan22-t2v-a14b/model"), {"--lora", "lora.safetensors:1:low"}},
        {"both", FIXTURE("wan22-t2v-a14b/model"), {"--lora", "lora.safetensors"}},
    };
    enum { N = sizeof lines / sizeof *lines };
    char hash[N][32];
    shell("cp '%s' lora.safetensors", LORA "peft.safetensors");
    for (int i = 0; i < N; i++) {
        json_t *j = generated(&lines[i], "f32");
        snprintf(hash[i], sizeof hash[i], "%s", json_string_value(json_object_get(j, "frames_hash")));
        json_decref(j);
    }
    assert_string_equal(hash[0], hash[1]);
    for (int i = 2; i < N; i++)
        for (int k = 0; k < i; k++)
            if (k != 1)
                assert_string_not_equal(hash[i], hash[k]);
}

/* Replaces what lies behind a safetensors header with a hole: shapes stay, data does not. */
static void hollow(const char *path)
{
    unsigned char length[8];
    struct stat st;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(length, 1, 8, f), 8);
    fclose(f);
    off_t header = length[0] | length[1] << 8 | length[2] << 16;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, 8 + header), 0);
    assert_int_equal(truncate(path, st.st_size), 0);
}

static void test_plan_reads_no_weights(void **state)
{
    (void)state;
    const wan_variant real = {"real",
                              FIXTURE("wan21-i2v/model"),
                              {"--image", FIXTURE("wan21-i2v/image.png")}},
                      holes = {"holes", "m", {"--image", FIXTURE("wan21-i2v/image.png")}};
    shell("cp -r '%s' m && chmod -R u+w m", real.model);
    hollow("m/transformer/diffusion_pytorch_model.safetensors");
    hollow("m/vae/diffusion_pytorch_model.safetensors");
    hollow("m/text_encoder/model.safetensors");
    hollow("m/image_encoder/model.safetensors");
    json_t *a = planned(&real, "int8"), *b = planned(&holes, "int8");
    assert_true(json_integer_value(json_object_get(a, "peak_bytes")) > 0);
    assert_int_equal(json_integer_value(json_object_get(a, "peak_bytes")),
                     json_integer_value(json_object_get(b, "peak_bytes")));
    json_decref(a);
    json_decref(b);
    outcome o = run("plan", "--model", "m", TINY, "--image", FIXTURE("wan21-i2v/image.png"));
    must_succeed(&o);
    assert_non_null(strstr(o.out, "that are free: fits"));
    outcome_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_lora_experts),
        cmocka_unit_test(test_plan_reads_no_weights),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
