/* From a reply to libmicrohttpd's response: conditions, ranges, and the headers every answer has. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/http_internal.h"
#include "server/range.h"

/* Whether a list of entity tags has `etag`, or is "*" (RFC 9110, 13.1.2: W/ does not matter). */
static bool list_has(const char *list, const char *etag)
{
    if (!list || !etag)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    size_t n = strlen(etag);
    for (const char *s = list; *s;) {
        s += strspn(s, ", \t");
        if (strncmp(s, "W/", 2) == 0)
            s += 2;
        if (strncmp(s, etag, n) == 0 && strchr(", \t", s[n]))
            return true;
        if (*s == '"') { /* a comma may be inside */
            const char *end = strchr(s + 1, '"');
            s = end ? end + 1 : s + strlen(s);
        } else {
            s += strcspn(s, ", \t");
        }
    }
    return false;
}

/* Whether an item of Accept-Encoding is "...;q=0", with or without decimals. */
static bool is_refused(const char *item, size_t size)
{
    const char *q = memmem(item, size, "q=0", 3);
    if (!q)
        return false;
    q += 3 + strspn(q + 3, ".0");
    return q >= item + size || strchr(" \t;", *q);
}

/* Whether the client takes gzip. Without a header it takes anything (RFC 9110, 12.5.3). */
static bool takes_gzip(const char *header)
{
    bool any = !header;
    for (const char *s = header; s && *s;) {
        s += strspn(s, ", \t");
        size_t n = strcspn(s, ",; \t"), all = strcspn(s, ",");
        if (n == 4 && strncasecmp(s, "gzip", 4) == 0)
            return !is_refused(s, all);
        if (n == 1 && *s == '*')
            any = !is_refused(s, all);
        s += all;
    }
    return any;
}

/* ---- by kind ---- */

typedef struct outgoing {
    struct MHD_Response *response;
    unsigned status;
    char content_range[96];
} outgoing;

static void send_nothing(outgoing *out, unsigned status)
{
    out->status = status;
    out->response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

static void send_file(kn_reply *r, outgoing *out)
{
    const kn_http_request *rq = r->rq;
    const char *if_range = kn_http_header(rq, "If-Range");
    kn_range part = {0, r->file_size};
    kn_range_kind kind = KN_RANGE_WHOLE;
    if (strcmp(rq->method, "GET") == 0 && (!if_range || strcmp(if_range, r->etag) == 0))
        kind = kn_range_parse(kn_http_header(rq, "Range"), r->file_size, &part);
    if (kind == KN_RANGE_UNSATISFIABLE) {
        kn_err err = {0};
        snprintf(out->content_range, sizeof out->content_range, "bytes */%llu",
                 (unsigned long long)r->file_size);
        kn_fail(&err, KN_EINVAL, "Range: \"%.64s\", expected bytes of a file that has %llu",
                kn_http_header(rq, "Range"), (unsigned long long)r->file_size);
        kn_reply_error(r, 416, &err);
        return;
    }
    if (kind == KN_RANGE_PART) {
        out->status = 206;
        snprintf(out->content_range, sizeof out->content_range, "bytes %llu-%llu/%llu",
                 (unsigned long long)part.first, (unsigned long long)(part.first + part.size - 1),
                 (unsigned long long)r->file_size);
    }
    if (part.size == 0) {
        send_nothing(out, out->status);
        return;
    }
    out->response = MHD_create_response_from_fd_at_offset64(part.size, r->fd, part.first);
    if (out->response)
        r->fd = -1; /* it closes it */
}

static ssize_t read_made(void *ud, uint64_t at, char *buf, size_t n)
{
    kn_made *m = ud;
    size_t got = 0;
    (void)at; /* it is always the next */
    return m->read(m->ud, buf, n, &got, NULL) || !got ? MHD_CONTENT_READER_END_WITH_ERROR : (ssize_t)got;
}

static void free_made(void *ud)
{
    kn_made_free(ud);
}

static void send_made(kn_reply *r, outgoing *out)
{
    enum { BLOCK = 64 << 10 };
    out->response = MHD_create_response_from_callback(r->file_size, BLOCK, read_made, r->made, free_made);
    if (out->response)
        r->made = NULL; /* it frees it */
}

static void send_static(kn_reply *r, outgoing *out)
{
    if (r->is_gzip && !takes_gzip(kn_http_header(r->rq, "Accept-Encoding"))) {
        kn_err err = {0};
        kn_fail(&err, KN_EUNSUPPORTED, "this is gzipped; expected Accept-Encoding to take gzip");
        kn_reply_error(r, 406, &err);
        return;
    }
    out->response =
        MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->data, MHD_RESPMEM_PERSISTENT);
}

static void send_bytes(kn_reply *r, outgoing *out)
{
    out->response =
        MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->data, MHD_RESPMEM_MUST_FREE);
    if (!out->response)
        return;
    r->data = NULL; /* it frees it */
    r->size = 0;
}

static void send_stream(kn_reply *r, outgoing *out)
{
    if (!r->stream) { /* HEAD */
        send_nothing(out, out->status);
        return;
    }
    out->response = kn_sse_response(r->stream);
    if (out->response)
        r->stream = NULL;
}

/* Runs in the connection's thread when 101 is out; con_cls is the request. */
static void on_upgrade(void *cls, struct MHD_Connection *connection, void *con_cls, const char *extra,
                       size_t extra_size, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    kn_http_request *rq = con_cls;
    kn_socket *s = rq->reply.socket;
    (void)cls, (void)connection;
    rq->reply.socket = NULL;
    kn_socket_hand_over(s, fd, urh, extra, extra_size);
}

static void choose(kn_reply *r, outgoing *out)
{
    out->status = (unsigned)r->status;
    bool is_cached = (r->kind == KN_REPLY_FILE || r->kind == KN_REPLY_STATIC) &&
                     list_has(kn_http_header(r->rq, "If-None-Match"), r->etag);
    if (is_cached)
        send_nothing(out, 304);
    else if (r->kind == KN_REPLY_FILE)
        send_file(r, out);
    else if (r->kind == KN_REPLY_MADE)
        send_made(r, out);
    else if (r->kind == KN_REPLY_STATIC)
        send_static(r, out);
    else if (r->kind == KN_REPLY_STREAM)
        send_stream(r, out);
    else if (r->kind == KN_REPLY_SOCKET)
        out->response = MHD_create_response_for_upgrade(on_upgrade, NULL);
    if (r->kind == KN_REPLY_BYTES) { /* also what replaced one of the others */
        out->status = (unsigned)r->status;
        send_bytes(r, out);
    }
}

/* ---- headers ---- */

static bool add_headers(const kn_reply *r, const outgoing *out)
{
    static const char *const always[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Content-Security-Policy",
         "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; "
         "frame-ancestors 'none'"},
    };
    const char *mine[][2] = {
        {"Content-Type", out->status == 304 ? NULL : r->type},
        {"ETag", r->etag},
        {"Content-Disposition", r->disposition},
        {"Content-Range", *out->content_range ? out->content_range : NULL},
        {"Accept-Ranges", r->kind == KN_REPLY_FILE ? "bytes" : NULL},
        {"Content-Encoding", r->is_gzip && out->status == 200 ? "gzip" : NULL},
        {"Vary", r->is_gzip ? "Accept-Encoding" : NULL},
        {"Upgrade", r->kind == KN_REPLY_SOCKET ? "websocket" : NULL},
    };
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof always / sizeof *always; i++)
        ok = MHD_add_response_header(out->response, always[i][0], always[i][1]) == MHD_YES;
    for (size_t i = 0; ok && i < sizeof mine / sizeof *mine; i++)
        ok = !mine[i][1] || MHD_add_response_header(out->response, mine[i][0], mine[i][1]) == MHD_YES;
    for (int i = 0; ok && i < r->n_headers; i++)
        ok = MHD_add_response_header(out->response, r->headers[i].name, r->headers[i].value) == MHD_YES;
    return ok;
}

enum MHD_Result kn_reply_send(kn_reply *r)
{
    outgoing out = {0};
    enum MHD_Result sent = MHD_NO;
    choose(r, &out);
    if (!out.response)
        return MHD_NO;
    if (add_headers(r, &out))
        sent = MHD_queue_response(r->rq->connection, out.status, out.response);
    MHD_destroy_response(out.response);
    return sent;
}
