/* The public header is the only one included here before the test framework's: what a program that uses it sees. */
#include "kinora/kinora.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void test_version_is_the_library_s(void **state)
{
    (void)state;
    char numbers[32];
    snprintf(numbers, sizeof numbers, "%d.%d.%d", KINORA_VERSION_MAJOR, KINORA_VERSION_MINOR,
             KINORA_VERSION_PATCH);
    assert_string_equal(KINORA_VERSION, numbers);
    assert_string_equal(kinora_version(), KINORA_VERSION);
}

static void test_errors_have_names_and_exit_codes(void **state)
{
    (void)state;
    assert_string_equal(kinora_error_name(KINORA_OK), "OK");
    assert_int_equal(kinora_error_exit_code(KINORA_OK), 0);
    assert_string_equal(kinora_error_name(KINORA_EINVAL), "KN_EINVAL");
    assert_string_equal(kinora_error_text(KINORA_EINVAL), "invalid argument");
    for (int code = KINORA_EINTERNAL; code < 0; code++) {
        assert_string_not_equal(kinora_error_name(code), "KN_EUNKNOWN");
        assert_true(kinora_error_exit_code(code) > 0);
        for (int other = code + 1; other <= 0; other++)
            assert_int_not_equal(kinora_error_exit_code(code), kinora_error_exit_code(other));
    }
    assert_string_equal(kinora_error_name(KINORA_EINTERNAL - 1), "KN_EUNKNOWN");
    assert_true(kinora_error_exit_code(KINORA_EINTERNAL - 1) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_is_the_library_s),
        cmocka_unit_test(test_errors_have_names_and_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
