/* `--model demo`: where it is looked for, what its kinora.json does, and what stays the user's. */
#include "program.h"

#define DEMO      "generate", "--model", "demo", "--prompt", "a red ball", "--seed", "7"
#define IMAGE     FIXTURE("wan21-i2v/image.png") /* 48x32 */
#define demo(...) finish(start_args(use_demo, ARGS(__VA_ARGS__)))

/* The test's folder is the working one. */
static void use_demo(void)
{
    setenv("KINORA_DEMO_DIR", "shipped", 1);
}

static void use_nothing(void)
{
    setenv("KINORA_DEMO_DIR", "/nowhere/demo", 1);
}

static int make(void **state)
{
    if (place_make(state))
        return -1;
    shell("cp -r '%s' shipped && chmod -R u+w shipped", FIXTURE("wan22-ti2v-5b/model"));
    write_text("shipped/kinora.json",
               "{\"title\": \"Shapes that move\", \"defaults\": {\"width\": 64, \"height\": 64, \"frames\": "
               "5, \"fps\": 12, \"steps\": 2, \"guidance\": 3.5}}");
    return 0;
}

/* The request inside a video. */
static json_t *request_of(const char *video)
{
    outcome o = run("info", "--json", video);
    must_succeed(&o);
    json_t *j = parse_json(o.out), *rq = json_object_get(json_object_get(j, "kinora"), "request");
    assert_non_null(rq);
    json_incref(rq);
    json_decref(j);
    outcome_done(&o);
    return rq;
}

static int64_t number(const json_t *rq, const char *name)
{
    return json_integer_value(json_object_get(rq, name));
}

static void test_defaults_of_the_folder(void **state)
{
    (void)state;
    check_runs(demo(DEMO, "-o", "a.mp4"));
    json_t *rq = request_of("a.mp4");
    assert_string_equal(json_string_value(json_object_get(rq, "model")), "demo");
    assert_int_equal(number(rq, "width"), 64);
    assert_int_equal(number(rq, "height"), 64);
    assert_int_equal(number(rq, "frames"), 5);
    assert_int_equal(number(rq, "steps"), 2);
    assert_true(json_number_value(json_object_get(rq, "fps")) == 12);
    assert_true(json_number_value(json_object_get(rq, "guidance")) == 3.5);
    json_decref(rq);
}

static void test_options_win(void **state)
{
    (void)state;
    check_runs(demo(DEMO, "--steps", "1", "--guidance", "1", "--width", "96", "--fps", "8", "-o", "b.mp4"));
    json_t *rq = request_of("b.mp4");
    assert_int_equal(number(rq, "width"), 96);
    assert_int_equal(number(rq, "height"), 64);
    assert_int_equal(number(rq, "steps"), 1);
    assert_int_equal(number(rq, "frames"), 5);
    assert_true(json_number_value(json_object_get(rq, "fps")) == 8);
    assert_true(json_number_value(json_object_get(rq, "guidance")) == 1);
    json_decref(rq);
}

/* The name and the folder are one model: the same seed gives the same pictures. */
static void test_same_as_its_folder(void **state)
{
    (void)state;
    char hash[2][32];
    for (int i = 0; i < 2; i++) {
        outcome o = demo("generate", "--model", i ? "./shipped" : "demo", "--prompt", "a red ball", "--seed",
                         "7", "--json", "-o", "c.mp4");
        must_succeed(&o);
        const char *found = strstr(o.out, "\"frames_hash\":\"");
        assert_non_null(found);
        snprintf(hash[i], sizeof hash[i], "%.16s", found + strlen("\"frames_hash\":\""));
        outcome_done(&o);
    }
    assert_string_equal(hash[0], hash[1]);
}

/* The size that a plan works with. */
static void check_size(outcome o, int64_t width, int64_t height)
{
    must_succeed(&o);
    json_t *j = parse_json(o.out), *rq = json_object_get(j, "request");
    assert_int_equal(number(rq, "width"), width);
    assert_int_equal(number(rq, "height"), height);
    json_decref(j);
    outcome_done(&o);
}

/* A picture decides the shape, the folder the area: 64 x 64 of 3:2 is 78 x 52, down to multiples of 32. */
static void test_picture(void **state)
{
    (void)state;
    check_size(demo("plan", "--model", "demo", "--json"), 64, 64);
    check_size(demo("plan", "--model", "demo", "--image", IMAGE, "--json"), 64, 32);
    check_size(demo("plan", "--model", "demo", "--image", IMAGE, "--width", "96", "--json"), 96, 64);
}

static void test_models(void **state)
{
    (void)state;
    outcome o = demo("models");
    must_succeed(&o);
    assert_non_null(strstr(o.out, "demo       Shapes that move"));
    outcome_done(&o);
    o = demo("models", "demo", "--json");
    must_succeed(&o);
    json_t *j = parse_json(o.out);
    assert_string_equal(json_string_value(json_object_get(j, "title")), "Shapes that move");
    assert_string_equal(json_string_value(json_object_get(j, "path")), "shipped");
    assert_int_equal(number(json_object_get(j, "defaults"), "frames"), 5);
    json_decref(j);
    outcome_done(&o);
    o = demo("models", "--json");
    must_succeed(&o);
    j = parse_json(o.out);
    const json_t *last = json_array_get(j, json_array_size(j) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "name")), "demo");
    assert_string_equal(json_string_value(json_object_get(last, "family")), "wan");
    json_decref(j);
    outcome_done(&o);
}

/* What is called demo here does not stand in for it. */
static void test_missing(void **state)
{
    (void)state;
    shell("cp -r shipped demo");
    check_fails(finish(start_args(use_nothing, ARGS(DEMO, "-o", "no.mp4"))), 4, "KINORA_DEMO_DIR",
                "\"/nowhere/demo\"", "model_index.json");
    check_fails(finish(start_args(use_nothing, ARGS("plan", "--model", "demo"))), 4, "\"/nowhere/demo\"");
    check_fails(finish(start_args(use_nothing, ARGS("models", "demo"))), 4, "\"/nowhere/demo\"");
    outcome o = finish(start_args(use_nothing, ARGS("models")));
    must_succeed(&o);
    assert_null(strstr(o.out, "demo"));
    outcome_done(&o);
    check_runs(finish(start_args(use_nothing, ARGS("models", "./demo"))));
    assert_false(kn_path_exists("no.mp4"));
    shell("rm -r demo");
}

/* As installed and as built: found from where the program is. */
static void test_beside_the_program(void **state)
{
    (void)state;
    unsetenv("KINORA_DEMO_DIR");
    shell("mkdir -p usr/bin && cp '%s' usr/bin/kinora", KN_PROGRAM);
    const char *const args[] = {"usr/bin/kinora", "models", "demo", NULL};
    check_fails(finish(start_args(NULL, args)), 4, "/usr/demo", "/usr/share/kinora/demo", "not set");
    shell("mkdir -p usr/share/kinora && cp -r shipped usr/share/kinora/demo");
    outcome o = finish(start_args(NULL, args));
    must_succeed(&o);
    assert_non_null(strstr(o.out, "/usr/share/kinora/demo\""));
    outcome_done(&o);
    shell("cp -r shipped usr/demo");
    o = finish(start_args(NULL, args));
    must_succeed(&o);
    assert_non_null(strstr(o.out, "/usr/demo\""));
    outcome_done(&o);
}

static void test_bad_file(void **state)
{
    (void)state;
    shell("cp -r shipped bad");
    write_text("bad/kinora.json", "{\"defaults\": {\"image\": \"a.png\"}}");
    check_fails(run("generate", "--model", "bad", "--prompt", "x", "-o", "no.mp4"), 3, "bad/kinora.json",
                "\"image\" is \"a.png\"", "steps");
    check_fails(run("plan", "--model", "bad"), 3, "bad/kinora.json");
    check_fails(run("models", "bad"), 3, "bad/kinora.json");
    setenv("KINORA_DEMO_DIR", "bad", 1); /* one that came along: said, and the list is there all the same */
    outcome o = run("models");
    assert_int_equal(o.code, 3);
    assert_non_null(strstr(o.out, "Wan 2.1"));
    assert_non_null(strstr(o.err, "bad/kinora.json"));
    outcome_done(&o);
    unsetenv("KINORA_DEMO_DIR");
    assert_false(kn_path_exists("no.mp4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_the_folder),
        cmocka_unit_test(test_options_win),
        cmocka_unit_test(test_same_as_its_folder),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_beside_the_program),
        cmocka_unit_test(test_bad_file),
    };
    return cmocka_run_group_tests(tests, make, place_remove);
}
