/* Server-sent events: a response that never ends.  libmicrohttpd sends its head and what the client has missed; from then on
 * the connection is suspended, and the loop writes to its socket, one call a message. The body has no frames of its own (the
 * connection ends it), so that all listeners are sent the same bytes. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/loop.h"

/* Sent at once, so that a client knows that it is connected; it comes back two seconds after a failure. */
static const char hello[] = "retry: 2000\n\n";
static const char ping[] = ": ping\n\n";

struct kn_sse {
    kn_peer peer; /* first */
    kn_http *h;
    struct MHD_Connection *connection;
    kn_message *message;
    const char *text; /* what is being sent: of the message, or one of the above */
    size_t left;
    int64_t sent_ns;
    ssize_t end; /* what libmicrohttpd is told; 0: it goes on */
};

/* ---- in the loop ---- */

static void begin_text(kn_sse *s, const char *text, size_t size)
{
    s->text = text;
    s->left = size;
}

static void end_text(kn_sse *s)
{
    kn_message_unref(s->message);
    s->message = NULL;
    s->left = 0;
}

static bool take_next(kn_sse *s)
{
    kn_feed *f = s->peer.listener.feed;
    pthread_mutex_lock(&f->lock);
    s->message = kn_listener_take(&s->peer.listener);
    bool is_cut = s->peer.listener.is_cut;
    pthread_mutex_unlock(&f->lock);
    if (s->message)
        begin_text(s, s->message->event, s->message->event_size);
    else if (is_cut)
        s->end = MHD_CONTENT_READER_END_WITH_ERROR;
    return s->left > 0;
}

/* Until the connection takes no more; false: it is over. */
static bool send_all(kn_sse *s)
{
    while (!s->end && (s->left || take_next(s))) {
        ssize_t n = send(s->peer.fd, s->text, s->left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                s->end = MHD_CONTENT_READER_END_WITH_ERROR;
            break;
        }
        s->text += n;
        s->left -= (size_t)n;
        s->sent_ns = kn_clock_ns();
        if (!s->left)
            end_text(s);
    }
    s->peer.wanted = s->left ? EPOLLOUT : 0;
    return !s->end;
}

static bool serve(kn_peer *p, unsigned events)
{
    kn_sse *s = (kn_sse *)p;
    if (events & (EPOLLERR | EPOLLHUP)) {
        s->end = MHD_CONTENT_READER_END_WITH_ERROR;
        return false;
    }
    return send_all(s);
}

/* A client that takes nothing for so long is gone; one to which nothing was said is asked. */
static bool tick(kn_peer *p, int64_t now_ns)
{
    kn_sse *s = (kn_sse *)p;
    int64_t since = now_ns - s->sent_ns;
    if (s->left && since > (int64_t)s->h->opts.timeout_s * 1000000000)
        s->end = MHD_CONTENT_READER_END_WITH_ERROR;
    if (s->end || s->left || since < (int64_t)s->h->opts.ping_s * 1000000000)
        return !s->end;
    begin_text(s, ping, sizeof ping - 1);
    return send_all(s);
}

static void end(kn_peer *p)
{
    kn_sse *s = (kn_sse *)p;
    s->end = s->left ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

/* libmicrohttpd closes the connection and frees it, maybe before this returns. */
static void leave(kn_peer *p)
{
    kn_sse *s = (kn_sse *)p;
    if (!s->end)
        end(p);
    MHD_resume_connection(s->connection);
}

static const kn_peer_kind kind = {serve, tick, end, leave};

/* ---- in the connection's thread ---- */

kn_sse *kn_sse_new(kn_http *h, struct MHD_Connection *connection, kn_feed *feed, int64_t last_id)
{
    kn_sse *s = kn_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->h = h;
    s->connection = connection;
    begin_text(s, hello, sizeof hello - 1);
    kn_peer_init(&s->peer, &kind, h->loop, feed, last_id);
    return s;
}

void kn_sse_free(kn_sse *s)
{
    if (!s)
        return;
    kn_listener_detach(&s->peer.listener);
    kn_message_unref(s->message);
    free(s);
}

static bool is_stopping(kn_http *h)
{
    pthread_mutex_lock(&h->lock);
    bool stopping = h->is_stopping;
    pthread_mutex_unlock(&h->lock);
    return stopping;
}

static void hand_over(kn_sse *s)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info) {
        s->end = MHD_CONTENT_READER_END_WITH_ERROR;
        return;
    }
    s->peer.fd = info->connect_fd;
    s->sent_ns = kn_clock_ns();
    MHD_suspend_connection(s->connection);
    if (!kn_loop_take(&s->peer))
        leave(&s->peer);
}

static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t size)
{
    kn_sse *s = cls;
    (void)pos;
    if (!s->left && !s->end) {
        kn_listener_catch_up(&s->peer.listener);
        if (is_stopping(s->h))
            s->end = MHD_CONTENT_READER_END_OF_STREAM;
        else if (!take_next(s) && !s->end) {
            hand_over(s); /* the loop has it now: nothing of it is looked at any more */
            return 0;
        }
    }
    if (s->end)
        return s->end;
    size_t n = s->left < size ? s->left : size;
    memcpy(buf, s->text, n);
    s->text += n;
    s->left -= n;
    if (!s->left)
        end_text(s);
    return (ssize_t)n;
}

static void on_free(void *cls)
{
    kn_sse_free(cls);
}

struct MHD_Response *kn_sse_response(kn_sse *s)
{
    enum { BLOCK_BYTES = 16 << 10 };
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, s, on_free);
    if (r) /* no chunks */
        MHD_set_response_options(r, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    return r;
}
