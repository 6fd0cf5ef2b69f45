/* --timeline: what happened when, as a trace that Perfetto shows. */
#include "program.h"

#define OF                                                                                                   \
    "generate", "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", "--width", "64", "--height",     \
        "32", "--frames", "5", "--seed", "7", "--json", "-o", "out.mp4", "--timeline", "t.json"

typedef struct seen {
    int n_blocks, n_loads, n_steps, n_sampling;
    double blocks_us, sampling_us;
} seen;

/* Counts the spans, each of which must lie within the run. */
static seen read_trace(const char *path)
{
    seen s = {0};
    json_t *j = NULL, *e;
    size_t i;
    must(kn_json_load(path, &j, err));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "otherData"), "left_out")), 0);
    json_array_foreach(json_object_get(j, "traceEvents"), i, e)
    {
        const char *name = json_string_value(json_object_get(e, "name"));
        double begins = json_number_value(json_object_get(e, "ts")),
               takes = json_number_value(json_object_get(e, "dur"));
        if (strcmp(json_string_value(json_object_get(e, "ph")), "X") != 0)
            continue;
        assert_true(begins >= 0 && takes >= 0);
        s.n_blocks += !strncmp(name, "block ", 6);
        s.n_loads += !strncmp(name, "load ", 5);
        s.n_steps += !strncmp(name, "sampling ", 9);
        s.blocks_us += strncmp(name, "block ", 6) ? 0 : takes;
        if (strcmp(name, "sampling") == 0) {
            s.n_sampling++;
            s.sampling_us = takes;
        }
    }
    json_decref(j);
    return s;
}

/* The text's states are known from the first run on, so that every block is the denoiser's. */
static void test_blocks(void **state)
{
    (void)state;
    check_runs(run(OF, "--steps", "3"));
    check_runs(run(OF, "--steps", "3", "--resident-blocks", "0"));
    seen none_stay = read_trace("t.json");
    check_runs(run(OF, "--steps", "3"));
    seen all_stay = read_trace("t.json");
    assert_int_equal(all_stay.n_sampling, 1);
    assert_int_equal(all_stay.n_steps, 3);
    assert_true(all_stay.n_blocks >=
                6); /* of two blocks in three steps; those that stay make each prediction apart */
    assert_int_equal(all_stay.n_loads, 0);
    assert_int_equal(none_stay.n_blocks, 6);
    assert_int_equal(none_stay.n_loads, 6);
    assert_true(none_stay.blocks_us > 0 && none_stay.blocks_us < none_stay.sampling_us);
}

/* Of a run that is stopped, too. */
static void test_stopped(void **state)
{
    (void)state;
    started s = start_args(NULL, ARGS(OF, "--steps", "1000"));
    wait_for(&s, "\"done\":5,");
    kill(s.pid, SIGINT);
    check_fails(finish(s), 130, "cancelled");
    seen some = read_trace("t.json");
    assert_true(some.n_steps >= 5 && some.n_steps < 1000 && some.n_blocks > 0);
    assert_false(kn_path_exists("out.mp4"));
}

static void test_unwritable(void **state)
{
    (void)state;
    check_fails(run(OF, "--steps", "3", "--timeline", "no/folder/t.json"), 5, "no/folder/t.json");
    assert_false(kn_path_exists("out.mp4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blocks, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_stopped, place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_unwritable, place_make, place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
