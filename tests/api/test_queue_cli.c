/* kinora queue, cleanup and logs, against a server that runs. */
#include "studio.h"

#define QUICK "--model", "testsrc", "--prompt", "x", "--width", "64", "--height", "48", "--frames", "3"
#define HERE  "--data-dir", server.data
#define LONG_STEPS                                                                                           \
    "--model", "demo", "--prompt", "a red ball rolling to the right", "--steps", "400", "--threads", "1"

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void ends(const outcome *o, int code, const char *message)
{
    if (o->code != code)
        fail_msg("exit code %d, expected %d: %s", o->code, code, o->err);
    has(o->err, message);
}

/* What `kinora queue add` prints: the id alone. */
static void id_of(outcome *o, char id[64])
{
    must_succeed(o);
    assert_true(strncmp(o->out, "job_", 4) == 0);
    snprintf(id, 64, "%.*s", (int)strcspn(o->out, "\n"), o->out);
    assert_int_equal(strlen(o->out), strlen(id) + 1);
    assert_string_equal(o->err, "");
    outcome_done(o);
}

static json_t *json_of(outcome *o)
{
    must_succeed(o);
    json_t *j = parse_json(o->out);
    outcome_done(o);
    return j;
}

static const char *url(void)
{
    static char text[64];
    snprintf(text, sizeof text, "http://127.0.0.1:%d", server.port);
    return text;
}

static void test_add_and_watch(void **state)
{
    char id[64], again[64];
    (void)state;
    outcome o = run("queue", "add", QUICK, "--seed", "7", "--priority", "3", HERE);
    id_of(&o, id);
    o = run("queue", "watch", id, HERE);
    must_succeed(&o);
    has(o.err, id);
    has(o.err, " in all");
    outcome_done(&o);
    o = run("queue", "show", id, "--json", "--server", url());
    json_t *job = json_of(&o), *request = json_object_get(job, "request");
    assert_string_equal(text_of(job, "state"), "completed");
    assert_int_equal(json_integer_value(json_object_get(job, "priority")), 3);
    assert_int_equal(json_integer_value(json_object_get(request, "seed")), 7);
    assert_int_equal(json_integer_value(json_object_get(request, "frames")), 3);
    o = run("queue", "show", id, HERE);
    must_succeed(&o);
    has(o.out, text_of(json_object_get(job, "result"), "output"));
    outcome_done(&o);
    o = run("queue", "list-of-nothing", HERE);
    ends(&o, kn_err_exit(KN_EINVAL), "list-of-nothing");
    outcome_done(&o);
    o = run("queue", "add", QUICK, HERE);
    id_of(&o, again);
    check_runs(run("queue", "watch", again, HERE));
    o = run("queue", "--json", "--last", "2", HERE);
    json_t *list = json_of(&o), *ended = json_object_get(list, "ended");
    assert_int_equal(json_array_size(ended), 2);
    assert_string_equal(text_of(json_array_get(ended, 0), "id"), again); /* newest first */
    assert_string_equal(text_of(json_array_get(ended, 1), "id"), id);
    assert_true(json_is_true(json_object_get(list, "served")));
    json_decref(list);
    json_decref(job);
}

/* Progress as JSON lines: the same events as of generate, and the result at the end. */
static void test_watch_json(void **state)
{
    (void)state;
    outcome o = run("queue", "add", "--model", "demo", "--prompt", "a red ball", "--steps", "300",
                    "--threads", "1", "--watch", "--json", HERE);
    must_succeed(&o);
    json_t *first = json_loads(o.out, JSON_DISABLE_EOF_CHECK, NULL);
    assert_true(strncmp(text_of(first, "id"), "job_", 4) == 0);
    has(o.out, "{\"event\":\"phase\",\"phase\":\"sampling\"");
    has(o.out, "{\"event\":\"step\",\"phase\":\"sampling\"");
    has(o.out, "\"event\":\"done\"");
    json_decref(first);
    outcome_done(&o);
}

static void wait_state(const char *id, const char *wanted)
{
    json_decref(wait_job(&server, id, wanted));
}

static void test_changes(void **state)
{
    char id[64], second[64];
    (void)state;
    outcome o = run("queue", "add", LONG_STEPS, HERE);
    id_of(&o, id);
    wait_state(id, "sampling");
    started watching = start_args(NULL, ARGS("queue", "watch", id, HERE)); /* to its end */
    o = run("queue", "add", QUICK, HERE);
    id_of(&o, second);
    o = run("queue", HERE);
    must_succeed(&o);
    const char *a = strstr(o.out, id), *b = strstr(o.out, second);
    assert_true(a && b && a < b);
    has(o.out, "a red ball rolling to the right");
    outcome_done(&o);
    check_runs(run("queue", "pause", id, HERE));
    wait_state(id, "paused");
    o = run("queue", HERE);
    has(o.out, "paused");
    outcome_done(&o);
    check_runs(run("queue", "resume", id, HERE));
    wait_state(id, "sampling");
    o = run("queue", "cancel", id, "job_00000000000000000000", HERE); /* the others are done all the same */
    ends(&o, kn_err_exit(KN_ENOTFOUND), "job");
    has(o.out, id);
    outcome_done(&o);
    wait_state(id, "cancelled");
    o = finish(watching);
    ends(&o, kn_err_exit(KN_ECANCELLED), id);
    outcome_done(&o);
    wait_state(second, "completed");
    check_runs(run("queue", "remove", id, second, HERE));
    check_fails(run("queue", "show", id, HERE), kn_err_exit(KN_ENOTFOUND), "job");
}

/* Ctrl-C ends the watching, not the job. */
static void test_watch_interrupted(void **state)
{
    char id[64];
    (void)state;
    outcome o = run("queue", "add", LONG_STEPS, HERE);
    id_of(&o, id);
    wait_state(id, "sampling");
    started w = start_args(NULL, ARGS("queue", "watch", id, "--json", HERE));
    wait_for(&w, "\"event\":\"phase\"");
    kill(w.pid, SIGINT);
    o = finish(w);
    ends(&o, kn_err_exit(KN_ECANCELLED), "the job goes on");
    outcome_done(&o);
    json_t *job = job_now(&server, id);
    assert_string_equal(text_of(job, "state"), "sampling");
    json_decref(job);
    o = run("queue", "cancel", id, HERE);
    must_succeed(&o);
    outcome_done(&o);
    wait_state(id, "cancelled");
}

static void test_hold(void **state)
{
    char id[64];
    (void)state;
    outcome o = run("queue", "pause", HERE);
    must_succeed(&o);
    has(o.out, "held");
    outcome_done(&o);
    o = run("queue", "add", QUICK, HERE);
    id_of(&o, id);
    o = run("queue", HERE);
    has(o.out, "held");
    has(o.out, id);
    outcome_done(&o);
    json_t *job = job_now(&server, id);
    assert_string_equal(text_of(job, "state"), "queued");
    json_decref(job);
    check_runs(run("queue", "resume", HERE));
    wait_state(id, "completed");
}

static void test_files_are_sent(void **state)
{
    char id[64];
    (void)state;
    outcome o = run("queue", "add", "--model", "demo", "--prompt", "a red ball", "--steps", "1", "--frames",
                    "5", "--image", FIXTURE("wan21-i2v/image.png"), HERE);
    id_of(&o, id);
    json_t *job = wait_job(&server, id, "completed");
    char upload[64];
    snprintf(upload, sizeof upload, "%s", text_of(json_object_get(job, "request"), "image"));
    assert_true(strncmp(upload, "upl_", 4) == 0);
    json_decref(job);
    o = run("queue", "add", "--model", "demo", "--prompt", "a red ball", "--steps", "1", "--frames", "5",
            "--image", upload, HERE); /* what is there is not sent again */
    id_of(&o, id);
    wait_state(id, "completed");
    check_fails(run("queue", "add", "--model", "demo", "--prompt", "x", "--image", "nowhere.png", HERE),
                kn_err_exit(KN_ENOTFOUND), "image", "nowhere.png");
    check_fails(run("queue", "add", "--model", "demo", "--prompt", "x", "--image", "/", HERE),
                kn_err_exit(KN_EINVAL), "image", "one file");
    write_text("text.png", "no picture");
    check_fails(run("queue", "add", "--model", "demo", "--prompt", "x", "--image", "text.png", HERE),
                kn_err_exit(KN_EFORMAT), "image: text.png");
}

/* The exit code is the job's own: its picture is gone when it is begun. */
static void test_failed_job(void **state)
{
    char id[64], path[2 * PATH_BYTES];
    (void)state;
    check_runs(run("queue", "pause", HERE));
    outcome o = run("queue", "add", "--model", "demo", "--prompt", "x", "--image",
                    FIXTURE("wan21-i2v/image.png"), HERE);
    id_of(&o, id);
    json_t *job = job_now(&server, id);
    snprintf(path, sizeof path, "%s/uploads/%.64s", server.data,
             text_of(json_object_get(job, "request"), "image"));
    json_decref(job);
    assert_int_equal(unlink(path), 0);
    check_runs(run("queue", "resume", HERE));
    o = run("queue", "watch", id, "--json", HERE);
    ends(&o, kn_err_exit(KN_ENOTFOUND), id);
    has(o.out, "{\"event\":\"error\",\"code\":\"KN_ENOTFOUND\"");
    outcome_done(&o);
}

static void test_refused(void **state)
{
    (void)state;
    check_fails(run("queue", "add", "--prompt", "x", HERE), kn_err_exit(KN_EINVAL), "--model");
    check_fails(run("queue", "add", "--model", "nothing", "--prompt", "x", HERE), kn_err_exit(KN_ENOTFOUND),
                "model");
    check_fails(run("queue", "add", QUICK, "--priority", "101", HERE), kn_err_exit(KN_EINVAL), "--priority",
                "101");
    check_fails(run("queue", "add", QUICK, "-o", "x.mp4", HERE), kn_err_exit(KN_EINVAL), "output");
    check_fails(run("queue", "cancel", HERE), kn_err_exit(KN_EINVAL), "id of a job");
    check_fails(run("queue", "show", "../../v1/queue", HERE), kn_err_exit(KN_ENOTFOUND), "job");
    check_fails(run("queue", "--server", url(), HERE), kn_err_exit(KN_EINVAL), "exclude");
    check_fails(run("queue", "--server", "ftp://here"), kn_err_exit(KN_EINVAL), "ftp://here");
    check_fails(run("queue", "--server", "http://127.0.0.1:1"), kn_err_exit(KN_EIO), "127.0.0.1:1");
    check_fails(run("queue", "cance", "x", HERE), kn_err_exit(KN_EINVAL), "did you mean cancel");
    check_fails(run("logs", "-n", "0", HERE), kn_err_exit(KN_EINVAL), "--lines", "2000");
}

static void use_environment(void)
{
    setenv("KINORA_SERVER", url(), 1);
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* the studio is not behind it */
}

static void test_environment(void **state)
{
    (void)state;
    outcome o = finish(start_args(use_environment, ARGS("queue", "--json")));
    json_t *list = json_of(&o);
    assert_true(json_is_true(json_object_get(list, "served")));
    json_decref(list);
}

static void test_cleanup(void **state)
{
    char old[64], new[64];
    (void)state;
    reply r = send_json(&server, "PUT", "/api/v1/settings", "{\"cleanup_max_outputs_count\": 1}");
    expect(&r, 200);
    reply_done(&r);
    outcome o = run("queue", "add", QUICK, HERE);
    id_of(&o, old);
    wait_state(old, "completed");
    o = run("queue", "add", QUICK, HERE);
    id_of(&o, new);
    wait_state(new, "completed");
    o = run("cleanup", "--dry-run", HERE);
    must_succeed(&o);
    has(o.out, old);
    has(o.out, "would be removed");
    assert_null(strstr(o.out, new));
    outcome_done(&o);
    wait_state(old, "completed"); /* still there */
    o = run("cleanup", "--json", HERE);
    json_t *c = json_of(&o);
    assert_true(json_array_size(json_object_get(c, "jobs")) >= 1);
    json_decref(c);
    check_fails(run("queue", "show", old, HERE), kn_err_exit(KN_ENOTFOUND), "job");
    check_runs(run("queue", "show", new, HERE));
}

/* What runs keep to save time goes when it is asked for. */
static void test_caches(void **state)
{
    char id[64];
    (void)state;
    outcome o = run("queue", "add", "--model", "demo", "--prompt", "a red ball", "--steps", "1", HERE);
    id_of(&o, id);
    wait_state(id, "completed");
    int n = count_files("cache/text", ".safetensors");
    assert_true(n >= 1);
    check_runs(run("cleanup", HERE));
    o = run("cleanup", "--caches", "--dry-run", HERE);
    must_succeed(&o);
    has(o.out, "text states in ");
    has(o.out, "would be removed");
    outcome_done(&o);
    assert_int_equal(count_files("cache/text", ".safetensors"), n);
    o = run("cleanup", "--caches", "--json", HERE);
    json_t *c = json_of(&o), *first = json_array_get(json_object_get(c, "caches"), 0);
    assert_string_equal(text_of(first, "name"), "text states");
    assert_int_equal(json_integer_value(json_object_get(first, "files")), n);
    json_decref(c);
    assert_int_equal(count_files("cache/text", ".safetensors"), 0);
}

static void test_logs(void **state)
{
    (void)state;
    reply r = get(&server, "/api/v1/jobs/job_77777777777777777777");
    reply_done(&r);
    outcome o = run("logs", "-n", "1", HERE);
    must_succeed(&o);
    has(o.out, "/api/v1/jobs/job_77777777777777777777");
    assert_ptr_equal(strchr(o.out, '\n'), o.out + strlen(o.out) - 1); /* one line */
    outcome_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_watch), cmocka_unit_test(test_watch_json),
        cmocka_unit_test(test_changes),       cmocka_unit_test(test_watch_interrupted),
        cmocka_unit_test(test_hold),          cmocka_unit_test(test_files_are_sent),
        cmocka_unit_test(test_failed_job),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_cleanup),
        cmocka_unit_test(test_caches),        cmocka_unit_test(test_logs),
    };
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
