/* Guesses at a secret: whoever is wrong too often has to wait, and nobody else. */
#ifndef KN_SERVER_THROTTLE_H
#define KN_SERVER_THROTTLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/limits.h"

enum {
    KN_THROTTLE_GUESSES = 10, /* at once; people mistype */
    KN_THROTTLE_PAUSE_S = 30, /* then one in this time */
};

/* Whoever guesses: an IPv4 address, or the network of an IPv6 one, as a subscriber has 2^64 addresses in it. */
typedef struct kn_guesser {
    unsigned char network[8], v4[4];
} kn_guesser;

typedef struct kn_throttle {
    pthread_mutex_t lock;
    struct {
        kn_guesser who;
        int64_t forgiven_ns; /* when all its failures are; 0: free */
    } items[KN_LIMIT_GUESSERS];
} kn_throttle;

void kn_throttle_init(kn_throttle *t);
void kn_throttle_done(kn_throttle *t);

/* `forwarded` is X-Forwarded-For, or NULL: it counts for what comes from this machine, where a proxy says by it for whom it asks.
 * peer may be NULL. */
kn_guesser kn_guesser_of(const struct sockaddr *peer, const char *forwarded);

/* How long it must not guess; 0: it may. */
int kn_throttle_wait_s(kn_throttle *t, const kn_guesser *who, int64_t now_ns);
/* It was wrong. Of too many guessers the one that is forgiven first makes room. */
void kn_throttle_failed(kn_throttle *t, const kn_guesser *who, int64_t now_ns);

#endif
