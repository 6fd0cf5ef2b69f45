/* What the queue lets happen to a job, what it refuses, and what is left of it after the process has gone. */
#include "jobs/queue_internal.h"
#include "queue_fixture.h"

/* ---- every call in every state ---- */

typedef struct call {
    const char *name;
    kn_job_wish wish;
    int (*fn)(kn_queue *q, const char *id, int64_t attempt, kn_err *err);
    /* The state after it, in the order of KN_JOB_STATE_LIST: Queued Planning Loading Encoding Sampling Decoding saVing
     * Completed Failed Xcancelled Interrupted Zpaused; '-': KN_EBUSY; '0': the job is gone. */
    const char *then;
} call;

static const char letters[] = "QPLESDVCFXIZ";

static int do_cancel(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    return kn_queue_cancel(q, id, NULL, err);
}

static int do_pause(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    return kn_queue_pause(q, id, NULL, err);
}

static int do_resume(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    return kn_queue_resume(q, id, NULL, err);
}

static int do_retry(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    return kn_queue_retry(q, id, NULL, err);
}

static int do_edit(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    int64_t priority = 3;
    return kn_queue_edit(q, id, &(kn_job_edit){.priority = &priority}, NULL, err);
}

static int do_remove(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    (void)attempt;
    return kn_queue_remove(q, id, NULL, err);
}

static int do_advance(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    return kn_queue_advance(q, id, attempt, KN_JOB_DECODING, err);
}

static int do_plan(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    json_t *plan = json_pack("{s:i}", "need_bytes", 1);
    int rc = kn_queue_set_plan(q, id, attempt, plan, err);
    json_decref(plan);
    return rc;
}

static int do_complete(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    return kn_queue_complete(q, id, attempt, NULL, NULL, NULL, err);
}

static int do_fail(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    return kn_queue_fail(q, id, attempt, &(kn_err){KN_EIO, "no"}, err);
}

static int do_interrupt(kn_queue *q, const char *id, int64_t attempt, kn_err *err)
{
    return kn_queue_interrupt(q, id, attempt, true, "gone", err);
}

static const call calls[] = {
    {"cancel", KN_WISH_NONE, do_cancel, "XPLESDVCFXXX"},
    {"pause", KN_WISH_NONE, do_pause, "ZPLESDV---Z-"},
    {"pause of one that is being cancelled", KN_WISH_CANCEL, do_pause, "------------"},
    {"resume", KN_WISH_NONE, do_resume, "-----------Q"},
    {"retry", KN_WISH_NONE, do_retry, "--------QQ--"},
    {"edit", KN_WISH_NONE, do_edit, "Q---------IZ"},
    {"remove", KN_WISH_NONE, do_remove, "-------000-0"},
    {"advance", KN_WISH_NONE, do_advance, "-DDDDDD-----"},
    {"set_plan", KN_WISH_NONE, do_plan, "-PLESDV-----"},
    {"complete", KN_WISH_NONE, do_complete, "-CCCCCC-----"},
    {"complete, though it was to be cancelled", KN_WISH_CANCEL, do_complete, "-CCCCCC-----"},
    {"fail", KN_WISH_NONE, do_fail, "-FFFFFF-----"},
    {"stopped without a wish", KN_WISH_NONE, kn_queue_stopped, "------------"},
    {"stopped to be cancelled", KN_WISH_CANCEL, kn_queue_stopped, "-XXXXXX-----"},
    {"stopped to be paused", KN_WISH_PAUSE, kn_queue_stopped, "-ZZZZZZ-----"},
    {"interrupt", KN_WISH_NONE, do_interrupt, "-IIIIII-----"},
    {"interrupt of one that is to be cancelled", KN_WISH_CANCEL, do_interrupt, "-XXXXXX-----"},
    {"interrupt of one that is to be paused", KN_WISH_PAUSE, do_interrupt, "-ZZZZZZ-----"},
};

static char *as_text(kn_queue *q, const char *id)
{
    kn_job job;
    must(kn_queue_get(q, id, &job, err));
    json_t *o = kn_job_to_json(&job, NULL);
    char *text = json_dumps(o, JSON_SORT_KEYS);
    assert_non_null(text);
    json_decref(o);
    kn_job_done(&job);
    return text;
}

static void check_refused(kn_queue *q, const call *c, const char *id, int64_t attempt, const char *in)
{
    kn_err why = {0};
    char *before = as_text(q, id);
    int64_t last_event = kn_queue_last_event(q);
    int rc = c->fn(q, id, attempt, &why);
    if (rc != KN_EBUSY)
        fail_msg("%s of a job that is %s: %d, expected KN_EBUSY", c->name, in, rc);
    assert_non_null(strstr(why.msg, id));
    char *after = as_text(q, id);
    assert_string_equal(before, after);
    assert_int_equal(kn_queue_last_event(q), last_event);
    free(before);
    free(after);
}

static void check_call(kn_queue *q, const call *c, kn_job_state in)
{
    char id[KN_JOB_ID_BYTES], then = c->then[in];
    int64_t attempt = make_job(q, in, id);
    kn_err why = {0};
    if (kn_job_state_is_active(in) && c->wish == KN_WISH_CANCEL)
        must(kn_queue_cancel(q, id, NULL, err));
    if (kn_job_state_is_active(in) && c->wish == KN_WISH_PAUSE)
        must(kn_queue_pause(q, id, NULL, err));
    if (c->wish != KN_WISH_NONE && !kn_job_state_is_active(in)) {
        put_away(q, id, attempt); /* such a job has no wish */
        return;
    }
    if (then == '-')
        check_refused(q, c, id, attempt, kn_job_state_name(in));
    else if (c->fn(q, id, attempt, &why))
        fail_msg("%s of a job that is %s: %s", c->name, kn_job_state_name(in), why.msg);
    if (then == '0')
        assert_int_equal(kn_queue_get(q, id, NULL, &why), KN_ENOTFOUND);
    else if (then != '-' && letters[state_of(q, id)] != then)
        fail_msg("%s of a job that is %s makes it %s, expected %c", c->name, kn_job_state_name(in),
                 kn_job_state_name(state_of(q, id)), then);
    put_away(q, id, attempt);
}

static void test_every_call_in_every_state(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int s = 0; s < KN_JOB_STATE_COUNT; s++)
            check_call(f->q, &calls[i], (kn_job_state)s);
}

static void test_only_the_attempt_that_has_the_job(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    static int (*const fns[])(kn_queue *, const char *, int64_t, kn_err *) = {
        do_advance, do_plan, do_complete, do_fail, kn_queue_stopped, do_interrupt};
    submit(f->q, "a cat", 0, id);
    int64_t first = claim(f->q, id);
    must(kn_queue_interrupt(f->q, id, first, false, "stop", err));
    int64_t second = claim(f->q, id);
    assert_true(second > first); /* although the first does not count */
    must(kn_queue_cancel(f->q, id, NULL, err));
    for (size_t i = 0; i < sizeof fns / sizeof *fns; i++) {
        kn_err why = {0};
        assert_int_equal(fns[i](f->q, id, first, &why), KN_EBUSY);
        assert_non_null(strstr(why.msg, "no longer has"));
        assert_int_equal(fns[i](f->q, id, second + 1, &why), KN_EBUSY);
        assert_int_equal(fns[i](f->q, "job_00000000000000000000", second, &why), KN_ENOTFOUND);
    }
    assert_int_equal(state_of(f->q, id), KN_JOB_PLANNING);
    assert_int_equal(kn_queue_advance(f->q, id, second, KN_JOB_COMPLETED, &(kn_err){0}), KN_EINVAL);
}

/* ---- what a job is ---- */

static void test_what_was_given_comes_back(void **state)
{
    fixture *f = *state;
    kn_job job;
    json_t *request =
               json_pack("{s:s, s:s, s:f}", "model", "demo", "prompt", "\xc3\x84 \"b\"\n", "guidance", 0.1),
           *labels = json_pack("{s:[i,n]}", "mine", 1), *result = json_pack("{s:f}", "seconds", 6.1),
           *before = json_deep_copy(request);
    must(kn_queue_submit(f->q, &(kn_job_spec){request, labels, -100}, &job, err));
    json_object_clear(request); /* it was copied */
    assert_true(job.created_s > 1.7e9 && job.started_s == 0 && job.finished_s == 0);
    int64_t attempt = claim(f->q, job.id);
    char id[KN_JOB_ID_BYTES];
    memcpy(id, job.id, sizeof id);
    kn_job_done(&job);
    must(kn_queue_complete(f->q, id, attempt, result, "/o/\xff.mp4", "/o/t.jpg", err));
    reopen(f);
    must(kn_queue_get(f->q, id, &job, err));
    assert_int_equal(job.state, KN_JOB_COMPLETED);
    assert_int_equal(job.priority, -100);
    assert_true(json_equal(job.request, before));
    assert_true(json_equal(job.labels, labels));
    assert_true(json_equal(job.result, result));
    assert_string_equal(job.output, "/o/\xff.mp4");
    assert_string_equal(job.thumbnail, "/o/t.jpg");
    assert_true(job.created_s <= job.started_s && job.started_s <= job.finished_s);
    kn_job_done(&job);
    json_decref(request);
    json_decref(before);
    json_decref(labels);
    json_decref(result);
}

static void test_what_cannot_be_submitted(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    json_t *request = json_object(), *array = json_array(), *deep = json_object();
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){.request = NULL}, NULL, &why), KN_EINVAL);
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){.request = array}, NULL, &why), KN_EINVAL);
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){request, array, 0}, NULL, &why), KN_EINVAL);
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){request, NULL, 101}, NULL, &why), KN_EINVAL);
    assert_non_null(strstr(why.msg, "priority: 101, expected -100 to 100"));
    /* What could be written but not be read back would block the line for ever. */
    for (int i = 0; i < KN_LIMIT_JSON_DEPTH; i++)
        deep = json_pack("{s:o}", "a", deep);
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){.request = deep}, NULL, &why), KN_ELIMIT);
    assert_int_equal(kn_queue_claim(f->q, NULL, &why), KN_ENOTFOUND);
    assert_int_equal(kn_queue_last_event(f->q), 0);
    json_decref(request);
    json_decref(array);
    json_decref(deep);
}

static void test_a_full_queue(void **state)
{
    fixture *f = *state;
    kn_err why = {0};
    char id[3][KN_JOB_ID_BYTES];
    json_t *request = json_object();
    kn_queue_configure(f->q, &(kn_queue_opts){.max_waiting = 2});
    submit(f->q, "a", 0, id[0]);
    must(kn_queue_cancel(f->q, id[0], NULL, err));
    submit(f->q, "b", 0, id[1]);
    submit(f->q, "c", 0, id[2]);
    assert_int_equal(kn_queue_submit(f->q, &(kn_job_spec){.request = request}, NULL, &why), KN_EBUSY);
    assert_non_null(strstr(why.msg, "2 jobs wait, at most 2 may"));
    assert_int_equal(kn_queue_retry(f->q, id[0], NULL, &why), KN_EBUSY);
    claim(f->q, id[1]);
    must(kn_queue_retry(f->q, id[0], NULL, err));
    kn_queue_configure(f->q, NULL);
    must(kn_queue_submit(f->q, &(kn_job_spec){.request = request}, NULL, err));
    json_decref(request);
}

/* ---- attempts ---- */

static void test_attempts_that_count(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    kn_job job;
    submit(f->q, "a cat", 0, id);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++)
            must(kn_queue_interrupt(f->q, id, claim(f->q, id), false, "the server stops", err));
        for (int i = 0; i < 3; i++) {
            assert_int_equal(state_of(f->q, id), KN_JOB_INTERRUPTED);
            must(kn_queue_interrupt(f->q, id, claim(f->q, id), true, "killed by signal 9", err));
        }
        must(kn_queue_get(f->q, id, &job, err));
        assert_int_equal(job.state, KN_JOB_FAILED);
        assert_int_equal(job.attempt, 8 + 9 * round);
        assert_int_equal(job.error_code, KN_EINTERNAL);
        assert_non_null(strstr(job.error, "3 times, the last time: killed by signal 9"));
        assert_true(job.finished_s > 0);
        kn_job_done(&job);
        must(kn_queue_retry(f->q, id, &job, err)); /* a fresh set */
        assert_true(!job.error && !job.error_code && job.finished_s == 0 && job.started_s == 0);
        kn_job_done(&job);
        must(kn_queue_interrupt(f->q, id, claim(f->q, id), false, "", err));
    }
}

static void test_after_the_process_died(void **state)
{
    fixture *f = *state;
    char waiting[KN_JOB_ID_BYTES], running[KN_JOB_ID_BYTES], cancelled[KN_JOB_ID_BYTES],
        paused[KN_JOB_ID_BYTES];
    kn_job job;
    int64_t attempt = make_job(f->q, KN_JOB_SAMPLING, running);
    make_job(f->q, KN_JOB_DECODING, cancelled);
    must(kn_queue_cancel(f->q, cancelled, NULL, err));
    make_job(f->q, KN_JOB_LOADING, paused);
    must(kn_queue_pause(f->q, paused, NULL, err));
    submit(f->q, "a cat", 0, waiting);
    int64_t last_event = kn_queue_last_event(f->q);
    reopen(f);
    assert_int_equal(state_of(f->q, waiting), KN_JOB_QUEUED);
    assert_int_equal(state_of(f->q, cancelled), KN_JOB_CANCELLED);
    assert_int_equal(state_of(f->q, paused), KN_JOB_PAUSED);
    must(kn_queue_get(f->q, running, &job, err));
    assert_int_equal(job.state, KN_JOB_INTERRUPTED);
    assert_int_equal(job.n_lost, 0); /* not the job's doing */
    assert_non_null(strstr(job.error, "Kinora ended while the job ran"));
    kn_job_done(&job);
    assert_int_equal(kn_queue_last_event(f->q), last_event + 3);
    assert_int_equal(kn_queue_advance(f->q, running, attempt, KN_JOB_SAVING, &(kn_err){0}), KN_EBUSY);

    claim(f->q, running); /* at its old place, in front of the one that waits */
    reopen(f);
    claim(f->q, running);
    reopen(f);
    assert_int_equal(state_of(f->q, running), KN_JOB_INTERRUPTED); /* however often */
    reopen(f);
    assert_int_equal(kn_queue_last_event(f->q), last_event + 7);
}

/* ---- looking ---- */

static void check_list(kn_queue *q, const kn_job_filter *filter, const char *const *ids, int n_ids)
{
    kn_job *jobs;
    int n;
    must(kn_queue_list(q, filter, &jobs, &n, err));
    assert_int_equal(n, n_ids);
    for (int i = 0; i < n; i++)
        assert_string_equal(jobs[i].id, ids[i]);
    free_jobs(jobs, n);
}

static void test_list(void **state)
{
    fixture *f = *state;
    char a[KN_JOB_ID_BYTES], b[KN_JOB_ID_BYTES], c[KN_JOB_ID_BYTES];
    kn_err why = {0};
    kn_job *jobs;
    int n;
    submit(f->q, "A Red ball, 100%", 0, a);
    submit(f->q, "\xc3\x84PFEL im Gras", 5, b);
    submit(f->q, "a blue square", 0, c);
    must(kn_queue_cancel(f->q, c, NULL, err));
    check_list(f->q, &(kn_job_filter){.limit = 9}, (const char *[]){c, b, a}, 3);
    check_list(f->q, &(kn_job_filter){.limit = 9, .oldest_first = true}, (const char *[]){a, b, c}, 3);
    check_list(f->q, &(kn_job_filter){.limit = 1, .before = c}, (const char *[]){b}, 1);
    check_list(f->q, &(kn_job_filter){.limit = 9, .before = a, .oldest_first = true}, (const char *[]){b, c},
               2);
    check_list(f->q, &(kn_job_filter){.limit = 9, .states = 1u << KN_JOB_QUEUED}, (const char *[]){b, a}, 2);
    check_list(f->q, &(kn_job_filter){.limit = 9, .states = 1u << KN_JOB_CANCELLED | 1u << KN_JOB_FAILED},
               (const char *[]){c}, 1);
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "red BALL"}, (const char *[]){a}, 1);
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "\xc3\xa4pfel"}, (const char *[]){b}, 1);
    /* An accent of its own. */
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "A\xcc\x88pFel"}, (const char *[]){b}, 1);
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "%"}, (const char *[]){a}, 1); /* no pattern */
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "testsrc"}, NULL, 0);
    check_list(f->q, &(kn_job_filter){.limit = 9, .text = "a", .states = 1u << KN_JOB_CANCELLED, .before = c},
               NULL, 0);
    static const kn_job_filter bad[] = {{.limit = 0},
                                        {.limit = KN_LIMIT_JOB_PAGE + 1},
                                        {.limit = 1, .states = 1u << KN_JOB_STATE_COUNT},
                                        {.limit = 1, .before = "x"},
                                        {.limit = 1, .text = "\xff"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(kn_queue_list(f->q, &bad[i], &jobs, &n, &why), KN_EINVAL);

    int64_t counts[KN_JOB_STATE_COUNT];
    must(kn_queue_count(f->q, counts, err));
    for (int i = 0; i < KN_JOB_STATE_COUNT; i++)
        assert_int_equal(counts[i], i == KN_JOB_QUEUED ? 2 : i == KN_JOB_CANCELLED);
}

static void test_ids_that_are_none(void **state)
{
    fixture *f = *state;
    static const char *const ids[] = {"", "job_", "job_00000000000000000000", "'; DROP TABLE jobs; --"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(kn_queue_get(f->q, ids[i], NULL, NULL), KN_ENOTFOUND);
        assert_int_equal(kn_queue_cancel(f->q, ids[i], NULL, NULL), KN_ENOTFOUND);
        assert_int_equal(kn_queue_remove(f->q, ids[i], NULL, NULL), KN_ENOTFOUND);
    }
}

static void test_values(void **state)
{
    fixture *f = *state;
    json_t *value = NULL, *number = json_integer(7), *object = json_pack("{s:[i,i]}", "a", 1, 2);
    assert_int_equal(kn_queue_value_get(f->q, "settings", &value, NULL), KN_ENOTFOUND);
    must(kn_queue_value_put(f->q, "settings", object, err));
    must(kn_queue_value_put(f->q, "n", number, err));
    must(kn_queue_value_put(f->q, "settings", number, err));
    must(kn_queue_value_put(f->q, "settings", object, err));
    reopen(f);
    must(kn_queue_value_get(f->q, "settings", &value, err));
    assert_true(json_equal(value, object));
    json_decref(value);
    must(kn_queue_value_get(f->q, "n", &value, err));
    assert_int_equal(json_integer_value(value), 7);
    json_decref(value);
    must(kn_queue_value_put(f->q, "n", NULL, err));
    assert_int_equal(kn_queue_value_get(f->q, "n", &value, NULL), KN_ENOTFOUND);
    json_decref(number);
    json_decref(object);
}

/* A value that cannot be read is found on opening, not when its job is due and in the way of all others. */
static void test_a_damaged_value(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    kn_err why = {0};
    kn_db *db;
    submit(f->q, "a cat", 0, id);
    kn_queue_close(f->q);
    f->q = NULL;
    must(kn_db_open(f->path, &kn_queue_schema, &db, err));
    must(kn_db_exec(db, "PRAGMA ignore_check_constraints=ON; UPDATE jobs SET request = '{\"a'", err));
    kn_db_close(db);
    assert_int_equal(kn_queue_open(f->path, NULL, &f->q, &why), KN_EFORMAT);
    assert_non_null(strstr(why.msg, "is damaged"));
    assert_null(f->q);
}

static void test_one_process(void **state)
{
    fixture *f = *state;
    kn_queue *second = NULL;
    assert_int_equal(kn_queue_open(f->path, NULL, &second, NULL), KN_EBUSY);
    assert_null(second);
    kn_queue_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_call_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_attempt_that_has_the_job, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_given_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_submitted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attempts_that_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_the_process_died, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_process, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/queue", tests, NULL, NULL);
}
