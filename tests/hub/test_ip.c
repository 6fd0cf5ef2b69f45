/* Which addresses are those of the internet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/ip.h"
#include "hub/post.h"

static bool is_public(const char *text)
{
    struct sockaddr_storage a;
    if (!kn_ip_parse(text, &a))
        fail_msg("%s was not understood", text);
    return kn_ip_is_public((struct sockaddr *)&a);
}

static void test_addresses(void **state)
{
    static const char *const inside[] = {
        "127.0.0.1",
        "127.255.255.255",
        "0.0.0.0",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.1",
        "192.0.0.1",
        "192.0.2.7",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "127.1",
        "0xa9fea9fe",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fdff::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "100::1",
        "[::1]",
        "[fe80::1%25eth0]",
        "5f00::1",
    };
    static const char *const outside[] = {
        "1.1.1.1",      "8.8.8.8",        "11.0.0.1",         "126.255.255.255", "128.0.0.1",
        "172.15.255.1", "172.32.0.1",     "192.169.0.1",      "169.253.1.1",     "100.63.0.1",
        "100.128.0.1",  "198.17.255.255", "198.20.0.1",       "223.255.255.1",   "2606:4700:4700::1111",
        "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::",  "2001:4860:4860::8888",
    };
    (void)state;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (is_public(inside[i]))
            fail_msg("%s is taken for an address of the internet", inside[i]);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (!is_public(outside[i]))
            fail_msg("%s is refused", outside[i]);
    assert_false(kn_ip_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

static void test_names(void **state)
{
    static const char *const names[] = {"example.org", "", "localhost", "256.1.1.1", "1.2.3.4.5", "[", "::g"};
    struct sockaddr_storage a;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(kn_ip_parse(names[i], &a));
}

static void test_urls(void **state)
{
    static const char *const good[] = {"https://example.org/hook", "http://8.8.8.8:81/x?y=1",
                                       "http://[2a00:1450::1]/", "https://EXAMPLE.org"};
    static const char *const bad[] = {
        "example.org",          "ftp://example.org/", "http://",           "https://u@example.org/",
        "http://a b/",          "http://a\r\nX: y/",  "http://127.0.0.1/", "http://[::1]:80/",
        "http://017700000001/", "file:///x"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(kn_post_check_url(good[i], false, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (kn_post_check_url(bad[i], false, NULL) != KN_EINVAL)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(kn_post_check_url("http://127.0.0.1:9/", true, NULL), 0);
    assert_int_equal(kn_post_check_url("http://u@127.0.0.1:9/", true, NULL), KN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_urls)};
    return cmocka_run_group_tests_name("hub/ip", tests, NULL, NULL);
}
