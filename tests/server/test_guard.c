/* Names of the server, other sites, the token and sessions. */
#define _GNU_SOURCE
#include "small_server.h"
#include "server/guard.h"

static const char token[] = "a-secret-of-the-test";

static int check_start(const char *host, const char *given_token, const char *const *hosts, kn_err *err)
{
    kn_guard g;
    kn_http_opts o = {.host = host, .token = given_token, .hosts = hosts};
    int rc = kn_guard_init(&g, &o, err);
    if (!rc)
        kn_guard_done(&g);
    return rc;
}

static void test_start(void **state)
{
    kn_err err = {0};
    const char *const bad[] = {"http://x", NULL}, *const good[] = {"x.example", "y:8443", NULL};
    (void)state;
    assert_int_equal(check_start("127.0.0.1", NULL, NULL, &err), 0);
    assert_int_equal(check_start("127.5.5.5", NULL, good, &err), 0);
    assert_int_equal(check_start("::1", NULL, NULL, &err), 0);
    assert_int_equal(check_start("localhost", NULL, NULL, &err), 0);
    assert_int_equal(check_start("0.0.0.0", token, NULL, &err), 0);
    assert_int_equal(check_start("0.0.0.0", NULL, NULL, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "a token is needed: put one into KINORA_TOKEN, or listen on 127.0.0.1"));
    assert_int_equal(check_start("::", NULL, NULL, &err), KN_EINVAL);
    assert_int_equal(check_start("192.168.1.5", NULL, NULL, &err), KN_EINVAL);
    assert_int_equal(check_start("example.org", token, NULL, &err), KN_EINVAL);
    assert_int_equal(check_start("127.0.0.1", "", NULL, &err), KN_EINVAL);
    assert_int_equal(check_start("127.0.0.1", "short", NULL, &err), KN_EINVAL);
    assert_int_equal(check_start("127.0.0.1", NULL, bad, &err), KN_EINVAL);
}

static void test_hosts(void **state)
{
    static const struct {
        const char *address, *host;
        bool is_good;
    } cases[] = {
        {"127.0.0.1", "localhost:8188", true},
        {"127.0.0.1", "LOCALHOST:8188", true},
        {"127.0.0.1", "127.0.0.1:8188", true},
        {"127.0.0.1", "[::1]:8188", true},
        {"127.0.0.1", "localhost", true},
        {"127.0.0.1", "localhost:80", false},
        {"127.0.0.1", "studio.example:8188", true},
        {"127.0.0.1", "studio.example", true},
        {"127.0.0.1", "Studio.Example", true},
        {"127.0.0.1", "studio.example:9", false},
        {"127.0.0.1", "other.example:8443", true},
        {"127.0.0.1", "other.example", false},
        {"127.0.0.1", "other.example:8188", false},
        {"127.0.0.1", "192.168.1.5:8188", false},
        {"127.0.0.1", "evil.example:8188", false},
        {"127.0.0.1", "localhost.", false},
        {"127.0.0.1", "", false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1", "localhost:0", false},
        {"127.0.0.1", "localhost:8188x", false},
        {"127.0.0.1", "localhost/x", false},
        {"127.0.0.1", "[::1", false},
        {"0.0.0.0", "192.168.1.5:8188", true},
        {"0.0.0.0", "192.168.1.5:9000", true},
        {"0.0.0.0", "[fe80::1]:8188", true},
        {"0.0.0.0", "localhost:9000", true},
        {"0.0.0.0", "evil.example:8188", false},
        {"0.0.0.0", "1.2.3.4.evil.example", false},
        {"0.0.0.0", "[evil.example]", false},
    };
    const char *const hosts[] = {"studio.example", "other.example:8443", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kn_guard g;
        kn_err err = {0};
        kn_http_opts o = {.host = cases[i].address, .token = token, .hosts = hosts};
        assert_int_equal(kn_guard_init(&g, &o, &err), 0);
        g.port = 8188;
        if ((kn_guard_check_host(&g, cases[i].host, &err) == 0) != cases[i].is_good)
            fail_msg("%s on %s", cases[i].host, cases[i].address);
        kn_guard_done(&g);
    }
}

static void test_origins(void **state)
{
    static const struct {
        const char *origin, *host;
        bool is_good;
    } cases[] = {
        {NULL, "localhost:8188", true},
        {"http://localhost:8188", "localhost:8188", true},
        {"https://localhost:8188", "localhost:8188", true},
        {"https://studio.example", "127.0.0.1:8188", true},
        {"http://localhost:8189", "localhost:8188", false},
        {"http://127.0.0.1:8188", "localhost:8188", false},
        {"http://localhost", "localhost:8188", false},
        {"null", "localhost:8188", false},
        {"", "localhost:8188", false},
        {"ftp://localhost:8188", "localhost:8188", false},
        {"http://localhost:8188/", "localhost:8188", false},
        {"http://x@localhost:8188", "localhost:8188", false},
        {"https://studio.example.evil", "127.0.0.1:8188", false},
    };
    const char *const hosts[] = {"studio.example", NULL};
    kn_guard g;
    kn_err err = {0};
    (void)state;
    assert_int_equal(kn_guard_init(&g, &(kn_http_opts){.host = "127.0.0.1", .hosts = hosts}, &err), 0);
    g.port = 8188;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if ((kn_guard_check_origin(&g, cases[i].origin, cases[i].host, &err) == 0) != cases[i].is_good)
            fail_msg("%s at %s", cases[i].origin, cases[i].host);
    kn_guard_done(&g);
}

static void test_secret_equal(void **state)
{
    (void)state;
    assert_true(kn_secret_equal("abcdefgh", "abcdefgh"));
    assert_false(kn_secret_equal("abcdefgh", "abcdefgi"));
    assert_false(kn_secret_equal("abcdefg", "abcdefgh"));
    assert_false(kn_secret_equal("abcdefghabcdefgh", "abcdefgh"));
    assert_false(kn_secret_equal("", "abcdefgh"));
    assert_false(kn_secret_equal("", ""));
    assert_false(kn_secret_equal("a", ""));
}

static void test_sessions(void **state)
{
    kn_sessions s;
    char first[KN_SESSION_ID_BYTES], id[KN_SESSION_ID_BYTES];
    (void)state;
    kn_sessions_init(&s);
    assert_int_equal(kn_sessions_add(&s, first, NULL), 0);
    assert_true(kn_sessions_has(&s, first));
    assert_false(kn_sessions_has(&s, ""));
    assert_false(kn_sessions_has(&s, "x"));
    s.items[0].used_s -= 10; /* away longest */
    for (int i = 1; i < KN_LIMIT_SESSIONS; i++)
        assert_int_equal(kn_sessions_add(&s, id, NULL), 0);
    s.items[0].used_s -= 10;
    assert_int_equal(kn_sessions_add(&s, id, NULL), 0);
    assert_false(kn_sessions_has(&s, first));
    assert_true(kn_sessions_has(&s, id));
    kn_sessions_remove(&s, id);
    assert_false(kn_sessions_has(&s, id));
    assert_int_equal(kn_sessions_add(&s, id, NULL), 0);
    for (int i = 0; i < KN_LIMIT_SESSIONS; i++)
        s.items[i].used_s -= KN_SESSION_SECONDS;
    assert_false(kn_sessions_has(&s, id));
    kn_sessions_done(&s);
}

/* ---- over HTTP, with a token ---- */

static int start_with_token(void **state)
{
    *state = server_start((kn_http_opts){.token = token});
    return 0;
}

static int status_for(small_server *s, const char *path, const char *headers)
{
    answer a = ask_for(s->port, path, headers);
    int status = a.status;
    if (status == 401) {
        assert_string_equal(header(&a, "WWW-Authenticate"), "Bearer");
        assert_non_null(strstr(a.body, "authentication_error"));
    }
    answer_done(&a);
    return status;
}

static void test_token(void **state)
{
    small_server *s = *state;
    assert_int_equal(status_for(s, "/echo", ""), 401);
    assert_int_equal(status_for(s, "/nowhere", ""), 401);
    assert_int_equal(status_for(s, "/file", ""), 401);
    assert_int_equal(status_for(s, "/events", ""), 401);
    assert_int_equal(status_for(s, "/ws", ""), 401);
    assert_int_equal(status_for(s, "/echo", "Authorization: Bearer a-secret-of-the-tesu\r\n"), 401);
    assert_int_equal(status_for(s, "/echo", "Authorization: Bearer \r\n"), 401);
    assert_int_equal(status_for(s, "/echo", "Authorization: Basic a-secret-of-the-test\r\n"), 401);
    assert_int_equal(status_for(s, "/echo?token=a-secret-of-the-test", ""), 401);
    assert_int_equal(status_for(s, "/echo", "Cookie: kinora_session=a-secret-of-the-test\r\n"), 401);
    assert_int_equal(status_for(s, "/echo", "Authorization: Bearer a-secret-of-the-test\r\n"), 200);
    assert_int_equal(status_for(s, "/echo", "Authorization: bearer a-secret-of-the-test\r\n"), 200);
    assert_int_equal(status_for(s, "/nowhere", "Authorization: Bearer a-secret-of-the-test\r\n"), 404);
    assert_int_equal(status_for(s, "/api/health", ""), 200);
    assert_int_equal(status_for(s, "/open", ""), 200);
}

/* Sends a login; the session's cookie, if one came, into `cookie` as a header line. */
static int login(small_server *s, const char *type, const char *body, char *cookie, size_t size)
{
    answer a = ask_with_body(s->port, "POST", "/login", type, body, strlen(body));
    const char *set = header(&a, "Set-Cookie");
    int status = a.status;
    cookie[0] = '\0';
    if (set) {
        assert_non_null(strstr(set, "; HttpOnly"));
        assert_non_null(strstr(set, "; SameSite=Strict"));
        assert_non_null(strstr(set, "; Path=/"));
        snprintf(cookie, size, "Cookie: other=1; %.*s\r\n", (int)strcspn(set, ";"), set);
    }
    assert_null(a.body ? strstr(a.body, token) : NULL);
    answer_done(&a);
    return status;
}

static void test_login(void **state)
{
    small_server *s = *state;
    char cookie[512];
    assert_int_equal(login(s, "application/json", "{\"token\":\"wrong-secret\"}", cookie, sizeof cookie),
                     401);
    assert_string_equal(cookie, "");
    assert_int_equal(
        login(s, "application/json", "{\"token\":\"a-secret-of-the-test\",\"x\":1}", cookie, sizeof cookie),
        400);
    assert_int_equal(
        login(s, "application/x-www-form-urlencoded", "token=a-secret-of-the-test", cookie, sizeof cookie),
        303);
    assert_int_equal(status_for(s, "/echo", cookie), 200);
    assert_int_equal(
        login(s, "application/json", "{\"token\":\"a-secret-of-the-test\"}", cookie, sizeof cookie), 200);
    assert_int_equal(status_for(s, "/echo", cookie), 200);
    answer a = ask(s->port, "POST /logout HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\n", s->port, cookie);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(header(&a, "Set-Cookie"), "Max-Age=0"));
    answer_done(&a);
    assert_int_equal(status_for(s, "/echo", cookie), 401);
}

static void test_login_of_another_site(void **state)
{
    small_server *s = *state;
    answer a =
        ask(s->port,
            "POST /login HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://evil.example\r\nContent-Type: "
            "application/json\r\nContent-Length: 32\r\n\r\n{\"token\":\"a-secret-of-the-test\"}",
            s->port);
    assert_int_equal(a.status, 403);
    assert_null(header(&a, "Set-Cookie"));
    answer_done(&a);
}

static void test_secure_cookie_behind_tls(void **state)
{
    small_server *s = *state;
    answer a =
        ask(s->port,
            "POST /login HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: https://localhost:%d\r\nContent-Type: "
            "application/json\r\nContent-Length: 32\r\n\r\n{\"token\":\"a-secret-of-the-test\"}",
            s->port, s->port);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(header(&a, "Set-Cookie"), "; Secure"));
    answer_done(&a);
}

static void test_log_has_no_secret(void **state)
{
    small_server *s = *state;
    pthread_mutex_lock(&s->lock);
    assert_non_null(strstr(s->log, "POST /login 401"));
    assert_null(strstr(s->log, "secret"));
    pthread_mutex_unlock(&s->lock);
}

int main(void)
{
    const struct CMUnitTest units[] = {
        cmocka_unit_test(test_start),        cmocka_unit_test(test_hosts),    cmocka_unit_test(test_origins),
        cmocka_unit_test(test_secret_equal), cmocka_unit_test(test_sessions),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_of_another_site),
        cmocka_unit_test(test_secure_cookie_behind_tls),
        cmocka_unit_test(test_log_has_no_secret),
    };
    int failed = cmocka_run_group_tests(units, NULL, NULL);
    return failed + cmocka_run_group_tests(tests, start_with_token, server_teardown);
}
