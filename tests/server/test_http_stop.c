/* Starting and stopping, also under load; clients that take their time. */
#define _GNU_SOURCE
#include "small_server.h"

static void test_start_errors(void **state)
{
    (void)state;
    kn_err err = {0};
    kn_http *h = NULL;
    kn_route_table table = {routes, NULL};
    small_server *s = server_start((kn_http_opts){0});
    kn_http_opts taken = {.host = "127.0.0.1", .port = s->port}, exposed = {.host = "0.0.0.0"},
                 far = {.host = "127.0.0.1", .port = 70000};
    assert_int_equal(kn_http_start(&taken, &table, 1, &h, &err), KN_EBUSY);
    assert_non_null(strstr(err.msg, "is in use"));
    assert_int_equal(kn_http_start(&exposed, &table, 1, &h, &err), KN_EINVAL);
    assert_int_equal(kn_http_start(&far, &table, 1, &h, &err), KN_EINVAL);
    assert_null(h);
    assert_alive(s);
    server_stop(s);
    kn_http_stop(NULL);
}

static void test_again_on_the_same_port(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){0});
    int port = s->port;
    assert_alive(s);
    server_stop(s);
    for (int i = 0; i < 3; i++) {
        s = server_start((kn_http_opts){.port = port, .n_threads = 1 + i});
        assert_int_equal(s->port, port);
        assert_alive(s);
        server_stop(s);
    }
}

static void test_ipv6(void **state)
{
    (void)state;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (probe < 0 || bind(probe, (struct sockaddr *)&a, sizeof a)) {
        close(probe);
        skip(); /* a machine without it */
    }
    close(probe);
    small_server *s = server_start((kn_http_opts){.host = "::1"});
    answer got = {0};
    char text[128];
    a.sin6_port = htons((uint16_t)s->port);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    snprintf(text, sizeof text, "GET /api/health HTTP/1.1\r\nHost: [::1]:%d\r\n\r\n", s->port);
    put_text(fd, text);
    assert_true(get_answer(fd, &got, true));
    assert_int_equal(got.status, 200);
    answer_done(&got);
    close(fd);
    server_stop(s);
}

/* Says a byte now and then, which a time-out of silence never ends. */
static void test_slow_loris(void **state)
{
    enum { N = 20 };
    (void)state;
    small_server *s = server_start((kn_http_opts){.timeout_s = 1, .n_threads = 2});
    int fds[N], n_open = N;
    for (int i = 0; i < N; i++) {
        fds[i] = dial(s->port);
        put_text(fds[i], i % 2 ? "GET /echo HTTP/1.1\r\n" : "GET /ec");
    }
    for (int turn = 0; n_open && turn < PATIENCE_S * 5; turn++) {
        assert_alive(s);
        nap_ms(200);
        n_open = 0;
        for (int i = 0; i < N; i++)
            n_open += put_text(fds[i], i % 2 ? "X-A: b\r\n" : "h");
    }
    assert_int_equal(n_open, 0);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    server_stop(s);
}

static void test_dripping_body(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){.timeout_s = 1});
    char text[256];
    int fd = dial(s->port), turn = 0;
    snprintf(text, sizeof text,
             "POST /raw HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: image/png\r\nContent-Length: "
             "100000\r\n\r\n",
             s->port);
    put_text(fd, text);
    while (put_text(fd, "x") && turn++ < PATIENCE_S * 10)
        nap_ms(100);
    assert_true(turn < PATIENCE_S * 10);
    close(fd);
    server_wait_n_files(s, 0);
    server_stop(s);
}

static void test_idle_is_closed(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){.timeout_s = 1});
    int fd = dial(s->port);
    assert_closed(fd);
    close(fd);
    server_stop(s);
}

/* ---- load ---- */

typedef struct load {
    small_server *s;
    int kind;
    int *stop; /* atomic */
} load;

/* Anything may fail when the server is gone; nothing may crash or hang. */
static void *make_load(void *arg)
{
    load *l = arg;
    static const char *const paths[] = {"/echo", "/file", "/events", "/ws", "/raw", "/nowhere"};
    while (!__atomic_load_n(l->stop, __ATOMIC_RELAXED)) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->s->port)};
        struct timeval patience = {.tv_usec = 50000};
        char text[512], buf[4096];
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
            snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     l->kind == 4 ? "POST" : "GET", paths[l->kind], l->s->port,
                     l->kind == 4 ? "Content-Type: x/y\r\nContent-Length: 1000\r\n" : "");
            put_text(fd, text);
            for (int i = 0; i < 3 && recv(fd, buf, sizeof buf, 0) > 0; i++)
                ;
        }
        close(fd);
    }
    return NULL;
}

static void *make_news(void *arg)
{
    load *l = arg;
    for (int64_t id = 1; !__atomic_load_n(l->stop, __ATOMIC_RELAXED); id++) {
        kn_feed_publish(l->s->feed, id % 3 ? id : 0, id % 3 ? NULL : "k", "{\"type\":\"job\"}");
        nap_ms(1);
    }
    return NULL;
}

static void test_stop_under_load(void **state)
{
    enum { KINDS = 6 };
    (void)state;
    for (int round = 0; round < 3; round++) {
        small_server *s = server_start((kn_http_opts){0});
        int stop = 0;
        load loads[KINDS + 1];
        pthread_t threads[KINDS + 1];
        for (int i = 0; i <= KINDS; i++) {
            loads[i] = (load){s, i, &stop};
            assert_int_equal(pthread_create(&threads[i], NULL, i < KINDS ? make_load : make_news, &loads[i]),
                             0);
        }
        nap_ms(200 + 100 * round);
        kn_http_stop(s->http);
        s->http = NULL;
        assert_int_equal(kn_feed_n_listeners(s->feed), 0);
        assert_int_equal(server_n_files(s), 0);
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        for (int i = 0; i <= KINDS; i++)
            pthread_join(threads[i], NULL);
        server_stop(s);
    }
}

/* Streams end in order, WebSockets with 1001, and idle connections keep nobody waiting. */
static void test_stop_ends_streams(void **state)
{
    (void)state;
    small_server *s = server_start((kn_http_opts){0});
    char text[512], last[8] = "";
    int events = dial(s->port), socket_fd = dial(s->port), idle = dial(s->port);
    answer a = {0};
    snprintf(text, sizeof text, "GET /events HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
    put_text(events, text);
    assert_true(get_head(events, &a));
    snprintf(text, sizeof text,
             "GET /ws HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             s->port);
    put_text(socket_fd, text);
    assert_true(get_head(socket_fd, &a));
    assert_int_equal(a.status, 101);
    assert_true(get(socket_fd, text, 2 + 16)); /* the greeting */
    server_wait_listeners(s, 2);
    server_stop(s);
    assert_closed(idle);
    assert_true(get(socket_fd, last, 4));
    assert_memory_equal(last, "\x88\x02\x03\xe9", 4);
    assert_closed(socket_fd);
    assert_closed(events);
    close(events);
    close(socket_fd);
    close(idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_errors),
        cmocka_unit_test(test_again_on_the_same_port),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_slow_loris),
        cmocka_unit_test(test_dripping_body),
        cmocka_unit_test(test_idle_is_closed),
        cmocka_unit_test(test_stop_under_load),
        cmocka_unit_test(test_stop_ends_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
