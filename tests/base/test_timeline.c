#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/timeline.h"

static char dir[] = "/tmp/kn-test-timeline-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? chdir(dir) : -1;
}

static int teardown(void **state)
{
    (void)state;
    unlink("t.json");
    return chdir("/") || rmdir(dir); /* nothing else was left behind */
}

static json_t *written(kn_timeline *t)
{
    json_t *j = NULL;
    kn_err err = {0};
    if (kn_timeline_write(t, "t.json", &err) || kn_json_load("t.json", &j, &err))
        fail_msg("%s", err.msg);
    return j;
}

/* Of the spans, without the names of tracks; NULL: there are not so many. */
static json_t *span_at(const json_t *j, size_t i)
{
    size_t k;
    json_t *e;
    json_array_foreach(json_object_get(j, "traceEvents"), k,
                       e) if (strcmp(json_string_value(json_object_get(e, "ph")), "X") == 0 &&
                              i-- == 0) return e;
    return NULL;
}

static double number(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void test_spans(void **state)
{
    (void)state;
    kn_timeline *t = kn_timeline_new();
    double now = kn_clock_s();
    kn_timeline_add(t, KN_TRACK_DISK, "read", 3, now + 1, now + 1.5, 4096);
    kn_timeline_add(t, KN_TRACK_PHASES, "sampling", -1, now, now + 2, 0);
    json_t *j = written(t), *read = span_at(j, 0), *phase = span_at(j, 1);
    assert_null(span_at(j, 2));
    assert_string_equal(json_string_value(json_object_get(read, "name")), "read 3");
    assert_string_equal(json_string_value(json_object_get(phase, "name")), "sampling");
    assert_true(number(read, "dur") == 5e5 && number(phase, "dur") == 2e6);
    assert_true(number(read, "ts") - number(phase, "ts") > 0.99e6);
    assert_true(number(read, "tid") > number(phase, "tid"));
    assert_int_equal(number(json_object_get(read, "args"), "bytes"), 4096);
    assert_null(json_object_get(phase, "args"));
    json_decref(j);
    kn_timeline_free(t);
}

static void test_full(void **state)
{
    (void)state;
    kn_timeline *t = kn_timeline_new();
    for (int64_t i = 0; i < KN_LIMIT_TIMELINE_SPANS + 5; i++)
        kn_timeline_add(t, KN_TRACK_BLOCKS, "block", i, 0, 1, 0);
    json_t *j = written(t);
    assert_int_equal(number(json_object_get(j, "otherData"), "left_out"), 5);
    assert_non_null(span_at(j, KN_LIMIT_TIMELINE_SPANS - 1));
    assert_null(span_at(j, KN_LIMIT_TIMELINE_SPANS));
    json_decref(j);
    kn_timeline_free(t);
}

static void test_nobody_looks(void **state)
{
    (void)state;
    kn_timeline_add(NULL, KN_TRACK_BLOCKS, "block", 0, 0, 1, 0);
    assert_int_equal(kn_timeline_write(NULL, "none.json", NULL), 0);
    assert_false(kn_path_exists("none.json"));
    kn_timeline_free(NULL);
}

static void test_no_folder(void **state)
{
    (void)state;
    kn_timeline *t = kn_timeline_new();
    kn_err err = {0};
    assert_int_equal(kn_timeline_write(t, "gone/t.json", &err), KN_EIO);
    assert_non_null(strstr(err.msg, "gone/t.json"));
    kn_timeline_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_nobody_looks),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
