#define _GNU_SOURCE
#include "server/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pace.h"

enum {
    TICK_S = 1,
    STOP_MS = 300, /* how long clients may take to hear that the server stops */
};

/* Who watches a number that stands still for longer thinks that nothing happens. */
static const double MAX_LAZY_S = 3;

struct kn_loop {
    kn_http *h;
    pthread_t thread;
    int epoll_fd, event_fd;
    pthread_mutex_t lock; /* after the lock of a feed */
    kn_peer *woken;
    bool is_lazy_due; /* something waits that may wait */
    bool is_stopping;
    /* Of the thread: */
    kn_peer *peers;
    double next_tick_s;
    kn_pace lazy; /* pushing what may wait to everybody */
};

/* ---- from other threads ---- */

static void poke(kn_loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->event_fd, &one, sizeof one);
    (void)n; /* a full counter wakes as well */
}

static void wake_locked(kn_peer *p)
{
    kn_loop *l = p->loop;
    if (!p->is_taken || p->is_woken)
        return;
    p->is_woken = true;
    p->next_woken = l->woken;
    l->woken = p;
    if (!p->next_woken)
        poke(l);
}

static void wake(void *ud, bool may_wait)
{
    kn_peer *p = ud;
    kn_loop *l = p->loop;
    pthread_mutex_lock(&l->lock);
    if (!may_wait) {
        wake_locked(p);
    } else if (p->is_taken && !l->is_lazy_due) {
        l->is_lazy_due = true;
        poke(l);
    }
    pthread_mutex_unlock(&l->lock);
}

void kn_peer_init(kn_peer *p, const kn_peer_kind *kind, kn_loop *l, kn_feed *feed, int64_t last_id)
{
    *p = (kn_peer){.kind = kind, .loop = l, .fd = -1};
    kn_listener_attach(&p->listener, feed, last_id, wake, p);
}

bool kn_loop_take(kn_peer *p)
{
    kn_loop *l = p->loop;
    int one = 1;
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_mutex_lock(&l->lock);
    bool ok = !l->is_stopping;
    if (ok) {
        p->is_taken = true;
        wake_locked(p);
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

/* ---- the thread ---- */

static void drop(kn_loop *l, kn_peer *p)
{
    kn_listener_detach(&p->listener); /* nobody wakes it any more */
    pthread_mutex_lock(&l->lock);
    for (kn_peer **at = &l->woken; *at; at = &(*at)->next_woken)
        if (*at == p) {
            *at = p->next_woken;
            break;
        }
    pthread_mutex_unlock(&l->lock);
    if (p->prev)
        p->prev->next = p->next;
    else
        l->peers = p->next;
    if (p->next)
        p->next->prev = p->prev;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
    p->kind->leave(p);
}

static bool watch(kn_loop *l, kn_peer *p)
{
    struct epoll_event e = {.events = p->wanted, .data.ptr = p};
    int op = p->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (p->is_watched && p->watched == p->wanted)
        return true;
    p->watched = p->wanted;
    p->is_watched = epoll_ctl(l->epoll_fd, op, p->fd, &e) == 0;
    return p->is_watched;
}

static void serve(kn_loop *l, kn_peer *p, unsigned events)
{
    if (!p->kind->serve(p, events) || !watch(l, p)) {
        drop(l, p);
    } else if (p->wants_turn) {
        pthread_mutex_lock(&l->lock);
        wake_locked(p);
        pthread_mutex_unlock(&l->lock);
    }
}

static void begin(kn_loop *l, kn_peer *p)
{
    p->next = l->peers;
    if (p->next)
        p->next->prev = p;
    l->peers = p;
}

static void serve_woken(kn_loop *l)
{
    uint64_t count;
    ssize_t n = read(l->event_fd, &count, sizeof count);
    (void)n;
    /* Those that are woken meanwhile come in the next turn. */
    pthread_mutex_lock(&l->lock);
    kn_peer *p = l->woken;
    l->woken = NULL;
    for (kn_peer *w = p; w; w = w->next_woken) {
        w->is_woken = false;
        w->next_served = w->next_woken;
    }
    pthread_mutex_unlock(&l->lock);
    for (kn_peer *next; p; p = next) {
        next = p->next_served;
        bool may_read = p->wants_turn || !p->is_watched;
        if (!p->is_watched)
            begin(l, p);
        p->wants_turn = false;
        serve(l, p, may_read ? EPOLLIN : 0);
    }
}

/* What a turn costs does not depend on what else the machine does. */
static double cpu_s(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) ? 0 : (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Who cannot be sent to now is served when he can. */
static void serve_lazily(kn_loop *l)
{
    double before = cpu_s();
    pthread_mutex_lock(&l->lock);
    l->is_lazy_due = false;
    pthread_mutex_unlock(&l->lock);
    for (kn_peer *p = l->peers, *next; p; p = next) {
        next = p->next;
        if (!(p->watched & EPOLLOUT))
            serve(l, p, 0);
    }
    kn_pace_did(&l->lazy, cpu_s() - before, kn_clock_s());
}

static void tick(kn_loop *l)
{
    int64_t now = kn_clock_ns();
    for (kn_peer *p = l->peers, *next; p; p = next) {
        next = p->next;
        if (!p->kind->tick(p, now) || !watch(l, p))
            drop(l, p);
    }
    kn_http_tick(l->h);
}

static void serve_events(kn_loop *l, int timeout_ms)
{
    struct epoll_event events[64];
    bool has_woken = false;
    int n = epoll_wait(l->epoll_fd, events, sizeof events / sizeof *events, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (!events[i].data.ptr)
            has_woken = true;
        else
            serve(l, events[i].data.ptr, events[i].events);
    }
    /* Last: it may drop one that has an event, too. */
    if (has_woken)
        serve_woken(l);
}

/* Does what is due by time; false: the server stops. */
static bool keep_time(kn_loop *l, int *ret_timeout_ms)
{
    double now = kn_clock_s();
    pthread_mutex_lock(&l->lock);
    bool is_stopping = l->is_stopping, is_lazy_due = l->is_lazy_due;
    pthread_mutex_unlock(&l->lock);
    if (is_lazy_due && kn_pace_is_due(&l->lazy, now)) {
        serve_lazily(l);
        is_lazy_due = false;
    }
    if (now >= l->next_tick_s) {
        tick(l);
        l->next_tick_s = now + TICK_S;
    }
    double next = is_lazy_due && l->lazy.next_s < l->next_tick_s ? l->lazy.next_s : l->next_tick_s;
    *ret_timeout_ms = next > now ? (int)((next - now) * 1e3) + 1 : 0;
    return !is_stopping;
}

static void *run(void *arg)
{
    kn_loop *l = arg;
    int timeout_ms;
    l->next_tick_s = kn_clock_s() + TICK_S;
    l->lazy.max_pause_s = MAX_LAZY_S;
    while (keep_time(l, &timeout_ms))
        serve_events(l, timeout_ms);
    serve_woken(l);
    for (kn_peer *p = l->peers, *next; p; p = next) {
        next = p->next;
        p->kind->end(p);
        serve(l, p, EPOLLIN);
    }
    double end = kn_clock_s() + STOP_MS * 1e-3;
    while (l->peers && kn_clock_s() < end)
        serve_events(l, STOP_MS / 10);
    while (l->peers)
        drop(l, l->peers);
    return NULL;
}

/* ---- starting and stopping ---- */

int kn_loop_start(kn_http *h, kn_loop **ret, kn_err *err)
{
    kn_loop *l = kn_calloc(1, sizeof *l);
    if (!l)
        return kn_fail(err, KN_ENOMEM, "no memory for those who listen");
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
    kn_loop_free(l);
    return rc;
}

void kn_loop_stop(kn_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->is_stopping = true;
    pthread_mutex_unlock(&l->lock);
    poke(l);
    pthread_join(l->thread, NULL);
}

void kn_loop_free(kn_loop *l)
{
    if (!l)
        return;
    KN_ASSERT(!l->peers);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->event_fd >= 0)
        close(l->event_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
