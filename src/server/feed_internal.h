/* A feed from the side of those who listen: each has a line of messages that wait for it. */
#ifndef KN_SERVER_FEED_INTERNAL_H
#define KN_SERVER_FEED_INTERNAL_H

#include <pthread.h>

#include "server/feed.h"

/* Written once, shared by all who still wait for it. */
typedef struct kn_message {
    int n_refs; /* atomic */
    int64_t id;
    char *key;         /* NULL: nothing replaces it */
    const char *event; /* as a server-sent event: "id: 18\nevent: job\ndata: {...}\n\n" */
    size_t event_size;
    const char *json; /* inside it */
    size_t json_size;
} kn_message;

void kn_message_unref(kn_message *m);

struct kn_feed {
    pthread_mutex_t lock; /* of the list, and of everything in the listeners */
    kn_feed_replay_fn replay;
    void *ud;
    struct kn_listener *listeners;
    int n_listeners;
};

typedef struct kn_waiting {
    struct kn_waiting *prev, *next;
    kn_message *m;
} kn_waiting;

typedef struct kn_line {
    kn_waiting *first, *last;
} kn_line;

/* With the feed's lock: there is something to take, or it is cut off. may_wait: a message that a later one may replace. */
typedef void (*kn_wake_fn)(void *ud, bool may_wait);

typedef struct kn_listener {
    kn_feed *feed;
    struct kn_listener *prev, *next;
    kn_line now;   /* may be taken */
    kn_line later; /* published while older ones are still being given again */
    size_t n_bytes;
    int64_t last_id; /* the last one given again */
    bool is_behind;  /* there are, or may be, more to give again */
    bool is_full;    /* the present round of giving again ended early */
    bool is_cut;     /* fell too far behind; nothing comes any more */
    kn_wake_fn wake;
    void *ud;
} kn_listener;

/* Listens from now on. last_id: what came after it is given again first; below 0: nothing is. */
void kn_listener_attach(kn_listener *l, kn_feed *feed, int64_t last_id, kn_wake_fn wake, void *ud);
void kn_listener_detach(kn_listener *l); /* once more does nothing */
/* Without the lock: gives again as much as fits, if the listener is behind and its line is empty. */
void kn_listener_catch_up(kn_listener *l);
/* With the lock: the next message, which the caller unrefs; NULL: none waits, or the listener is cut off. */
kn_message *kn_listener_take(kn_listener *l);

#endif
