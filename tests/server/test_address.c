/* Where the server says it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/address.h"

static char dir[] = "/tmp/kinora-address-XXXXXX";

static int make(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static void check(const char *host, const char *expected)
{
    char *url = NULL;
    kn_err err = {0};
    assert_int_equal(kn_address_write(dir, host, 8188, &err), 0);
    assert_int_equal(kn_address_read(dir, &url, &err), 0);
    assert_string_equal(url, expected);
    free(url);
}

static void test_where_it_is_reached(void **state)
{
    (void)state;
    check(NULL, "http://127.0.0.1:8188");
    check("127.0.0.1", "http://127.0.0.1:8188");
    check("0.0.0.0", "http://127.0.0.1:8188");
    check("::", "http://[::1]:8188");
    check("::1", "http://[::1]:8188");
    check("192.168.1.2", "http://192.168.1.2:8188");
}

static void test_gone(void **state)
{
    char *url = NULL;
    kn_err err = {0};
    (void)state;
    check(NULL, "http://127.0.0.1:8188");
    kn_address_remove(dir);
    assert_int_equal(kn_address_read(dir, &url, &err), KN_ENOTFOUND);
    kn_address_remove(dir); /* again is no error */
}

static void test_not_an_address(void **state)
{
    static const char *const texts[] = {"", "[]", "{}", "{\"url\": 7}", "{\"url\": \"file:///etc/passwd\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char path[64], *url = NULL;
        kn_err err = {0};
        snprintf(path, sizeof path, "%s/server.json", dir);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_true(fputs(texts[i], f) >= 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(kn_address_read(dir, &url, &err), KN_EFORMAT);
        assert_null(url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_is_reached),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_not_an_address),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
