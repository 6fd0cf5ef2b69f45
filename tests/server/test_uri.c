/* Paths, queries, and which route a path means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/route.h"
#include "server/utf8_scan.h"

static void assert_decoded(const char *text, bool plus_is_space, const char *expected)
{
    char *out = NULL;
    kn_err err = {0};
    int rc = kn_uri_decode(text, strlen(text), plus_is_space, "it", &out, &err);
    if (expected ? rc || strcmp(out, expected) != 0 : rc != KN_EINVAL)
        fail_msg("%s: %d %s", text, rc, out ? out : err.msg);
    free(out);
}

static void test_decode(void **state)
{
    (void)state;
    assert_decoded("", 0, "");
    assert_decoded("a%20b%2f%2F", 0, "a b//");
    assert_decoded("a+b", 0, "a+b");
    assert_decoded("a+b%2B", 1, "a b+");
    assert_decoded("%C3%A9\xc3\xa9%F0%9F%98%80", 0, "\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80");
    assert_decoded("%0a", 0, "\n");
    assert_decoded("%", 0, NULL);
    assert_decoded("%1", 0, NULL);
    assert_decoded("%1g", 0, NULL);
    assert_decoded("%00", 0, NULL);
    assert_decoded("a\nb", 0, NULL);
    assert_decoded("a b", 0, NULL);
    assert_decoded("%c3", 0, NULL);
    assert_decoded("%c3x", 0, NULL);
    assert_decoded("%c0%80", 0, NULL);
    assert_decoded("%ed%a0%80", 0, NULL);
    assert_decoded("%f5%80%80%80", 0, NULL);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"", true},
        {"a", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc2", false},
        {"\xc2\xc2", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xe1\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(kn_utf8_is_valid(cases[i].text, strlen(cases[i].text)), cases[i].is_valid);
}

static void test_query(void **state)
{
    static const char text[] = "a=1&b=x%26y+z&c&&d==";
    kn_uri_query q;
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_uri_query_parse(&q, text, sizeof text - 1, "the query", &err), 0);
    assert_int_equal(q.n, 4);
    assert_string_equal(kn_uri_query_get(&q, "b"), "x&y z");
    assert_string_equal(kn_uri_query_get(&q, "c"), "");
    assert_string_equal(kn_uri_query_get(&q, "d"), "=");
    assert_null(kn_uri_query_get(&q, "e"));
    kn_uri_query_done(&q);
    assert_int_equal(kn_uri_query_parse(&q, "a=1&a=1", 7, "the query", &err), KN_EINVAL);
    assert_string_equal(err.msg, "the query: \"a\" is there twice, expected it once");
    assert_int_equal(kn_uri_query_parse(&q, "a=1&=2", 6, "the query", &err), KN_EINVAL);
    char many[8 * KN_LIMIT_QUERY_PARAMS + 8] = "";
    size_t n = 0;
    for (int i = 0; i <= KN_LIMIT_QUERY_PARAMS; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "&p%d", i);
    assert_int_equal(kn_uri_query_parse(&q, many, n, "the query", &err), KN_EINVAL);
    assert_int_equal(q.n, 0);
}

static int none(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    (void)ud, (void)rq, (void)reply, (void)err;
    return 0;
}

static const kn_route first[] = {
    {"GET", "/", 0, none, "root", false},
    {"GET", "/{file}", 0, none, "file", false},
    {"GET", "/a/{id}", 0, none, "id", false},
    {"GET", "/a/{x}/{y}", 0, none, "xy", false},
    {"GET", "/a/{rest*}", 0, none, "rest", false},
    {"POST", "/a/{id}", 0, none, "post", false},
    {0},
};
static const kn_route second[] = {
    {"GET", "/a/word", 0, none, "word", false},
    {"PUT", "/a/word", 0, none, "put", false},
    {"GET", "/a/{x}/word", 0, none, "x word", false},
    {0},
};

static const struct {
    const char *method, *path, *route; /* NULL: none */
    const char *param, *allow;
} finds[] = {
    {"GET", "/", "root", NULL, "GET, HEAD"},
    {"HEAD", "/", "root", NULL, "GET, HEAD"},
    {"GET", "/b", "file", "b", "GET, HEAD"},
    {"GET", "/a/1", "id", "1", "GET, HEAD, POST"},
    {"POST", "/a/1", "post", "1", "GET, HEAD, POST"},
    {"DELETE", "/a/1", NULL, NULL, "GET, HEAD, POST"},
    {"GET", "/a/word", "word", NULL, "GET, HEAD, POST, PUT"},
    {"PUT", "/a/word", "put", NULL, "GET, HEAD, POST, PUT"},
    {"POST", "/a/word", "post", "word", "GET, HEAD, POST, PUT"},
    {"GET", "/a/1/2", "xy", "1", "GET, HEAD"},
    {"GET", "/a/1/word", "x word", "1", "GET, HEAD"},
    {"GET", "/a/1/2/3", "rest", "1/2/3", "GET, HEAD"},
    {"GET", "/a/1%2F2", "rest", "1/2", "GET, HEAD"},
    {"GET", "/a/w%6Frd", "word", NULL, "GET, HEAD, POST, PUT"},
    {"GET", "/b/c", NULL, NULL, ""},
    {"GET", "/b%2Fc", NULL, NULL, ""},
    {"GET", "/..", NULL, NULL, ""},
    {"GET", "/b/", NULL, NULL, ""},
};

static void test_routes(void **state)
{
    const kn_route_table tables[] = {{first, NULL}, {second, (void *)second}};
    (void)state;
    for (size_t i = 0; i < sizeof finds / sizeof *finds; i++) {
        kn_uri_path path;
        kn_route_match m;
        kn_err err = {0};
        assert_int_equal(kn_uri_path_parse(&path, finds[i].path, strlen(finds[i].path), &err), 0);
        assert_int_equal(kn_route_find(tables, 2, finds[i].method, &path, &m, &err), 0);
        const char *found = m.route ? m.route->summary : NULL;
        if ((found == NULL) != (finds[i].route == NULL) || (found && strcmp(found, finds[i].route) != 0))
            fail_msg("%s %s: %s", finds[i].method, finds[i].path, found ? found : "none");
        if (finds[i].param)
            assert_string_equal(m.params[0].value, finds[i].param);
        assert_string_equal(m.allow, finds[i].allow);
        kn_route_match_done(&m);
        kn_uri_path_done(&path);
    }
}

static void test_rest_has_no_dots(void **state)
{
    static const char *const paths[] = {"/a/1/../2", "/a/1/2/..",     "/a/1//2",  "/a/1/./2",
                                        "/a/1/2/",   "/a/x%2F..%2Fy", "/a/%2Fetc"};
    const kn_route_table tables[] = {{first, NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        kn_uri_path path;
        kn_route_match m;
        kn_err err = {0};
        assert_int_equal(kn_uri_path_parse(&path, paths[i], strlen(paths[i]), &err), 0);
        assert_int_equal(kn_route_find(tables, 1, "GET", &path, &m, &err), KN_EINVAL);
        kn_uri_path_done(&path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_rest_has_no_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
