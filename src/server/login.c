/* A browser trades the token for a cookie. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/http_internal.h"

static int reply_logged_in(const kn_http_request *rq, kn_reply *reply, const char *cookie, kn_err *err)
{
    const char *type = kn_http_header(rq, "Content-Type");
    int rc;
    if (type && strncasecmp(type, "application/json", 16) == 0) {
        rc = kn_reply_json(reply, 200, json_pack("{s:b}", "ok", 1), err);
    } else { /* a form without a script */
        rc = kn_reply_bytes(reply, 303, NULL, "", 0, err);
        if (!rc)
            rc = kn_reply_header(reply, "Location", "/", err);
    }
    if (!rc && cookie)
        rc = kn_reply_header(reply, "Set-Cookie", cookie, err);
    return rc;
}

static void set_cookie(const kn_http_request *rq, const char *id, int max_age_s, char *buf, size_t size)
{
    const char *origin = kn_http_header(rq, "Origin");
    snprintf(buf, size, KN_SESSION_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", id,
             max_age_s, origin && strncasecmp(origin, "https:", 6) == 0 ? "; Secure" : "");
}

static int post_login(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_http *h = ud;
    const char *token = json_string_value(json_object_get(kn_http_json(rq), "token"));
    char id[KN_SESSION_ID_BYTES], cookie[256];
    if (!token || json_object_size(kn_http_json(rq)) != 1 || kn_http_n_files(rq))
        return kn_fail(err, KN_EINVAL,
                       "expected {\"token\": \"...\"}, or a form with one field of that name");
    if (!h->guard.token)
        return reply_logged_in(rq, reply, NULL, err);
    kn_guesser who = kn_request_guesser(rq);
    int wait_s = 0;
    bool is_it = kn_guard_try(&h->guard, token, &who, &wait_s);
    if (wait_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", wait_s);
        kn_fail(err, KN_EBUSY, KN_TOO_MANY_GUESSES, wait_s);
        kn_reply_error(reply, 429, err);
        return kn_reply_header(reply, "Retry-After", seconds, err);
    }
    if (!is_it) {
        kn_fail(err, KN_EINVAL, "this is not the server's token");
        kn_reply_param(reply, "token");
        kn_reply_error(reply, 401, err);
        return kn_reply_header(reply, "WWW-Authenticate", "Bearer", err);
    }
    int rc = kn_sessions_add(&h->guard.sessions, id, err);
    if (rc)
        return rc;
    set_cookie(rq, id, KN_SESSION_SECONDS, cookie, sizeof cookie);
    return reply_logged_in(rq, reply, cookie, err);
}

static int post_logout(void *ud, const kn_http_request *rq, kn_reply *reply, kn_err *err)
{
    kn_http *h = ud;
    char cookie[256];
    const char *id = MHD_lookup_connection_value(rq->connection, MHD_COOKIE_KIND, KN_SESSION_COOKIE);
    if (id && strlen(id) == KN_SESSION_ID_BYTES - 1)
        kn_sessions_remove(&h->guard.sessions, id);
    set_cookie(rq, "", 0, cookie, sizeof cookie);
    int rc = kn_reply_json(reply, 200, json_pack("{s:b}", "ok", 1), err);
    return rc ? rc : kn_reply_header(reply, "Set-Cookie", cookie, err);
}

const kn_route kn_login_routes[] = {
    {"POST", "/login", KN_BODY_FORM, post_login, "trade the token for a cookie", true},
    {"POST", "/logout", KN_BODY_JSON, post_logout, "end the session", true},
    {0},
};
