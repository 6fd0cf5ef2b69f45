/* Requests good and bad: what is answered, and that the server lives on. */
#define _GNU_SOURCE
#include "small_server.h"

/* ---- good ones ---- */

static void test_answers(void **state)
{
    small_server *s = *state;
    answer a = ask_for(s->port, "/echo?q=a+b%2Bc%C3%A9&n=-5", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"q\":\"a b+c\xc3\xa9\",\"id\":null,\"name\":null,\"n\":-5}");
    assert_string_equal(header(&a, "Content-Type"), "application/json");
    assert_string_equal(header(&a, "Cache-Control"), "no-store");
    assert_string_equal(header(&a, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header(&a, "Referrer-Policy"), "no-referrer");
    assert_string_equal(header(&a, "Cross-Origin-Resource-Policy"), "same-origin");
    assert_string_equal(
        header(&a, "Content-Security-Policy"),
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; "
        "frame-ancestors 'none'");
    answer_done(&a);
    a = ask_for(s->port, "/items/job%20_1", "");
    assert_string_equal(a.body, "{\"q\":null,\"id\":\"job _1\",\"name\":null,\"n\":7}");
    answer_done(&a);
    a = ask_for(s->port, "/items/x/tree/a/b%20c/d%2Fe", "");
    assert_string_equal(a.body, "{\"q\":null,\"id\":\"x\",\"name\":\"a/b c/d/e\",\"n\":7}");
    answer_done(&a);
}

static void test_head(void **state)
{
    small_server *s = *state;
    int fd = dial(s->port);
    answer a;
    for (int i = 0; i < 2; i++) { /* the connection goes on, so no body came */
        char text[128];
        snprintf(text, sizeof text, "HEAD /api/health HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
        put_text(fd, text);
        assert_true(get_answer(fd, &a, false));
        assert_int_equal(a.status, 200);
        assert_string_equal(header(&a, "Content-Length"), "15");
        answer_done(&a);
    }
    close(fd);
}

static void test_keep_alive_after_errors(void **state)
{
    small_server *s = *state;
    static const char *const requests[] = {
        "GET /nowhere", "POST /json", "GET /echo?n=999", "PATCH /items/1", "GET /busy", "POST /none",
    };
    static const int statuses[] = {404, 201, 400, 201, 409, 200};
    int fd = dial(s->port);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        char text[256];
        answer a;
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 0\r\n\r\n",
                 requests[i], s->port);
        put_text(fd, text);
        assert_true(get_answer(fd, &a, true));
        assert_int_equal(a.status, statuses[i]);
        answer_done(&a);
    }
    close(fd);
}

static void test_pipelined(void **state)
{
    small_server *s = *state;
    char text[512];
    answer a;
    int fd = dial(s->port);
    snprintf(text, sizeof text,
             "POST /json HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
             "Content-Length: 7\r\n\r\n{\"a\":1}GET /echo HTTP/1.1\r\nHost: localhost:%d\r\n\r\n",
             s->port, s->port);
    put_text(fd, text);
    assert_true(get_answer(fd, &a, true));
    assert_string_equal(a.body, "{\"json\":{\"a\":1},\"files\":[]}");
    answer_done(&a);
    assert_true(get_answer(fd, &a, true));
    assert_int_equal(a.status, 200);
    answer_done(&a);
    close(fd);
}

static void test_options(void **state)
{
    small_server *s = *state;
    answer a = ask(s->port, "OPTIONS /items/1 HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
    assert_int_equal(a.status, 204);
    assert_string_equal(header(&a, "Allow"), "GET, HEAD, PATCH, DELETE, OPTIONS");
    assert_null(header(&a, "Access-Control-Allow-Origin"));
    answer_done(&a);
}

static void test_error_body(void **state)
{
    small_server *s = *state;
    answer a = ask_for(s->port, "/busy", "");
    assert_int_equal(a.status, 409);
    assert_string_equal(
        a.body, "{\"error\":{\"code\":\"KN_EBUSY\",\"type\":\"invalid_request_error\",\"param\":\"steps\","
                "\"message\":\"steps: the queue is full, ?"
                "?\"}}");
    assert_string_equal(header(&a, "Content-Type"), "application/json");
    answer_done(&a);
    a = ask_for(s->port, "/nothing", "");
    assert_int_equal(a.status, 500);
    assert_non_null(strstr(a.body, "\"server_error\",\"param\":null"));
    answer_done(&a);
    a = ask_for(s->port, "/echo?n=101", "");
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "n: \\\"101\\\", expected a whole number from -5 to 100"));
    answer_done(&a);
    a = ask(s->port, "PUT /items/1 HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", s->port);
    assert_int_equal(a.status, 405);
    assert_string_equal(header(&a, "Allow"), "GET, HEAD, PATCH, DELETE");
    answer_done(&a);
}

static void test_static(void **state)
{
    small_server *s = *state;
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"", 200},
        {"Accept-Encoding: gzip\r\n", 200},
        {"Accept-Encoding: br, gzip;q=0.1\r\n", 200},
        {"Accept-Encoding: *\r\n", 200},
        {"Accept-Encoding: gzip;q=0\r\n", 406},
        {"Accept-Encoding: gzip;q=0.000, *\r\n", 406},
        {"Accept-Encoding: identity\r\n", 406},
        {"Accept-Encoding: br;q=1, *;q=0\r\n", 406},
        {"If-None-Match: \"v1\"\r\n", 304},
        {"If-None-Match: W/\"v1\"\r\n", 304},
        {"If-None-Match: \"v0\", \"v1\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"v0, \\\"v1\\\"\"\r\n", 200},
        {"If-None-Match: \"v10\"\r\n", 200},
        {"If-None-Match: v1\r\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer a = ask_for(s->port, "/static", cases[i].headers);
        if (a.status != cases[i].status)
            fail_msg("%s: %d, expected %d", cases[i].headers, a.status, cases[i].status);
        if (a.status == 200) {
            assert_string_equal(a.body, "zipped");
            assert_string_equal(header(&a, "Content-Encoding"), "gzip");
            assert_string_equal(header(&a, "Vary"), "Accept-Encoding");
        } else if (a.status == 406) {
            assert_null(header(&a, "Content-Encoding"));
        }
        answer_done(&a);
    }
}

/* ---- bad ones ---- */

typedef struct bad {
    const char *request; /* its first line and headers; "@" is a good Host line */
    int status;          /* -1: any error, or no answer at all */
} bad;

#define JSON_TYPE "Content-Type: application/json\r\n"

static const bad bads[] = {
    /* paths */
    {"GET /nowhere HTTP/1.1\r\n@\r\n", 404},
    {"GET /echo/ HTTP/1.1\r\n@\r\n", 404},
    {"GET //echo HTTP/1.1\r\n@\r\n", 404},
    {"GET /Echo HTTP/1.1\r\n@\r\n", 404},
    {"GET /items/ HTTP/1.1\r\n@\r\n", 404},
    {"GET /items/a%2Fb HTTP/1.1\r\n@\r\n", 404},
    {"GET /items/.. HTTP/1.1\r\n@\r\n", 404},
    {"GET /items/%2e%2E HTTP/1.1\r\n@\r\n", 404},
    {"GET /items/x/tree/ HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/.. HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/a/../b HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/a/%2e%2e/b HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/a%2F..%2Fb HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/./a HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree/a//b HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/x/tree//etc/passwd HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/a%00b HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%zz HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/% HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%4 HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%c0%af HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%c1%bf HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%e0%80%af HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%f0%80%80%af HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%ed%a0%80 HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%f4%90%80%80 HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%c3 HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/%80 HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/\xff HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/a b HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/a\tb HTTP/1.1\r\n@\r\n", 400},
    {"GET /items/\x7f HTTP/1.1\r\n@\r\n", 400},
    {"GET echo HTTP/1.1\r\n@\r\n", 400},
    {"GET * HTTP/1.1\r\n@\r\n", 400},
    {"GET http://localhost/echo HTTP/1.1\r\n@\r\n", 400},
    {"GET /a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a HTTP/1.1\r\n@\r\n", 400},
    {"GET ?q=1 HTTP/1.1\r\n@\r\n", 400},
    /* queries */
    {"GET /echo?q=1&q=2 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?q=1&%71=2 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?x=1 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?=1 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?q=%00 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?q=%c0%80 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?q=%g1 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n= HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=1.5 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=0x10 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=+5 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=- HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=-6 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=101 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=99999999999999999999 HTTP/1.1\r\n@\r\n", 400},
    {"GET /echo?n=-99999999999999999999 HTTP/1.1\r\n@\r\n", 400},
    /* methods */
    {"PUT /items/1 HTTP/1.1\r\n@\r\n", 405},
    {"POST /echo HTTP/1.1\r\n@\r\n", 405},
    {"get /echo HTTP/1.1\r\n@\r\n", 405},
    {"BREW /echo HTTP/1.1\r\n@\r\n", 405},
    {"TRACE /echo HTTP/1.1\r\n@\r\n", 405},
    {"HEAD /json HTTP/1.1\r\n@\r\n", 405},
    {"GET /login HTTP/1.1\r\n@\r\n", 405},
    {"OPTIONS /nowhere HTTP/1.1\r\n@\r\n", 404},
    {"CONNECT localhost:80 HTTP/1.1\r\n@\r\n", 400},
    /* hosts */
    {"GET /echo HTTP/1.1\r\n\r\n", 403},
    {"GET /echo HTTP/1.0\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: evil@localhost\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: localhost:99999\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: localhost:\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost: [::1\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\nHost:\r\n\r\n", 403},
    {"GET /echo HTTP/1.1\r\n@@\r\n", 400},
    /* other sites */
    {"POST /json HTTP/1.1\r\n@Origin: http://evil.example\r\n\r\n", 403},
    {"POST /json HTTP/1.1\r\n@Origin: null\r\n\r\n", 403},
    {"POST /json HTTP/1.1\r\n@Origin: http://localhost:1\r\n\r\n", 403},
    {"POST /json HTTP/1.1\r\n@Origin: http://localhost\r\n\r\n", 403},
    {"DELETE /items/1 HTTP/1.1\r\n@Origin: https://evil.example\r\n\r\n", 403},
    {"PATCH /items/1 HTTP/1.1\r\n@Origin: file://\r\n\r\n", 403},
    {"OPTIONS /items/1 HTTP/1.1\r\n@Origin: http://evil.example\r\nAccess-Control-Request-Method: "
     "PUT\r\n\r\n",
     403},
    {"POST /json HTTP/1.1\r\n@Sec-Fetch-Site: cross-site\r\n\r\n", 403},
    {"POST /json HTTP/1.1\r\n@Sec-Fetch-Site: same-site\r\n\r\n", 403},
    {"GET /ws HTTP/1.1\r\n@Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://evil.example\r\n\r\n",
     403},
    /* WebSockets that are none */
    {"GET /ws HTTP/1.1\r\n@\r\n", 400},
    {"GET /ws HTTP/1.1\r\n@Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 400},
    {"GET /ws HTTP/1.1\r\n@Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     400},
    {"GET /ws HTTP/1.1\r\n@Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: short\r\n\r\n",
     400},
    {"HEAD /ws HTTP/1.1\r\n@Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     400},
    /* bodies */
    {"POST /none HTTP/1.1\r\n@Content-Length: 1\r\n\r\nx", 400},
    {"GET /echo HTTP/1.1\r\n@Content-Length: 1\r\n\r\nx", 400},
    {"POST /raw HTTP/1.1\r\n@\r\n", 411},
    {"POST /form HTTP/1.1\r\n@\r\n", 411},
    {"POST /raw HTTP/1.1\r\n@Content-Length: 0\r\n\r\n", 400},
    {"POST /form HTTP/1.1\r\n@Content-Length: 0\r\n\r\n", 400},
    {"POST /raw HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST /json HTTP/1.1\r\n@Content-Length: 2\r\n\r\n{}", 415},
    {"POST /json HTTP/1.1\r\n@Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415},
    {"POST /json HTTP/1.1\r\n@Content-Type: application/jsonp\r\nContent-Length: 2\r\n\r\n{}", 415},
    {"POST /json HTTP/1.1\r\n@Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
     "3\r\n\r\na=1",
     415},
    {"POST /form HTTP/1.1\r\n@Content-Type: text/plain\r\nContent-Length: 3\r\n\r\na=1", 415},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", 413},
    {"POST /raw HTTP/1.1\r\n@Content-Length: 536870913\r\nExpect: 100-continue\r\n\r\n", 413},
    {"POST /raw HTTP/1.1\r\n@Content-Length: 18446744073709551614\r\n\r\n", 413},
    {"POST /form HTTP/1.1\r\n@Content-Type: multipart/form-data; boundary=b\r\nContent-Length: "
     "540000000\r\n\r\n",
     413},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 2\r\n\r\n[]", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 1\r\n\r\n1", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 1\r\n\r\n{", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 13\r\n\r\n{\"a\":1,\"a\":2}", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 9\r\n\r\n{\"a\":01}x", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 8\r\n\r\n{\"\xff\":1} ", 400},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 12\r\n\r\n{\"a\":\"\\u0000", 400},
    {"POST /form HTTP/1.1\r\n@Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
     "7\r\n\r\na=1&a=2",
     400},
    {"POST /form HTTP/1.1\r\n@Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
     "5\r\n\r\na=%00",
     400},
    {"POST /form HTTP/1.1\r\n@Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx", 400},
    {"POST /form HTTP/1.1\r\n@Content-Type: multipart/form-data; boundary=\r\nContent-Length: 1\r\n\r\nx",
     400},
    {"POST /form HTTP/1.1\r\n@Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1\r\n\r\nx",
     400},
    {"POST /login HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 2\r\n\r\n{}", 400},
    {"POST /login HTTP/1.1\r\n@" JSON_TYPE "Content-Length: 11\r\n\r\n{\"token\":1}", 400},
    /* where does the request end? */
    {"POST /json HTTP/1.1\r\n@Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400},
    {"POST /json HTTP/1.1\r\n@Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST /json HTTP/1.1\r\n@Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {"POST /json HTTP/1.1\r\n@Transfer-Encoding: identity\r\n\r\n", 501},
    {"POST /json HTTP/1.1\r\n@Content-Length : 2\r\n\r\n{}", 400},
    {"GET /echo HTTP/1.1\r\n@Auth orization: x\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\n@X-Odd: a\x01z\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\n@Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400},
    {"POST /json HTTP/1.1\r\n@Content-Length: -1\r\n\r\n", -1},
    {"POST /json HTTP/1.1\r\n@Content-Length: 1x\r\n\r\n", -1},
    {"POST /json HTTP/1.1\r\n@Content-Length: 99999999999999999999999\r\n\r\n", -1},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", -1},
    {"POST /json HTTP/1.1\r\n@" JSON_TYPE "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}", -1},
    /* no HTTP */
    {"GET /echo HTTP/1.1\r\nno colon here\r\n@\r\n", -1},
    {"GET /echo HTTP/9.9\r\n@\r\n", -1},
    {"GET /echo\r\n@\r\n", -1},
    {"GET\r\n\r\n", -1},
    {"\r\n\r\n\r\nnonsense\r\n\r\n", -1},
    {"\x16\x03\x01\x02\x01\x01\x01\xfc\r\n\r\n", -1},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", -1},
};

static char *expand(const bad *b, int port)
{
    char host[64];
    kn_buf text;
    snprintf(host, sizeof host, "Host: localhost:%d\r\n", port);
    kn_buf_init(&text, 65536);
    for (const char *p = b->request; *p; p++) {
        bool is_mark = *p == '@' && (p[-1] == '\n' || p[-1] == '@');
        kn_buf_append(&text, is_mark ? host : p, is_mark ? strlen(host) : 1);
    }
    return kn_buf_take(&text);
}

static void test_bad_requests(void **state)
{
    small_server *s = *state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        char *text = expand(&bads[i], s->port);
        answer a = {0};
        int fd = dial(s->port);
        put_text(fd, text);
        shutdown(fd, SHUT_WR);
        bool got = get_answer(fd, &a, strncmp(text, "HEAD", 4) != 0);
        bool ok = bads[i].status < 0 ? !got || a.status >= 400 : got && a.status == bads[i].status;
        if (!ok)
            fail_msg("%s: %d %s, expected %d", bads[i].request, a.status, a.body ? a.body : "",
                     bads[i].status);
        if (bads[i].status > 0 && strncmp(text, "HEAD", 4) != 0) {
            json_t *json = json_loads(a.body, 0, NULL);
            const json_t *e = json_object_get(json, "error");
            assert_true(json_is_string(json_object_get(e, "code")) &&
                        json_is_string(json_object_get(e, "message")));
            assert_true(json_is_string(json_object_get(e, "type")) && json_object_get(e, "param"));
            assert_string_equal(header(&a, "X-Content-Type-Options"), "nosniff");
            json_decref(json);
        }
        answer_done(&a);
        close(fd);
        free(text);
        assert_alive(s);
    }
    assert_int_equal(server_n_files(s), 0);
}

/* A request with a URL or headers of that many bytes. */
static int status_of_long(small_server *s, size_t url, size_t headers)
{
    kn_buf b;
    kn_buf_init(&b, 1 << 22);
    kn_buf_puts(&b, "GET /");
    while (b.size < url)
        kn_buf_puts(&b, "a");
    kn_buf_printf(&b, " HTTP/1.1\r\nHost: localhost:%d\r\n", s->port);
    for (int i = 0; b.size < url + headers; i++)
        kn_buf_printf(&b, "X-%d: %0500d\r\n", i, 0);
    kn_buf_puts(&b, "\r\n");
    answer a = ask_bytes(s->port, b.data, b.size);
    int status = a.status;
    kn_buf_done(&b);
    answer_done(&a);
    return status;
}

static void test_too_long(void **state)
{
    small_server *s = *state;
    assert_int_equal(status_of_long(s, 8000, 0), 404);
    assert_int_equal(status_of_long(s, 9000, 0), 414);
    assert_int_equal(status_of_long(s, 30000, 0), 414);
    assert_int_equal(status_of_long(s, 100, 12000), 404);
    assert_int_equal(status_of_long(s, 100, 20000), 431);
    /* What does not even fit in its memory libmicrohttpd answers itself, or closes. */
    assert_in_range(status_of_long(s, 1 << 20, 0) % 400, 0, 99);
    assert_in_range(status_of_long(s, 100, 1 << 20) % 400, 0, 99);
    assert_alive(s);
}

static void test_log(void **state)
{
    small_server *s = *state;
    pthread_mutex_lock(&s->lock);
    s->log[0] = '\0';
    pthread_mutex_unlock(&s->lock);
    answer a = ask_for(s->port, "/busy?secret=tok", "Authorization: Bearer tok\r\n");
    answer_done(&a);
    assert_alive(s);
    pthread_mutex_lock(&s->lock);
    assert_non_null(strstr(s->log, "GET /busy 409 steps: the queue is full"));
    assert_null(strstr(s->log, "tok"));
    assert_null(strstr(s->log, "health"));
    pthread_mutex_unlock(&s->lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_keep_alive_after_errors),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_error_body),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
