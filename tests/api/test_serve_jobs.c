/* Jobs that do not simply run to their end: cancelled, paused, their worker or the server killed. */
#include "studio.h"

/* A few seconds of sampling, so that there is a middle. */
#define LONG_JOB(seed)                                                                                       \
    "{\"model\": \"demo\", \"prompt\": \"a red ball rolling to the right\", \"steps\": 60, \"threads\": 1, " \
    "\"seed\": " seed "}"
#define QUICK_JOB "{\"model\": \"testsrc\", \"prompt\": \"x\", \"width\": 64, \"height\": 48, \"frames\": 3}"

/* Until it samples and has done `steps` steps. */
static void wait_steps(const char *id, int steps)
{
    for (int i = 0; i < 6000; i++) {
        json_t *job = job_now(&server, id), *p = json_object_get(job, "progress");
        bool is_there = strcmp(text_of(p, "phase"), "sampling") == 0 &&
                        json_integer_value(json_object_get(p, "done")) >= steps;
        if (is_one_of(text_of(job, "state"), "completed failed cancelled"))
            fail_msg("%s is already %s", id, text_of(job, "state"));
        json_decref(job);
        if (is_there)
            return;
        usleep(10000);
    }
    fail_msg("%s did not come to step %d", id, steps);
}

static pid_t worker_of(const char *id)
{
    reply r = get(&server, "/api/v1/system");
    size_t i;
    json_t *w;
    pid_t pid = 0;
    json_array_foreach(json_object_get(r.json, "workers"), i, w)
    {
        if (strcmp(text_of(w, "job_id"), id) == 0)
            pid = (pid_t)json_integer_value(json_object_get(w, "pid"));
    }
    reply_done(&r);
    assert_true(pid > 0);
    return pid;
}

static int count_in(const char *folder, const char *suffix)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", server.data, folder);
    return count_files(path, suffix);
}

static void hash_of(const char *id, char *hash)
{
    json_t *job = wait_job(&server, id, "completed");
    snprintf(hash, 32, "%s", text_of(json_object_get(job, "result"), "frames_hash"));
    json_decref(job);
}

static void test_cancel(void **state)
{
    char id[64], waiting[64];
    (void)state;
    submit(&server, LONG_JOB("1"), id);
    submit(&server, QUICK_JOB, waiting);
    wait_steps(id, 1);
    reply first = act(&server, waiting, "cancel");
    expect(&first, 200);
    assert_string_equal(text_of(first.json, "state"), "cancelled");
    reply r = act(&server, id, "cancel");
    expect(&r, 200);
    json_decref(wait_job(&server, id, "cancelled"));
    assert_int_equal(count_in("outputs", ".part"), 0);
    assert_int_equal(count_in("state", ""), 0);
    reply again = act(&server, id, "cancel"); /* no change, no error */
    expect(&again, 200);
    reply_done(&again);
    reply_done(&r);
    reply_done(&first);
}

/* Paused, and later on, with the same frames as without a pause. */
static void test_pause(void **state)
{
    char id[64], whole_id[64], hash[32], expected[32];
    (void)state;
    submit(&server, LONG_JOB("2"), id);
    wait_steps(id, 5);
    reply r = act(&server, id, "pause");
    expect(&r, 200);
    json_decref(wait_job(&server, id, "paused"));
    submit(&server, LONG_JOB("2"), whole_id); /* runs meanwhile */
    hash_of(whole_id, expected);
    reply on = act(&server, id, "resume");
    expect(&on, 200);
    hash_of(id, hash);
    assert_string_equal(hash, expected);
    assert_int_equal(count_in("state", ""), 0);
    reply_done(&on);
    reply_done(&r);
}

/* A dead worker costs an attempt, not the job. */
static void test_worker_killed(void **state)
{
    char id[64];
    (void)state;
    submit(&server, LONG_JOB("3"), id);
    wait_steps(id, 2);
    assert_int_equal(kill(worker_of(id), SIGKILL), 0);
    json_t *job = wait_job(&server, id, "completed");
    assert_int_equal(json_integer_value(json_object_get(job, "attempt")), 2);
    json_decref(job);
}

/* A worker that is stopped in the middle counts as dead only after a while, but can always be cancelled. */
static void test_worker_stuck(void **state)
{
    char id[64], next[64];
    (void)state;
    submit(&server, LONG_JOB("4"), id);
    wait_steps(id, 1);
    assert_int_equal(kill(worker_of(id), SIGSTOP), 0);
    reply r = act(&server, id, "cancel");
    expect(&r, 200);
    json_decref(wait_job(&server, id, "cancelled"));
    submit(&server, QUICK_JOB, next);
    json_decref(wait_job(&server, next, "completed"));
    reply_done(&r);
}

static void check_page(const char *query, const char *const *ids, bool has_more)
{
    char path[160];
    snprintf(path, sizeof path, "/api/v1/queue%s", query);
    reply r = get(&server, path);
    expect(&r, 200);
    const json_t *jobs = json_object_get(r.json, "jobs");
    size_t n = 0;
    for (; ids[n]; n++)
        assert_string_equal(text_of(json_array_get(jobs, n), "id"), ids[n]);
    assert_int_equal(json_array_size(jobs), n);
    assert_int_equal(json_is_true(json_object_get(r.json, "has_more")), has_more);
    reply_done(&r);
}

/* A failed job never stops the queue, and says why. */
static void test_failed(void **state)
{
    char id[64], next[64];
    (void)state;
    submit(&server, "{\"model\": \"demo\", \"prompt\": \"x\", \"memory_budget\": 20000000}", id);
    submit(&server, QUICK_JOB, next);
    json_t *job = wait_job(&server, id, "failed");
    const json_t *error = json_object_get(job, "error");
    assert_string_equal(text_of(error, "code"), "KN_ENOMEM");
    assert_true(strlen(text_of(error, "message")) > 20);
    json_decref(wait_job(&server, next, "completed"));
    reply r = act(&server, id, "retry");
    expect(&r, 200);
    json_decref(wait_job(&server, id, "failed"));
    reply_done(&r);
    json_decref(job);
}

static void test_order(void **state)
{
    char running[64], a[64], b[64], c[64], path[128], body[128];
    (void)state;
    submit(&server, LONG_JOB("5"), running);
    wait_steps(running, 1);
    submit(&server, QUICK_JOB, a);
    submit(&server, QUICK_JOB, b);
    submit(&server, "{\"model\": \"testsrc\", \"prompt\": \"x\", \"priority\": 5}", c);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", b);
    snprintf(body, sizeof body, "{\"before\": \"%s\"}", a);
    reply moved = send_json(&server, "PATCH", path, body);
    expect(&moved, 200);
    reply queue = get(&server, "/api/v1/queue");
    const char *const order[] = {running, c, b, a};
    json_t *jobs = json_object_get(queue.json, "jobs");
    assert_int_equal(json_array_size(jobs), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(text_of(json_array_get(jobs, i), "id"), order[i]);
    assert_true(json_is_false(json_object_get(queue.json, "has_more")));
    check_page("?limit=2", (const char *const[]){running, c, b, NULL}, true);
    snprintf(path, sizeof path, "?limit=2&after=%s", b);
    check_page(path, (const char *const[]){a, NULL}, false);
    reply r = get(&server, "/api/v1/queue?after=job_00000000000000000000");
    expect(&r, 404);
    reply_done(&r);
    r = get(&server, "/api/v1/queue?limit=200");
    expect(&r, 400);
    reply_done(&r);
    r = act(&server, running, "cancel");
    json_decref(wait_job(&server, a, "completed"));
    reply_done(&r);
    reply_done(&queue);
    reply_done(&moved);
}

/* A server that is stopped in order gives its job back, and the next one goes on with it. */
static void test_stop_and_start(void **state)
{
    char id[64], hash[32], again[64], expected[32], data[PATH_BYTES + 8];
    (void)state;
    submit(&server, LONG_JOB("6"), id);
    wait_steps(id, 3);
    snprintf(data, sizeof data, "%s", server.data);
    studio_stop(&server);
    server = studio_start(data);
    hash_of(id, hash);
    submit(&server, LONG_JOB("6"), again);
    hash_of(again, expected);
    assert_string_equal(hash, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel),         cmocka_unit_test(test_pause),
        cmocka_unit_test(test_worker_killed),  cmocka_unit_test(test_worker_stuck),
        cmocka_unit_test(test_failed),         cmocka_unit_test(test_order),
        cmocka_unit_test(test_stop_and_start),
    };
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
