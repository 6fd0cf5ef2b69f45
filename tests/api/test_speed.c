/* --speed and --cache: fewer steps computed, said as it was, and resumed to the same frames. --guidance-method, --skip-layers. */
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

/* Each leaves out other steps; what a model lacks is said. */
static void test_caches(void **state)
{
    (void)state;
    static const char *const names[] = {"auto", "easy", "first-block"};
    summary all = summary_of(run("generate", OF("20"))), s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = summary_of(run("generate", OF("20"), "--speed", "2x", "--cache", names[i]));
        assert_string_not_equal(s[i].hash, all.hash);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(s[i].hash, s[k].hash);
    }
    assert_int_equal(s[0].computed, 10);
    assert_int_equal(s[1].computed, 10);
    assert_in_range(s[2].computed, 5, 9); /* probes cost something */
    assert_string_equal(summary_of(run("generate", OF("20"), "--speed", "2x")).hash, s[0].hash);
    summary off = summary_of(run("generate", OF("20"), "--speed", "2x", "--cache", "off"));
    assert_string_equal(off.hash, all.hash);
    assert_int_equal(off.computed, 20);
    check_fails(run("generate", OF("20"), "--speed", "2x", "--cache", "tea"), 2,
                "no coefficients of TeaCache", "auto, easy or first-block");
    check_fails(run("generate", OF("20"), "--speed", "2x", "--cache", "mag"), 2, "no ratios of MagCache",
                "auto, easy or first-block");
    check_fails(run("generate", OF("20"), "--cache", "more"), 2, "cache", "\"more\"",
                "auto|easy|first-block");
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

/* --skip-layers touches the prediction for the negative prompt in the steps that it names, wherever blocks are. */
static void test_skip_layers(void **state)
{
    (void)state;
#define SKIP "--skip-layers", "1", "--skip-begin"
    summary plain = summary_of(run("generate", OF("4"))),
            skipped = summary_of(run("generate", OF("4"), SKIP, "0.25", "--skip-end", "0.75"));
    assert_string_not_equal(skipped.hash, plain.hash);
    assert_string_equal(
        summary_of(run("generate", OF("4"), SKIP, "0.25", "--skip-end", "0.75", "--resident-blocks", "0"))
            .hash,
        skipped.hash);
    assert_string_not_equal(summary_of(run("generate", OF("4"), SKIP, "0.25", "--skip-end", "0.5")).hash,
                            skipped.hash);
    assert_string_equal(summary_of(run("generate", OF("4"), SKIP, "0.8", "--skip-end", "0.9")).hash,
                        plain.hash); /* between two steps */
    check_fails(run("generate", OF("4"), "--skip-layers", "99"), 2, "skip_layers: 99",
                "whole numbers from 0");
    check_fails(run("generate", OF("4"), "--skip-layers", "0.5"), 2, "skip_layers: 0.5", "whole numbers");
    check_fails(run("generate", OF("4"), SKIP, "0.9"), 2, "skip_begin 0.9",
                "less than skip_end, which is 0.9");
    check_fails(run("generate", OF("4"), "--skip-begin", "0.5"), 2, "skip_begin", "need skip_layers");
    check_fails(run("generate", OF("4"), "--skip-layers", "0", "--guidance", "1"), 2, "guidance 1",
                "above 1");
}

/* A number of the plan's sampling phase. */
static double sampling(outcome o, const char *key)
{
    must_succeed(&o);
    json_t *j = NULL, *p;
    size_t i;
    double value = 0;
    must(kn_json_parse(o.out, strlen(o.out), "plan", &j, err));
    json_array_foreach(json_object_get(j, "phases"), i,
                       p) if (strcmp(json_string_value(json_object_get(p, "phase")), "sampling") == 0) value =
        json_number_value(json_object_get(p, key));
    json_decref(j);
    outcome_done(&o);
    return value;
}

/* What a cache keeps is in the plan. */
static void test_plans_know_the_memory(void **state)
{
    (void)state;
    double plain = sampling(run("plan", OF("20"), "--speed", "2x"), "peak_bytes"),
           whole = sampling(run("plan", OF("20"), "--cache", "first-block"), "peak_bytes"),
           probing = sampling(run("plan", OF("20"), "--speed", "2x", "--cache", "first-block"), "peak_bytes");
    assert_true(whole == plain); /* no step is left out: nothing is looked at */
    assert_true(probing > plain && probing < 2 * plain);
}

static void test_plans_know(void **state)
{
    (void)state;
    double all = sampling(run("plan", OF("20")), "flops"),
           half = sampling(run("plan", OF("20"), "--speed", "2x"), "flops");
    assert_true(all > 0 && half > 0.49 * all && half < 0.51 * all);
    /* probes included: of steps that are not computed, they are nearly all there is */
    double probed = sampling(run("plan", OF("20"), "--speed", "2x", "--cache", "first-block"), "flops"),
           bare = 0.05 * all *
                  summary_of(run("generate", OF("20"), "--speed", "2x", "--cache", "first-block")).computed;
    assert_true(probed > 1.02 * bare && probed < 1.2 * half);
}

/* Interrupted where some steps have been left out, and more are to be. */
static void check_resumed(const char *cache)
{
    summary whole = summary_of(run("generate", OF("300"), "--speed", "1.5x", "--cache", cache));
    started s = start_args(NULL, ARGS("generate", OF("300"), "--speed", "1.5x", "--cache", cache));
    wait_for(&s, "\"done\":90,");
    kill(s.pid, SIGINT);
    outcome o = finish(s);
    assert_int_equal(o.code, 130);
    outcome_done(&o);
    o = run("generate", OF("300"), "--speed", "1.5x", "--cache", cache, "--resume");
    assert_non_null(strstr(o.out, "resumed after step"));
    summary resumed = summary_of(o);
    assert_string_equal(resumed.hash, whole.hash);
    assert_int_equal(resumed.computed, whole.computed);
}

static void test_resumed(void **state)
{
    (void)state;
    check_resumed("auto");
    check_resumed("easy");
    check_resumed("first-block");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_left_out),
        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_guidance_methods),
        cmocka_unit_test(test_skip_layers),
        cmocka_unit_test(test_plans_know),
        cmocka_unit_test(test_plans_know_the_memory),
        cmocka_unit_test(test_resumed),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
