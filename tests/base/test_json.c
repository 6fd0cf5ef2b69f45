#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"

static json_t *parse(const char *text)
{
    json_t *v = NULL;
    kn_err err = {0};
    if (kn_json_parse(text, strlen(text), "a.json", &v, &err))
        fail_msg("%s", err.msg);
    return v;
}

static void assert_refused(const char *text, size_t size, int code, const char *part)
{
    json_t *v = (json_t *)(uintptr_t)text;
    kn_err err = {0};
    assert_int_equal(kn_json_parse(text, size, "a.json", &v, &err), code);
    assert_ptr_equal(v, text); /* untouched */
    if (!strstr(err.msg, part) || strncmp(err.msg, "a.json: ", 8))
        fail_msg("\"%s\" does not contain \"%s\"", err.msg, part);
}

static void test_strictness(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "{",       "{\"a\":1,}",  "[1] x", "{\"a\":1,\"a\":2}", "\"\xff\"", "[1,2", "{'a':1}", "nul",
        "[NaN]", "[1e999]", "\"\\ud800\"", "[01]",  "{\"a\" 1}",         "// no\n1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(bad[i], strlen(bad[i]), KN_EFORMAT, "not JSON: line 1");
    assert_refused("[1]\0[2]", 7, KN_EFORMAT, "not JSON");
    json_decref(parse(" {\"\xc3\xa9\": [1, 2.5, null, \"\\u00e9\"]} \n"));
    json_decref(parse("3"));
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * KN_LIMIT_JSON_DEPTH + 3];
    int n = KN_LIMIT_JSON_DEPTH;
    memset(text, '[', (size_t)n);
    memset(text + n, ']', (size_t)n);
    text[2 * n] = '\0';
    json_decref(parse(text));
    memset(text, '[', (size_t)n + 1);
    memset(text + n + 1, ']', (size_t)n + 1);
    assert_refused(text, 2 * (size_t)n + 2, KN_ELIMIT, "nested deeper than 64 levels");
    json_decref(parse(
        "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\", \"\\\"[\"]"));
    char *many = malloc(1 << 20);
    assert_non_null(many);
    memset(many, '{', 1 << 20);
    assert_refused(many, 1 << 20, KN_ELIMIT, "nested deeper");
    free(many);
}

static void test_load(void **state)
{
    (void)state;
    char path[] = "/tmp/kn-test-json-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"a\": 1]", 8), 8);
    close(fd);
    json_t *v = NULL;
    kn_err err = {0};
    assert_int_equal(kn_json_load(path, &v, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, path));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"a\": 1}", f);
    fclose(f);
    assert_int_equal(kn_json_load(path, &v, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 1);
    json_decref(v);
    unlink(path);
    assert_int_equal(kn_json_load(path, &v, &err), KN_ENOTFOUND);
}

static const char config[] =
    "{\"layers\": 30, \"eps\": 1e-6, \"theta\": 10000, \"flag\": true, \"name\": \"wan\", "
    "\"none\": null, \"patch\": [1, 2, 2], \"mean\": [-0.5, 2], \"down\": [false, true], "
    "\"big\": 9007199254740993}";

static void test_reading_what_is_there(void **state)
{
    (void)state;
    json_t *obj = parse(config);
    kn_json_reader r;
    int64_t ints[3] = {0};
    double reals[4] = {0};
    bool bools[2] = {true, false};
    kn_json_reader_init(&r, obj, "t/config.json");
    assert_int_equal(kn_json_int(&r, "layers", 7, 1, 100), 30);
    assert_int_equal(kn_json_int_req(&r, "layers", 1, 30), 30);
    assert_int_equal(kn_json_int(&r, "big", 0, 0, INT64_MAX), 9007199254740993);
    assert_true(kn_json_real(&r, "eps", 1, 0, 1) == 1e-6);
    assert_true(kn_json_real(&r, "theta", 1, 0, 1e9) == 10000);
    assert_true(kn_json_bool(&r, "flag", false));
    assert_string_equal(kn_json_str(&r, "name", NULL), "wan");
    assert_int_equal(kn_json_ints(&r, "patch", ints, 3, 1, 2), 3);
    assert_true(ints[0] == 1 && ints[1] == 2 && ints[2] == 2);
    assert_int_equal(kn_json_reals(&r, "mean", reals, 4), 2);
    assert_true(reals[0] == -0.5 && reals[1] == 2);
    assert_int_equal(kn_json_bools(&r, "down", bools, 2), 2);
    assert_true(!bools[0] && bools[1]);
    assert_int_equal(r.err.code, 0);
    json_decref(obj);
}

static void test_absent_and_null_are_fallbacks(void **state)
{
    (void)state;
    json_t *obj = parse(config);
    static const char *const keys[] = {"none", "absent"};
    for (int i = 0; i < 2; i++) {
        kn_json_reader r;
        int64_t ints[1];
        double reals[1];
        bool bools[1];
        kn_json_reader_init(&r, obj, "t/config.json");
        assert_false(kn_json_has(&r, keys[i]));
        assert_true(kn_json_has(&r, "name"));
        assert_int_equal(kn_json_int(&r, keys[i], -7, 1, 100), -7);
        assert_true(kn_json_real(&r, keys[i], -7, 0, 1) == -7);
        assert_true(kn_json_bool(&r, keys[i], true));
        assert_null(kn_json_str(&r, keys[i], NULL));
        assert_int_equal(kn_json_ints(&r, keys[i], ints, 1, 0, 1), 0);
        assert_int_equal(kn_json_reals(&r, keys[i], reals, 1), 0);
        assert_int_equal(kn_json_bools(&r, keys[i], bools, 1), 0);
        assert_int_equal(r.err.code, 0);
        kn_json_int_req(&r, keys[i], 1, 100);
        char expected[128];
        snprintf(expected, sizeof expected, "t/config.json: %s is missing, expected an integer from 1 to 100",
                 keys[i]);
        assert_string_equal(r.err.msg, expected);
    }
    json_decref(obj);
}

static void read_wrongly(kn_json_reader *r, int which)
{
    int64_t ints[3];
    double reals[3];
    bool bools[3];
    switch (which) {
    case 0:
        assert_int_equal(kn_json_int(r, "layers", 7, 31, 100), 7);
        return;
    case 1:
        assert_int_equal(kn_json_int_req(r, "eps", 3, 100), 3);
        return;
    case 2:
        assert_true(kn_json_real(r, "name", 7, 0, 1) == 7);
        return;
    case 3:
        assert_true(kn_json_real(r, "theta", 7, 0, 1) == 7);
        return;
    case 4:
        assert_true(kn_json_bool(r, "layers", true));
        return;
    case 5:
        assert_null(kn_json_str(r, "patch", NULL));
        return;
    case 6:
        assert_int_equal(kn_json_ints(r, "patch", ints, 2, 1, 9), 0);
        return;
    case 7:
        assert_int_equal(kn_json_ints(r, "patch", ints, 3, 2, 9), 0);
        return;
    case 8:
        assert_int_equal(kn_json_reals(r, "down", reals, 3), 0);
        return;
    case 9:
        assert_int_equal(kn_json_bools(r, "patch", bools, 3), 0);
        return;
    default:
        assert_int_equal(kn_json_ints(r, "name", ints, 3, 1, 9), 0);
    }
}

static void test_wrong_values_are_named(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "t/config.json: layers is 30 (an integer), expected an integer from 31 to 100",
        "t/config.json: eps is 1e-6 (a number), expected an integer from 3 to 100",
        "t/config.json: name is \"wan\" (a string), expected a number from 0 to 1",
        "t/config.json: theta is 10000 (an integer), expected a number from 0 to 1",
        "t/config.json: layers is 30 (an integer), expected true or false",
        "t/config.json: patch is [1,2,2] (an array), expected a string",
        "t/config.json: patch has 3 elements, expected at most 2",
        "t/config.json: patch is 1 (an integer), expected an integer from 2 to 9",
        "t/config.json: down is false (a boolean), expected numbers",
        "t/config.json: patch is 1 (an integer), expected true or false",
        "t/config.json: name is \"wan\" (a string), expected an array",
    };
    json_t *obj = parse(config);
    for (int i = 0; i < 11; i++) {
        kn_json_reader r;
        kn_json_reader_init(&r, obj, "t/config.json");
        read_wrongly(&r, i);
        assert_int_equal(r.err.code, KN_EFORMAT);
        assert_string_equal(r.err.msg, messages[i]);
        read_wrongly(&r, (i + 3) % 11); /* the first error stays */
        assert_string_equal(r.err.msg, messages[i]);
        assert_int_equal(kn_json_int(&r, "layers", 5, 1, 100), 5);
    }
    json_decref(obj);
}

static void test_only_objects_are_read(void **state)
{
    (void)state;
    json_t *array = parse("[1]");
    kn_json_reader r;
    kn_json_reader_init(&r, array, "x.json");
    assert_string_equal(r.err.msg, "x.json: an array, expected a JSON object");
    assert_int_equal(kn_json_int(&r, "a", 4, 0, 9), 4);
    assert_false(kn_json_has(&r, "a"));
    kn_json_reader_init(&r, NULL, "x.json");
    assert_string_equal(r.err.msg, "x.json: nothing, expected a JSON object");
    json_decref(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_reading_what_is_there),
        cmocka_unit_test(test_absent_and_null_are_fallbacks),
        cmocka_unit_test(test_wrong_values_are_named),
        cmocka_unit_test(test_only_objects_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
