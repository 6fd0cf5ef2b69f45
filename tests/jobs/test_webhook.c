/* Deliveries: made with the change they tell of, kept, settled, forgotten. */
#include "queue_fixture.h"

#include "base/limits.h"
#include "jobs/queue_internal.h"

#define FINAL (1u << KN_JOB_COMPLETED | 1u << KN_JOB_FAILED | 1u << KN_JOB_CANCELLED)

static void add_hook(kn_queue *q, uint32_t states, char id[KN_WEBHOOK_ID_BYTES])
{
    kn_webhook made;
    must(kn_queue_webhook_add(q,
                              &(kn_webhook){.url = (char *)(uintptr_t) "https://example.org/",
                                            .secret = (char *)(uintptr_t) "whsec_x",
                                            .states = states},
                              &made, err));
    memcpy(id, made.id, KN_WEBHOOK_ID_BYTES);
    kn_webhook_done(&made);
}

static int count_deliveries(kn_queue *q, const char *hook)
{
    kn_delivery *list = NULL;
    int n = 0;
    must(kn_queue_delivery_list(q, hook, NULL, KN_LIMIT_JOB_PAGE, &list, &n, err));
    for (int i = 0; i < n; i++)
        kn_delivery_done(&list[i]);
    free(list);
    return n;
}

/* What is due a day from now; false: nothing. */
static bool next_of(kn_queue *q, const char *busy, kn_delivery *ret)
{
    kn_webhook w = {0};
    double due_s;
    int rc = kn_queue_delivery_next(q, kn_queue_now_s() + 86400, &busy, busy != NULL, ret, &w, &due_s, NULL);
    kn_webhook_done(&w);
    assert_true(rc == 0 || rc == KN_ENOTFOUND);
    return !rc;
}

static void test_one_for_each_state(void **state)
{
    fixture *f = *state;
    char all[KN_WEBHOOK_ID_BYTES], ends[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES];
    kn_delivery d;
    add_hook(f->q, (1u << KN_JOB_STATE_COUNT) - 1, all);
    add_hook(f->q, FINAL, ends);
    int64_t attempt = make_job(f->q, KN_JOB_SAMPLING, id); /* queued, planning, sampling */
    must(kn_queue_set_plan(f->q, id, attempt, NULL, err));
    assert_int_equal(count_deliveries(f->q, all), 3);
    assert_int_equal(count_deliveries(f->q, ends), 0);
    must(kn_queue_complete(f->q, id, attempt, NULL, "/tmp/a.mp4", NULL, err));
    assert_int_equal(count_deliveries(f->q, all), 4);
    assert_int_equal(count_deliveries(f->q, ends), 1);
    assert_true(next_of(f->q, all, &d));
    assert_string_equal(d.webhook_id, ends);
    assert_string_equal(d.job_id, id);
    assert_int_equal(d.event, KN_JOB_COMPLETED);
    json_t *body = NULL;
    must(kn_json_parse(d.body, strlen(d.body), "body", &body, err));
    assert_string_equal(json_string_value(json_object_get(body, "type")), "job.completed");
    assert_string_equal(json_string_value(json_object_get(json_object_get(body, "data"), "id")), id);
    json_decref(body);
    kn_delivery_done(&d);
    must(kn_queue_remove(f->q, id, NULL, err));
    assert_int_equal(count_deliveries(f->q, ends), 1); /* it is still to be told */
    must(kn_queue_webhook_remove(f->q, ends, err));
    assert_int_equal(count_deliveries(f->q, ends), 0);
    assert_int_equal(kn_queue_webhook_get(f->q, ends, NULL, NULL), KN_ENOTFOUND);
}

static void test_settling(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES], first[KN_WEBHOOK_ID_BYTES];
    kn_delivery d;
    double now = kn_queue_now_s();
    add_hook(f->q, FINAL, hook);
    make_job(f->q, KN_JOB_CANCELLED, id);
    assert_true(next_of(f->q, NULL, &d));
    memcpy(first, d.id, sizeof first);
    kn_delivery_done(&d);
    assert_false(next_of(f->q, hook, &d));
    kn_delivery_attempt a = {
        .at_s = now, .status = 500, .error = "bad \xff", .took_ms = 7, .due_s = now + 1e6};
    must(kn_queue_delivery_settle(f->q, first, &a, err));
    assert_false(next_of(f->q, NULL, &d)); /* not yet */
    a = (kn_delivery_attempt){.at_s = now, .error = "no answer", .due_s = now};
    must(kn_queue_delivery_settle(f->q, first, &a, err));
    reopen(f);
    assert_true(next_of(f->q, NULL, &d));
    assert_string_equal(d.id, first);
    assert_int_equal(json_array_size(d.attempts), 2);
    json_t *tried = json_array_get(d.attempts, 0);
    assert_int_equal(json_integer_value(json_object_get(tried, "status")), 500);
    assert_int_equal(json_integer_value(json_object_get(tried, "ms")), 7);
    assert_true(json_is_null(json_object_get(json_array_get(d.attempts, 1), "status")));
    kn_delivery_done(&d);
    a = (kn_delivery_attempt){.at_s = now, .status = 410, .state = KN_DELIVERY_FAILED, .switch_off = "gone"};
    must(kn_queue_delivery_settle(f->q, first, &a, err));
    assert_false(next_of(f->q, NULL, &d));
    assert_int_equal(kn_queue_delivery_settle(f->q, "msg_x", &a, NULL), KN_ENOTFOUND);

    kn_webhook w;
    must(kn_queue_webhook_get(f->q, hook, &w, err));
    assert_false(w.is_active);
    assert_string_equal(w.why, "gone");
    kn_webhook_done(&w);
    make_job(f->q, KN_JOB_CANCELLED, id);
    assert_int_equal(count_deliveries(f->q, hook), 1);
    must(kn_queue_webhook_edit(f->q, hook, &(kn_webhook_edit){.is_active = &(bool){true}}, &w, err));
    assert_true(w.is_active);
    assert_null(w.why);
    kn_webhook_done(&w);
    make_job(f->q, KN_JOB_CANCELLED, id);
    assert_int_equal(count_deliveries(f->q, hook), 2);
}

/* A change that fails tells nobody. */
static void test_nothing_of_what_did_not_happen(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES];
    add_hook(f->q, (1u << KN_JOB_STATE_COUNT) - 1, hook);
    make_job(f->q, KN_JOB_CANCELLED, id);
    int n = count_deliveries(f->q, hook);
    assert_int_equal(kn_queue_pause(f->q, id, NULL, NULL), KN_EBUSY);
    must(kn_queue_cancel(f->q, id, NULL, err));
    assert_int_equal(count_deliveries(f->q, hook), n);
}

/* Jobs that ran when the process died. */
static void test_after_the_process_died(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES];
    add_hook(f->q, 1u << KN_JOB_INTERRUPTED, hook);
    make_job(f->q, KN_JOB_SAMPLING, id);
    assert_int_equal(count_deliveries(f->q, hook), 0);
    reopen(f);
    assert_int_equal(count_deliveries(f->q, hook), 1);
}

static void test_large_jobs(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES];
    kn_delivery d;
    size_t size = KN_LIMIT_WEBHOOK_BODY_BYTES;
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    json_t *labels = json_pack("{s:s}", "a", text), *request = json_pack("{s:s}", "model", "testsrc");
    add_hook(f->q, 1u << KN_JOB_QUEUED, hook);
    must(kn_queue_submit(f->q, &(kn_job_spec){.request = request, .labels = labels}, NULL, err));
    assert_true(next_of(f->q, NULL, &d));
    assert_true(strlen(d.body) < 4096);
    assert_non_null(strstr(d.body, "\"labels\":null"));
    kn_delivery_done(&d);
    json_decref(labels);
    json_decref(request);
    free(text);
}

static int64_t number(kn_db *db, const char *sql)
{
    int64_t n = -1;
    kn_stmt st;
    kn_stmt_init(&st, db, sql);
    must(kn_stmt_run_int(&st, -1, &n, err));
    return n;
}

static void test_limits(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES];
    for (int i = 1; i < KN_LIMIT_WEBHOOKS; i++)
        add_hook(f->q, 1u << KN_JOB_SAVING, hook);
    add_hook(f->q, FINAL, hook);
    assert_int_equal(kn_queue_webhook_add(f->q, &(kn_webhook){.states = 1}, NULL, NULL), KN_ELIMIT);
    kn_stmt st;
    kn_stmt_init(&st, f->q->db,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO "
                 "deliveries "
                 "(id, webhook_id, job_id, event, state, created_s, due_s, attempts, body) SELECT 'msg_' || "
                 "i, ?, 'j', "
                 "'completed', iif(i % 2, 'waiting', 'failed'), 0, 1e12, '[]', '{}' FROM n");
    kn_stmt_text(&st, hook);
    must(kn_stmt_run(&st, err));
    make_job(f->q, KN_JOB_CANCELLED, id);
    /* of those before the newest thousand the ones that wait are left */
    assert_int_equal(number(f->q->db, "SELECT count(*) FROM deliveries WHERE state = 'waiting'"), 1001);
    assert_int_equal(number(f->q->db, "SELECT count(*) FROM deliveries WHERE state = 'failed'"), 500);
}

/* A database from before there were webhooks. */
static void test_an_older_database(void **state)
{
    fixture *f = *state;
    char hook[KN_WEBHOOK_ID_BYTES], id[KN_JOB_ID_BYTES], backup[128];
    kn_db_schema old = kn_queue_schema;
    kn_db *db;
    old.n_steps = 1;
    kn_queue_close(f->q);
    f->q = NULL;
    unlink(f->path);
    must(kn_db_open(f->path, &old, &db, err));
    must(kn_db_exec(db,
                    "INSERT INTO jobs VALUES ('job_01KB4M3Z0Q7D5X2E8R9T', 'queued', 0, 0, 1, 0, 0, 1, 0, 0, "
                    "0, NULL, NULL, "
                    "NULL, 'a cat', '{\"model\":\"testsrc\"}', NULL, NULL, NULL)",
                    err));
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    kn_db_close(db);
    reopen(f);
    assert_int_equal(state_of(f->q, "job_01KB4M3Z0Q7D5X2E8R9T"), KN_JOB_QUEUED);
    add_hook(f->q, FINAL, hook);
    must(kn_queue_cancel(f->q, "job_01KB4M3Z0Q7D5X2E8R9T", NULL, err));
    make_job(f->q, KN_JOB_CANCELLED, id);
    assert_int_equal(count_deliveries(f->q, hook), 2);
    snprintf(backup, sizeof backup, "%s.v1.bak", f->path);
    assert_int_equal(unlink(backup), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_for_each_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_of_what_did_not_happen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_the_process_died, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_older_database, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/webhook", tests, NULL, NULL);
}
