#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

/* RFC 4648, section 10, and bytes that use every kind of letter. */
static void test_good(void **state)
{
    static const struct {
        const char *text, *bytes;
        size_t size;
    } rows[] = {{"", "", 0},
                {"Zg==", "f", 1},
                {"Zm8=", "fo", 2},
                {"Zm9v", "foo", 3},
                {"Zm9vYg==", "foob", 4},
                {"Zm9vYmFy", "foobar", 6},
                {"+/+/", "\xfb\xff\xbf", 3},
                {"AAAA", "\0\0\0", 3}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char *data = NULL;
        size_t size = 99;
        assert_int_equal(kn_base64_decode(rows[i].text, strlen(rows[i].text), &data, &size, NULL), 0);
        assert_int_equal(size, rows[i].size);
        assert_memory_equal(data, rows[i].bytes, size);
        free(data);
    }
}

static void test_bad(void **state)
{
    static const char *const rows[] = {"Z",
                                       "Zg=",
                                       "Zg",
                                       "Z===",
                                       "====",
                                       "Zg=A",
                                       "Zm9v\nYg=",
                                       "Zg==Zg==",
                                       "Zm 9",
                                       "Zm_9",
                                       "\xff\xff\xff\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char *data = NULL;
        size_t size;
        kn_err err = {0};
        if (kn_base64_decode(rows[i], strlen(rows[i]), &data, &size, &err) != KN_EFORMAT)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_null(data);
    }
}

/* RFC 4648, 10. */
static void test_encode(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xfe\xfb", "//77"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = kn_base64_encode(cases[i][0], strlen(cases[i][0]));
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_encode), cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
