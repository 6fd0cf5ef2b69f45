/* --speed: fewer steps computed, said as it was, and resumed to the same frames. --guidance-method. */
#include "program.h"

#define OF(steps)                                                                                            \
    "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", "--width", "64", "--height", "32",           \
        "--frames", "5", "--seed", "7", "--json", "-o", "out.mp4", "--steps", steps

typedef struct summary {
    char hash[20];
    int computed;
} summary;

static summary summary_of(outcome o)
{
    summary s;
    must_succeed(&o);
    const char *hash = strstr(o.out, "\"frames_hash\":\""), *computed = strstr(o.out, "\"steps_computed\":");
    assert_non_null(hash);
    assert_non_null(computed);
    snprintf(s.hash, sizeof s.hash, "%.16s", hash + strlen("\"frames_hash\":\""));
    s.computed = (int)strtol(computed + strlen("\"steps_computed\":"), NULL, 10);
    outcome_done(&o);
    return s;
}

static void test_steps_are_left_out(void **state)
{
    (void)state;
    summary all = summary_of(run("generate", OF("20"))),
            half = summary_of(run("generate", OF("20"), "--speed", "2x"));
    assert_int_equal(all.computed, 20);
    assert_int_equal(half.computed, 10);
    assert_string_not_equal(half.hash, all.hash);
    assert_string_equal(summary_of(run("generate", OF("20"), "--speed", "2x")).hash, half.hash);
    assert_string_equal(summary_of(run("generate", OF("20"), "--speed", "1x")).hash, all.hash);
    check_fails(run("generate", OF("20"), "--speed", "9x"), 2, "speed", "\"9x\"", "1x|1.5x|2x|3x");
}

static void test_guidance_methods(void **state)
{
    (void)state;
    summary plain = summary_of(run("generate", OF("4")));
    assert_string_equal(summary_of(run("generate", OF("4"), "--guidance-method", "cfg")).hash, plain.hash);
    assert_string_not_equal(summary_of(run("generate", OF("4"), "--guidance-method", "apg")).hash,
                            plain.hash);
    assert_string_not_equal(summary_of(run("generate", OF("4"), "--guidance-method", "cfg-zero")).hash,
                            plain.hash);
    check_fails(run("generate", OF("4"), "--guidance-method", "more"), 2, "guidance_method",
                "cfg|cfg-zero|apg");
}

static double sampling_flops(outcome o)
{
    must_succeed(&o);
    json_t *j = NULL, *p;
    size_t i;
    double flops = 0;
    must(kn_json_parse(o.out, strlen(o.out), "plan", &j, err));
    json_array_foreach(json_object_get(j, "phases"), i,
                       p) if (strcmp(json_string_value(json_object_get(p, "phase")), "sampling") == 0) flops =
        json_number_value(json_object_get(p, "flops"));
    json_decref(j);
    outcome_done(&o);
    return flops;
}

static void test_plans_know(void **state)
{
    (void)state;
    double all = sampling_flops(run("plan", OF("20"))),
           half = sampling_flops(run("plan", OF("20"), "--speed", "2x"));
    assert_true(all > 0 && half > 0.49 * all && half < 0.51 * all);
}

static void test_resumed(void **state)
{
    (void)state;
    summary whole = summary_of(run("generate", OF("600"), "--speed", "1.5x"));
    started s = start_args(NULL, ARGS("generate", OF("600"), "--speed", "1.5x"));
    wait_for(&s, "\"done\":25,");
    kill(s.pid, SIGINT);
    outcome o = finish(s);
    assert_int_equal(o.code, 130);
    outcome_done(&o);
    o = run("generate", OF("600"), "--speed", "1.5x", "--resume");
    assert_non_null(strstr(o.out, "resumed after step"));
    summary resumed = summary_of(o);
    assert_string_equal(resumed.hash, whole.hash);
    assert_int_equal(resumed.computed, whole.computed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_left_out),
        cmocka_unit_test(test_guidance_methods),
        cmocka_unit_test(test_plans_know),
        cmocka_unit_test(test_resumed),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
