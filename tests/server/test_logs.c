/* The log: the last lines, in order, and a file that stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "server/logs.h"

static char dir[64];

static kn_logs *open_logs(void)
{
    snprintf(dir, sizeof dir, "/tmp/kinora-logs-XXXXXX");
    assert_non_null(mkdtemp(dir));
    kn_logs *l = kn_logs_open(dir);
    assert_non_null(l);
    return l;
}

static void check_line(const json_t *recent, size_t i, const char *end)
{
    const char *line = json_string_value(json_array_get(json_object_get(recent, "lines"), i));
    assert_non_null(line);
    assert_true(strlen(line) >= strlen(end));
    assert_string_equal(line + strlen(line) - strlen(end), end);
}

static void test_recent(void **state)
{
    kn_logs *l = open_logs();
    (void)state;
    for (int i = 0; i < KN_LOG_LINES + 5; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %d.", i);
        kn_logs_add(l, line);
    }
    json_t *two = kn_logs_recent(l, 2), *all = kn_logs_recent(l, KN_LOG_LINES);
    assert_int_equal(json_array_size(json_object_get(two, "lines")), 2);
    check_line(two, 0, " line 2003.");
    check_line(two, 1, " line 2004.");
    assert_int_equal(json_array_size(json_object_get(all, "lines")), KN_LOG_LINES);
    check_line(all, 0, " line 5.");
    json_decref(two);
    json_decref(all);
    kn_logs_close(l);
}

/* One line stays one line, whatever a file is called. */
static void test_control_characters(void **state)
{
    kn_logs *l = open_logs();
    (void)state;
    kn_logs_add(l, "a\nb\033[31mc");
    json_t *one = kn_logs_recent(l, 5);
    check_line(one, 0, "  a?b?[31mc");
    json_decref(one);
    kn_logs_close(l);
}

/* The next one begins where the last one ended, with whole lines of a long file. */
static void test_recalls(void **state)
{
    enum { N = 6000 };
    kn_logs *l = open_logs();
    (void)state;
    for (int i = 0; i < N; i++) {
        char line[96];
        snprintf(line, sizeof line, "line %d of a program that has much to say about what it does.", i);
        kn_logs_add(l, line);
    }
    kn_logs_close(l);
    l = kn_logs_open(dir);
    assert_non_null(l);
    json_t *all = kn_logs_recent(l, KN_LOG_LINES), *lines = json_object_get(all, "lines");
    assert_int_equal(json_array_size(lines), KN_LOG_LINES);
    check_line(all, KN_LOG_LINES - 1, "line 5999 of a program that has much to say about what it does.");
    check_line(all, 0, "line 4000 of a program that has much to say about what it does.");
    json_decref(all);
    kn_logs_add(l, "new");
    all = kn_logs_recent(l, 2);
    check_line(all, 0, "line 5999 of a program that has much to say about what it does.");
    check_line(all, 1, "  new");
    json_decref(all);
    kn_logs_close(l);
}

static void test_turns_over(void **state)
{
    kn_logs *l = open_logs();
    char path[96];
    struct stat st;
    (void)state;
    size_t n = 1 << 16;
    char *line = malloc(n + 1);
    memset(line, 'x', n);
    line[n] = '\0';
    for (size_t i = 0; i < KN_LIMIT_LOG_BYTES / n + 3; i++)
        kn_logs_add(l, line);
    kn_logs_close(l);
    free(line);
    snprintf(path, sizeof path, "%s/kinora.log.1", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true((size_t)st.st_size >= KN_LIMIT_LOG_BYTES);
    snprintf(path, sizeof path, "%s/kinora.log", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true((size_t)st.st_size < KN_LIMIT_LOG_BYTES / 2);
}

static void test_no_folder(void **state)
{
    (void)state;
    kn_logs *l = kn_logs_open("/proc/nowhere");
    assert_non_null(l);
    kn_logs_add(l, "kept");
    json_t *one = kn_logs_recent(l, 5);
    check_line(one, 0, "kept");
    json_decref(one);
    kn_logs_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recent), cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_recalls), cmocka_unit_test(test_turns_over), cmocka_unit_test(test_no_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
