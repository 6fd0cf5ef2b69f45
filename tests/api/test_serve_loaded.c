/* What stays loaded between jobs, and how it goes again. */
#include "studio.h"

#define JOB(more)                                                                                            \
    "{\"model\": \"demo\", \"prompt\": \"a red ball rolling to the right\", \"steps\": 2, \"seed\": 5" more  \
    "}"

/* Makes a job and waits for it; the number of weights that had to be made, and the hash of its frames (32 bytes). */
static int64_t make_job(const char *request, char *hash)
{
    char id[64];
    size_t i;
    int64_t made = 0;
    json_t *span;
    submit(&server, request, id);
    json_t *job = wait_job(&server, id, "completed"), *result = json_object_get(job, "result");
    json_array_foreach(json_object_get(result, "timings"), i, span)
    {
        if (strncmp(text_of(span, "phase"), "encoding", 8)) /* the text encoder's blocks come and go */
            made += json_integer_value(json_object_get(span, "weights_made"));
    }
    snprintf(hash, 32, "%s", text_of(result, "frames_hash"));
    json_decref(job);
    return made;
}

static int64_t loaded_bytes(size_t *ret_n)
{
    size_t i;
    int64_t bytes = 0;
    json_t *part;
    reply r = get(&server, "/api/v1/models/loaded");
    expect(&r, 200);
    json_array_foreach(json_object_get(r.json, "loaded"), i, part)
    {
        assert_string_equal(text_of(part, "model"), "demo");
        bytes += json_integer_value(json_object_get(part, "bytes"));
    }
    *ret_n = i;
    reply_done(&r);
    return bytes;
}

static void wait_unloaded(void)
{
    size_t n = 1;
    for (int i = 0; i < 3000; i++, usleep(10000)) {
        loaded_bytes(&n);
        if (!n)
            return;
    }
    fail_msg("%zu parts are still loaded", n);
}

static void set_keep(int seconds)
{
    char body[64];
    snprintf(body, sizeof body, "{\"keep_models_seconds\": %d}", seconds);
    reply r = send_json(&server, "PUT", "/api/v1/settings", body);
    expect(&r, 200);
    reply_done(&r);
}

static void test_second_job(void **state)
{
    char first[32], second[32];
    size_t n;
    (void)state;
    assert_true(make_job(JOB(""), first) > 10);
    int64_t bytes = loaded_bytes(&n);
    assert_int_equal(n, 2); /* transformer and decoder */
    assert_true(bytes > 1 << 20);
    assert_int_equal(make_job(JOB(""), second), 0);
    assert_string_equal(second, first);
    assert_int_equal(loaded_bytes(&n), bytes);
}

/* What is loaded in another type is another thing. */
static void test_other_type(void **state)
{
    char bf16[32], f32[32], again[32];
    (void)state;
    make_job(JOB(", \"dtype\": \"f32\""), f32);
    make_job(JOB(", \"dtype\": \"bf16\""), bf16);
    assert_string_not_equal(bf16, f32);
    assert_int_equal(make_job(JOB(", \"dtype\": \"f32\""), again), 0);
    assert_string_equal(again, f32);
}

static void test_unloaded(void **state)
{
    char hash[32];
    size_t n;
    (void)state;
    make_job(JOB(""), hash);
    assert_true(loaded_bytes(&n) > 0);
    reply bad = send_json(&server, "POST", "/api/v1/models/unload", "{\"model\": \"demo\"}");
    expect(&bad, 400);
    reply_done(&bad);
    reply r = send_json(&server, "POST", "/api/v1/models/unload", "{}");
    expect(&r, 202);
    reply_done(&r);
    wait_unloaded();
    assert_true(make_job(JOB(""), hash) > 10);
}

static void test_for_so_long(void **state)
{
    char hash[32];
    size_t n;
    (void)state;
    set_keep(1);
    make_job(JOB(""), hash);
    wait_unloaded();
    set_keep(0);
    assert_true(make_job(JOB(""), hash) > 10);
    loaded_bytes(&n);
    assert_int_equal(n, 0);
    set_keep(300);
    make_job(JOB(""), hash);
    assert_true(loaded_bytes(&n) > 0);
    set_keep(0);
    wait_unloaded();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_job),
        cmocka_unit_test(test_other_type),
        cmocka_unit_test(test_unloaded),
        cmocka_unit_test(test_for_so_long),
    };
    return cmocka_run_group_tests(tests, server_make, server_stop);
}
