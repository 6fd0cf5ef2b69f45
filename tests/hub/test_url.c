/* Addresses: who they lead to, and where a redirect may go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"
#include "hub/url.h"

static void test_escape(void **state)
{
    kn_buf b;
    (void)state;
    kn_buf_init(&b, 1000);
    kn_url_escape(&b, "a/b c?d#%\xc3\xa4+", "/");
    assert_string_equal(b.data, "a/b%20c%3Fd%23%25%C3%A4%2B");
    kn_buf_done(&b);
}

static void test_origin(void **state)
{
    (void)state;
    assert_true(kn_url_same_origin("https://Hub.example/a", "https://hub.example:443/b?c"));
    assert_true(kn_url_same_origin("http://127.0.0.1:80", "http://127.0.0.1/"));
    assert_false(kn_url_same_origin("https://hub.example/", "http://hub.example/"));
    assert_false(kn_url_same_origin("https://hub.example/", "https://hub.example:444/"));
    assert_false(kn_url_same_origin("https://hub.example/", "https://hub.example.evil/"));
    assert_false(kn_url_same_origin("https://hub.example/", "https://hub.example@evil/"));
    assert_false(kn_url_same_origin("https://hub.example/", "/path"));
}

static void follow(const char *base, const char *location, bool https_only, const char *to)
{
    char *got = NULL;
    int rc = kn_url_follow(base, location, https_only, &got, NULL);
    if (to ? rc || strcmp(got, to) : rc != KN_EFORMAT)
        fail_msg("%s -> %s: %d %s", base, location, rc, got ? got : "");
    free(got);
}

static void test_follow(void **state)
{
    static const char hub[] = "https://hub.example/a/b?c=d";
    (void)state;
    follow(hub, "/x", true, "https://hub.example/x");
    follow(hub, "y?z", true, "https://hub.example/a/y?z");
    follow(hub, "//cdn.example/x", true, "https://cdn.example/x");
    follow(hub, "https://cdn.example/x?sig=a%2Fb", true, "https://cdn.example/x?sig=a%2Fb");
    follow(hub, "http://cdn.example/x", true, NULL);
    follow("http://hub.example/", "http://cdn.example/x", false, "http://cdn.example/x");
    follow(hub, "file:///etc/passwd", false, NULL);
    follow(hub, "ftp://x/y", false, NULL);
    follow(hub, "gopher://x/y", false, NULL);
    follow(hub, "https://user:word@cdn.example/", true, NULL);
    follow(hub, "https://", true, NULL);
    follow(hub, "https://[::1", true, NULL);
}

static void test_query(void **state)
{
    (void)state;
    char *v = kn_url_query("https://h/api/models?limit=3&cursor=ab%3D&x", "cursor");
    assert_string_equal(v, "ab=");
    free(v);
    assert_null(kn_url_query("https://h/api/models?limit=3&xcursor=1", "cursor"));
    assert_null(kn_url_query("https://h/api/models", "cursor"));
}

static void test_endpoint(void **state)
{
    static const char *const good[] = {"https://huggingface.co", "http://127.0.0.1:8080",
                                       "https://mirror.example/hf"};
    static const char *const bad[] = {"",           "huggingface.co", "file:///etc", "ftp://x",
                                      "https://",   "https://u:p@h",  "https://h?x", "https://h\r\nX: y",
                                      "https://h x"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(kn_hub_check_endpoint(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (kn_hub_check_endpoint(bad[i], NULL) != KN_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void test_ids(void **state)
{
    static const char *const good[] = {"Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "a/b", "a_b/c_d"};
    static const char *const bad[] = {"",      "a",      "a/",     "/b",     "a/b/c", "../b",
                                      "a/..",  "a/.b",   "a--b/c", "a/b..c", "a/b-",  "a/b c",
                                      "a/b?x", "a/b%2f", "a/b\n",  "-a/b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(kn_hub_check_id(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (kn_hub_check_id(bad[i], NULL) != KN_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(kn_hub_check_id(NULL, NULL), KN_EINVAL);
}

static bool is_mapped(const char *library)
{
    char line[4096];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        found |= strstr(line, library) != NULL;
    fclose(f);
    return found;
}

/* First of all tests: a program that never asks a hub does not load what that needs. */
static void test_loaded_late(void **state)
{
    (void)state;
    assert_false(is_mapped("libcurl") || is_mapped("libcrypto"));
    assert_true(kn_url_has_scheme("https://h/", "HTTPS"));
    assert_false(is_mapped("libcurl"));
    assert_int_equal(kn_hub_check_endpoint("https://h/", NULL), 0);
    assert_true(is_mapped("libcurl") && is_mapped("libcrypto"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loaded_late), cmocka_unit_test(test_escape),
                                       cmocka_unit_test(test_origin),      cmocka_unit_test(test_follow),
                                       cmocka_unit_test(test_query),       cmocka_unit_test(test_endpoint),
                                       cmocka_unit_test(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
