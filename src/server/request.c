/* One request: what is checked before anything is read, and in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/http_internal.h"

kn_http_request *kn_request_new(kn_http *h, struct MHD_Connection *connection, const char *uri)
{
    kn_http_request *rq = kn_calloc(1, sizeof *rq);
    if (!rq)
        return NULL;
    rq->h = h;
    rq->connection = connection;
    kn_reply_init(&rq->reply, rq);
    rq->uri = kn_strdup(uri ? uri : "");
    if (!rq->uri) {
        free(rq);
        return NULL;
    }
    return rq;
}

void kn_request_release(kn_http_request *rq)
{
    kn_uri_query_done(&rq->query);
    kn_route_match_done(&rq->match);
    kn_intake_free(rq->intake);
    rq->intake = NULL;
    json_decref(rq->json);
    rq->json = NULL;
    free(rq->uri);
    rq->uri = NULL;
}

void kn_request_free(kn_http_request *rq)
{
    if (!rq)
        return;
    kn_request_release(rq);
    kn_reply_done(&rq->reply);
    free(rq);
}

int kn_request_refuse(kn_http_request *rq, int status, int code, const char *fmt, ...)
{
    if (rq->refused)
        return rq->err.code;
    va_list ap;
    va_start(ap, fmt);
    kn_vfail(&rq->err, code, fmt, ap);
    va_end(ap);
    rq->refused = status;
    return code;
}

static int refuse_as(kn_http_request *rq, int status, const kn_err *err)
{
    return kn_request_refuse(rq, status, err->code, "%s", err->msg);
}

/* ---- headers ---- */

typedef struct header_look {
    kn_http_request *rq;
    int n_host, n_length, n_encoding, n_authorization;
} header_look;

static bool is_token(const char *s)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    return *s && !s[strspn(s, letters)];
}

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    header_look *l = cls;
    (void)kind;
    if (!is_token(name))
        kn_request_refuse(l->rq, 400, KN_EINVAL, "a header is named \"%.64s\", which is no name", name);
    for (const char *p = value ? value : ""; *p; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            kn_request_refuse(l->rq, 400, KN_EINVAL, "%.64s has a control character", name);
    l->n_host += strcasecmp(name, "Host") == 0;
    l->n_length += strcasecmp(name, "Content-Length") == 0;
    l->n_encoding += strcasecmp(name, "Transfer-Encoding") == 0;
    l->n_authorization += strcasecmp(name, "Authorization") == 0;
    return MHD_YES;
}

/* Where the request ends must be beyond doubt. */
static int check_headers(kn_http_request *rq)
{
    header_look l = {.rq = rq};
    MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, look_at_header, &l);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (strlen(rq->uri) > KN_LIMIT_URL_BYTES)
        kn_request_refuse(rq, 414, KN_ELIMIT, "the URL has %zu bytes, at most %u are read", strlen(rq->uri),
                          KN_LIMIT_URL_BYTES);
    if (info && info->header_size > KN_LIMIT_HEADER_BYTES)
        kn_request_refuse(rq, 431, KN_ELIMIT, "the headers have %zu bytes, at most %u are read",
                          info->header_size, KN_LIMIT_HEADER_BYTES);
    if (l.n_host > 1 || l.n_length > 1 || l.n_encoding > 1 || l.n_authorization > 1)
        kn_request_refuse(rq, 400, KN_EINVAL, "a header that may come once is there twice");
    if (l.n_length && l.n_encoding)
        kn_request_refuse(rq, 400, KN_EINVAL, "both Content-Length and Transfer-Encoding, expected one");
    return rq->err.code;
}

/* Also what a body is announced as. */
static int look_at_body(kn_http_request *rq)
{
    const char *length = kn_http_header(rq, "Content-Length");
    const char *encoding = kn_http_header(rq, "Transfer-Encoding");
    const char *expect = kn_http_header(rq, "Expect");
    rq->is_chunked = encoding != NULL;
    rq->wants_continue = expect && strcasecmp(expect, "100-continue") == 0;
    if (encoding && strcasecmp(encoding, "chunked") != 0)
        return kn_request_refuse(rq, 501, KN_EUNSUPPORTED, "Transfer-Encoding: \"%.64s\", expected chunked",
                                 encoding);
    if (length) {
        char *end;
        /* libmicrohttpd has refused what is no number of 64 bits. */
        rq->body_size = strtoull(length, &end, 10);
    }
    rq->has_body = encoding || rq->body_size;
    return 0;
}

/* ---- who, and what ---- */

static bool changes_state(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

static int check_sender(kn_http_request *rq)
{
    const char *host = kn_http_header(rq, "Host"), *origin = kn_http_header(rq, "Origin");
    const char *site = kn_http_header(rq, "Sec-Fetch-Site");
    kn_err err = {0};
    if (kn_guard_check_host(&rq->h->guard, host, &err))
        return refuse_as(rq, 403, &err);
    if (!changes_state(rq->method) && !kn_http_header(rq, "Upgrade"))
        return 0;
    if (kn_guard_check_origin(&rq->h->guard, origin, host, &err))
        return refuse_as(rq, 403, &err);
    /* The Origin, which browsers always send along, says more; what this says of a WebSocket differs between them. */
    if (!origin && site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return kn_request_refuse(rq, 403, KN_EINVAL,
                                 "Sec-Fetch-Site: %.32s; pages of other sites may change nothing here", site);
    return 0;
}

/* The tables' match, or one of /login and /logout. */
static int find_route(kn_http_request *rq, const char *path, size_t size)
{
    kn_uri_path p;
    kn_err err = {0};
    kn_http *h = rq->h;
    int rc = kn_uri_path_parse(&p, path, size, &err);
    if (!rc) {
        rc = kn_route_find(&h->own, 1, rq->method, &p, &rq->match, &err);
        if (!rc && !*rq->match.allow)
            rc = kn_route_find(h->tables, h->n_tables, rq->method, &p, &rq->match, &err);
        kn_uri_path_done(&p);
    }
    return rc ? refuse_as(rq, kn_err_http(rc), &err) : 0;
}

/* A proxy may add a line of its own below the client's, which says what it likes. */
static enum MHD_Result keep_forwarded(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    const char **last = cls;
    (void)kind;
    if (strcasecmp(name, "X-Forwarded-For") == 0)
        *last = value;
    return MHD_YES;
}

kn_guesser kn_request_guesser(const kn_http_request *rq)
{
    const char *forwarded = NULL;
    MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, keep_forwarded, &forwarded);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return kn_guesser_of(info ? info->client_addr : NULL, forwarded);
}

static int check_token(kn_http_request *rq, const char *path, size_t size)
{
    static const char health[] = "/api/health"; /* for those who watch over the server and have no secrets */
    const kn_route *route = rq->match.route;
    const char *session = MHD_lookup_connection_value(rq->connection, MHD_COOKIE_KIND, KN_SESSION_COOKIE);
    if (route && (route->is_open || (size == sizeof health - 1 && memcmp(path, health, size) == 0)))
        return 0;
    kn_guesser who = kn_request_guesser(rq);
    if (kn_guard_knows(&rq->h->guard, kn_http_header(rq, "Authorization"), session, &who, &rq->wait_s))
        return 0;
    if (rq->wait_s)
        return kn_request_refuse(rq, 429, KN_EBUSY, KN_TOO_MANY_GUESSES, rq->wait_s);
    return kn_request_refuse(rq, 401, KN_EINVAL,
                             "this server needs its token: Authorization: Bearer TOKEN, or log in at /login");
}

static int check_target(kn_http_request *rq)
{
    size_t size = strcspn(rq->uri, "?");
    kn_err err = {0};
    int rc = find_route(rq, rq->uri, size);
    if (!rc)
        rc = check_token(rq, rq->uri, size);
    if (!rc && !*rq->match.allow)
        return kn_request_refuse(rq, 404, KN_ENOTFOUND, "there is nothing at %.*s",
                                 size < 128 ? (int)size : 128, rq->uri);
    if (!rc && !rq->match.route && strcmp(rq->method, "OPTIONS") != 0)
        return kn_request_refuse(rq, 405, KN_EINVAL, "%s is not possible here, expected %s", rq->method,
                                 rq->match.allow);
    if (!rc && rq->uri[size] &&
        kn_uri_query_parse(&rq->query, rq->uri + size + 1, strlen(rq->uri + size + 1), "the query", &err))
        return refuse_as(rq, 400, &err);
    return rc;
}

/* ---- what happens to a request ---- */

enum MHD_Result kn_request_begin(kn_http_request *rq, const char *method)
{
    rq->began_ns = kn_clock_ns();
    snprintf(rq->method, sizeof rq->method, "%s", method);
    if (check_headers(rq) || look_at_body(rq))
        return kn_request_end(rq);
    if (!check_sender(rq) && !check_target(rq))
        kn_intake_begin(rq);
    /* A client that reads only when it has sent all would never read the answer to a request that ends here. */
    if (rq->refused && rq->has_body && (rq->wants_continue || rq->body_size > KN_LIMIT_DISCARD_BYTES))
        return kn_request_end(rq);
    return MHD_YES;
}

/* Whether the body comes so slowly that it is only there to hold a connection. */
static bool is_dripping(const kn_http_request *rq)
{
    int64_t s = (kn_clock_ns() - rq->began_ns) / 1000000000;
    return s > rq->h->opts.timeout_s && rq->n_received / (uint64_t)s < KN_LIMIT_BODY_RATE_BYTES;
}

enum MHD_Result kn_request_take(kn_http_request *rq, const char *data, size_t size)
{
    rq->n_received += size;
    if (is_dripping(rq))
        return MHD_NO;
    if (!rq->refused)
        kn_intake_feed(rq, data, size);
    if (!rq->refused)
        return MHD_YES;
    rq->n_discarded += size;
    return rq->n_discarded > KN_LIMIT_DISCARD_BYTES ? MHD_NO : MHD_YES;
}

static void answer_options(kn_http_request *rq, kn_err *err)
{
    char allow[sizeof rq->match.allow + 16];
    snprintf(allow, sizeof allow, "%s, OPTIONS", rq->match.allow);
    if (!kn_reply_bytes(&rq->reply, 204, NULL, "", 0, err))
        kn_reply_header(&rq->reply, "Allow", allow, err);
}

static void call_handler(kn_http_request *rq)
{
    const kn_route *route = rq->match.route;
    if (!route) {
        answer_options(rq, &rq->err);
        return;
    }
    int rc = route->handler(rq->match.ud, rq, &rq->reply, &rq->err);
    if (!rc && rq->reply.kind == KN_REPLY_NONE)
        rc = kn_fail(&rq->err, KN_EINTERNAL, "%s %s gave no answer", route->method, route->pattern);
    if (rc && !rq->err.code)
        kn_fail(&rq->err, rc, "%s", kn_err_text(rc));
    if (rc)
        kn_reply_error(&rq->reply, kn_err_http(rc), &rq->err);
}

static void write_log(const kn_http_request *rq)
{
    if (rq->reply.status < 400 || !rq->h->opts.log)
        return;
    char *line = kn_asprintf("%s %.*s %d %s", rq->method, (int)strcspn(rq->uri, "?"), rq->uri,
                             rq->reply.status, rq->err.msg);
    for (char *p = line; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    if (line)
        rq->h->opts.log(rq->h->opts.log_ud, line);
    free(line);
}

static void add_wait(kn_http_request *rq)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", rq->wait_s);
    kn_reply_header(&rq->reply, "Retry-After", seconds, NULL);
}

enum MHD_Result kn_request_end(kn_http_request *rq)
{
    rq->has_ended = true;
    if (!rq->refused)
        kn_intake_end(rq);
    if (!rq->refused)
        call_handler(rq);
    else
        kn_reply_error(&rq->reply, rq->refused, &rq->err);
    if (rq->refused == 405)
        kn_reply_header(&rq->reply, "Allow", rq->match.allow, NULL);
    if (rq->refused == 401)
        kn_reply_header(&rq->reply, "WWW-Authenticate", "Bearer", NULL);
    if (rq->wait_s)
        add_wait(rq);
    write_log(rq);
    enum MHD_Result sent = kn_reply_send(&rq->reply);
    kn_request_release(rq);
    return sent;
}

/* ---- what a handler reads ---- */

const char *kn_http_param(const kn_http_request *rq, const char *name)
{
    for (int i = 0; i < rq->match.n_params; i++)
        if (strlen(name) == rq->match.params[i].name_size &&
            memcmp(name, rq->match.params[i].name, rq->match.params[i].name_size) == 0)
            return rq->match.params[i].value;
    return NULL;
}

const char *kn_http_target(const kn_http_request *rq)
{
    return rq->uri;
}

const char *kn_http_query(const kn_http_request *rq, const char *name)
{
    return kn_uri_query_get(&rq->query, name);
}

int kn_http_query_int(const kn_http_request *rq, const char *name, int64_t fallback, int64_t min, int64_t max,
                      int64_t *ret, kn_err *err)
{
    const char *text = kn_http_query(rq, name);
    int64_t v = fallback;
    if (text) {
        const char *digits = text + (*text == '-');
        bool bad = !*digits || digits[strspn(digits, "0123456789")];
        for (v = 0; !bad && *digits; digits++)
            bad = __builtin_mul_overflow(v, (int64_t)10, &v) ||
                  (*text == '-' ? __builtin_sub_overflow(v, (int64_t)(*digits - '0'), &v)
                                : __builtin_add_overflow(v, (int64_t)(*digits - '0'), &v));
        if (bad || v < min || v > max)
            return kn_fail(err, KN_EINVAL, "%s: \"%.32s\", expected a whole number from %lld to %lld", name,
                           text, (long long)min, (long long)max);
    }
    *ret = v;
    return 0;
}

int kn_http_query_only(const kn_http_request *rq, const char *const *names, kn_err *err)
{
    for (int i = 0; i < rq->query.n; i++) {
        const char *const *n = names;
        while (*n && strcmp(*n, rq->query.items[i].name) != 0)
            n++;
        if (!*n)
            return kn_fail(err, KN_EINVAL, "%.64s: no such query parameter here", rq->query.items[i].name);
    }
    return 0;
}

const char *kn_http_header(const kn_http_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

json_t *kn_http_json(const kn_http_request *rq)
{
    return rq->json;
}

int kn_http_n_files(const kn_http_request *rq)
{
    return rq->intake ? rq->intake->n_files : 0;
}

const kn_http_file *kn_http_file_at(const kn_http_request *rq, int i)
{
    KN_ASSERT((unsigned)i < (unsigned)kn_http_n_files(rq));
    return &rq->intake->files[i];
}
