/* Names, ids and the JSON of jobs. */
#include "jobs/job_id.h"
#include "queue_fixture.h"

static void test_states(void **state)
{
    (void)state;
    kn_err why = {0};
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++) {
        kn_job_state s = (kn_job_state)i, back;
        must(kn_job_state_parse(kn_job_state_name(s), &back, err));
        assert_int_equal(back, s);
        /* Every state but paused is one of the three. */
        assert_int_equal(kn_job_state_is_active(s) + kn_job_state_is_waiting(s) + kn_job_state_is_final(s),
                         s != KN_JOB_PAUSED);
    }
    kn_job_state s = KN_JOB_SAVING;
    assert_int_equal(kn_job_state_parse("done", &s, &why), KN_EINVAL);
    assert_non_null(strstr(why.msg, "\"done\""));
    assert_non_null(strstr(why.msg, "queued, planning, "));
    assert_non_null(strstr(why.msg, ", paused"));
    assert_int_equal(s, KN_JOB_SAVING);
}

static void test_ids_grow(void **state)
{
    (void)state;
    kn_job_ids ids;
    char last[KN_JOB_ID_BYTES] = "", id[KN_JOB_ID_BYTES];
    must(kn_job_ids_init(&ids, NULL, err));
    /* Many in a millisecond, time that passes, and a clock that goes back. */
    for (int i = 0; i < 3000; i++) {
        int64_t now_ms = 1764331200123 + (i < 1000 ? 0 : i < 2000 ? i : -i);
        must(kn_job_ids_next(&ids, now_ms, id, err));
        assert_true(kn_job_id_is_valid(id));
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof id);
    }
    assert_int_equal(strncmp(id, "job_01KB55B9JA", 14), 0); /* 1764331202122 ms, the latest */

    kn_job_ids after;
    must(kn_job_ids_init(&after, last, err));
    must(kn_job_ids_next(&after, 5, id, err));
    assert_true(strcmp(last, id) < 0);
}

static void test_ids_at_the_end(void **state)
{
    (void)state;
    kn_err why = {0};
    kn_job_ids ids;
    char id[KN_JOB_ID_BYTES];
    must(kn_job_ids_init(&ids, "job_01KB4M3Z0QZZZZZZZZZZ", err));
    must(kn_job_ids_next(&ids, 0, id, err));
    assert_string_equal(id, "job_01KB4M3Z0R0000000000");
    must(kn_job_ids_init(&ids, "job_ZZZZZZZZZZZZZZZZZZZZ", err));
    assert_int_equal(kn_job_ids_next(&ids, 0, id, &why), KN_ELIMIT);
    static const char *const bad[] = {"",
                                      "job_",
                                      "job_01KB4M3Z0Q7D5X2E8R9",
                                      "job_01KB4M3Z0Q7D5X2E8R9TT",
                                      "job_01KB4M3Z0Q7D5X2E8R9U",
                                      "jab_01KB4M3Z0Q7D5X2E8R9T"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(kn_job_id_is_valid(bad[i]));
        assert_int_equal(kn_job_ids_init(&ids, bad[i], &why), KN_EFORMAT);
    }
}

static json_t *text_at(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    assert_true(json_is_string(v));
    return v;
}

static void test_json_of_a_running_job(void **state)
{
    (void)state;
    kn_job j = {.id = "job_01KB4M3Z0Q7D5X2E8R9T",
                .state = KN_JOB_SAMPLING,
                .wish = KN_WISH_PAUSE,
                .attempt = 2,
                .created_s = 1764331200.123,
                .request = json_pack("{s:s, s:i}", "model", "demo", "seed", 7)};
    json_t *progress = json_pack("{s:i}", "done", 5), *o = kn_job_to_json(&j, progress);
    assert_non_null(o);
    assert_string_equal(json_string_value(text_at(o, "state")), "sampling");
    assert_string_equal(json_string_value(text_at(o, "wish")), "pause");
    assert_string_equal(json_string_value(text_at(o, "model")), "demo");
    assert_string_equal(json_string_value(text_at(o, "preview_url")),
                        "/api/v1/jobs/job_01KB4M3Z0Q7D5X2E8R9T/preview");
    assert_int_equal(json_integer_value(json_object_get(o, "attempt")), 2);
    assert_true(json_real_value(json_object_get(o, "created_at")) == 1764331200.123);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "progress"), "done")), 5);
    static const char *const nulls[] = {"started_at", "finished_at", "labels",    "plan",
                                        "result",     "error",       "video_url", "thumbnail_url"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        assert_true(json_is_null(json_object_get(o, nulls[i])));
    json_decref(o);
    json_decref(progress);
    kn_job_done(&j);
}

static void test_json_of_ended_jobs(void **state)
{
    (void)state;
    kn_job j = {.id = "job_01KB4M3Z0Q7D5X2E8R9T",
                .state = KN_JOB_COMPLETED,
                .finished_s = 9.5,
                .output = strdup("/x/a.mp4"),
                .thumbnail = strdup("/x/a.jpg"),
                .labels = json_pack("{s:s}", "for", "me"),
                .request = json_object()};
    json_t *progress = json_object(), *o = kn_job_to_json(&j, progress);
    assert_string_equal(json_string_value(text_at(o, "video_url")),
                        "/api/v1/jobs/job_01KB4M3Z0Q7D5X2E8R9T/video");
    assert_string_equal(json_string_value(text_at(o, "thumbnail_url")),
                        "/api/v1/jobs/job_01KB4M3Z0Q7D5X2E8R9T/thumbnail");
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "labels"), "for")), "me");
    assert_true(json_is_null(json_object_get(o, "preview_url")));
    assert_true(json_is_null(json_object_get(o, "progress"))); /* no worker has it */
    assert_true(json_is_null(json_object_get(o, "model")));
    json_decref(o);

    /* A message may quote bytes that are not UTF-8. */
    j.state = KN_JOB_FAILED;
    j.error_code = KN_EIO;
    j.error = strdup("cannot open \xff\xfe.png");
    o = kn_job_to_json(&j, NULL);
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "error"), "code")), "KN_EIO");
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "error"), "message")),
                        "cannot open ??.png");
    json_decref(o);
    json_decref(progress);
    kn_job_done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_ids_grow),
        cmocka_unit_test(test_ids_at_the_end),
        cmocka_unit_test(test_json_of_a_running_job),
        cmocka_unit_test(test_json_of_ended_jobs),
    };
    return cmocka_run_group_tests_name("jobs/job", tests, NULL, NULL);
}
