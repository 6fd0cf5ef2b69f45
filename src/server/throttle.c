#include "server/throttle.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define NS_PER_S 1000000000ll

void kn_throttle_init(kn_throttle *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
}

void kn_throttle_done(kn_throttle *t)
{
    pthread_mutex_destroy(&t->lock);
}

/* ---- who it is ---- */

static kn_guesser from_v4(const void *address)
{
    kn_guesser who = {{0}, {0}};
    memcpy(who.v4, address, sizeof who.v4);
    return who;
}

static kn_guesser from_v6(const struct in6_addr *a)
{
    kn_guesser who = {{0}, {0}};
    if (IN6_IS_ADDR_V4MAPPED(a))
        return from_v4(a->s6_addr + 12);
    memcpy(who.network, a->s6_addr, sizeof who.network);
    if (IN6_IS_ADDR_LOOPBACK(a)) /* its network is that of ::, and of no other address */
        return from_v4(&(uint32_t){htonl(INADDR_LOOPBACK)});
    return who;
}

/* The last address of a list: the one that the proxy next to us has added. */
static bool read_last(const char *list, kn_guesser *ret)
{
    struct in_addr v4;
    struct in6_addr v6;
    char text[64];
    const char *comma = strrchr(list, ','), *p = comma ? comma + 1 : list;
    p += strspn(p, " \t");
    size_t n = strcspn(p, " \t");
    if (n >= sizeof text)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1)
        *ret = from_v4(&v4);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        *ret = from_v6(&v6);
    else
        return false;
    return true;
}

kn_guesser kn_guesser_of(const struct sockaddr *peer, const char *forwarded)
{
    kn_guesser who = {{0}, {0}}, behind;
    if (peer && peer->sa_family == AF_INET)
        who = from_v4(&((const struct sockaddr_in *)(const void *)peer)->sin_addr);
    else if (peer && peer->sa_family == AF_INET6)
        who = from_v6(&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr);
    return who.v4[0] == 127 && forwarded && read_last(forwarded, &behind) ? behind : who;
}

/* ---- the table ---- */

/* With the lock; -1: it has not failed lately. */
static int find(const kn_throttle *t, const kn_guesser *who, int64_t now_ns)
{
    for (int i = 0; i < KN_LIMIT_GUESSERS; i++)
        if (t->items[i].forgiven_ns > now_ns && memcmp(&t->items[i].who, who, sizeof *who) == 0)
            return i;
    return -1;
}

int kn_throttle_wait_s(kn_throttle *t, const kn_guesser *who, int64_t now_ns)
{
    pthread_mutex_lock(&t->lock);
    int i = find(t, who, now_ns);
    int64_t debt_ns = i < 0 ? 0 : t->items[i].forgiven_ns - now_ns;
    pthread_mutex_unlock(&t->lock);
    int64_t over_ns = debt_ns - (KN_THROTTLE_GUESSES - 1) * KN_THROTTLE_PAUSE_S * NS_PER_S;
    return over_ns > 0 ? (int)((over_ns + NS_PER_S - 1) / NS_PER_S) : 0;
}

void kn_throttle_failed(kn_throttle *t, const kn_guesser *who, int64_t now_ns)
{
    /* Guesses that were under way together may be more than there are: none makes the pause longer than for one. */
    const int64_t most_ns = now_ns + KN_THROTTLE_GUESSES * KN_THROTTLE_PAUSE_S * NS_PER_S;
    pthread_mutex_lock(&t->lock);
    int i = find(t, who, now_ns);
    if (i < 0) {
        i = 0;
        for (int k = 1; k < KN_LIMIT_GUESSERS; k++)
            if (t->items[k].forgiven_ns < t->items[i].forgiven_ns)
                i = k;
        t->items[i].who = *who;
        t->items[i].forgiven_ns = now_ns;
    }
    t->items[i].forgiven_ns += KN_THROTTLE_PAUSE_S * NS_PER_S;
    if (t->items[i].forgiven_ns > most_ns)
        t->items[i].forgiven_ns = most_ns;
    pthread_mutex_unlock(&t->lock);
}
