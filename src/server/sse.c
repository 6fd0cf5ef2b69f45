/* Server-sent events: a response that never ends. While nothing waits its connection is suspended and costs no thread. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/feed_internal.h"
#include "server/http_internal.h"

/* Sent at once, so that a client knows that it is connected; it comes back two seconds after a failure. */
static const char hello[] = "retry: 2000\n\n";
static const char ping[] = ": ping\n\n";

struct kn_sse {
    kn_http *h;
    kn_sse *prev, *next; /* with the server's lock */
    struct MHD_Connection *connection;
    kn_listener listener;
    /* With the feed's lock: */
    bool is_suspended, is_closed, is_ping_due;
    int64_t sent_ns;
    /* Of the connection's thread: */
    kn_message *message;
    const char *text; /* what is being sent: of the message, or one of the above */
    size_t left;
};

static void resume(void *ud)
{
    kn_sse *s = ud;
    if (!s->is_suspended)
        return;
    s->is_suspended = false;
    MHD_resume_connection(s->connection);
}

kn_sse *kn_sse_new(kn_http *h, struct MHD_Connection *connection, kn_feed *feed, int64_t last_id)
{
    kn_sse *s = kn_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->h = h;
    s->connection = connection;
    s->text = hello;
    s->left = sizeof hello - 1;
    s->sent_ns = kn_clock_ns();
    kn_listener_attach(&s->listener, feed, last_id, resume, s);
    pthread_mutex_lock(&h->lock);
    pthread_mutex_lock(&feed->lock);
    s->is_closed = h->is_stopping;
    pthread_mutex_unlock(&feed->lock);
    s->next = h->streams;
    if (s->next)
        s->next->prev = s;
    h->streams = s;
    pthread_mutex_unlock(&h->lock);
    return s;
}

void kn_sse_free(kn_sse *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->h->lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        s->h->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    pthread_mutex_unlock(&s->h->lock);
    kn_listener_detach(&s->listener);
    kn_message_unref(s->message);
    free(s);
}

/* What is to be sent next; false: nothing, and the connection was suspended, unless it is to end. */
static bool find_next(kn_sse *s, ssize_t *ret_end)
{
    kn_feed *f = s->listener.feed;
    kn_listener_catch_up(&s->listener);
    pthread_mutex_lock(&f->lock);
    *ret_end = s->is_closed         ? MHD_CONTENT_READER_END_OF_STREAM
               : s->listener.is_cut ? MHD_CONTENT_READER_END_WITH_ERROR
                                    : 0;
    s->message = *ret_end ? NULL : kn_listener_take(&s->listener);
    bool is_ping = !s->message && s->is_ping_due;
    if (s->message || is_ping) {
        s->is_ping_due = false;
        s->sent_ns = kn_clock_ns();
    } else if (!*ret_end) {
        s->is_suspended = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&f->lock);
    s->text = s->message ? s->message->event : ping;
    s->left = s->message ? s->message->event_size : is_ping ? sizeof ping - 1 : 0;
    return s->left;
}

static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t size)
{
    kn_sse *s = cls;
    size_t n = 0;
    ssize_t end = 0;
    (void)pos;
    if (!s->left && !find_next(s, &end))
        return end;
    n = s->left < size ? s->left : size;
    memcpy(buf, s->text, n);
    s->text += n;
    s->left -= n;
    if (!s->left) {
        kn_message_unref(s->message);
        s->message = NULL;
    }
    return (ssize_t)n;
}

static void on_free(void *cls)
{
    kn_sse_free(cls);
}

struct MHD_Response *kn_sse_response(kn_sse *s)
{
    enum { BLOCK_BYTES = 16 << 10 };
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, s, on_free);
}

void kn_sse_ping_all(kn_http *h)
{
    int64_t quiet_ns = (int64_t)h->opts.ping_s * 1000000000, now = kn_clock_ns();
    for (kn_sse *s = h->streams; s; s = s->next) {
        pthread_mutex_lock(&s->listener.feed->lock);
        if (now - s->sent_ns >= quiet_ns) {
            s->is_ping_due = true;
            resume(s);
        }
        pthread_mutex_unlock(&s->listener.feed->lock);
    }
}

void kn_sse_close_all(kn_http *h)
{
    for (kn_sse *s = h->streams; s; s = s->next) {
        pthread_mutex_lock(&s->listener.feed->lock);
        s->is_closed = true;
        resume(s);
        pthread_mutex_unlock(&s->listener.feed->lock);
    }
}
