/* Digests against values that other programs gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hub/digest.h"

static void check(kn_digest_kind kind, const char *text, const char *hex)
{
    char got[KN_DIGEST_HEX];
    kn_digest *d = NULL;
    assert_int_equal(kn_digest_new(kind, strlen(text), &d, NULL), 0);
    assert_int_equal(kn_digest_add(d, "rubbish", 7, NULL), 0);
    assert_int_equal(kn_digest_restart(d, NULL), 0);
    for (size_t i = 0; i < strlen(text); i++)
        assert_int_equal(kn_digest_add(d, text + i, 1, NULL), 0);
    assert_int_equal(kn_digest_hex(d, got, NULL), 0);
    assert_string_equal(got, hex);
    kn_digest_free(d);
}

static void test_known(void **state)
{
    (void)state;
    check(KN_DIGEST_SHA256, "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2 */
    check(KN_DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(KN_DIGEST_GIT_SHA1, "hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"); /* git hash-object */
    check(KN_DIGEST_GIT_SHA1, "", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    check(KN_DIGEST_NONE, "abc", "");
    kn_digest_free(NULL);
}

static void test_valid(void **state)
{
    (void)state;
    assert_true(kn_digest_is_valid(KN_DIGEST_GIT_SHA1, "ce013625030ba8dba906f756967f9e9ca394464a"));
    assert_false(kn_digest_is_valid(KN_DIGEST_SHA256, "ce013625030ba8dba906f756967f9e9ca394464a"));
    assert_false(kn_digest_is_valid(KN_DIGEST_GIT_SHA1, "CE013625030ba8dba906f756967f9e9ca394464a"));
    assert_false(kn_digest_is_valid(KN_DIGEST_GIT_SHA1, "../3625030ba8dba906f756967f9e9ca394464a"));
    assert_false(kn_digest_is_valid(KN_DIGEST_GIT_SHA1, NULL));
    assert_false(kn_digest_is_valid(KN_DIGEST_NONE, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
