/* kinora bench --quality: the errors of every layer, in order, and of the whole. */
#include "program.h"

#define OF "bench", "--quality", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", TINY, "--json"

typedef struct totals {
    int n, n_float_kept;
    double worst, step, latents;
} totals;

static double real(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        fail_msg("%s is missing", key);
    return json_number_value(v);
}

static totals totals_of(outcome o, const char *dtype)
{
    totals t = {0};
    double before = 1e9;
    must_succeed(&o);
    json_t *j = parse_json(o.out), *layers = json_object_get(j, "layers");
    assert_string_equal(json_string_value(json_object_get(j, "dtype")), dtype);
    t.n = (int)json_array_size(layers);
    t.step = real(j, "step_error");
    t.latents = real(j, "latents_error");
    for (int i = 0; i < t.n; i++) {
        const json_t *l = json_array_get(layers, (size_t)i);
        const char *kept_in = json_string_value(json_object_get(l, "dtype"));
        double error = real(l, "error");
        assert_true(error >= 0 && error <= before); /* worst first */
        before = error;
        assert_true(real(l, "calls") >= 1);
        if (strcmp(kept_in, "int8") == 0)
            assert_true(error > 1e-4);
        if (strcmp(kept_in, "f32") == 0)
            assert_true(error == 0);
        if (json_object_get(l, "int8_error")) {
            t.n_float_kept++;
            assert_string_equal(dtype, "int8");
            assert_string_not_equal(kept_in, "int8");
            assert_true(real(l, "int8_error") > error);
        }
    }
    t.worst = real(json_array_get(layers, 0), "error");
    json_decref(j);
    outcome_done(&o);
    return t;
}

static void test_types(void **state)
{
    (void)state;
    totals exact = totals_of(run(OF, "--dtype", "f32"), "f32");
    totals half = totals_of(run(OF, "--dtype", "bf16"), "bf16");
    totals int8 = totals_of(run(OF, "--dtype", "int8"), "int8");
    /* 2 blocks of 10 products, and 2 of time, its projection, 2 of text, the head */
    assert_int_equal(exact.n, 26);
    assert_int_equal(half.n, 26);
    assert_int_equal(int8.n, 26);
    assert_true(exact.worst == 0 && exact.step == 0 && exact.latents == 0);
    assert_true(half.worst > 0 && half.worst < 0.01 && half.step > 0 && half.step < 0.05);
    assert_true(int8.worst > half.worst && int8.worst < 0.1 && int8.step > 0 && int8.step < 0.2);
    assert_int_equal(exact.n_float_kept + half.n_float_kept, 0);
    assert_int_equal(int8.n_float_kept, 6);
}

/* Blocks that come and go are measured as they come. */
static void test_streamed(void **state)
{
    (void)state;
    totals whole = totals_of(run(OF, "--dtype", "int8"), "int8");
    totals streamed = totals_of(run(OF, "--dtype", "int8", "--resident-blocks", "0"), "int8");
    assert_int_equal(streamed.n, whole.n);
    assert_true(streamed.worst > 0.5 * whole.worst && streamed.worst < 2 * whole.worst);
    assert_true(streamed.step == whole.step);
}

static void test_text(void **state)
{
    (void)state;
    outcome o = run("bench", "--quality", "--model", FIXTURE("wan21-vace/model"), "--prompt", "a cat", TINY);
    must_succeed(&o);
    assert_non_null(strstr(o.out, "vace_blocks.0.proj_in"));
    assert_non_null(strstr(o.out, "of the first step's prediction"));
    outcome_done(&o);
    check_fails(run("bench", "--quality", "--model", "nowhere"), 4, "nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
