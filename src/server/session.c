#define _GNU_SOURCE
#include "server/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

bool kn_secret_equal(const char *given, const char *secret)
{
    size_t n = strlen(given), m = strlen(secret);
    volatile unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++)
        differs = (unsigned char)(differs | (unsigned char)(given[i] ^ secret[m ? i % m : 0]));
    return !differs && m;
}

void kn_sessions_init(kn_sessions *s)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
}

void kn_sessions_done(kn_sessions *s)
{
    pthread_mutex_destroy(&s->lock);
}

static int64_t now_s(void)
{
    return kn_clock_ns() / 1000000000;
}

int kn_sessions_add(kn_sessions *s, char ret_id[KN_SESSION_ID_BYTES], kn_err *err)
{
    unsigned char random[(KN_SESSION_ID_BYTES - 1) / 2];
    int oldest = 0;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return kn_fail(err, KN_EIO, "the system gave no random numbers for a session");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(ret_id + 2 * i, 3, "%02x", random[i]);
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < KN_LIMIT_SESSIONS; i++) {
        if (!s->items[i].id[0]) {
            oldest = i;
            break;
        }
        if (s->items[i].used_s < s->items[oldest].used_s)
            oldest = i;
    }
    memcpy(s->items[oldest].id, ret_id, KN_SESSION_ID_BYTES);
    s->items[oldest].used_s = now_s();
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* With the lock; -1: not there. Looks at all of them. */
static int find(const kn_sessions *s, const char *id)
{
    int found = -1;
    int64_t now = now_s();
    for (int i = 0; i < KN_LIMIT_SESSIONS; i++)
        if (kn_secret_equal(id, s->items[i].id) && now - s->items[i].used_s < KN_SESSION_SECONDS)
            found = i;
    return found;
}

bool kn_sessions_has(kn_sessions *s, const char *id)
{
    if (strlen(id) != KN_SESSION_ID_BYTES - 1)
        return false;
    pthread_mutex_lock(&s->lock);
    int i = find(s, id);
    if (i >= 0)
        s->items[i].used_s = now_s();
    pthread_mutex_unlock(&s->lock);
    return i >= 0;
}

void kn_sessions_remove(kn_sessions *s, const char *id)
{
    pthread_mutex_lock(&s->lock);
    int i = find(s, id);
    if (i >= 0)
        s->items[i].id[0] = '\0';
    pthread_mutex_unlock(&s->lock);
}
