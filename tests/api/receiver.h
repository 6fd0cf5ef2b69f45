/* Who is told by webhooks: a small server on a port of its own that answers as it is told and remembers what it got. */
#ifndef KN_TESTS_API_RECEIVER_H
#define KN_TESTS_API_RECEIVER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

#include "studio.h"

enum { MAX_GOT = 64, MAX_ANSWERS = 16, STALL = 0 };

typedef struct got {
    char path[128], id[64], timestamp[32], signature[128], type[64];
    char *body;
} got;

typedef struct receiver {
    int listener, port;
    char url[64];
    pthread_t thread, talks[MAX_GOT];
    int n_talks;
    atomic_bool stop;
    pthread_mutex_t lock;
    got log[MAX_GOT];
    int n_got;
    int answers[MAX_ANSWERS]; /* statuses, STALL: none; then 200 */
    int n_answers, n_used;
    const char *head; /* more lines of answers that are not 200 */
} receiver;

typedef struct visit {
    receiver *r;
    int fd;
} visit;

static inline void line_of(const char *head, const char *name, char *to, size_t size)
{
    size_t n = strlen(name);
    for (const char *p = strstr(head, "\r\n"); p; p = strstr(p + 2, "\r\n"))
        if (!strncasecmp(p + 2, name, n) && p[2 + n] == ':') {
            const char *v = p + 2 + n + 1 + strspn(p + 2 + n + 1, " ");
            snprintf(to, size, "%.*s", (int)strcspn(v, "\r\n"), v);
        }
}

/* The whole request into in; false: the other side went away. */
static inline bool read_request(int fd, kn_buf *in, got *g)
{
    char chunk[4096], length[32] = "0";
    const char *end = NULL;
    while (!end || in->size - (size_t)(end + 4 - in->data) < strtoul(length, NULL, 10)) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            return false;
        kn_buf_append(in, chunk, (size_t)n);
        end = strstr(in->data, "\r\n\r\n");
        if (end)
            line_of(in->data, "Content-Length", length, sizeof length);
    }
    const char *path = strchr(in->data, ' ');
    snprintf(g->path, sizeof g->path, "%.*s", (int)strcspn(path + 1, " "), path + 1);
    line_of(in->data, "webhook-id", g->id, sizeof g->id);
    line_of(in->data, "webhook-timestamp", g->timestamp, sizeof g->timestamp);
    line_of(in->data, "webhook-signature", g->signature, sizeof g->signature);
    line_of(in->data, "Content-Type", g->type, sizeof g->type);
    g->body = kn_strdup(end + 4);
    return true;
}

static inline int note(receiver *r, const got *g)
{
    pthread_mutex_lock(&r->lock);
    if (r->n_got < MAX_GOT)
        r->log[r->n_got++] = *g;
    int status = r->n_used < r->n_answers ? r->answers[r->n_used++] : 200;
    pthread_mutex_unlock(&r->lock);
    return status;
}

static inline void *converse(void *ud)
{
    visit v = *(visit *)ud;
    got g = {0};
    kn_buf in;
    char answer[512];
    free(ud);
    kn_buf_init(&in, 1 << 20);
    if (read_request(v.fd, &in, &g)) {
        int status = note(v.r, &g);
        while (status == STALL && !atomic_load(&v.r->stop))
            usleep(10000);
        int n = snprintf(answer, sizeof answer,
                         "HTTP/1.1 %d Word\r\nContent-Length: 2\r\nConnection: close\r\n%s\r\nok",
                         status ? status : 500, status == 200 || !v.r->head ? "" : v.r->head);
        send(v.fd, answer, (size_t)n, MSG_NOSIGNAL);
        shutdown(v.fd, SHUT_WR);
    }
    kn_buf_done(&in);
    close(v.fd);
    return NULL;
}

static inline void *listen_on(void *ud)
{
    receiver *r = ud;
    while (!atomic_load(&r->stop)) {
        struct pollfd p = {r->listener, POLLIN, 0};
        int fd = poll(&p, 1, 10) > 0 ? accept(r->listener, NULL, NULL) : -1;
        visit *v = fd >= 0 && r->n_talks < MAX_GOT ? malloc(sizeof *v) : NULL;
        if (v) {
            *v = (visit){r, fd};
            if (!pthread_create(&r->talks[r->n_talks], NULL, converse, v))
                r->n_talks++;
        } else if (fd >= 0) {
            close(fd);
        }
    }
    return NULL;
}

/* port 0: any; answers end with -1. */
static inline receiver *receiver_new(int port, const int *answers)
{
    receiver *r = calloc(1, sizeof *r);
    int one = 1;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_non_null(r);
    for (; answers && answers[r->n_answers] >= 0; r->n_answers++)
        r->answers[r->n_answers] = answers[r->n_answers];
    pthread_mutex_init(&r->lock, NULL);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(r->listener, 64), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&a, &n), 0);
    r->port = ntohs(a.sin_port);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/hook", r->port);
    assert_int_equal(pthread_create(&r->thread, NULL, listen_on, r), 0);
    return r;
}

static inline void receiver_free(receiver *r)
{
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    for (int i = 0; i < r->n_talks; i++)
        pthread_join(r->talks[i], NULL);
    for (int i = 0; i < r->n_got; i++)
        free(r->log[i].body);
    close(r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static inline int n_got(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    int n = r->n_got;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* Waits for the nth (from 0); what it has stays until the receiver is freed. */
static inline got wait_got(receiver *r, int nth)
{
    for (int i = 0; i < 6000 && n_got(r) <= nth; i++)
        usleep(10000);
    pthread_mutex_lock(&r->lock);
    if (r->n_got <= nth)
        fail_msg("the receiver was told %d times in a minute, expected %d", r->n_got, nth + 1);
    got g = r->log[nth];
    pthread_mutex_unlock(&r->lock);
    return g;
}

#endif
