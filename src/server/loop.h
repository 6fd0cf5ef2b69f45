/* One thread that pushes the messages of feeds to all who listen, and does what happens every second.
 *
 * A message that another may replace (one with a key: progress) waits until pushing such messages to everybody costs no more
 * than a hundredth of the time, three seconds at most: two listeners hear every step, a thousand about one in two seconds. All others
 * are pushed at once, after what already waits. */
#ifndef KN_SERVER_LOOP_H
#define KN_SERVER_LOOP_H

#include <sys/epoll.h>

#include "server/feed_internal.h"
#include "server/http_internal.h"

typedef struct kn_peer kn_peer;

/* Of a kind of connection; all in the loop's thread. */
typedef struct kn_peer_kind {
    /* After what epoll told of it (EPOLLIN, ...; 0: something waits to be sent): reads, sends, and sets `wanted`; false: it
     * is over. */
    bool (*serve)(kn_peer *p, unsigned events);
    /* Every second; may send, too, as serve does. */
    bool (*tick)(kn_peer *p, int64_t now_ns);
    /* The server stops: what is sent next is the last. */
    void (*end)(kn_peer *p);
    /* The loop knows it no more, and its listener is detached. */
    void (*leave)(kn_peer *p);
} kn_peer_kind;

/* The first member of a connection that listens. */
struct kn_peer {
    const kn_peer_kind *kind;
    kn_loop *loop;
    kn_listener listener;
    int fd;
    unsigned wanted; /* EPOLLIN, EPOLLOUT: when to be served again */
    bool wants_turn; /* there is more to read: served again when others were */
    /* With the loop's lock: */
    kn_peer *next_woken;
    bool is_taken, is_woken;
    /* Of the loop alone: */
    kn_peer *prev, *next, *next_served;
    bool is_watched;
    unsigned watched; /* what epoll was asked for */
};

int kn_loop_start(kn_http *h, kn_loop **ret, kn_err *err);
void kn_loop_stop(kn_loop *l); /* ends all peers; later ones are not taken */
void kn_loop_free(kn_loop *l);

/* Listens from now on, as kn_listener_attach; nothing is sent before the loop takes it. */
void kn_peer_init(kn_peer *p, const kn_peer_kind *kind, kn_loop *l, kn_feed *feed, int64_t last_id);
/* fd is set. False: the server stops, the peer is still the caller's. */
bool kn_loop_take(kn_peer *p);

#endif
