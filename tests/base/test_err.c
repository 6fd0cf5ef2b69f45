#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"

static void test_failing_fills_and_returns(void **state)
{
    (void)state;
    kn_err err = {0};
    assert_int_equal(kn_fail(&err, KN_EINVAL, "steps is %d, expected %s", 0, "1 or more"), KN_EINVAL);
    assert_int_equal(err.code, KN_EINVAL);
    assert_string_equal(err.msg, "steps is 0, expected 1 or more");
    assert_int_equal(kn_fail(NULL, KN_EIO, "unheard"), KN_EIO);
}

static void test_messages_are_one_line_and_fit(void **state)
{
    (void)state;
    kn_err err = {0};
    kn_fail(&err, KN_EFORMAT, "a\nb\tc\x1b[31m");
    assert_string_equal(err.msg, "a b c [31m");
    char big[2000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    kn_fail(&err, KN_EFORMAT, "%s", big);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

static void test_prefixes_go_in_front(void **state)
{
    (void)state;
    kn_err err = {0};
    kn_fail(&err, KN_EFORMAT, "truncated");
    assert_int_equal(kn_err_prefix(&err, "file %d", 3), KN_EFORMAT);
    assert_int_equal(kn_err_prefix(&err, "model"), KN_EFORMAT);
    assert_string_equal(err.msg, "model: file 3: truncated");
    kn_err none = {0};
    assert_int_equal(kn_err_prefix(&none, "x"), 0);
    assert_string_equal(none.msg, "");
    assert_true(kn_err_prefix(NULL, "x") < 0);
}

static void test_codes_by_name(void **state)
{
    (void)state;
    assert_int_equal(kn_err_code("KN_EINVAL"), KN_EINVAL);
    assert_int_equal(kn_err_code("KN_ECANCELLED"), KN_ECANCELLED);
    assert_int_equal(kn_err_code("KN_ESOMETHING"), KN_EINTERNAL);
    assert_int_equal(kn_err_code(""), KN_EINTERNAL);
}

/* Programs rely on these: changing one breaks scripts and clients. */
static void test_code_tables(void **state)
{
    (void)state;
    assert_string_equal(kn_err_name(0), "OK");
    assert_int_equal(kn_err_exit(0), 0);
    assert_int_equal(kn_err_http(0), 200);
    assert_string_equal(kn_err_name(KN_ECANCELLED), "KN_ECANCELLED");
    assert_int_equal(kn_err_exit(KN_ECANCELLED), 130);
    assert_int_equal(kn_err_http(KN_ENOTFOUND), 404);
    assert_string_equal(kn_err_text(KN_ENOMEM), "out of memory");
    assert_string_equal(kn_err_name(-999), "KN_EUNKNOWN");
    assert_int_equal(kn_err_http(-999), 500);
    assert_int_equal(kn_err_exit(-999), 1);
    static const int codes[] = {
#define X(sym, value, http, exit_code, text) sym,
        KN_ERR_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(codes[i] != codes[j] && kn_err_exit(codes[i]) != kn_err_exit(codes[j]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_fills_and_returns),
        cmocka_unit_test(test_messages_are_one_line_and_fit),
        cmocka_unit_test(test_prefixes_go_in_front),
        cmocka_unit_test(test_codes_by_name),
        cmocka_unit_test(test_code_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
