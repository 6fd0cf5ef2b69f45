/* Who may ask: the names the server goes by (against DNS rebinding), pages of other origins, the token. */
#ifndef KN_SERVER_GUARD_H
#define KN_SERVER_GUARD_H

#include "server/http.h"
#include "server/session.h"
#include "server/throttle.h"

#define KN_SESSION_COOKIE "kinora_session"

typedef struct kn_guard {
    const char *address;      /* borrowed, as the server was told to listen on */
    const char *token;        /* borrowed; NULL: none is needed */
    const char *const *hosts; /* borrowed; may be NULL */
    int port;
    bool is_loopback;
    kn_sessions sessions;
    kn_throttle throttle; /* of those who show a wrong token */
} kn_guard;

/* KN_EINVAL: an address that is none, or one that others reach and no token. The port is set when it is known. */
int kn_guard_init(kn_guard *g, const kn_http_opts *opts, kn_err *err);
void kn_guard_done(kn_guard *g);

/* KN_EINVAL with advice; `host` may be NULL. */
int kn_guard_check_host(const kn_guard *g, const char *host, kn_err *err);
/* origin: NULL (not a browser's page) is fine. */
int kn_guard_check_origin(const kn_guard *g, const char *origin, const char *host, kn_err *err);
/* Whether a client showed the token (authorization: "Bearer TOKEN") or has a session; both may be NULL. */
bool kn_guard_knows(kn_guard *g, const char *authorization, const char *session, const kn_guesser *who,
                    int *ret_wait_s);
/* Whether what a client gives as the token is it. *ret_wait_s: it was wrong too often, and is not looked at for so many seconds,
 * whatever it is now; else 0. */
bool kn_guard_try(kn_guard *g, const char *token, const kn_guesser *who, int *ret_wait_s);

#endif
