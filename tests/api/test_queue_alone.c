/* The same commands where no server runs, and how they find the one that does. */
#include "studio.h"

#define QUICK "--model", "testsrc", "--prompt", "x", "--width", "64", "--height", "48", "--frames", "3"

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static json_t *json_of(outcome *o)
{
    must_succeed(o);
    json_t *j = parse_json(o->out);
    outcome_done(o);
    return j;
}

/* A data folder of its own for each test, below the working directory. */
static const char *new_data(void)
{
    static char name[32];
    static int n;
    snprintf(name, sizeof name, "data-%d", n++);
    return name;
}

static void add_quick(const char *data, char id[64])
{
    outcome o = run("queue", "add", QUICK, "--data-dir", data);
    must_succeed(&o);
    snprintf(id, 64, "%.*s", (int)strcspn(o.out, "\n"), o.out);
    has(o.err, "no server runs here");
    outcome_done(&o);
}

static void check_state(const char *data, const char *id, const char *expected)
{
    outcome o = run("queue", "show", id, "--json", "--data-dir", data);
    json_t *job = json_of(&o);
    assert_string_equal(text_of(job, "state"), expected);
    json_decref(job);
}

static void test_nothing_there(void **state)
{
    const char *data = new_data();
    (void)state;
    check_fails(run("queue", "--data-dir", data), kn_err_exit(KN_ENOTFOUND), data, "kinora serve");
    assert_false(kn_path_exists(data)); /* looking makes nothing */
}

static void test_alone(void **state)
{
    char id[64], other[64];
    const char *data = new_data();
    (void)state;
    add_quick(data, id);
    add_quick(data, other);
    outcome o = run("queue", "--json", "--data-dir", data);
    json_t *list = json_of(&o), *jobs = json_object_get(list, "jobs");
    assert_true(json_is_false(json_object_get(list, "served")));
    assert_int_equal(json_array_size(jobs), 2);
    assert_string_equal(text_of(json_array_get(jobs, 0), "id"), id);
    json_decref(list);
    o = run("queue", "--data-dir", data);
    must_succeed(&o);
    has(o.out, "No server runs here");
    outcome_done(&o);
    check_fails(run("queue", "watch", "--data-dir", data), kn_err_exit(KN_EBUSY), id, "kinora serve");
    check_runs(run("queue", "pause", id, "--data-dir", data));
    check_state(data, id, "paused");
    check_runs(run("queue", "resume", id, "--data-dir", data));
    check_state(data, id, "queued"); /* nothing began it */
    check_runs(run("queue", "cancel", id, other, "--data-dir", data));
    check_state(data, id, "cancelled");
    check_fails(run("queue", "watch", id, "--data-dir", data), kn_err_exit(KN_ECANCELLED), id);
    check_runs(run("queue", "retry", id, "--data-dir", data));
    check_state(data, id, "queued");
    check_runs(run("queue", "remove", id, "--data-dir", data));
    check_fails(run("queue", "show", id, "--data-dir", data), kn_err_exit(KN_ENOTFOUND), "job");
    o = run("cleanup", "--dry-run", "--data-dir", data);
    must_succeed(&o);
    has(o.out, "0 jobs");
    outcome_done(&o);
    o = run("logs", "--data-dir", data); /* what an earlier command had to log */
    must_succeed(&o);
    has(o.out, "404");
    outcome_done(&o);
}

/* What was put in line alone is done by the server that comes, unless the queue is held. */
static void test_server_comes(void **state)
{
    char id[64];
    const char *data = new_data();
    (void)state;
    add_quick(data, id);
    outcome o = run("queue", "pause", "--data-dir", data);
    must_succeed(&o);
    outcome_done(&o);
    studio s = studio_start(data);
    o = run("queue", "--data-dir", data);
    has(o.out, "held");
    assert_null(strstr(o.out, "No server"));
    outcome_done(&o);
    check_state(data, id, "queued");
    check_runs(run("queue", "resume", "--data-dir", data));
    check_runs(run("queue", "watch", id, "--data-dir", data));
    check_state(data, id, "completed");
    studio_stop(&s);
    check_state(data, id, "completed");
}

/* Where the server is: said while it runs, and not believed of one that was killed. */
static void test_address(void **state)
{
    char file[PATH_BYTES + 32], expected[64];
    const char *data = new_data();
    (void)state;
    snprintf(file, sizeof file, "%s/server.json", data);
    studio s = studio_start(data);
    json_t *said = NULL;
    must(kn_json_load(file, &said, err));
    snprintf(expected, sizeof expected, "http://127.0.0.1:%d", s.port);
    assert_string_equal(text_of(said, "url"), expected);
    json_decref(said);
    studio_stop(&s);
    assert_false(kn_path_exists(file));
    s = studio_start(data);
    studio_kill(&s);
    assert_true(kn_path_exists(file));
    outcome o = run("queue", "--json", "--data-dir", data);
    json_t *list = json_of(&o);
    assert_true(json_is_false(json_object_get(list, "served")));
    json_decref(list);
    assert_false(kn_path_exists(file));
}

/* Several at once take turns. */
static void test_many_at_once(void **state)
{
    enum { N = 4 };
    const char *data = new_data();
    (void)state;
    started all[N];
    for (int i = 0; i < N; i++)
        all[i] = start_args(NULL, ARGS("queue", "add", QUICK, "--data-dir", data));
    for (int i = 0; i < N; i++) {
        outcome o = finish(all[i]);
        must_succeed(&o);
        outcome_done(&o);
    }
    outcome o = run("queue", "--json", "--data-dir", data);
    json_t *list = json_of(&o);
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), N);
    json_decref(list);
}

static void set_token(void)
{
    setenv("KINORA_TOKEN", "the-right-token", 1);
}

static void set_wrong_token(void)
{
    setenv("KINORA_TOKEN", "another-token", 1);
}

static void set_bad_token(void)
{
    setenv("KINORA_TOKEN", "two\r\nlines", 1);
}

static void test_token(void **state)
{
    char *said = NULL, file[PATH_BYTES + 32];
    size_t size;
    const char *data = new_data(), *token = "token";
    (void)state;
    write_text(token, "the-right-token\n");
    snprintf(file, sizeof file, "%s/server.json", data);
    studio s = {0};
    s.program = start_args(NULL, ARGS("serve", "--port", "0", "--data-dir", data, "--token-file", token));
    s.port = port_of(&s.program);
    check_fails(run("queue", "--data-dir", data), kn_err_exit(KN_EINVAL), "token");
    check_fails(finish(start_args(set_wrong_token, ARGS("queue", "--data-dir", data))),
                kn_err_exit(KN_EINVAL), "token");
    check_fails(finish(start_args(set_bad_token, ARGS("queue", "--data-dir", data))), kn_err_exit(KN_EINVAL),
                "token");
    check_runs(finish(start_args(set_token, ARGS("queue", "--data-dir", data))));
    check_runs(run("queue", "--data-dir", data, "--token-file", token));
    check_fails(run("queue", "--data-dir", data, "--token-file", "none"), kn_err_exit(KN_ENOTFOUND), "none");
    must(kn_file_read(file, 4096, &said, &size, err));
    assert_null(strstr(said, "token"));
    free(said);
    studio_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_there), cmocka_unit_test(test_alone),
        cmocka_unit_test(test_server_comes),  cmocka_unit_test(test_address),
        cmocka_unit_test(test_many_at_once),  cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
