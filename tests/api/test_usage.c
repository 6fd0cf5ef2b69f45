/* Help, version, exit codes, and what is said to a mistyped command line. */
#include "program.h"

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void test_version(void **state)
{
    (void)state;
    static const char *const names[] = {"--version", "-V", "version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        outcome o = run(names[i]);
        must_succeed(&o);
        assert_string_equal(o.out, "kinora " KN_VERSION "\n");
        assert_string_equal(o.err, "");
        outcome_done(&o);
    }
}

static void test_help(void **state)
{
    (void)state;
    static const char *const commands[] = {"generate", "plan", "models", "info", "doctor", "bench"};
    outcome o = run("help");
    must_succeed(&o);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        has(o.out, commands[i]);
        outcome a = run(commands[i], "--help"), b = run("help", commands[i]);
        must_succeed(&a);
        has(a.out, "usage: kinora ");
        has(a.out, commands[i]);
        assert_string_equal(a.out, b.out);
        assert_string_equal(a.err, "");
        outcome_done(&a);
        outcome_done(&b);
    }
    has(o.out, "130  cancelled");
    outcome_done(&o);
}

static void test_generate_help_lists_every_parameter(void **state)
{
    (void)state;
    static const char *const options[] = {
        "--model",
        "--prompt",
        "--negative-prompt",
        "--image",
        "--last-image",
        "--video",
        "--mask",
        "--reference",
        "--control-scale",
        "--width",
        "--height",
        "--frames",
        "--fps",
        "--steps",
        "--guidance",
        "--guidance-2",
        "--flow-shift",
        "--scheduler",
        "--seed",
        "--dtype f32|bf16|int8",
        "--device",
        "--threads",
        "--lora",
        "--vae",
        "--text-encoder",
        "--latents",
        "--save-tensors",
        "--json",
        "-o",
    };
    outcome o = run("generate", "--help");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(options[i], " "), options[i]);
        has(o.out, name);
    }
    has(o.out, "f32|bf16|int8");
    outcome_done(&o);
}

static void test_nothing_asked(void **state)
{
    (void)state;
    outcome o = finish(start_args(NULL, (const char *const[]){KN_PROGRAM, NULL}));
    must_fail(&o, 2, (const char *const[]){"usage: kinora", NULL});
    assert_string_equal(o.out, "");
    outcome_done(&o);
}

static void test_unknown_command(void **state)
{
    (void)state;
    check_fails(run("generat"), 2, "unknown command \"generat\"", "did you mean generate?");
    check_fails(run("frobnicate"), 2, "unknown command \"frobnicate\"", "kinora help");
    check_fails(run("help", "generat"), 2, "unknown command \"generat\"", "did you mean generate?");
    check_fails(run("--frob"), 2, "unknown command \"--frob\"");
}

static void test_unknown_option(void **state)
{
    (void)state;
    check_fails(run("generate", "--promt", "x"), 2, "--promt", "did you mean --prompt?");
    check_fails(run("generate", "--negative_promt=x"), 2, "did you mean --negative-prompt?");
    check_fails(run("generate", "--jsn"), 2, "did you mean --json?");
    check_fails(run("generate", "--zzzzzzzz", "1"), 2, "unknown option --zzzzzzzz", "--help");
    check_fails(run("info", "--prompt", "x"), 2, "unknown option --prompt");
    check_fails(run("generate", "stray"), 2, "\"stray\"");
    check_fails(run("generate", "-x"), 2, "\"-x\"");
    check_fails(run("doctor", "stray"), 2, "\"stray\"");
}

static void test_bad_values(void **state)
{
    (void)state;
    check_fails(run("generate", "--steps", "abc"), 2, "steps", "\"abc\"", "whole number");
    check_fails(run("generate", "--steps", "2.5"), 2, "\"2.5\"", "whole number");
    check_fails(run("generate", "--steps", ""), 2, "steps", "whole number");
    check_fails(run("generate", "--steps=0"), 2, "steps: 0 is outside 1..");
    check_fails(run("generate", "--seed", "-1"), 2, "seed: -1 is outside 0..9007199254740991");
    check_fails(run("generate", "--seed", "99999999999999999999"), 2, "99999999999999999999");
    check_fails(run("generate", "--guidance", "nan"), 2, "guidance", "\"nan\"", "number");
    check_fails(run("generate", "--guidance", "1e9"), 2, "guidance: 1e+09 is outside 0..100");
    check_fails(run("generate", "--width", "1"), 2, "width: 1 is outside 8..");
    check_fails(run("generate", "--dtype", "f16"), 2, "dtype", "\"f16\"", "f32|bf16|int8");
    check_fails(run("generate", "--device", "gpu"), 2, "device", "\"gpu\"", "cpu");
    check_fails(run("generate", "--scheduler", "ddim"), 2, "\"ddim\"", "unipc|euler");
    check_fails(run("generate", "--control-scale", "1,x"), 2, "control_scale", "\"x\"", "number");
    check_fails(run("generate", "--lora", ":0.5"), 2, "lora", "empty");
    check_fails(run("generate", "--lora", "a.safetensors:1e6"), 2, "lora", "-100..100");
    check_fails(run("generate", "--image", ""), 2, "image", "empty");
    check_fails(run("generate", "--model"), 2, "--model needs a value");
    check_fails(run("generate", "--json=1"), 2, "--json takes no value");
}

static void test_missing_parts(void **state)
{
    (void)state;
    check_fails(run("generate", "--prompt", "x", "-o", "a.mp4"), 2, "no model given", "--model");
    check_fails(run("generate", "--model", "testsrc", "-o", "a.mp4"), 2, "no prompt given", "--prompt");
    check_fails(run("generate", "--model", "testsrc", "--prompt", "x"), 2, "no output given", "-o ");
    check_fails(run("plan"), 2, "no model given", "--model");
    check_fails(run("info"), 2, "no file given");
    check_fails(run("generate", "--model", "no-such", "--prompt", "x", "-o", "a.mp4"), 4, "\"no-such\"",
                "(demo, testsrc)");
    check_fails(run("models", "no-such"), 4, "\"no-such\"");
    check_fails(run("info", "no-such.mp4"), 4, "no-such.mp4");
}

static void test_parameter_of_another_model(void **state)
{
    (void)state;
    check_fails(
        run("generate", "--model", "testsrc", "--prompt", "x", "-o", "a.mp4", "--lora", "x.safetensors"), 2,
        "testsrc does not take lora", "frames");
}

static void without_demo(void)
{
    setenv("KINORA_DEMO_DIR", "/nowhere", 1);
}

static void test_models(void **state)
{
    (void)state;
    outcome o = finish(start_args(without_demo, ARGS("models", "--json")));
    must_succeed(&o);
    json_t *j = parse_json(o.out);
    assert_int_equal(json_array_size(j), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "name")), "testsrc");
    json_decref(j);
    outcome_done(&o);
    o = run("models", "--json", FIXTURE("wan22-i2v-a14b/model"));
    must_succeed(&o);
    j = parse_json(o.out);
    assert_string_equal(json_string_value(json_object_get(j, "variant")), "I2V, two experts");
    json_decref(j);
    outcome_done(&o);
}

static void test_doctor(void **state)
{
    (void)state;
    outcome o = run("doctor");
    must_succeed(&o);
    static const char *const facts[] = {"processor", "memory", "libavcodec", "jansson", "encoders", "mpeg4"};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        has(o.out, facts[i]);
    outcome_done(&o);
    o = run("doctor", "--json");
    must_succeed(&o);
    json_t *j = parse_json(o.out);
    const json_t *hardware = json_object_get(j, "hardware");
    assert_true(json_integer_value(json_object_get(json_object_get(hardware, "memory"), "available_bytes")) >
                0);
    assert_true(json_is_array(json_object_get(hardware, "gpus")));
    assert_int_equal(json_array_size(json_object_get(hardware, "disks")), 2);
    const json_t *encoders = json_object_get(j, "encoders"), *gif = json_object_get(encoders, "gif");
    assert_true(json_is_true(json_object_get(gif, "works")));
    assert_string_equal(json_string_value(json_object_get(gif, "writes")), "GIF");
    const json_t *nvenc = json_object_get(encoders, "h264_nvenc");
    assert_true(json_is_true(json_object_get(nvenc, "works")) ==
                !*json_string_value(json_object_get(nvenc, "reason")));
    json_decref(j);
    outcome_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_generate_help_lists_every_parameter),
        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_unknown_command),
        cmocka_unit_test(test_unknown_option),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_parameter_of_another_model),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_doctor),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
