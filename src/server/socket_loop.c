/* One thread for every WebSocket of a server, and for what happens every second. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/socket_internal.h"

enum {
    TICK_MS = 1000,
    CLOSE_MS = 2000,  /* how long a client may take to answer a close frame */
    STOP_MS = 300,    /* the same when the server stops */
    SILENT_PINGS = 3, /* a client that answers none of them is gone */
    GOING_AWAY = 1001,
};

struct kn_socket_loop {
    kn_http *h;
    pthread_t thread;
    int epoll_fd, event_fd;
    pthread_mutex_t lock; /* after the lock of a feed */
    kn_socket *woken;
    bool is_stopping;
    kn_socket *sockets; /* of the thread */
};

/* ---- from other threads ---- */

static void poke(kn_socket_loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->event_fd, &one, sizeof one);
    (void)n; /* a full counter wakes as well */
}

static void wake_locked(kn_socket *s)
{
    kn_socket_loop *l = s->loop;
    if (!s->is_handed_over || s->is_woken)
        return;
    s->is_woken = true;
    s->next_woken = l->woken;
    l->woken = s;
    if (!s->next_woken)
        poke(l);
}

static void wake(void *ud)
{
    kn_socket *s = ud;
    pthread_mutex_lock(&s->loop->lock);
    wake_locked(s);
    pthread_mutex_unlock(&s->loop->lock);
}

kn_socket *kn_socket_new(kn_socket_loop *l, kn_feed *feed, const char *greeting)
{
    kn_socket *s = kn_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = l;
    s->fd = -1;
    s->greeting = kn_strdup(greeting);
    if (greeting && !s->greeting) {
        free(s);
        return NULL;
    }
    kn_listener_attach(&s->listener, feed, -1, wake, s);
    return s;
}

void kn_socket_free(kn_socket *s)
{
    if (!s)
        return;
    kn_listener_detach(&s->listener);
    if (s->frames)
        wslay_frame_context_free(s->frames);
    kn_message_unref(s->message);
    free(s->greeting);
    free(s->extra);
    free(s);
}

void kn_socket_hand_over(kn_socket *s, int fd, struct MHD_UpgradeResponseHandle *urh, const char *extra,
                         size_t extra_size)
{
    kn_socket_loop *l = s->loop;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->fd = fd;
    s->urh = urh;
    s->extra = kn_strndup(extra_size ? extra : "", extra_size);
    s->extra_size = extra_size;
    s->heard_ns = s->pinged_ns = kn_clock_ns();
    bool ok = s->extra && kn_socket_open_frames(s);
    pthread_mutex_lock(&l->lock);
    ok = ok && !l->is_stopping;
    if (ok) {
        s->is_handed_over = true;
        wake_locked(s);
    }
    pthread_mutex_unlock(&l->lock);
    if (ok)
        return;
    MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
    kn_socket_free(s);
}

/* ---- the thread ---- */

static void drop(kn_socket_loop *l, kn_socket *s)
{
    kn_listener_detach(&s->listener); /* nobody wakes it any more */
    pthread_mutex_lock(&l->lock);
    for (kn_socket **p = &l->woken; *p; p = &(*p)->next_woken)
        if (*p == s) {
            *p = s->next_woken;
            break;
        }
    pthread_mutex_unlock(&l->lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        l->sockets = s->next;
    if (s->next)
        s->next->prev = s->prev;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    MHD_upgrade_action(s->urh, MHD_UPGRADE_ACTION_CLOSE);
    kn_socket_free(s);
}

static bool ask_for(kn_socket_loop *l, kn_socket *s, unsigned events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    int op = s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (s->events == events)
        return true;
    s->events = events;
    return epoll_ctl(l->epoll_fd, op, s->fd, &e) == 0;
}

static void begin(kn_socket_loop *l, kn_socket *s)
{
    s->next = l->sockets;
    if (s->next)
        s->next->prev = s;
    l->sockets = s;
}

/* Reads if there may be something, writes what waits. */
static void serve(kn_socket_loop *l, kn_socket *s, bool may_read)
{
    bool is_new = !s->events;
    if (is_new)
        begin(l, s);
    bool has_more = (may_read || is_new) && kn_socket_read(s);
    bool is_blocked = kn_socket_write(s);
    if (kn_socket_is_over(s) || !ask_for(l, s, EPOLLIN | (is_blocked ? EPOLLOUT : 0u)))
        drop(l, s);
    else if (has_more)
        wake(s);
}

static void serve_woken(kn_socket_loop *l)
{
    uint64_t count;
    ssize_t n = read(l->event_fd, &count, sizeof count);
    (void)n;
    /* Those that are woken meanwhile come in the next turn. */
    pthread_mutex_lock(&l->lock);
    kn_socket *s = l->woken;
    l->woken = NULL;
    for (kn_socket *w = s; w; w = w->next_woken) {
        w->is_woken = false;
        w->next_served = w->next_woken;
    }
    pthread_mutex_unlock(&l->lock);
    for (kn_socket *next; s; s = next) {
        next = s->next_served;
        serve(l, s, true);
    }
}

static void tick(kn_socket_loop *l)
{
    int64_t now = kn_clock_ns(), quiet_ns = (int64_t)l->h->opts.ping_s * 1000000000;
    for (kn_socket *s = l->sockets, *next; s; s = next) {
        next = s->next;
        if ((s->close_code && now - s->closing_ns > CLOSE_MS * 1000000ll) ||
            now - s->heard_ns > (SILENT_PINGS + 1) * quiet_ns) {
            drop(l, s);
        } else if (now - s->heard_ns >= quiet_ns && now - s->pinged_ns >= quiet_ns) {
            s->wants_ping = true;
            s->pinged_ns = now;
            serve(l, s, false);
        }
    }
    kn_http_tick(l->h);
}

static bool is_stopping(kn_socket_loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool stopping = l->is_stopping;
    pthread_mutex_unlock(&l->lock);
    return stopping;
}

static void serve_events(kn_socket_loop *l, int timeout_ms)
{
    struct epoll_event events[64];
    bool has_woken = false;
    int n = epoll_wait(l->epoll_fd, events, sizeof events / sizeof *events, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (!events[i].data.ptr)
            has_woken = true;
        else
            serve(l, events[i].data.ptr, events[i].events & ~(unsigned)EPOLLOUT);
    }
    /* Last: it may drop one that has an event, too. */
    if (has_woken)
        serve_woken(l);
}

static void *run(void *arg)
{
    kn_socket_loop *l = arg;
    int64_t tick_ns = TICK_MS * 1000000ll, next_tick = kn_clock_ns() + tick_ns;
    while (!is_stopping(l)) {
        serve_events(l, TICK_MS);
        if (kn_clock_ns() >= next_tick) {
            tick(l);
            next_tick = kn_clock_ns() + tick_ns;
        }
    }
    serve_woken(l);
    for (kn_socket *s = l->sockets, *next; s; s = next) {
        next = s->next;
        kn_socket_close(s, GOING_AWAY);
        serve(l, s, true);
    }
    int64_t end = kn_clock_ns() + STOP_MS * 1000000ll;
    while (l->sockets && kn_clock_ns() < end)
        serve_events(l, STOP_MS / 10);
    while (l->sockets)
        drop(l, l->sockets);
    return NULL;
}

/* ---- starting and stopping ---- */

int kn_socket_loop_start(kn_http *h, kn_socket_loop **ret, kn_err *err)
{
    kn_socket_loop *l = kn_calloc(1, sizeof *l);
    if (!l)
        return kn_fail(err, KN_ENOMEM, "no memory for WebSockets");
    struct epoll_event e = {.events = EPOLLIN};
    l->h = h;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&l->lock, NULL);
    int rc = 0, e_thread = 0;
    if (l->epoll_fd < 0 || l->event_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &e))
        rc = kn_fail(err, KN_EIO, "the system gives no epoll: %s", strerror(errno));
    else if ((e_thread = pthread_create(&l->thread, NULL, run, l)))
        rc = kn_fail(err, KN_EIO, "cannot start a thread: %s", strerror(e_thread));
    if (!rc) {
        *ret = l;
        return 0;
    }
    l->is_stopping = true; /* there is no thread */
    kn_socket_loop_free(l);
    return rc;
}

void kn_socket_loop_stop(kn_socket_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->is_stopping = true;
    pthread_mutex_unlock(&l->lock);
    poke(l);
    pthread_join(l->thread, NULL);
}

void kn_socket_loop_free(kn_socket_loop *l)
{
    if (!l)
        return;
    KN_ASSERT(!l->sockets);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->event_fd >= 0)
        close(l->event_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
