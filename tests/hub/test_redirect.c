/* Where a hub may send us, what it is told there, and what it says when it wants a token. */
#include "hub/pull_fixture.h"

#define LINK   "/" HUB_ID "/resolve/" HUB_COMMIT "/" ONE
#define SECRET "hf_SecretSecretSecret"

/* A redirect's header lines that live as long as the fixture's server. */
static const char *to(char *buf, const char *base, const char *path)
{
    snprintf(buf, 256, "Location: %s%s\r\n", base, path);
    return buf;
}

/* The storage is another server: it gets no token, the hub does. */
static void test_other_host(void **state)
{
    fixture *f = *state;
    char header[256];
    asked q;
    stand_in *store = stand_in_new();
    has_weights(store, ONE, WEIGHTS, 1);
    f->config.token = SECRET "\n"; /* as it comes out of a file */
    misbehave(f->hub, (rule){LINK, ANSWER, 302, to(header, store->url, "/store/" ONE), 0});
    must_pull(f, ONE);
    must_have(f, ONE, NULL);
    assert_true(nth_asked(f->hub, "/api/", 0, &q));
    assert_string_equal(q.token, SECRET);
    assert_true(nth_asked(f->hub, LINK, 0, &q));
    assert_string_equal(q.token, SECRET);
    assert_true(nth_asked(store, "/store/", 0, &q));
    assert_string_equal(q.token, "");
    stand_in_free(store);
}

/* On the same server it goes along, relative or not. */
static void test_same_host(void **state)
{
    fixture *f = *state;
    char header[256];
    asked q;
    f->config.token = SECRET;
    misbehave(f->hub, (rule){LINK, ANSWER, 307, to(header, "", "/store/" ONE), 0});
    must_pull(f, ONE);
    must_have(f, ONE, NULL);
    assert_true(nth_asked(f->hub, "/store/", 0, &q));
    assert_string_equal(q.token, SECRET);
}

/* Signed links run out: the hub is asked for a new one, and what was fetched is kept. */
static void test_expired_link(void **state)
{
    fixture *f = *state;
    char header[256];
    asked q;
    stand_in *store = stand_in_new();
    has_weights(store, ONE, WEIGHTS, 1);
    misbehave(f->hub, (rule){LINK, ANSWER, 302, to(header, store->url, "/store/" ONE), 0});
    misbehave(store, (rule){"/store/", CUT, 60000, NULL, 1});
    misbehave(store, (rule){"/store/", ANSWER, 403, NULL, 1});
    must_pull(f, ONE);
    must_have(f, ONE, NULL);
    assert_int_equal(count_asked(f->hub, LINK), 3);
    assert_true(nth_asked(store, "/store/", 2, &q));
    assert_string_equal(q.range, "60000-");
    stand_in_free(store);
}

static void test_loop(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, ANSWER, 302, "Location: " LINK "\r\n", 0});
    must_refuse(f, ONE, KN_ELIMIT, "redirected more than 8 times");
    assert_int_equal(count_asked(f->hub, LINK), 9);
}

static void test_schemes(void **state)
{
    static const char *const rows[] = {"Location: file:///etc/passwd\r\n",
                                       "Location: ftp://127.0.0.1/x\r\n",
                                       "Location: gopher://127.0.0.1/x\r\n",
                                       "Location: http://user@127.0.0.1/x\r\n",
                                       "Location: http://\r\n",
                                       ""};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        misbehave(f->hub, (rule){LINK, ANSWER, 302, rows[i], 1});
        must_refuse(f, ONE, KN_EFORMAT, "redirected");
    }
    assert_false(is_there(f, "acme"));
}

/* ---- who may have it ---- */

static void test_gated(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, ANSWER, 401, "X-Error-Code: GatedRepo\r\n", 1});
    must_refuse(f, ONE, KN_EINVAL, "is gated: accept its terms");
    assert_non_null(strstr(f->err.msg, "HF_TOKEN"));
    f->config.token = SECRET;
    misbehave(f->hub, (rule){LINK, ANSWER, 403, "X-Error-Code: GatedRepo\r\n", 1});
    must_refuse(f, ONE, KN_EINVAL, "with the account that the token is of");
    assert_null(strstr(f->err.msg, SECRET));
    assert_int_equal(count_asked(f->hub, LINK), 2);
}

static void test_private(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){"/api/", ANSWER, 401, NULL, 1});
    must_refuse(f, ONE, KN_EINVAL, "private, gated, or does not exist");
    f->config.token = SECRET;
    misbehave(f->hub,
              (rule){"/api/", ANSWER, 401, "X-Error-Message: Invalid credentials \x1b[31m in header\r\n", 1});
    must_refuse(f, ONE, KN_EINVAL, "the hub says: Invalid credentials ?[31m");
    assert_null(strstr(f->err.msg, SECRET));
    misbehave(f->hub, (rule){"/api/", ANSWER, 404, "X-Error-Code: RepoNotFound\r\n", 1});
    must_refuse(f, ONE, KN_ENOTFOUND, "RepoNotFound");
}

static void test_bad_token(void **state)
{
    fixture *f = *state;
    f->config.token = "hf_x\r\nX-Evil: y";
    must_refuse(f, ONE, KN_EINVAL, "the token has a character");
    assert_null(strstr(f->err.msg, "Evil"));
    assert_int_equal(count_asked(f->hub, "/"), 0);
}

/* No note and no error ever has the token. */
static void test_token_is_not_told(void **state)
{
    fixture *f = *state;
    f->config.token = SECRET;
    misbehave(f->hub, (rule){LINK, ANSWER, 500, "X-Error-Message: " SECRET "\r\n", 0});
    must_refuse(f, ONE, KN_EIO, "500");
    assert_null(strstr(f->err.msg, SECRET));
    assert_true(f->n_notes > 0);
    assert_null(strstr(f->note, SECRET));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
        T(test_other_host), T(test_same_host), T(test_expired_link),
        T(test_loop),       T(test_schemes),   T(test_gated),
        T(test_private),    T(test_bad_token), T(test_token_is_not_told),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
