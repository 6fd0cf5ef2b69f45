/* One file from a hub that does everything wrong that a network can do. */
#include "hub/pull_fixture.h"

#define LINK "/" HUB_ID "/resolve/" HUB_COMMIT "/" ONE

static void check_whole(fixture *f)
{
    must_have(f, ONE, NULL);
    assert_false(is_there(f, HUB_ID "/" ONE ".part"));
    assert_false(is_there(f, HUB_ID "/" ONE ".part.etag"));
    assert_int_equal(f->last.done_bytes, WEIGHTS);
    assert_int_equal(f->last.n_done, 1);
}

static void check_nothing(fixture *f)
{
    assert_false(is_there(f, "acme"));
}

/* Once wrong, then right: the file is whole, and nothing that was there was fetched twice. */
static void heal(fixture *f, rule r, const char *range, const char *if_range)
{
    asked q;
    r.path = LINK;
    r.times = 1;
    misbehave(f->hub, r);
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 2);
    assert_int_equal(f->n_notes, 1);
    assert_true(nth_asked(f->hub, LINK, 1, &q));
    if (strcmp(q.range, range) || strcmp(q.if_range, if_range))
        fail_msg("range \"%s\" if \"%s\", expected \"%s\" \"%s\"", q.range, q.if_range, range, if_range);
}

static void test_straight(void **state)
{
    fixture *f = *state;
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 1);
    assert_int_equal(f->n_notes, 0);
}

static void test_silence(void **state)
{
    heal(*state, (rule){.what = SILENCE}, "", "");
}

static void test_cut_headers(void **state)
{
    heal(*state, (rule){.what = CUT_HEADERS}, "", "");
}

static void test_cut_at_zero(void **state)
{
    heal(*state, (rule){.what = CUT, .n = 0}, "", "");
}

static void test_cut(void **state)
{
    heal(*state, (rule){.what = CUT, .n = 70000}, "70000-", "\"one\"");
}

static void test_cut_at_last_byte(void **state)
{
    heal(*state, (rule){.what = CUT, .n = WEIGHTS - 1}, "199999-", "\"one\"");
}

static void test_no_length_and_short(void **state)
{
    heal(*state, (rule){.what = NO_LENGTH, .n = 1234}, "1234-", "\"one\"");
}

static void test_stall(void **state)
{
    fixture *f = *state;
    f->config.patience.stall_ms = 400;
    heal(f, (rule){.what = STALL, .n = 50000}, "50000-", "\"one\"");
}

static void test_stall_before_headers(void **state)
{
    fixture *f = *state;
    f->config.patience.stall_ms = 400;
    heal(f, (rule){.what = STALL_BEFORE}, "", "");
}

/* A byte now and then is as good as none. */
static void test_drip(void **state)
{
    fixture *f = *state;
    asked q;
    f->config.patience.stall_ms = 400;
    f->config.patience.stall_bytes = 1000;
    misbehave(f->hub, (rule){LINK, DRIP, 0, NULL, 1});
    must_pull(f, ONE);
    check_whole(f);
    assert_true(nth_asked(f->hub, LINK, 1, &q));
    assert_int_not_equal(strtol(q.range, NULL, 10), 0);
}

static void test_server_errors(void **state)
{
    static const int codes[] = {408, 429, 500, 502, 503, 504};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        misbehave(f->hub, (rule){LINK, ANSWER, codes[i], NULL, 1});
    f->config.patience.n_tries = 7;
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(f->n_notes, 6);
}

static void test_given_up(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, ANSWER, 503, NULL, 0});
    must_refuse(f, ONE, KN_EIO, "answers 503; given up after 4 tries");
    assert_int_equal(count_asked(f->hub, LINK), 4);
    check_nothing(f);
}

static void test_retry_after(void **state)
{
    fixture *f = *state;
    struct timespec a, b;
    misbehave(f->hub, (rule){LINK, ANSWER, 429, "Retry-After: 1\r\n", 1});
    clock_gettime(CLOCK_MONOTONIC, &a);
    must_pull(f, ONE);
    clock_gettime(CLOCK_MONOTONIC, &b);
    check_whole(f);
    assert_true((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9 >
                0.99); /* it was obeyed */
    assert_non_null(strstr(f->note, "again in 1.0 s"));
}

static void test_retry_after_for_ever(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, ANSWER, 503, "Retry-After: 99999999999999999999\r\n", 1});
    must_pull(f, ONE); /* a number that is none is not obeyed */
    misbehave(f->hub, (rule){"/api/", ANSWER, 503, "Retry-After: 3600\r\n", 1});
    must_refuse(f, ONE, KN_EIO, "3600 s");
    misbehave(f->hub, (rule){"/api/", ANSWER, 503, "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n", 1});
    must_refuse(f, ONE, KN_EIO, "asked again in");
}

/* ---- lies ---- */

static void test_lengths(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, LENGTH, WEIGHTS + 1, NULL, 1});
    must_refuse(f, ONE, KN_EFORMAT, "announces 200001 bytes, expected 200000");
    misbehave(f->hub, (rule){LINK, LENGTH, WEIGHTS - 1, NULL, 1});
    must_refuse(f, ONE, KN_EFORMAT, "announces 199999 bytes");
    misbehave(f->hub, (rule){LINK, MORE, 5, NULL, 1});
    must_refuse(f, ONE, KN_EFORMAT, "more than the 200000 bytes");
    check_nothing(f);
    must_pull(f, ONE);
    check_whole(f);
}

static void test_corrupt(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, CORRUPT, 0, NULL, 1});
    must_pull(f, ONE); /* once more from the beginning */
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 2);
    kn_dir_remove(f->models, NULL);
    misbehave(f->hub, (rule){LINK, CORRUPT, 0, NULL, 2});
    must_refuse(f, ONE, KN_EFORMAT, "digest");
    check_nothing(f);
}

/* The first part and the rest are of two files: the digest tells. */
static void test_two_files(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, CORRUPT, 0, NULL, 1});
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 3);
}

static void test_changed_etag(void **state)
{
    fixture *f = *state;
    asked q;
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, ETAG, 0, "\"two\"", 1}); /* If-Range does not fit: the whole is given */
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 2);
    assert_true(nth_asked(f->hub, LINK, 1, &q));
    assert_string_equal(q.if_range, "\"one\"");
}

/* Weak tags cannot be asked for; they are compared. */
static void test_changed_weak_etag(void **state)
{
    fixture *f = *state;
    asked q;
    f->hub->etag = "W/\"one\"";
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, ETAG, 0, "W/\"two\"", 1});
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 3);
    assert_true(nth_asked(f->hub, LINK, 1, &q));
    assert_string_equal(q.range, "70000-");
    assert_string_equal(q.if_range, "");
    assert_true(nth_asked(f->hub, LINK, 2, &q));
    assert_string_equal(q.range, "");
}

static void test_ranges(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, NO_RANGE, 0, NULL, 1});
    must_pull(f, ONE);
    check_whole(f);
    assert_int_equal(count_asked(f->hub, LINK), 2);
    kn_dir_remove(f->models, NULL);
    behave(f->hub);
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, BAD_RANGE, 7, NULL, 1});
    must_pull(f, ONE);
    check_whole(f);
    kn_dir_remove(f->models, NULL);
    behave(f->hub);
    misbehave(f->hub, (rule){LINK, CUT, 70000, NULL, 1});
    misbehave(f->hub, (rule){LINK, ANSWER, 416, NULL, 1});
    must_pull(f, ONE);
    check_whole(f);
    kn_dir_remove(f->models, NULL);
    behave(f->hub);
    misbehave(f->hub, (rule){LINK, ANSWER, 206, "Content-Range: bytes 0-3/4\r\n", 0});
    must_refuse(f, ONE, KN_EFORMAT, "206");
}

static void test_strange_answers(void **state)
{
    fixture *f = *state;
    misbehave(f->hub, (rule){LINK, HEADERS, 0, "Content-Encoding: gzip\r\n", 1});
    must_refuse(f, ONE, KN_EFORMAT, "compressed");
    misbehave(f->hub, (rule){LINK, ANSWER, 204, NULL, 1});
    must_refuse(f, ONE, KN_EFORMAT, "answers 204");
    misbehave(f->hub, (rule){LINK, ANSWER, 400, NULL, 1});
    must_refuse(f, ONE, KN_EFORMAT, "answers 400");
    misbehave(f->hub, (rule){LINK, ANSWER, 404, "X-Error-Code: EntryNotFound\r\n", 1});
    must_refuse(f, ONE, KN_ENOTFOUND, "EntryNotFound");
    check_nothing(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
        T(test_straight),
        T(test_silence),
        T(test_cut_headers),
        T(test_cut_at_zero),
        T(test_cut),
        T(test_cut_at_last_byte),
        T(test_no_length_and_short),
        T(test_stall),
        T(test_stall_before_headers),
        T(test_drip),
        T(test_server_errors),
        T(test_given_up),
        T(test_retry_after),
        T(test_retry_after_for_ever),
        T(test_lengths),
        T(test_corrupt),
        T(test_two_files),
        T(test_changed_etag),
        T(test_changed_weak_etag),
        T(test_ranges),
        T(test_strange_answers),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
