#define _GNU_SOURCE
#include "server/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* ---- an authority: "name", "name:8188", "[::1]:8188" ---- */

typedef struct authority {
    char name[256]; /* without brackets */
    bool is_v6;
    int port; /* -1: none */
} authority;

static bool parse_port(const char *s, int *ret)
{
    int port = 0;
    if (strlen(s) < 1 || strlen(s) > 5)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        port = port * 10 + (*s - '0');
    }
    *ret = port;
    return port > 0 && port <= 65535;
}

static bool parse_authority(const char *text, authority *ret)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    authority a = {.port = -1};
    bool is_v6 = *text == '[';
    size_t n = is_v6 ? strcspn(++text, "]") : strspn(text, letters);
    if (n == 0 || n >= sizeof a.name || (is_v6 && text[n] != ']'))
        return false;
    memcpy(a.name, text, n);
    a.is_v6 = is_v6;
    text += n + is_v6;
    if (*text == ':' ? !parse_port(text + 1, &a.port) : *text != '\0')
        return false;
    *ret = a;
    return true;
}

static bool is_address(const authority *a)
{
    unsigned char buf[sizeof(struct in6_addr)];
    return inet_pton(a->is_v6 ? AF_INET6 : AF_INET, a->name, buf) == 1;
}

static bool is_loopback(const char *name)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Whether it is one of the further names; an entry without a port means the server's own, or none. */
static bool is_listed(const kn_guard *g, const authority *a)
{
    authority entry;
    for (const char *const *h = g->hosts; h && *h; h++)
        if (parse_authority(*h, &entry) && strcasecmp(entry.name, a->name) == 0 &&
            (entry.port >= 0 ? a->port == entry.port : a->port < 0 || a->port == g->port))
            return true;
    return false;
}

/* ---- checks ---- */

int kn_guard_init(kn_guard *g, const kn_http_opts *opts, kn_err *err)
{
    unsigned char buf[sizeof(struct in6_addr)];
    const char *host = opts->host;
    authority entry;
    if (strcasecmp(host, "localhost") != 0 && inet_pton(AF_INET, host, buf) != 1 &&
        inet_pton(AF_INET6, host, buf) != 1)
        return kn_fail(err, KN_EINVAL,
                       "host: \"%.64s\", expected an address such as 127.0.0.1, ::1 or 0.0.0.0", host);
    if (opts->token && strlen(opts->token) < 8)
        return kn_fail(err, KN_EINVAL, "token: %zu characters, expected at least 8", strlen(opts->token));
    if (!opts->token && !is_loopback(host))
        return kn_fail(
            err, KN_EINVAL,
            "host: others reach %s, so a token is needed: put one into KINORA_TOKEN, or listen on 127.0.0.1",
            host);
    for (const char *const *h = opts->hosts; h && *h; h++)
        if (!parse_authority(*h, &entry))
            return kn_fail(err, KN_EINVAL, "hosts: \"%.64s\", expected a name, or a name and a port", *h);
    g->address = host;
    g->token = opts->token;
    g->hosts = opts->hosts;
    g->is_loopback = is_loopback(host);
    kn_sessions_init(&g->sessions);
    kn_throttle_init(&g->throttle);
    return 0;
}

void kn_guard_done(kn_guard *g)
{
    kn_sessions_done(&g->sessions);
    kn_throttle_done(&g->throttle);
}

int kn_guard_check_host(const kn_guard *g, const char *host, kn_err *err)
{
    authority a;
    if (!host || !parse_authority(host, &a))
        return kn_fail(err, KN_EINVAL, "Host: \"%.64s\", expected the name of this server", host ? host : "");
    if (is_listed(g, &a))
        return 0;
    /* Nobody can make an address lead here who does not own it, so behind forwarded ports every address is good. */
    bool is_own = is_loopback(a.name) || strcasecmp(a.name, g->address) == 0;
    if (g->is_loopback ? is_own && (a.port < 0 || a.port == g->port) : is_own || is_address(&a))
        return 0;
    return kn_fail(
        err, KN_EINVAL,
        "Host: \"%.64s\" is no name of this server, which listens on %s, port %d; if it is meant, start "
        "the server with that name among its names",
        host, g->address, g->port);
}

int kn_guard_check_origin(const kn_guard *g, const char *origin, const char *host, kn_err *err)
{
    authority a;
    if (!origin)
        return 0;
    const char *rest = strncasecmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncasecmp(origin, "https://", 8) == 0 ? origin + 8
                                                                 : NULL;
    /* A proxy may put its own Host in place of the name that the browser knows. */
    if (rest && parse_authority(rest, &a) && ((host && strcasecmp(rest, host) == 0) || is_listed(g, &a)))
        return 0;
    return kn_fail(
        err, KN_EINVAL,
        "Origin: \"%.64s\" is another site than \"%.64s\"; pages of other sites may change nothing here",
        origin, host ? host : "");
}

bool kn_guard_try(kn_guard *g, const char *token, const kn_guesser *who, int *ret_wait_s)
{
    int64_t now_ns = kn_clock_ns();
    *ret_wait_s = kn_throttle_wait_s(&g->throttle, who, now_ns);
    if (*ret_wait_s)
        return false;
    bool is_it = kn_secret_equal(token, g->token);
    if (!is_it)
        kn_throttle_failed(&g->throttle, who, now_ns);
    return is_it;
}

bool kn_guard_knows(kn_guard *g, const char *authorization, const char *session, const kn_guesser *who,
                    int *ret_wait_s)
{
    *ret_wait_s = 0;
    if (!g->token)
        return true;
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        return kn_guard_try(g, authorization + 7 + strspn(authorization + 7, " "), who, ret_wait_s);
    return session && kn_sessions_has(&g->sessions, session); /* nobody guesses 256 bits */
}
