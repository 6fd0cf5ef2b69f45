/* The line of one listener: what is given again, replaced, and cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "server/feed_internal.h"

typedef struct bench {
    kn_feed *feed;
    kn_listener l;
    int n_wakes, n_patient;
    int64_t last_kept; /* 1 ... are given again */
    int64_t publish_at;
    size_t kept_bytes;
    int n_rounds;
} bench;

static void on_wake(void *ud, bool may_wait)
{
    bench *b = ud;
    b->n_wakes++;
    b->n_patient += may_wait;
}

static void replay(void *ud, int64_t last_id, void (*put)(void *to, int64_t id, const char *json), void *to)
{
    bench *b = ud;
    char *json = malloc(b->kept_bytes + 64);
    assert_non_null(json);
    b->n_rounds++;
    for (int64_t id = last_id + 1; id <= b->last_kept; id++) {
        snprintf(json, b->kept_bytes + 64, "{\"type\":\"job\",\"id\":%lld,\"x\":\"%0*d\"}", (long long)id,
                 (int)b->kept_bytes, 0);
        if (id ==
            b->publish_at) { /* kept, published, and given again in this very round; then one that is only published */
            kn_feed_publish(b->feed, id, NULL, json);
            kn_feed_publish(b->feed, 0, "p", "{\"type\":\"progress\",\"n\":1}");
            kn_feed_publish(b->feed, 0, "p", "{\"type\":\"progress\",\"n\":2}");
            b->publish_at = 0;
        }
        put(to, id, json);
    }
    free(json);
}

static bench *make(int64_t last_id, int64_t last_kept, size_t kept_bytes)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->last_kept = last_kept;
    b->kept_bytes = kept_bytes;
    b->feed = kn_feed_new(replay, b);
    assert_non_null(b->feed);
    kn_listener_attach(&b->l, b->feed, last_id, on_wake, b);
    return b;
}

static void unmake(bench *b)
{
    kn_listener_detach(&b->l);
    kn_listener_detach(&b->l);
    assert_int_equal(kn_feed_n_listeners(b->feed), 0);
    kn_feed_free(b->feed);
    free(b);
}

static kn_message *take(bench *b)
{
    kn_listener_catch_up(&b->l);
    pthread_mutex_lock(&b->feed->lock);
    kn_message *m = kn_listener_take(&b->l);
    pthread_mutex_unlock(&b->feed->lock);
    return m;
}

static void assert_next(bench *b, const char *event)
{
    kn_message *m = take(b);
    if (!event) {
        assert_null(m);
        return;
    }
    assert_non_null(m);
    assert_int_equal(strlen(event), m->event_size);
    assert_memory_equal(m->event, event, m->event_size);
    kn_message_unref(m);
}

static void test_event_text(void **state)
{
    (void)state;
    bench *b = make(-1, 0, 0);
    kn_feed_publish(b->feed, 18, NULL, "{\"type\":\"job\"}");
    kn_feed_publish(b->feed, 0, NULL, "{\"type\":\"pro gress\"}");
    kn_feed_publish(b->feed, 0, NULL, "{\r\n \"a\": \"\\n\"\n}");
    assert_int_equal(b->n_wakes, 3);
    assert_next(b, "id: 18\nevent: job\ndata: {\"type\":\"job\"}\n\n");
    assert_next(b, "data: {\"type\":\"pro gress\"}\n\n");
    assert_next(b, "data: {\"a\":\"\\n\"}\n\n");
    assert_next(b, NULL);
    kn_feed_publish(b->feed, 19, NULL, "{\"type\":\"job\"}");
    kn_message *m = take(b);
    assert_int_equal(m->json_size, 14);
    assert_memory_equal(m->json, "{\"type\":\"job\"}", 14);
    kn_message_unref(m);
    unmake(b);
}

static void test_replacing(void **state)
{
    (void)state;
    bench *b = make(-1, 0, 0);
    kn_feed_publish(b->feed, 0, "a", "{\"n\":1}");
    kn_feed_publish(b->feed, 0, "b", "{\"n\":2}");
    kn_feed_publish(b->feed, 5, NULL, "{\"n\":3}");
    kn_feed_publish(b->feed, 0, "a", "{\"n\":4}");
    kn_feed_publish(b->feed, 0, NULL, "{\"n\":5}");
    assert_int_equal(b->n_wakes, 5);
    assert_int_equal(b->n_patient, 3);
    assert_next(b, "data: {\"n\":2}\n\n");
    assert_next(b, "id: 5\ndata: {\"n\":3}\n\n");
    assert_next(b, "data: {\"n\":4}\n\n"); /* not before what was published earlier */
    assert_next(b, "data: {\"n\":5}\n\n");
    assert_next(b, NULL);
    unmake(b);
}

/* Keyed messages never fill a line; others do. */
static void test_cut_off(void **state)
{
    char *json = malloc(65536 + 32);
    (void)state;
    assert_non_null(json);
    snprintf(json, 65536 + 32, "{\"x\":\"%065536d\"}", 0);
    bench *b = make(-1, 0, 0);
    for (int i = 0; i < 100; i++)
        kn_feed_publish(b->feed, 0, "a", json);
    assert_false(b->l.is_cut);
    for (int i = 0; i < 14; i++)
        kn_feed_publish(b->feed, 0, NULL, json);
    assert_false(b->l.is_cut);
    assert_true(b->l.n_bytes <= KN_LIMIT_FEED_BYTES);
    kn_feed_publish(b->feed, 0, NULL, json);
    assert_true(b->l.is_cut);
    assert_int_equal(b->l.n_bytes, 0);
    assert_next(b, NULL);
    int n = b->n_wakes;
    kn_feed_publish(b->feed, 0, NULL, json);
    assert_int_equal(b->n_wakes, n);
    unmake(b);
    free(json);
}

static void test_giving_again(void **state)
{
    (void)state;
    bench *b = make(2, 5, 1);
    b->publish_at = 4;
    kn_feed_publish(b->feed, 5, NULL,
                    "{\"type\":\"job\",\"id\":5,\"x\":\"0\"}"); /* before the replay, which has it too */
    assert_next(b, "id: 3\nevent: job\ndata: {\"type\":\"job\",\"id\":3,\"x\":\"0\"}\n\n");
    kn_feed_publish(b->feed, 6, NULL, "{\"type\":\"job\",\"id\":6}");
    assert_next(b, "id: 4\nevent: job\ndata: {\"type\":\"job\",\"id\":4,\"x\":\"0\"}\n\n");
    assert_next(b, "id: 5\nevent: job\ndata: {\"type\":\"job\",\"id\":5,\"x\":\"0\"}\n\n");
    assert_next(b, "event: progress\ndata: {\"type\":\"progress\",\"n\":2}\n\n");
    assert_next(b, "id: 6\nevent: job\ndata: {\"type\":\"job\",\"id\":6}\n\n");
    assert_next(b, NULL);
    assert_int_equal(b->n_rounds, 1);
    unmake(b);
}

/* Far more than a line holds: each comes once, in order, whatever is published meanwhile. */
static void test_giving_much_again(void **state)
{
    enum { KEPT = 120, LIVE = 40 };
    (void)state;
    bench *b = make(0, KEPT, 20000);
    int64_t expected = 0;
    bool had_progress = false;
    b->publish_at = KEPT / 2;
    for (kn_message *m; (m = take(b));) {
        if (m->id)
            assert_int_equal(m->id, ++expected);
        else
            had_progress = true;
        kn_message_unref(m);
        assert_true(b->l.n_bytes <= KN_LIMIT_FEED_BYTES);
        if (expected % 10 == 0 &&
            b->last_kept < KEPT + LIVE) { /* goes on while it catches up: kept, then published */
            char json[64];
            snprintf(json, sizeof json, "{\"id\":%lld}", (long long)++b->last_kept);
            kn_feed_publish(b->feed, b->last_kept, NULL, json);
        }
    }
    assert_int_equal(expected, b->last_kept);
    assert_true(expected > KEPT);
    assert_true(had_progress);
    assert_true(b->n_rounds > 3);
    assert_false(b->l.is_behind || b->l.is_cut);
    kn_feed_publish(b->feed, ++b->last_kept, NULL, "{\"n\":1}");
    kn_message *m = take(b);
    assert_int_equal(m->id, b->last_kept);
    kn_message_unref(m);
    unmake(b);
}

/* A client may know ids of another life of the server. */
static void test_unknown_last_id(void **state)
{
    (void)state;
    bench *b = make(1000000, 5, 1);
    assert_next(b, NULL);
    kn_feed_publish(b->feed, 6, NULL, "{\"n\":1}");
    assert_next(b, "id: 6\ndata: {\"n\":1}\n\n");
    unmake(b);
}

static void test_no_json(void **state)
{
    (void)state;
    bench *b = make(-1, 0, 0);
    kn_feed_publish(b->feed, 1, NULL, "{"); /* what nobody can be told, they come back for */
    assert_true(b->l.is_cut);
    unmake(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_text),        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_cut_off),           cmocka_unit_test(test_giving_again),
        cmocka_unit_test(test_giving_much_again), cmocka_unit_test(test_unknown_last_id),
        cmocka_unit_test(test_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
