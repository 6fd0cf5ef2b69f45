/* A client of raw bytes: what a test sends is what arrives. */
#ifndef KN_TESTS_SERVER_CLIENT_H
#define KN_TESTS_SERVER_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define KN_UNUSED __attribute__((unused))

enum { PATIENCE_S = 60 }; /* of a test on a loaded machine */

/* ---- bytes ---- */

KN_UNUSED static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* false: the server does not take it any more. */
KN_UNUSED static bool put(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

KN_UNUSED static bool put_text(int fd, const char *text)
{
    return put(fd, text, strlen(text));
}

/* Exactly size bytes; false: the connection ended before, or nothing came in time. */
KN_UNUSED static bool get(int fd, void *data, size_t size)
{
    char *p = data;
    while (size) {
        ssize_t n = recv(fd, p, size, 0);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* Up to and with a line end, which is cut off; false at the end. */
KN_UNUSED static bool get_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    char c;
    while (get(fd, &c, 1)) {
        if (c == '\n') {
            line[n && line[n - 1] == '\r' ? n - 1 : n] = '\0';
            return true;
        }
        assert_true(n + 1 < size);
        line[n++] = c;
    }
    return false;
}

/* Nothing more comes: the server closed the connection. */
KN_UNUSED static void assert_closed(int fd)
{
    char buf[4096];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        ;
    assert_true(n == 0 || errno == ECONNRESET);
}

/* ---- answers ---- */

typedef struct answer {
    int status; /* 0: none came */
    char head[16384];
    char *body; /* heap, terminated */
    size_t size;
} answer;

KN_UNUSED static void answer_done(answer *a)
{
    free(a->body);
    *a = (answer){0};
}

/* The value of a header into one of a few static buffers; NULL: absent. */
KN_UNUSED static const char *header(const answer *a, const char *name)
{
    static char values[4][1024];
    static int turn;
    size_t n = strlen(name);
    for (const char *line = a->head; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] != '\0'))
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            char *value = values[turn++ % 4];
            const char *text = line + n + 1 + strspn(line + n + 1, " ");
            snprintf(value, 1024, "%.*s", (int)strcspn(text, "\n"), text);
            return value;
        }
    return NULL;
}

KN_UNUSED static bool get_head(int fd, answer *a)
{
    char line[4096];
    size_t n = 0;
    a->head[0] = '\0';
    if (!get_line(fd, line, sizeof line) || strncmp(line, "HTTP/1.1 ", 9) != 0)
        return false;
    a->status = (int)strtol(line + 9, NULL, 10);
    while (get_line(fd, line, sizeof line) && *line) {
        assert_true(n + strlen(line) + 2 < sizeof a->head);
        n += (size_t)snprintf(a->head + n, sizeof a->head - n, "%s\n", line);
    }
    return true;
}

KN_UNUSED static void get_body(int fd, answer *a)
{
    char line[64];
    const char *length = header(a, "Content-Length"), *encoding = header(a, "Transfer-Encoding");
    for (bool more = true; more;) {
        size_t n = length ? (size_t)strtoull(length, NULL, 10) : 0;
        if (encoding) {
            assert_true(get_line(fd, line, sizeof line));
            n = (size_t)strtoull(line, NULL, 16);
        }
        a->body = realloc(a->body, a->size + n + 1);
        assert_non_null(a->body);
        assert_true(get(fd, a->body + a->size, n));
        a->size += n;
        a->body[a->size] = '\0';
        if (encoding)
            assert_true(get_line(fd, line, sizeof line));
        more = encoding && n;
    }
}

/* has_body: not of HEAD, 204, 304. */
KN_UNUSED static bool get_answer(int fd, answer *a, bool has_body)
{
    *a = (answer){0};
    if (!get_head(fd, a))
        return false;
    if (a->status == 100 && !get_head(fd, a))
        return false;
    if (has_body && a->status != 204 && a->status != 304)
        get_body(fd, a);
    return true;
}

/* One request on a connection of its own. */
KN_UNUSED static answer ask_bytes(int port, const void *data, size_t size)
{
    answer a = {0};
    int fd = dial(port);
    put(fd, data, size);
    get_answer(fd, &a, strncmp(data, "HEAD", 4) != 0);
    close(fd);
    return a;
}

KN_UNUSED __attribute__((format(printf, 2, 3))) static answer ask(int port, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    va_end(ap);
    answer a = ask_bytes(port, text, strlen(text));
    free(text);
    return a;
}

/* GET with headers, each "Name: value\r\n". */
KN_UNUSED static answer ask_for(int port, const char *path, const char *headers)
{
    return ask(port, "GET %s HTTP/1.1\r\nHost: localhost:%d\r\n%s\r\n", path, port, headers);
}

KN_UNUSED static answer ask_with_body(int port, const char *method, const char *path, const char *type,
                                      const void *body, size_t size)
{
    char head[1024];
    int n =
        snprintf(head, sizeof head,
                 "%s %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                 method, path, port, type, size);
    char *all = malloc((size_t)n + size);
    assert_non_null(all);
    memcpy(all, head, (size_t)n);
    memcpy(all + n, body, size);
    answer a = ask_bytes(port, all, (size_t)n + size);
    free(all);
    return a;
}

#endif
