/* Models are removed below their folder only, whatever they are called. */
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

#include "base/dirs.h"
#include "base/file.h"
#include "server/model_remove.h"

static kn_places places;
static kn_queue *queue;
static char dir[64];

static int make(void **state)
{
    char path[128];
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/kinora-remove-XXXXXX");
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
    return kn_dir_remove(dir, NULL);
}

static char *at(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/models/%.300s", dir, name);
    return path;
}

static bool is_there(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0;
}

static void make_model(const char *name)
{
    char file[200];
    assert_int_equal(kn_dir_make(at(name), NULL), 0);
    snprintf(file, sizeof file, "%.150s/model_index.json", name);
    FILE *f = fopen(at(file), "wb");
    assert_non_null(f);
    fputs("{}", f);
    fclose(f);
}

static void check(const char *name, int code)
{
    kn_err err = {0};
    int rc = kn_model_remove(&places, queue, name, &err);
    if (rc != code)
        fail_msg("%s: %d %s, expected %d", name, rc, err.msg, code);
}

static void test_remove(void **state)
{
    (void)state;
    make_model("own");
    make_model("acme/tiny");
    make_model("acme/other");
    check("acme/tiny", 0);
    assert_false(is_there("acme/tiny"));
    assert_true(is_there("acme/other"));
    check("acme/other", 0);
    assert_false(is_there("acme")); /* an owner without models */
    assert_true(is_there("own"));
    check("own", 0);
    check("own", KN_ENOTFOUND);
}

static void test_refused(void **state)
{
    static const char *const rows[] = {"",     "..",       ".",  "../uploads", "a/../../uploads",
                                       "/etc", ".partial", "a/", "a//b",       "a/.b",
                                       "demo", "testsrc"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(rows[i], KN_EINVAL);
    assert_true(kn_path_is_dir(places.uploads));
    assert_int_equal(kn_dir_make(at("plain/folder"), NULL), 0);
    check("plain", KN_ENOTFOUND); /* no model */
    assert_true(is_there("plain/folder"));
}

/* A link goes, what it leads to stays; through one nothing goes. */
static void test_links(void **state)
{
    char outside[100], inside[160];
    (void)state;
    snprintf(outside, sizeof outside, "%s/outside", dir);
    snprintf(inside, sizeof inside, "%s/model", outside);
    assert_int_equal(kn_dir_make(inside, NULL), 0);
    make_model("../outside/model");
    assert_int_equal(symlink(outside, at("door")), 0);
    check("door/model", KN_EINVAL);
    assert_true(kn_path_is_dir(inside));
    check("door", 0);
    assert_false(is_there("door"));
    assert_true(kn_path_is_dir(inside));
}

static void test_used(void **state)
{
    static const char *const keys[] = {"model", "vae"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        kn_job job = {0};
        make_model("acme/tiny");
        json_t *rq =
            json_pack("{s:s, s:s, s:s}", "prompt", "acme/tiny", "model", "demo", keys[i], "acme/tiny/x");
        assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = rq}, NULL, NULL), 0);
        json_decref(rq);
        assert_int_equal(kn_queue_claim(queue, &job, NULL), 0);
        check("acme/tiny", KN_EBUSY);
        assert_true(is_there("acme/tiny"));
        assert_int_equal(kn_queue_fail(queue, job.id, job.attempt, &(kn_err){KN_EIO, "x"}, NULL), 0);
        kn_job_done(&job);
        check("acme/tiny", 0);
    }
    /* that a prompt has its name is no use */
    kn_job job = {0};
    make_model("acme/tiny");
    json_t *rq = json_pack("{s:s, s:s}", "prompt", "acme/tiny", "model", "acme/tiny2");
    assert_int_equal(kn_queue_submit(queue, &(kn_job_spec){.request = rq}, NULL, NULL), 0);
    json_decref(rq);
    assert_int_equal(kn_queue_claim(queue, &job, NULL), 0);
    kn_job_done(&job);
    check("acme/tiny", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_remove, make, clear),
        cmocka_unit_test_setup_teardown(test_refused, make, clear),
        cmocka_unit_test_setup_teardown(test_links, make, clear),
        cmocka_unit_test_setup_teardown(test_used, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
