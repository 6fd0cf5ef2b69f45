/* WebSockets: the handshake, what clients may send, what they hear. */
#define _GNU_SOURCE
#include "small_server.h"
#include "base/limits.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

#define HANDSHAKE                                                                                            \
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"                 \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* ---- frames ---- */

typedef struct frame {
    int opcode;
    size_t size;
    char *data; /* heap, terminated */
} frame;

/* What a client sends, masked; first: the first byte, FIN and opcode. */
static size_t make_frame(unsigned char *out, int first, const void *data, size_t size)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    size_t n = 0;
    out[n++] = (unsigned char)first;
    if (size < 126) {
        out[n++] = (unsigned char)(0x80 | size);
    } else if (size < 65536) {
        out[n++] = 0x80 | 126;
        out[n++] = (unsigned char)(size >> 8);
        out[n++] = (unsigned char)size;
    } else {
        out[n++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[n++] = (unsigned char)((uint64_t)size >> shift);
    }
    memcpy(out + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < size; i++)
        out[n + i] = (unsigned char)(((const unsigned char *)data)[i] ^ mask[i % 4]);
    return n + size;
}

static bool put_frame(int fd, int first, const void *data, size_t size)
{
    unsigned char *out = malloc(size + 16);
    assert_non_null(out);
    bool ok = put(fd, out, make_frame(out, first, data, size));
    free(out);
    return ok;
}

static bool get_frame(int fd, frame *f)
{
    unsigned char head[2], ext[8];
    if (!get(fd, head, 2))
        return false;
    assert_int_equal(head[0] & 0xf0, 0x80); /* whole, nothing reserved */
    assert_int_equal(head[1] & 0x80, 0);    /* a server masks nothing */
    size_t n_ext = (head[1] & 127) == 126 ? 2 : (head[1] & 127) == 127 ? 8 : 0, size = n_ext ? 0 : head[1];
    assert_true(get(fd, ext, n_ext));
    for (size_t i = 0; i < n_ext; i++)
        size = size << 8 | ext[i];
    *f = (frame){head[0] & 15, size, malloc(size + 1)};
    assert_non_null(f->data);
    assert_true(get(fd, f->data, size));
    f->data[size] = '\0';
    return true;
}

/* But for the pings that come on a slow machine. */
static bool next_frame(int fd, frame *f)
{
    bool ok;
    while ((ok = get_frame(fd, f)) && f->opcode == PING)
        free(f->data);
    return ok;
}

static void assert_frame(int fd, int opcode, const void *data, size_t size)
{
    frame f;
    assert_true(opcode == PING ? get_frame(fd, &f) : next_frame(fd, &f));
    if (f.opcode != opcode || f.size != size || memcmp(f.data, data, size) != 0)
        fail_msg("frame %d \"%s\", expected %d \"%.*s\"", f.opcode, f.data, opcode, (int)size,
                 (const char *)data);
    free(f.data);
}

static void assert_text(int fd, const char *text)
{
    assert_frame(fd, TEXT, text, strlen(text));
}

static void assert_close(int fd, int code)
{
    unsigned char data[2] = {(unsigned char)(code >> 8), (unsigned char)code};
    assert_frame(fd, CLOSE, data, 2);
    put_frame(fd, 0x80 | CLOSE, data, 2);
    assert_closed(fd);
    close(fd);
}

/* ---- connections ---- */

/* Upgrades, with more bytes behind the handshake in the same piece. */
static int open_socket_with(small_server *s, const void *more, size_t size)
{
    char text[8192];
    answer a = {0};
    int fd = dial(s->port);
    int n =
        snprintf(text, sizeof text, "GET /ws HTTP/1.1\r\nHost: localhost:%d\r\n" HANDSHAKE "\r\n", s->port);
    memcpy(text + n, more, size);
    put(fd, text, (size_t)n + size);
    assert_true(get_head(fd, &a));
    assert_int_equal(a.status, 101);
    assert_string_equal(header(&a, "Sec-WebSocket-Accept"),
                        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455, 1.3 */
    assert_string_equal(header(&a, "Upgrade"), "websocket");
    assert_text(fd, "{\"type\":\"hello\"}");
    return fd;
}

static int open_socket(small_server *s)
{
    return open_socket_with(s, "", 0);
}

static void close_socket(int fd)
{
    put_frame(fd, 0x80 | CLOSE,
              "\x03\xe8"
              "bye",
              5);
    assert_frame(fd, CLOSE, "\x03\xe8", 2);
    assert_closed(fd);
    close(fd);
}

static void test_messages(void **state)
{
    small_server *s = *state;
    int fd = open_socket(s);
    kn_feed_publish(s->feed, 5, NULL, "{\"type\":\"job\"}");
    assert_text(fd, "{\"type\":\"job\"}");
    for (size_t size = 100; size <= 200000;
         size = size < 60000 ? size * 9 : size * 3) { /* each form of a length */
        char *json = malloc(size + 1);
        assert_non_null(json);
        snprintf(json, size + 1, "{\"x\":\"%0*d\"}", (int)size - 8, 0);
        kn_feed_publish(s->feed, 0, NULL, json);
        assert_text(fd, json);
        free(json);
    }
    close_socket(fd);
    server_wait_listeners(s, 0);
}

static void test_same_origin(void **state)
{
    small_server *s = *state;
    answer a = {0};
    int fd = dial(s->port);
    char text[512];
    snprintf(text, sizeof text,
             "GET /ws HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://localhost:%d\r\n" HANDSHAKE "\r\n",
             s->port, s->port);
    put_text(fd, text);
    assert_true(get_head(fd, &a));
    assert_int_equal(a.status, 101);
    close(fd);
}

static void test_ping_and_close(void **state)
{
    small_server *s = *state;
    int fd = open_socket(s);
    put_frame(fd, 0x80 | PING, "are you there", 13);
    assert_frame(fd, PONG, "are you there", 13);
    put_frame(fd, 0x80 | PONG, "unasked", 7);
    put_frame(fd, 0x80 | PING, "", 0);
    assert_frame(fd, PONG, "", 0);
    close_socket(fd);
    fd = open_socket(s);
    put_frame(fd, 0x80 | CLOSE, "", 0);
    assert_frame(fd, CLOSE, "", 0);
    assert_closed(fd);
    close(fd);
}

/* The bytes that come with the handshake are the first frames; and any piece may be any size. */
static void test_pieces(void **state)
{
    small_server *s = *state;
    unsigned char frames[512];
    size_t n = make_frame(frames, 0x80 | PING, "one", 3);
    n += make_frame(frames + n, 0x80 | TEXT, "ignored", 7);
    n += make_frame(frames + n, 0x80 | PING, "two", 3);
    for (size_t extra = 0; extra <= n; extra += 5) {
        int fd = open_socket_with(s, frames, extra);
        for (size_t i = extra; i < n; i++)
            assert_true(put(fd, frames + i, 1));
        frame f;
        for (bool is_last = false;
             !is_last;) { /* both are answered, or only the later one (RFC 6455, 5.5.3) */
            assert_true(get_frame(fd, &f));
            assert_int_equal(f.opcode, PONG);
            is_last = strcmp(f.data, "two") == 0;
            free(f.data);
        }
        put_frame(fd, 0x80 | CLOSE, "", 0);
        while (get_frame(fd, &f) && f.opcode != CLOSE)
            free(f.data);
        free(f.data);
        close(fd);
    }
}

static void test_fragments(void **state)
{
    small_server *s = *state;
    int fd = open_socket(s);
    put_frame(fd, TEXT, "\xc3", 1);
    put_frame(fd, 0x80 | PING, "between", 7);
    put_frame(fd, 0, "\xa9", 1);
    put_frame(fd, 0x80, "", 0);
    assert_frame(fd, PONG, "between", 7);
    put_frame(fd, 0x80 | BINARY, "\xff\x00", 2);
    put_frame(fd, 0x80 | PING, "", 0);
    assert_frame(fd, PONG, "", 0);
    close_socket(fd);
}

static char big[KN_LIMIT_SOCKET_MESSAGE_BYTES + 1];

static const struct {
    int first;
    const char *data;
    size_t size;
    int second; /* first byte of one more frame with "x"; 0: none */
    int code;
} wrongs[] = {
    {0x80 | 3, "", 0, 0, 1002},                 /* reserved opcodes */
    {0x80 | 11, "", 0, 0, 1002},                /* */
    {0xc0 | TEXT, "x", 1, 0, 1002},             /* reserved bits */
    {0x90 | TEXT, "x", 1, 0, 1002},             /* */
    {PING, "x", 1, 0, 1002},                    /* a control frame in pieces */
    {0x80 | PING, big, 126, 0, 1002},           /* a long one */
    {0x80, "x", 1, 0, 1002},                    /* nothing to continue */
    {TEXT, "x", 1, 0x80 | TEXT, 1002},          /* a message inside another */
    {TEXT, "x", 1, 0x80 | BINARY, 1002},        /* */
    {0x80 | CLOSE, "\x03", 1, 0, 1002},         /* half a code */
    {0x80 | CLOSE, "\x03\xed", 2, 0, 1002},     /* 1005 is never sent */
    {0x80 | CLOSE, "\x00\x01", 2, 0, 1002},     /* */
    {0x80 | CLOSE, "\x0b\xb7", 2, 0, 1002},     /* 2999 */
    {0x80 | CLOSE, "\x03\xe8\xff", 3, 0, 1007}, /* a reason that is no text */
    {0x80 | TEXT, "\xff", 1, 0, 1007},          /* */
    {0x80 | TEXT, "\xc3", 1, 0, 1007},          /* */
    {TEXT, "\xc3", 1, 0x80, 1007},              /* */
    {0x80 | TEXT, "\xed\xa0\x80", 3, 0, 1007},  /* */
    {0x80 | TEXT, big, sizeof big, 0, 1009},    /* */
    {0x80 | BINARY, big, sizeof big, 0, 1009},  /* */
    {TEXT, big, sizeof big - 1, 0x80, 1009},    /* together */
};

static void test_wrong_frames(void **state)
{
    small_server *s = *state;
    memset(big, 'a', sizeof big);
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        int fd = open_socket(s);
        put_frame(fd, wrongs[i].first, wrongs[i].data, wrongs[i].size);
        if (wrongs[i].second)
            put_frame(fd, wrongs[i].second, "x", 1);
        frame f;
        assert_true(get_frame(fd, &f));
        int code = f.size >= 2 ? (unsigned char)f.data[0] << 8 | (unsigned char)f.data[1] : 0;
        if (f.opcode != CLOSE || code != wrongs[i].code)
            fail_msg("frame %zu: %d %d, expected close with %d", i, f.opcode, code, wrongs[i].code);
        free(f.data);
        assert_false(get_frame(fd, &f)); /* nothing follows */
        close(fd);
    }
    server_wait_listeners(s, 0);
    assert_alive(s);
}

static void test_unmasked(void **state)
{
    small_server *s = *state;
    int fd = open_socket(s);
    put(fd, "\x81\x01x", 3);
    assert_close(fd, 1002);
}

/* Lengths that are written too long, or are beyond every limit. */
static void test_bad_lengths(void **state)
{
    small_server *s = *state;
    static const struct {
        const char *bytes;
        size_t size;
        int code;
    } cases[] = {
        {"\x81\xfe\x00\x05mask.....", 13, 1002},
        {"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05mask.....", 19, 1002},
        {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmaskx", 15, 1002},
        {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmaskx", 15, 1009},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = open_socket(s);
        put(fd, cases[i].bytes, cases[i].size);
        assert_close(fd, cases[i].code);
    }
}

static void test_vanishing(void **state)
{
    small_server *s = *state;
    for (int i = 0; i < 20; i++) {
        int fd = open_socket(s);
        if (i % 2)
            put(fd, "\x81", 1);
        close(fd);
    }
    server_wait_listeners(s, 0);
}

/* Reads nothing: the queue stays bounded, and then it is told to come back later. */
static void test_slow(void **state)
{
    small_server *s = *state;
    char *json = malloc(65536 + 32);
    assert_non_null(json);
    snprintf(json, 65536 + 32, "{\"x\":\"%065536d\"}", 0);
    int slow = open_socket(s), quick = open_socket(s), n = 0;
    for (int i = 0; i < 400; i++) {
        kn_feed_publish(s->feed, 0, NULL, json);
        assert_text(quick, json);
    }
    frame f;
    while (next_frame(slow, &f) && f.opcode == TEXT) {
        assert_int_equal(f.size, strlen(json));
        free(f.data);
        n++;
    }
    assert_in_range(n, 1, 399);
    assert_int_equal(f.opcode, CLOSE);
    assert_memory_equal(f.data, "\x03\xf5", 2); /* 1013 */
    free(f.data);
    close(slow);
    close_socket(quick);
    free(json);
}

/* Progress that nobody reads is replaced: never cut off, and what comes last is the latest. */
static void test_slow_progress(void **state)
{
    small_server *s = *state;
    char *json = malloc(65536 + 64), last[64] = "";
    assert_non_null(json);
    int fd = open_socket(s);
    for (int i = 1; i <= 600; i++) {
        snprintf(json, 65536 + 64, "{\"n\":%d,\"x\":\"%065536d\"}", i, 0);
        kn_feed_publish(s->feed, 0, "job", json);
    }
    int n = 0;
    while (strncmp(last, "{\"n\":600,", 9) != 0) {
        frame f;
        assert_true(next_frame(fd, &f));
        assert_int_equal(f.opcode, TEXT);
        snprintf(last, sizeof last, "%s", f.data);
        free(f.data);
        n++;
    }
    assert_in_range(n, 1, 599);
    close_socket(fd);
    free(json);
}

/* A flood of pings from one who does not read costs no memory and disturbs nobody. */
static void test_ping_flood(void **state)
{
    small_server *s = *state;
    unsigned char frames[64 * 131];
    char payload[125];
    size_t n = 0;
    memset(payload, 'p', sizeof payload);
    for (int i = 0; i < 64; i++)
        n += make_frame(frames + n, 0x80 | PING, payload, sizeof payload);
    int fd = open_socket(s), other = open_socket(s);
    for (int i = 0; i < 200; i++)
        assert_true(put(fd, frames, n));
    kn_feed_publish(s->feed, 0, NULL, "{\"still\":\"here\"}");
    assert_text(other, "{\"still\":\"here\"}");
    close_socket(other);
    close(fd);
    server_wait_listeners(s, 0);
}

static void test_many(void **state)
{
    enum { N = 200, MESSAGES = 20 };
    small_server *s = *state;
    int fds[N];
    for (int i = 0; i < N; i++)
        fds[i] = open_socket(s);
    assert_int_equal(kn_feed_n_listeners(s->feed), N);
    for (int m = 0; m < MESSAGES; m++) {
        char json[32];
        snprintf(json, sizeof json, "{\"n\":%d}", m);
        kn_feed_publish(s->feed, m + 1, NULL, json);
    }
    assert_alive(s);
    for (int i = 0; i < N; i++)
        for (int m = 0; m < MESSAGES; m++) {
            char json[32];
            snprintf(json, sizeof json, "{\"n\":%d}", m);
            assert_text(fds[i], json);
        }
    for (int i = 0; i < N; i++)
        close(fds[i]);
    server_wait_listeners(s, 0);
}

/* A quiet client is asked whether it is there, and dropped if it never answers. */
static void test_server_pings(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){.ping_s = 1});
    int fd = open_socket(s);
    assert_frame(fd, PING, "", 0);
    put_frame(fd, 0x80 | PONG, "", 0);
    assert_frame(fd, PING, "", 0);
    server_wait_listeners(s, 0);
    assert_alive(s);
    close(fd);
    server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),       cmocka_unit_test(test_same_origin),
        cmocka_unit_test(test_ping_and_close), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_fragments),      cmocka_unit_test(test_wrong_frames),
        cmocka_unit_test(test_unmasked),       cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_vanishing),      cmocka_unit_test(test_slow),
        cmocka_unit_test(test_slow_progress),  cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_server_pings),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
