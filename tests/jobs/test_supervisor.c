/* The supervisor with the real program as its workers, and with programs that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "jobs/supervisor.h"

static kn_places places;
static kn_queue *queue;
static kn_supervisor *supervisor;
static atomic_int n_progress;

static void on_progress(void *ud, const char *job_id, const json_t *progress)
{
    (void)ud, (void)job_id;
    n_progress += json_is_string(json_object_get(progress, "phase"));
}

static int make(void **state)
{
    char dir[] = "/tmp/kinora-supervisor-XXXXXX", path[96];
    (void)state;
    if (!mkdtemp(dir) || kn_places_open(&places, dir, NULL))
        return -1;
    snprintf(path, sizeof path, "%s/q.db", dir);
    n_progress = 0;
    return kn_queue_open(path, NULL, &queue, NULL);
}

static int clear(void **state)
{
    (void)state;
    kn_supervisor_stop(supervisor);
    supervisor = NULL;
    kn_queue_close(queue);
    kn_places_close(&places);
    return 0;
}

static void start(const char *program, int n_workers)
{
    kn_err err = {0};
    kn_supervisor_opts opts = {.program = program, .n_workers = n_workers, .progress = on_progress};
    if (kn_supervisor_start(&opts, &places, queue, &supervisor, &err))
        fail_msg("%s", err.msg);
}

static void submit(const char *request, char *id)
{
    json_t *rq = json_loads(request, 0, NULL);
    kn_job job;
    assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = rq}, &job, NULL), 0);
    snprintf(id, KN_JOB_ID_BYTES, "%s", job.id);
    kn_job_done(&job);
    json_decref(rq);
}

static kn_job wait_for(const char *id, kn_job_state state)
{
    kn_job job = {0};
    for (double since = kn_clock_s(); kn_clock_s() - since < 60;) {
        assert_int_equal(kn_queue_get(queue, id, &job, NULL), 0);
        if (job.state == state)
            return job;
        if (kn_job_state_is_final(job.state))
            fail_msg("%s: %s", kn_job_state_name(job.state), job.error ? job.error : "");
        kn_job_done(&job);
        usleep(10000);
    }
    fail_msg("not %s in a minute", kn_job_state_name(state));
    return job;
}

#define BARS                                                                                                 \
    "{\"model\": \"testsrc\", \"prompt\": \"bars\", \"width\": 64, \"height\": 48, \"frames\": 4, "          \
    "\"steps\": 2, \"seed\": 1}"

static void test_done(void **state)
{
    char ids[3][KN_JOB_ID_BYTES];
    (void)state;
    start(KN_PROGRAM, 2);
    for (int i = 0; i < 3; i++)
        submit(BARS, ids[i]);
    for (int i = 0; i < 3; i++) {
        kn_job job = wait_for(ids[i], KN_JOB_COMPLETED);
        assert_true(kn_path_exists(job.output));
        assert_true(kn_path_exists(job.thumbnail));
        assert_true(json_is_object(job.plan));
        assert_true(json_is_string(json_object_get(job.result, "frames_hash")));
        kn_job_done(&job);
    }
    assert_true(n_progress > 3);
}

static void test_failed(void **state)
{
    char id[KN_JOB_ID_BYTES], next[KN_JOB_ID_BYTES];
    (void)state;
    start(KN_PROGRAM, 1);
    submit("{\"model\": \"testsrc\", \"prompt\": \"x\", \"frames\": 0}", id);
    submit(BARS, next);
    kn_job job = wait_for(id, KN_JOB_FAILED), good = wait_for(next, KN_JOB_COMPLETED);
    assert_int_equal(job.error_code, KN_EINVAL);
    assert_non_null(strstr(job.error, "frames"));
    kn_job_done(&job);
    kn_job_done(&good);
}

static void test_held(void **state)
{
    char id[KN_JOB_ID_BYTES];
    kn_job job = {0};
    (void)state;
    start(KN_PROGRAM, 1);
    kn_supervisor_hold(supervisor, true);
    submit(BARS, id);
    usleep(300000);
    assert_int_equal(kn_queue_get(queue, id, &job, NULL), 0);
    assert_int_equal(job.state, KN_JOB_QUEUED);
    kn_job_done(&job);
    kn_supervisor_hold(supervisor, false);
    job = wait_for(id, KN_JOB_COMPLETED);
    kn_job_done(&job);
}

/* A program that ends at once is started again and again, less and less often; its jobs wait. */
static void test_no_worker(void **state)
{
    static const char *const programs[] = {"/bin/false", "/nonexistent/kinora", "/bin/true"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char id[KN_JOB_ID_BYTES];
        kn_job job = {0};
        if (i)
            make(state);
        start(programs[i], 1);
        submit(BARS, id);
        json_int_t deaths = 0;
        const char *error = "";
        json_t *workers = NULL;
        for (double since = kn_clock_s(); deaths < 2 && kn_clock_s() - since < 30; usleep(20000)) {
            json_decref(workers);
            workers = kn_supervisor_to_json(supervisor);
            deaths = json_integer_value(json_object_get(json_array_get(workers, 0), "deaths"));
            error = json_string_value(json_object_get(json_array_get(workers, 0), "error"));
        }
        assert_true(deaths >= 2);
        assert_true(strlen(error) > 10);
        json_decref(workers);
        assert_int_equal(kn_queue_get(queue, id, &job, NULL), 0);
        assert_int_equal(job.state, KN_JOB_QUEUED);
        assert_int_equal(job.attempt, 0);
        kn_job_done(&job);
        double begin = kn_clock_s();
        clear(state);
        assert_true(kn_clock_s() - begin < 10);
    }
    make(state);
}

static void test_bad_options(void **state)
{
    (void)state;
    kn_supervisor *s = NULL;
    kn_supervisor_opts opts = {.program = "/bin/false", .n_workers = -1};
    assert_int_equal(kn_supervisor_start(&opts, &places, queue, &s, NULL), KN_EINVAL);
    opts.n_workers = 9;
    assert_int_equal(kn_supervisor_start(&opts, &places, queue, &s, NULL), KN_EINVAL);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_done, make, clear),
        cmocka_unit_test_setup_teardown(test_failed, make, clear),
        cmocka_unit_test_setup_teardown(test_held, make, clear),
        cmocka_unit_test_setup_teardown(test_no_worker, make, clear),
        cmocka_unit_test_setup_teardown(test_bad_options, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
