/* The server itself: its socket, libmicrohttpd's threads, and the connections they have. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/loop.h"

enum {
    DEFAULT_THREADS = 4,
    DEFAULT_TIMEOUT_S = 60,
    DEFAULT_PING_S = 15,
    BACKLOG = 1024,
    /* Of a connection, for its headers and what is being sent: more than the limits, so that what is a little too long gets
     * our own answer. */
    CONNECTION_BYTES = 2 * (KN_LIMIT_HEADER_BYTES + KN_LIMIT_URL_BYTES),
    SPARE_FILES = 256, /* beside the connections' sockets */
};

/* ---- what libmicrohttpd calls ---- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    kn_http *h = cls;
    kn_http_conn *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = c = info ? kn_calloc(1, sizeof *c) : NULL;
        if (!c)
            return;
        c->fd = info->connect_fd;
        c->waiting_ns = kn_clock_ns();
        c->is_reading = true;
        pthread_mutex_lock(&h->lock);
        c->next = h->conns;
        if (c->next)
            c->next->prev = c;
        h->conns = c;
        pthread_mutex_unlock(&h->lock);
    } else if (c) {
        pthread_mutex_lock(&h->lock);
        if (c->prev)
            c->prev->next = c->next;
        else
            h->conns = c->next;
        if (c->next)
            c->next->prev = c->prev;
        pthread_mutex_unlock(&h->lock);
        free(c);
        *context = NULL;
    }
}

/* What the connection awaits now: the headers of a request, the rest of one, or nothing. */
static void set_awaited(kn_http *h, struct MHD_Connection *connection, bool headers, bool rest)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    kn_http_conn *c = info ? info->socket_context : NULL;
    if (!c)
        return;
    pthread_mutex_lock(&h->lock);
    c->waiting_ns = headers ? kn_clock_ns() : 0;
    c->is_reading = headers || rest;
    c->has_ended = false;
    pthread_mutex_unlock(&h->lock);
}

/* The only place that sees the URL as it came. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    return kn_request_new(cls, connection, uri);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **context)
{
    kn_http_request *rq = *context;
    enum MHD_Result result;
    size_t size = *data_size;
    (void)url, (void)version;
    if (!rq)
        return MHD_NO;
    set_awaited(cls, connection, false, false);
    if (!rq->has_begun)
        result = kn_request_begin(rq, method);
    else
        result = size ? kn_request_take(rq, data, size) : kn_request_end(rq);
    *data_size = 0;
    rq->has_begun = true;
    if (result == MHD_YES && !rq->has_ended)
        set_awaited(cls, connection, false, true);
    return result;
}

/* For a WebSocket this runs under a lock of libmicrohttpd, so no lock is taken then: on_upgrade has emptied the request. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    kn_http_request *rq = *context;
    *context = NULL;
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && rq && rq->reply.kind != KN_REPLY_SOCKET)
        set_awaited(cls, connection, true, false);
    kn_request_free(rq);
}

/* URLs are decoded by uri.c. */
static size_t keep_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    return strlen(text);
}

/* Whether the client went away in the middle of a request: seen twice, as what was just read may be the request's end.
 * libmicrohttpd misses it when the end comes along with the last bytes, and keeps everything until its time-out. */
static bool is_gone(kn_http_conn *c)
{
    char byte;
    bool has_ended = c->is_reading && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    bool is_second = has_ended && c->has_ended;
    c->has_ended = has_ended;
    return is_second;
}

void kn_http_tick(kn_http *h)
{
    int64_t oldest = kn_clock_ns() - (int64_t)h->opts.timeout_s * 1000000000;
    pthread_mutex_lock(&h->lock);
    /* libmicrohttpd's own time-out begins anew with every byte. */
    for (kn_http_conn *c = h->conns; c; c = c->next)
        if ((c->waiting_ns && c->waiting_ns < oldest) || is_gone(c))
            shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&h->lock);
}

/* ---- starting ---- */

static socklen_t make_address(const char *host, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    inet_pton(AF_INET6, host, &v6->sin6_addr); /* the guard has checked it */
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

static int fail_listen(int fd, const kn_http_opts *o, kn_err *err)
{
    int rc =
        errno == EADDRINUSE
            ? kn_fail(err, KN_EBUSY, "port %d of %s is in use; stop what uses it, or choose another port",
                      o->port, o->host)
            : kn_fail(err, KN_EIO, "cannot listen on %s, port %d: %s", o->host, o->port, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int listen_on(const kn_http_opts *o, int *ret_fd, int *ret_port, kn_err *err)
{
    struct sockaddr_storage a;
    int one = 1, zero = 0;
    if (o->port < 0 || o->port > 65535)
        return kn_fail(err, KN_EINVAL, "port: %d, expected 0 to 65535", o->port);
    socklen_t size = make_address(o->host, o->port, &a);
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        (a.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero)) ||
        bind(fd, (struct sockaddr *)&a, size) || listen(fd, BACKLOG))
        return fail_listen(fd, o, err);
    size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size))
        return fail_listen(fd, o, err);
    *ret_port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                             : ((struct sockaddr_in6 *)&a)->sin6_port);
    *ret_fd = fd;
    return 0;
}

/* Every connection is a file; systems allow 1,024 unless a program asks for more. */
static void allow_files(void)
{
    struct rlimit r;
    rlim_t wanted = KN_LIMIT_CONNECTIONS + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= wanted)
        return;
    r.rlim_cur = r.rlim_max < wanted ? r.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &r);
}

static struct MHD_Daemon *start_daemon(kn_http *h, int fd)
{
    unsigned n_threads = (unsigned)h->opts.n_threads;
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)n_threads, NULL},
                                    {MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE, 0, NULL, NULL,
        on_request, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)KN_LIMIT_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->opts.timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_ARRAY, n_threads > 1 ? pool : pool + 1,
        MHD_OPTION_END);
}

static void set_defaults(kn_http_opts *o)
{
    o->n_threads = o->n_threads > 0 ? o->n_threads : DEFAULT_THREADS;
    o->timeout_s = o->timeout_s > 0 ? o->timeout_s : DEFAULT_TIMEOUT_S;
    o->ping_s = o->ping_s > 0 ? o->ping_s : DEFAULT_PING_S;
}

static void free_server(kn_http *h)
{
    kn_loop_free(h->loop);
    kn_guard_done(&h->guard);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

int kn_http_start(const kn_http_opts *opts, const kn_route_table *tables, int n_tables, kn_http **ret,
                  kn_err *err)
{
    int fd = -1;
    kn_http *h = kn_calloc(1, sizeof *h);
    if (!h)
        return kn_fail(err, KN_ENOMEM, "no memory for the server");
    h->opts = *opts;
    h->tables = tables;
    h->n_tables = n_tables;
    h->own = (kn_route_table){kn_login_routes, h};
    set_defaults(&h->opts);
    int rc = kn_guard_init(&h->guard, &h->opts, err);
    if (rc) {
        free(h);
        return rc;
    }
    pthread_mutex_init(&h->lock, NULL);
    allow_files();
    if (h->opts.upload_dir)
        kn_part_file_sweep(h->opts.upload_dir);
    rc = listen_on(&h->opts, &fd, &h->guard.port, err);
    if (!rc)
        rc = kn_loop_start(h, &h->loop, err);
    if (!rc && !(h->daemon = start_daemon(h, fd)))
        rc = kn_fail(err, KN_EIO, "cannot start the threads of the server: %s", strerror(errno));
    if (!rc) {
        *ret = h;
        return 0;
    }
    if (fd >= 0 && !h->loop) /* otherwise libmicrohttpd has closed it */
        close(fd);
    if (h->loop)
        kn_loop_stop(h->loop);
    free_server(h);
    return rc;
}

int kn_http_port(const kn_http *h)
{
    return h->guard.port;
}

void kn_http_stop(kn_http *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->is_stopping = true; /* streams that begin now, or are still being given what they missed, end */
    pthread_mutex_unlock(&h->lock);
    kn_loop_stop(h->loop);
    MHD_stop_daemon(h->daemon);
    KN_ASSERT(!h->conns);
    free_server(h);
}
