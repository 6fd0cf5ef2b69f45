/* The line: who is next, and moving within it. */
#include "base/limits.h"
#include "base/rng.h"
#include "queue_fixture.h"

enum { MAX_JOBS = 64 };

/* The prompts of those that wait, in their order. */
static void check_line(kn_queue *q, const char *expected)
{
    kn_job *jobs;
    int n;
    char line[MAX_JOBS + 1] = "";
    must(kn_queue_waiting(q, NULL, MAX_JOBS + 1, &jobs, &n, err));
    assert_in_range(n, 0, MAX_JOBS);
    for (int i = 0; i < n; i++)
        line[i] = *json_string_value(json_object_get(jobs[i].request, "prompt"));
    free_jobs(jobs, n);
    assert_string_equal(line, expected);
}

/* The same in pages of two. */
static void check_pages(kn_queue *q, const char *expected)
{
    char line[MAX_JOBS + 1] = "", after[KN_JOB_ID_BYTES] = "";
    int total = 0, n = 2;
    while (n == 2) {
        kn_job *jobs;
        must(kn_queue_waiting(q, *after ? after : NULL, 2, &jobs, &n, err));
        assert_in_range(total + n, 0, MAX_JOBS);
        for (int i = 0; i < n; i++)
            line[total++] = *json_string_value(json_object_get(jobs[i].request, "prompt"));
        if (n)
            memcpy(after, jobs[n - 1].id, sizeof after);
        free_jobs(jobs, n);
    }
    assert_string_equal(line, expected);
}

/* Job i has the prompt 'a' + i. */
static void submit_all(kn_queue *q, int n, char ids[][KN_JOB_ID_BYTES])
{
    for (int i = 0; i < n; i++)
        submit(q, (char[]){(char)('a' + i), '\0'}, 0, ids[i]);
}

static void set_priority(kn_queue *q, const char *id, int64_t priority)
{
    must(kn_queue_edit(q, id, &(kn_job_edit){.priority = &priority}, NULL, err));
}

static void move(kn_queue *q, const char *id, const char *before)
{
    must(kn_queue_edit(q, id, &(kn_job_edit){.before = before}, NULL, err));
}

static void test_first_come_first_served(void **state)
{
    fixture *f = *state;
    char ids[5][KN_JOB_ID_BYTES];
    submit_all(f->q, 5, ids);
    check_line(f->q, "abcde");
    reopen(f);
    for (int i = 0; i < 5; i++)
        claim(f->q, ids[i]);
    assert_int_equal(kn_queue_claim(f->q, NULL, NULL), KN_ENOTFOUND);
    check_line(f->q, "");
}

/* A page begins behind the last job of the one before, also when that has left the line meanwhile. */
static void test_pages(void **state)
{
    fixture *f = *state;
    char ids[8][KN_JOB_ID_BYTES];
    kn_job *jobs;
    int n;
    submit_all(f->q, 5, ids);
    submit(f->q, "f", 7, ids[5]);
    submit(f->q, "g", -7, ids[6]);
    submit(f->q, "h", 7, ids[7]);
    check_pages(f->q, "fhabcdeg");
    move(f->q, ids[6], ids[0]);
    check_pages(f->q, "fhgabcde");
    claim(f->q, ids[5]);
    must(kn_queue_waiting(f->q, ids[5], 3, &jobs, &n, err));
    assert_int_equal(n, 3);
    assert_string_equal(jobs[0].id, ids[7]);
    free_jobs(jobs, n);
    must(kn_queue_waiting(f->q, ids[4], 3, &jobs, &n, err)); /* the last one */
    assert_int_equal(n, 0);
    free_jobs(jobs, n);
    assert_int_equal(kn_queue_waiting(f->q, "job_00000000000000000000", 3, &jobs, &n, NULL), KN_ENOTFOUND);
}

static void test_priority(void **state)
{
    fixture *f = *state;
    char ids[5][KN_JOB_ID_BYTES];
    submit_all(f->q, 3, ids);
    submit(f->q, "d", 7, ids[3]);
    submit(f->q, "e", -7, ids[4]);
    check_line(f->q, "dabce");
    set_priority(f->q, ids[4], 0);
    check_line(f->q, "dabce");
    set_priority(f->q, ids[1], 7); /* came before d */
    check_line(f->q, "bdace");
    set_priority(f->q, ids[1], 0); /* and stands where it stood */
    check_line(f->q, "dabce");
    claim(f->q, ids[3]);
    claim(f->q, ids[0]);
}

static void test_move(void **state)
{
    fixture *f = *state;
    char ids[6][KN_JOB_ID_BYTES];
    kn_job job;
    submit_all(f->q, 5, ids);
    move(f->q, ids[4], ids[0]);
    check_line(f->q, "eabcd");
    move(f->q, ids[0], ids[3]);
    check_line(f->q, "ebcad");
    move(f->q, ids[1], ids[2]); /* where it is */
    check_line(f->q, "ebcad");
    move(f->q, ids[4], "");
    check_line(f->q, "bcade");
    submit(f->q, "f", 3, ids[5]);
    check_line(f->q, "fbcade");
    must(kn_queue_edit(f->q, ids[3], &(kn_job_edit){.before = ids[5]}, &job, err));
    assert_int_equal(job.priority, 3);
    kn_job_done(&job);
    check_line(f->q, "dfbcae");
    move(f->q, ids[5], ids[0]);
    check_line(f->q, "dbcfae");
    reopen(f);
    check_line(f->q, "dbcfae");
}

static void test_moves_that_are_refused(void **state)
{
    fixture *f = *state;
    char ids[3][KN_JOB_ID_BYTES];
    kn_err why = {0};
    int64_t priority = 5, too_high = 1000;
    submit_all(f->q, 3, ids);
    claim(f->q, ids[0]);
    assert_int_equal(kn_queue_edit(f->q, ids[1], &(kn_job_edit){.before = ids[1]}, NULL, &why), KN_EINVAL);
    assert_int_equal(kn_queue_edit(f->q, ids[1], &(kn_job_edit){.before = ids[0]}, NULL, &why), KN_EBUSY);
    assert_int_equal(
        kn_queue_edit(f->q, ids[1], &(kn_job_edit){.before = "job_00000000000000000000"}, NULL, &why),
        KN_ENOTFOUND);
    assert_int_equal(
        kn_queue_edit(f->q, ids[2], &(kn_job_edit){.priority = &priority, .before = ids[1]}, NULL, &why),
        KN_EINVAL);
    assert_int_equal(kn_queue_edit(f->q, ids[2], &(kn_job_edit){.priority = &too_high}, NULL, &why),
                     KN_EINVAL);
    json_t *array = json_array();
    assert_int_equal(kn_queue_edit(f->q, ids[2], &(kn_job_edit){.request = array}, NULL, &why), KN_EINVAL);
    json_decref(array);
    check_line(f->q, "bc");
}

/* Moving to the same place again and again uses up the numbers between two jobs. */
static void test_many_moves(void **state)
{
    fixture *f = *state;
    char ids[12][KN_JOB_ID_BYTES], line[13] = "abcdefghijkl";
    kn_rng rng;
    submit_all(f->q, 12, ids);
    kn_rng_seed(&rng, 20260101);
    for (int i = 0; i < 150; i++) {
        /* Mostly between the same two, else anywhere. */
        int from = i % 3 ? 11 : (int)(kn_rng_u32(&rng) % 12), to = i % 3 ? 6 : (int)(kn_rng_u32(&rng) % 12);
        char moved = line[from], before = line[to];
        if (from == to)
            continue;
        move(f->q, ids[moved - 'a'], ids[before - 'a']);
        memmove(line + from, line + from + 1, (size_t)(12 - from));
        char *at = strchr(line, before);
        memmove(at + 1, at, strlen(at) + 1);
        *at = moved;
        check_line(f->q, line);
    }
}

/* One that was interrupted or paused comes back to where it stood, even if others were moved meanwhile. */
static void test_back_to_the_old_place(void **state)
{
    fixture *f = *state;
    char ids[5][KN_JOB_ID_BYTES];
    submit_all(f->q, 5, ids);
    must(kn_queue_pause(f->q, ids[2], NULL, err));
    check_line(f->q, "abde");
    int64_t attempt = claim(f->q, ids[0]);
    for (int i = 0; i < 25; i++) { /* long enough that they are moved apart */
        move(f->q, ids[4], ids[3]);
        move(f->q, ids[3], ids[4]);
    }
    check_line(f->q, "bde");
    must(kn_queue_interrupt(f->q, ids[0], attempt, true, "gone", err));
    must(kn_queue_resume(f->q, ids[2], NULL, err));
    check_line(f->q, "abcde");

    attempt = claim(f->q, ids[0]);
    must(kn_queue_pause(f->q, ids[0], NULL, err));
    must(kn_queue_stopped(f->q, ids[0], attempt, err));
    check_line(f->q, "bcde");
    must(kn_queue_resume(f->q, ids[0], NULL, err));
    check_line(f->q, "abcde");
    must(kn_queue_cancel(f->q, ids[1], NULL, err));
    must(kn_queue_retry(f->q, ids[1], NULL, err)); /* but one that had ended comes last */
    check_line(f->q, "acdeb");
}

static void test_edit_of_the_request(void **state)
{
    fixture *f = *state;
    char id[KN_JOB_ID_BYTES];
    kn_job job, *jobs;
    int n;
    submit(f->q, "a cat", 0, id);
    int64_t attempt = claim(f->q, id);
    json_t *plan = json_pack("{s:i}", "need_bytes", 5), *request = json_pack("{s:s}", "prompt", "a Dog");
    must(kn_queue_set_plan(f->q, id, attempt, plan, err));
    must(kn_queue_interrupt(f->q, id, attempt, true, "gone", err));
    must(kn_queue_get(f->q, id, &job, err));
    assert_true(json_equal(job.plan, plan));
    kn_job_done(&job);
    must(kn_queue_edit(f->q, id, &(kn_job_edit){.request = request}, &job, err));
    assert_true(json_equal(job.request, request));
    assert_null(job.plan); /* was of the other request */
    kn_job_done(&job);
    must(kn_queue_list(f->q, &(kn_job_filter){.limit = 5, .text = "dog"}, &jobs, &n, err));
    assert_int_equal(n, 1);
    free_jobs(jobs, n);
    must(kn_queue_list(f->q, &(kn_job_filter){.limit = 5, .text = "cat"}, &jobs, &n, err));
    assert_int_equal(n, 0);
    free_jobs(jobs, n);
    int64_t last_event = kn_queue_last_event(f->q);
    must(kn_queue_edit(f->q, id, &(kn_job_edit){0}, NULL, err));
    assert_int_equal(kn_queue_last_event(f->q), last_event); /* nothing was changed */
    json_decref(plan);
    json_decref(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_come_first_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_priority, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moves_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_to_the_old_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_edit_of_the_request, setup, teardown),
    };
    return cmocka_run_group_tests_name("jobs/queue_order", tests, NULL, NULL);
}
