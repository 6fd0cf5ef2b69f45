/* Who guesses at the token has to wait, and nobody else. */
#define _GNU_SOURCE
#include "small_server.h"
#include "server/throttle.h"

static const char token[] = "a-secret-of-the-test";
#define S 1000000000ll

static kn_guesser peer(const char *address, const char *forwarded)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return kn_guesser_of((struct sockaddr *)&v4, forwarded);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return kn_guesser_of((struct sockaddr *)&v6, forwarded);
}

static bool same(kn_guesser a, kn_guesser b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void test_who(void **state)
{
    (void)state;
    assert_false(same(peer("192.0.2.1", NULL), peer("192.0.2.2", NULL)));
    assert_true(same(peer("::ffff:192.0.2.1", NULL), peer("192.0.2.1", NULL)));
    assert_true(same(peer("2001:db8:1:2::1", NULL), peer("2001:db8:1:2:ffff::9", NULL)));
    assert_false(same(peer("2001:db8:1:2::1", NULL), peer("2001:db8:1:3::1", NULL)));
    assert_true(same(peer("127.0.0.1", "198.51.100.9, 192.0.2.1"), peer("192.0.2.1", NULL)));
    assert_true(same(peer("::1", "192.0.2.1"), peer("192.0.2.1", NULL)));
    assert_true(same(peer("::1", NULL), peer("127.0.0.1", NULL)));
    /* others may say what they like */
    assert_true(same(peer("203.0.113.1", "192.0.2.1"), peer("203.0.113.1", NULL)));
    assert_true(same(peer("127.0.0.1", "nonsense"), peer("127.0.0.1", NULL)));
    assert_true(same(peer("127.0.0.1", ""), peer("127.0.0.1", NULL)));
}

static void test_waiting(void **state)
{
    kn_throttle *t = calloc(1, sizeof *t);
    kn_guesser a = peer("192.0.2.1", NULL), b = peer("192.0.2.2", NULL);
    int64_t now = 5 * S;
    (void)state;
    assert_non_null(t);
    kn_throttle_init(t);
    for (int i = 0; i < KN_THROTTLE_GUESSES; i++) {
        assert_int_equal(kn_throttle_wait_s(t, &a, now), 0);
        kn_throttle_failed(t, &a, now);
    }
    assert_int_equal(kn_throttle_wait_s(t, &a, now), KN_THROTTLE_PAUSE_S);
    assert_int_equal(kn_throttle_wait_s(t, &b, now), 0);
    assert_int_equal(kn_throttle_wait_s(t, &a, now + S), KN_THROTTLE_PAUSE_S - 1);
    for (int i = 0; i < 100; i++) /* many at once do not add up */
        kn_throttle_failed(t, &a, now);
    assert_int_equal(kn_throttle_wait_s(t, &a, now), KN_THROTTLE_PAUSE_S);
    now += KN_THROTTLE_PAUSE_S * S;
    assert_int_equal(kn_throttle_wait_s(t, &a, now), 0); /* one more */
    kn_throttle_failed(t, &a, now);
    assert_int_equal(kn_throttle_wait_s(t, &a, now), KN_THROTTLE_PAUSE_S);
    now += 2ll * KN_THROTTLE_GUESSES * KN_THROTTLE_PAUSE_S * S;
    for (int i = 0; i < KN_THROTTLE_GUESSES; i++) { /* all is forgiven */
        assert_int_equal(kn_throttle_wait_s(t, &a, now), 0);
        kn_throttle_failed(t, &a, now);
    }
    assert_int_equal(kn_throttle_wait_s(t, &a, now), KN_THROTTLE_PAUSE_S);
    for (uint32_t i = 0; i < 3 * KN_LIMIT_GUESSERS;
         i++) { /* those who failed once make room for each other */
        kn_guesser other = {.v4 = {10, (unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i}};
        kn_throttle_failed(t, &other, now);
    }
    assert_int_equal(kn_throttle_wait_s(t, &a, now), KN_THROTTLE_PAUSE_S);
    kn_throttle_done(t);
    free(t);
}

/* ---- over HTTP ---- */

static int start_with_token(void **state)
{
    *state = server_start((kn_http_opts){.token = token});
    return 0;
}

static int status_for(small_server *s, const char *bearer, const char *from)
{
    char headers[256];
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nX-Forwarded-For: %s\r\n", bearer, from);
    answer a = ask_for(s->port, "/echo", headers);
    int status = a.status;
    if (status == 429) {
        long wait_s = strtol(header(&a, "Retry-After"), NULL, 10);
        assert_true(wait_s > 0 && wait_s <= KN_THROTTLE_PAUSE_S);
        assert_non_null(strstr(a.body, "rate_limit_error"));
    }
    answer_done(&a);
    return status;
}

static answer login_from(small_server *s, const char *given, const char *from)
{
    char body[128];
    int n = snprintf(body, sizeof body, "{\"token\":\"%s\"}", given);
    return ask(s->port,
               "POST /login HTTP/1.1\r\nHost: localhost:%d\r\nX-Forwarded-For: %s\r\nContent-Type: "
               "application/json\r\nContent-Length: %d\r\n\r\n%s",
               s->port, from, n, body);
}

/* Until it has to wait; how often it was wrong before. */
static int guess(small_server *s, const char *from)
{
    for (int i = 0; i < 100; i++)
        if (status_for(s, "wrong-secret", from) == 429)
            return i;
    return 100;
}

static void test_bearer(void **state)
{
    small_server *s = *state;
    int n = guess(s, "192.0.2.1");
    assert_in_range(n, KN_THROTTLE_GUESSES, KN_THROTTLE_GUESSES + 2); /* a slow machine gives some back */
    assert_int_equal(status_for(s, token, "192.0.2.1"), 429);         /* or it would know that it is right */
    assert_int_equal(status_for(s, token, "192.0.2.9\r\nX-Forwarded-For: 192.0.2.1"),
                     429); /* the last line is the proxy's */
    assert_int_equal(status_for(s, token, "192.0.2.2"), 200);
    assert_int_equal(status_for(s, "wrong-secret", "192.0.2.2"), 401);
    answer a = ask_for(s->port, "/api/health", "X-Forwarded-For: 192.0.2.1\r\n");
    assert_int_equal(a.status, 200);
    answer_done(&a);
    a = ask_for(s->port, "/echo", "X-Forwarded-For: 192.0.2.1\r\n"); /* no guess */
    assert_int_equal(a.status, 401);
    answer_done(&a);
}

static void test_login(void **state)
{
    small_server *s = *state;
    char headers[512];
    answer a = login_from(s, token, "192.0.2.7");
    assert_int_equal(a.status, 200);
    snprintf(headers, sizeof headers, "X-Forwarded-For: 192.0.2.7\r\nCookie: %.*s\r\n",
             (int)strcspn(header(&a, "Set-Cookie"), ";"), header(&a, "Set-Cookie"));
    answer_done(&a);
    int status = 0;
    for (int i = 0; i < 100 && status != 429; i++) {
        a = login_from(s, "wrong-secret", "192.0.2.7");
        status = a.status;
        assert_true(status == 401 ||
                    (status == 429 && i >= KN_THROTTLE_GUESSES && header(&a, "Retry-After")));
        answer_done(&a);
    }
    assert_int_equal(status, 429);
    a = login_from(s, token, "192.0.2.7");
    assert_int_equal(a.status, 429);
    assert_null(header(&a, "Set-Cookie"));
    answer_done(&a);
    assert_int_equal(status_for(s, token, "192.0.2.7"), 429); /* the one door does not open the other */
    a = ask_for(s->port, "/echo", headers);                   /* who is logged in, is */
    assert_int_equal(a.status, 200);
    answer_done(&a);
    a = login_from(s, token, "192.0.2.8");
    assert_int_equal(a.status, 200);
    answer_done(&a);
}

static void test_no_token(void **state)
{
    small_server *s = server_start((kn_http_opts){0});
    (void)state;
    for (int i = 0; i < 3 * KN_THROTTLE_GUESSES; i++)
        assert_int_equal(status_for(s, "whatever", "192.0.2.1"), 200);
    server_stop(s);
}

int main(void)
{
    const struct CMUnitTest units[] = {cmocka_unit_test(test_who), cmocka_unit_test(test_waiting),
                                       cmocka_unit_test(test_no_token)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bearer), cmocka_unit_test(test_login)};
    int failed = cmocka_run_group_tests_name("server/throttle", units, NULL, NULL);
    return failed +
           cmocka_run_group_tests_name("server/throttle http", tests, start_with_token, server_teardown);
}
