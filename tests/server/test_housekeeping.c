/* Uploads that no job names go, those that one names stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/housekeeping.h"
#include "server/settings.h"

static kn_places places;
static kn_queue *queue;

static int make(void **state)
{
    char dir[] = "/tmp/kinora-housekeeping-XXXXXX", path[96];
    (void)state;
    if (!mkdtemp(dir) || kn_places_open(&places, dir, NULL))
        return -1;
    snprintf(path, sizeof path, "%s/q.db", dir);
    return kn_queue_open(path, NULL, &queue, NULL);
}

static int clear(void **state)
{
    (void)state;
    kn_queue_close(queue);
    kn_places_close(&places);
    return 0;
}

static void touch(const char *name)
{
    char *path = kn_path_join(places.uploads, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
    free(path);
}

static bool is_there(const char *name)
{
    char *path = kn_path_join(places.uploads, name);
    bool is = kn_path_exists(path);
    free(path);
    return is;
}

static void test_uploads(void **state)
{
    json_t *request = json_pack("{s:s, s:s, s:[s, s]}", "prompt", "x", "image", "upl_a.png", "reference",
                                "upl_b.png", "upl_c.png");
    (void)state;
    touch("upl_a.png");
    touch("upl_b.png");
    touch("upl_old.png");
    touch("left.part");
    assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = request}, NULL, NULL), 0);
    assert_int_equal(kn_housekeeping_uploads(&places, queue, 3600), 0); /* all are young */
    assert_int_equal(kn_housekeeping_uploads(&places, queue, -1), 2);
    assert_true(is_there("upl_a.png"));
    assert_true(is_there("upl_b.png"));
    assert_false(is_there("upl_old.png"));
    assert_false(is_there("left.part"));
    json_decref(request);
}

static void make_state(const char *id)
{
    char *path = kn_path_join(places.state, id), *inner = path ? kn_path_join(path, "runs") : NULL;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    free(inner);
    free(path);
}

static bool has_state(const char *id)
{
    char *path = kn_path_join(places.state, id);
    bool is = kn_path_exists(path);
    free(path);
    return is;
}

static void test_states(void **state)
{
    json_t *request = json_pack("{s:s}", "prompt", "x");
    kn_job waiting = {0}, cancelled = {0};
    (void)state;
    assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = request}, &waiting, NULL), 0);
    assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = request}, &cancelled, NULL), 0);
    assert_int_equal(kn_queue_cancel(queue, cancelled.id, NULL, NULL), 0);
    make_state(waiting.id);
    make_state(cancelled.id);
    make_state("job_long_gone");
    assert_int_equal(kn_housekeeping_states(&places, queue), 2);
    assert_true(has_state(waiting.id));
    assert_false(has_state(cancelled.id));
    assert_false(has_state("job_long_gone"));
    kn_job_done(&waiting);
    kn_job_done(&cancelled);
    json_decref(request);
}

static void test_thread(void **state)
{
    kn_housekeeping *h = NULL;
    (void)state;
    assert_int_equal(kn_housekeeping_start(&places, queue, NULL, NULL, &h, NULL), 0);
    kn_housekeeping_stop(h);
    kn_housekeeping_stop(NULL);
}

static void test_limits(void **state)
{
    json_t *settings = NULL;
    (void)state;
    assert_int_equal(kn_settings_load(queue, &settings, NULL), 0);
    kn_retention r = kn_housekeeping_limits(settings);
    assert_true(r.max_age_s == 90.0 * 86400);
    assert_int_equal(r.max_jobs, 1000);
    assert_true(r.max_bytes == 107374182400);
    json_decref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_uploads, make, clear),
        cmocka_unit_test_setup_teardown(test_states, make, clear),
        cmocka_unit_test_setup_teardown(test_thread, make, clear),
        cmocka_unit_test_setup_teardown(test_limits, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
