/* Browsers that showed the token: random ids in memory, gone with the server. */
#ifndef KN_SERVER_SESSION_H
#define KN_SERVER_SESSION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

enum {
    KN_SESSION_ID_BYTES = 64 + 1,           /* hexadecimal */
    KN_SESSION_SECONDS = 30 * 24 * 60 * 60, /* since it was last used */
};

typedef struct kn_sessions {
    pthread_mutex_t lock;
    struct {
        char id[KN_SESSION_ID_BYTES]; /* "": free */
        int64_t used_s;
    } items[KN_LIMIT_SESSIONS];
} kn_sessions;

/* Compares in a time that depends on the length of `given` only. */
bool kn_secret_equal(const char *given, const char *secret);

void kn_sessions_init(kn_sessions *s);
void kn_sessions_done(kn_sessions *s);
/* The one that was away longest makes room. */
int kn_sessions_add(kn_sessions *s, char ret_id[KN_SESSION_ID_BYTES], kn_err *err);
bool kn_sessions_has(kn_sessions *s, const char *id);
void kn_sessions_remove(kn_sessions *s, const char *id);

#endif
