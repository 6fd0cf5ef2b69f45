/* Server-sent events over HTTP. */
#define _GNU_SOURCE
#include "small_server.h"
#include "base/limits.h"

/* A stream as its client reads it. */
typedef struct stream {
    int fd;
    size_t n_read, n_used; /* of what is buffered */
    char buf[4096];
} stream;

static int stream_char(stream *st)
{
    if (st->n_used == st->n_read) {
        ssize_t n = recv(st->fd, st->buf, sizeof st->buf, 0);
        if (n <= 0)
            return -1;
        st->n_read = (size_t)n;
        st->n_used = 0;
    }
    return (unsigned char)st->buf[st->n_used++];
}

/* The lines up to an empty one, joined by '|'; false at the end. */
static bool stream_event(stream *st, char *text, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = stream_char(st)) >= 0) {
        if (c == '\n' && n && text[n - 1] == '|') {
            text[n - 1] = '\0';
            return true;
        }
        assert_true(n + 1 < size);
        text[n++] = c == '\n' ? '|' : (char)c;
    }
    return false;
}

static stream stream_open(small_server *s, const char *headers)
{
    char text[512];
    answer a = {0};
    stream st = {.fd = dial(s->port)};
    snprintf(text, sizeof text, "GET /events HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\n", s->port, headers);
    put_text(st.fd, text);
    assert_true(get_head(st.fd, &a));
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Type"), "text/event-stream");
    assert_string_equal(header(&a, "Cache-Control"), "no-store");
    assert_null(header(&a, "Transfer-Encoding"));
    assert_true(stream_event(&st, text, sizeof text));
    assert_string_equal(text, "retry: 2000");
    return st;
}

static void assert_event(stream *st, const char *expected)
{
    char text[4096];
    do /* pings of a slow machine */
        assert_true(stream_event(st, text, sizeof text));
    while (strcmp(text, ": ping") == 0);
    assert_string_equal(text, expected);
}

static void test_events(void **state)
{
    small_server *s = *state;
    stream st = stream_open(s, "");
    server_wait_listeners(s, 1);
    kn_feed_publish(s->feed, 0, "k", "{\"type\":\"progress\",\"n\":1}");
    assert_event(&st, "event: progress|data: {\"type\":\"progress\",\"n\":1}");
    kn_feed_publish(s->feed, 7, NULL, "{\"type\":\"job\"}");
    kn_feed_publish(s->feed, 8, NULL, "{\"type\":\"removed\"}");
    assert_event(&st, "id: 7|event: job|data: {\"type\":\"job\"}");
    assert_event(&st, "id: 8|event: removed|data: {\"type\":\"removed\"}");
    close(st.fd);
    for (int i = 0; i < PATIENCE_S * 100 && kn_feed_n_listeners(s->feed); i++) {
        kn_feed_publish(s->feed, 0, NULL, "{}"); /* it is noticed when something is to be sent */
        nap_ms(10);
    }
    assert_int_equal(kn_feed_n_listeners(s->feed), 0);
}

static void test_head(void **state)
{
    small_server *s = *state;
    answer a = ask(s->port, "HEAD /events HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Type"), "text/event-stream");
    answer_done(&a);
    assert_int_equal(kn_feed_n_listeners(s->feed), 0);
}

static void publish_in_the_middle(small_server *s)
{
    keep_and_publish(s, 104, "{\"id\":104}");
}

static void test_resume(void **state)
{
    small_server *s = *state;
    for (int id = 100; id < 104; id++) {
        char json[32];
        snprintf(json, sizeof json, "{\"id\":%d}", id);
        keep_and_publish(s, id, json);
    }
    s->during_replay = publish_in_the_middle;
    stream st = stream_open(s, "Last-Event-ID: 101\r\n");
    assert_event(&st, "id: 102|data: {\"id\":102}");
    assert_event(&st, "id: 103|data: {\"id\":103}");
    assert_event(&st, "id: 104|data: {\"id\":104}");
    keep_and_publish(s, 105, "{\"id\":105}");
    assert_event(&st, "id: 105|data: {\"id\":105}");
    close(st.fd);
}

static void *publish_many(void *arg)
{
    small_server *s = arg;
    for (int id = 1000; id < 3000; id++) {
        char json[64];
        snprintf(json, sizeof json, "{\"type\":\"job\",\"id\":%d}", id);
        keep_and_publish(s, id, json);
        if (id % 100 == 0)
            nap_ms(1);
    }
    return NULL;
}

/* One that comes back all the time misses nothing and hears nothing twice. */
static void test_resume_while_publishing(void **state)
{
    small_server *s = *state;
    pthread_t thread;
    int last = 999;
    assert_int_equal(pthread_create(&thread, NULL, publish_many, s), 0);
    for (int round = 0; last < 2999; round++) {
        char headers[64], text[4096];
        snprintf(headers, sizeof headers, "Last-Event-ID: %d\r\n", last);
        stream st = stream_open(s, headers);
        for (int i = 0; i < 1 + round * 7 && last < 2999; i++) {
            int id = 0;
            assert_true(stream_event(&st, text, sizeof text));
            if (sscanf(text, "id: %d|", &id) == 1)
                assert_int_equal(id, ++last);
        }
        close(st.fd);
    }
    pthread_join(thread, NULL);
}

static void test_ping(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){.ping_s = 1, .timeout_s = 1});
    stream st = stream_open(s, "");
    char text[256];
    for (int i = 0; i < 3; i++) { /* also longer than the time-out */
        assert_true(stream_event(&st, text, sizeof text));
        assert_string_equal(text, ": ping");
    }
    close(st.fd);
    server_wait_listeners(s, 0); /* by a ping */
    server_stop(s);
}

/* 200 listen, all hear the same, and others are served. */
static void test_many(void **state)
{
    enum { N = 200, MESSAGES = 20 };
    small_server *s = *state;
    static stream st[N];
    for (int i = 0; i < N; i++)
        st[i] = stream_open(s, "");
    for (int m = 0; m < MESSAGES; m++) {
        char json[32];
        snprintf(json, sizeof json, "{\"n\":%d}", m);
        kn_feed_publish(s->feed, 0, NULL, json);
        if (m % 5 == 0)
            assert_alive(s);
    }
    for (int i = 0; i < N; i++)
        for (int m = 0; m < MESSAGES; m++) {
            char expected[64];
            snprintf(expected, sizeof expected, "data: {\"n\":%d}", m);
            assert_event(&st[i], expected);
        }
    for (int i = 0; i < N; i++)
        close(st[i].fd);
}

static int number_in(const char *event)
{
    const char *n = strstr(event, "\"n\":");
    return n ? (int)strtol(n + 4, NULL, 10) : -1;
}

/* Of messages that replace each other a crowd hears some, always the last one, in order and never after what was published later;
 * others are all heard. */
static void test_hurry(void **state)
{
    enum { N = 100, MESSAGES = 500 };
    small_server *s = *state;
    static stream st[N];
    char json[64], text[4096];
    for (int i = 0; i < N; i++)
        st[i] = stream_open(s, "");
    for (int m = 0; m < MESSAGES; m++) {
        snprintf(json, sizeof json, "{\"type\":\"progress\",\"n\":%d}", m);
        kn_feed_publish(s->feed, 0, "job", json);
        if (m % 100 == 0) {
            snprintf(json, sizeof json, "{\"type\":\"job\",\"n\":%d}", m);
            kn_feed_publish(s->feed, 5000 + m, NULL, json);
        }
        if (m % 10 == 0)
            nap_ms(1);
    }
    for (int i = 0; i < N; i++) {
        int last = -1, n_heard = 0, n_changes = 0;
        while (last < MESSAGES - 1) {
            assert_true(stream_event(&st[i], text, sizeof text));
            bool is_change = strncmp(text, "id: ", 4) == 0;
            int n = number_in(text);
            assert_true(is_change ? n == 100 * n_changes && n >= last : n < 0 || n > last);
            n_changes += is_change;
            n_heard += n >= 0 && !is_change;
            last = n > last ? n : last;
        }
        assert_int_equal(n_changes, MESSAGES / 100);
        assert_in_range(n_heard, MESSAGES / 100, MESSAGES / 2);
        close(st[i].fd);
    }
}

/* One that does not read is cut off; one that does hears everything. */
static void test_slow(void **state)
{
    small_server *s = *state;
    char *json = malloc(65536 + 32), *text = malloc(1 << 20);
    assert_true(json && text);
    snprintf(json, 65536 + 32, "{\"x\":\"%065536d\"}", 0);
    stream slow = stream_open(s, ""), quick = stream_open(s, "");
    for (int i = 0; i < 400; i++) {
        kn_feed_publish(s->feed, 0, NULL, json);
        assert_true(stream_event(&quick, text, 1 << 20));
        assert_int_equal(strlen(text), strlen(json) + 6);
    }
    int n = 0;
    while (n < 400 && stream_event(&slow, text, 1 << 20))
        n++;
    assert_in_range(n, 1, 399);
    close(slow.fd);
    close(quick.fd);
    free(json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events), cmocka_unit_test(test_head),
        cmocka_unit_test(test_resume), cmocka_unit_test(test_resume_while_publishing),
        cmocka_unit_test(test_ping),   cmocka_unit_test(test_many),
        cmocka_unit_test(test_hurry),  cmocka_unit_test(test_slow),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
