/* Memory as a user sees it: budgets, plans that are pinned, limits of the system. */
#include "program.h"

#define OF "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", TINY

static json_t *json_of(outcome *o)
{
    must_succeed(o);
    json_t *j = NULL;
    const char *last = o->out + strlen(o->out);
    while (last > o->out && last[-1] == '\n')
        last--;
    const char *line = last;
    while (line > o->out && line[-1] != '\n')
        line--;
    if (*o->out == '{' && strstr(o->out, "\n  \"")) /* one object over many lines */
        line = o->out;
    must(kn_json_parse(line, (size_t)(last - line), "output", &j, err));
    return j;
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        fail_msg("%s is missing", key);
    return json_number_value(v);
}

static void run_hash(outcome o, int resident_blocks, char hash[20])
{
    json_t *j = json_of(&o);
    snprintf(hash, 20, "%s", json_string_value(json_object_get(j, "frames_hash")));
    assert_int_equal((int)number(j, "resident_blocks"), resident_blocks);
    json_decref(j);
    outcome_done(&o);
}

static void test_plan_says_all(void **state)
{
    (void)state;
    outcome o = run("plan", OF, "--json");
    json_t *j = json_of(&o);
    const json_t *list = json_object_get(j, "candidates");
    assert_int_equal(json_array_size(list), 1);
    assert_true(json_is_true(json_object_get(json_array_get(list, 0), "fits")));
    assert_true(number(j, "need_bytes") > number(j, "peak_bytes"));
    assert_true(number(j, "budget_bytes") <= number(j, "mem_total_bytes"));
    assert_int_equal((int)number(json_object_get(j, "policy"), "resident_blocks"), (int)number(j, "blocks"));
    json_decref(j);
    outcome_done(&o);

    o = run("plan", OF, "--memory-budget", "3M"); /* less than the program itself */
    must_succeed(&o);
    assert_non_null(strstr(o.out, "does NOT fit"));
    assert_non_null(strstr(o.out, "how to make it fit"));
    assert_non_null(strstr(o.out, "0 of 2"));
    outcome_done(&o);
}

static void test_budget_that_cannot_be_kept(void **state)
{
    (void)state;
    check_fails(run("generate", OF, "--memory-budget", "3M", "-o", "no.mp4"), 6, "the memory budget leaves",
                "to make it fit");
    assert_int_equal(access("no.mp4", F_OK), -1);
    check_fails(run("generate", OF, "--memory-budget", "lots", "-o", "no.mp4"), 2, "memory_budget",
                "\"lots\"", "such as 6G");
    check_fails(run("generate", OF, "--memory-budget", "1K", "-o", "no.mp4"), 2, "memory_budget", "1024");
}

/* A plan that was saved is run as it stands; what the user says beside it comes first. */
static void test_pinned(void **state)
{
    (void)state;
    char whole[20], pinned[20];
    run_hash(run("generate", OF, "-o", "a.mp4", "--json"), 2, whole);
    outcome o = run("plan", OF, "--resident-blocks", "1", "--json");
    must_succeed(&o);
    write_text("plan.json", o.out);
    outcome_done(&o);
    run_hash(run("generate", OF, "--plan", "plan.json", "-o", "a.mp4", "--json"), 1, pinned);
    assert_string_equal(pinned, whole);
    run_hash(run("generate", OF, "--plan", "plan.json", "--resident-blocks", "0", "-o", "a.mp4", "--json"), 0,
             pinned);
    assert_string_equal(pinned, whole);
    write_text("other.json", "{\"title\": \"no plan\"}");
    check_fails(run("generate", OF, "--plan", "other.json", "-o", "no.mp4"), 3, "other.json",
                "kinora plan --json");
    check_fails(run("generate", OF, "--plan", "missing.json", "-o", "no.mp4"), 4, "missing.json");
}

/* An interrupted run may be resumed with another budget: the frames are the same. */
static void test_resumed_with_less(void **state)
{
    (void)state;
    char whole[20], resumed[20];
#define LONG                                                                                                 \
    "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", "--width", "64", "--height", "32",           \
        "--frames", "5", "--seed", "7", "--steps", "900", "--json", "-o", "long.mp4"
    run_hash(run("generate", LONG), 2, whole);
    started s = start_args(NULL, ARGS("generate", LONG));
    wait_for(&s, "\"done\":20,");
    kill(s.pid, SIGINT);
    outcome o = finish(s);
    assert_int_equal(o.code, 130);
    outcome_done(&o);
    o = run("generate", LONG, "--resume", "--resident-blocks", "0", "--memory-budget", "8G");
    assert_non_null(strstr(o.out, "resumed after step"));
    run_hash(o, 0, resumed);
    assert_string_equal(resumed, whole);
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ /* their shadow memory is data, too */
static void little_data(void)
{
    struct rlimit l = {200 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_DATA, &l);
}

/* A limit of the system is memory that is not there: the plan knows it, and the run lives within it. */
static void test_limit_of_the_system(void **state)
{
    (void)state;
    outcome o = finish(start_args(little_data, ARGS("plan", OF, "--threads", "2", "--json")));
    json_t *j = json_of(&o);
    assert_true(number(j, "mem_total_bytes") == 200 << 20);
    assert_true(number(j, "budget_bytes") < 200 << 20);
    json_decref(j);
    outcome_done(&o);
    check_runs(finish(start_args(little_data, ARGS("generate", OF, "--threads", "2", "-o", "frames/"))));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_says_all),
        cmocka_unit_test(test_budget_that_cannot_be_kept),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_resumed_with_less),
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
        cmocka_unit_test(test_limit_of_the_system),
#endif
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
