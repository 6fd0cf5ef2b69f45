/* What a handler answers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/http_internal.h"
#include "server/utf8_scan.h"

static const char json_mime[] = "application/json";

void kn_reply_init(kn_reply *r, kn_http_request *rq)
{
    *r = (kn_reply){.rq = rq, .fd = -1};
}

/* What the last call gave; headers and `param` stay. */
static void clear(kn_reply *r)
{
    if (r->kind == KN_REPLY_BYTES)
        free((void *)(uintptr_t)r->data);
    if (r->fd >= 0)
        close(r->fd);
    kn_made_free(r->made);
    kn_sse_free(r->stream);
    kn_socket_free(r->socket);
    free(r->type);
    free(r->etag);
    free(r->disposition);
    r->data = r->type = r->etag = r->disposition = NULL;
    r->made = NULL;
    r->stream = NULL;
    r->socket = NULL;
    r->fd = -1;
    r->size = 0;
    r->is_gzip = false;
    r->kind = KN_REPLY_NONE;
}

void kn_reply_done(kn_reply *r)
{
    clear(r);
    for (int i = 0; i < r->n_headers; i++) {
        free(r->headers[i].name);
        free(r->headers[i].value);
    }
    r->n_headers = 0;
    free(r->param);
    r->param = NULL;
}

static int begin(kn_reply *r, kn_reply_kind kind, int status, const char *type, kn_err *err)
{
    clear(r);
    r->type = kn_strdup(type);
    if (type && !r->type)
        return kn_fail(err, KN_ENOMEM, "no memory for a reply");
    r->kind = kind;
    r->status = status;
    return 0;
}

int kn_reply_bytes(kn_reply *r, int status, const char *type, const void *data, size_t size, kn_err *err)
{
    char *copy = kn_strndup(size ? data : "", size);
    int rc = copy ? begin(r, KN_REPLY_BYTES, status, type, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a reply of %zu bytes", size);
    if (rc) {
        free(copy);
        return rc;
    }
    r->data = copy;
    r->size = size;
    return 0;
}

int kn_reply_json(kn_reply *r, int status, json_t *take, kn_err *err)
{
    char *text = take ? json_dumps(take, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(take);
    return text ? kn_reply_text(r, status, text, err) : kn_fail(err, KN_ENOMEM, "no memory for a reply");
}

int kn_reply_text(kn_reply *r, int status, char *take_json, kn_err *err)
{
    int rc = begin(r, KN_REPLY_BYTES, status, json_mime, err);
    if (rc) {
        free(take_json);
        return rc;
    }
    r->data = take_json;
    r->size = strlen(take_json);
    return kn_reply_header(r, "Cache-Control", "no-store", err);
}

const char *kn_reply_json_text(const kn_reply *r)
{
    return r->kind == KN_REPLY_BYTES && r->type && strcmp(r->type, json_mime) == 0 ? r->data : NULL;
}

int kn_reply_static(kn_reply *r, const char *type, const void *data, size_t size, bool gzip, const char *etag,
                    kn_err *err)
{
    int rc = begin(r, KN_REPLY_STATIC, 200, type, err);
    if (rc)
        return rc;
    r->data = data;
    r->size = size;
    r->is_gzip = gzip;
    r->etag = kn_strdup(etag);
    return etag && !r->etag ? kn_fail(err, KN_ENOMEM, "no memory for a reply") : 0;
}

/* attachment; filename="what old readers understand"; filename*=UTF-8''everything (RFC 6266). */
static char *make_disposition(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    kn_buf b;
    kn_buf_init(&b, 4 * strlen(name) + 64);
    kn_buf_puts(&b, "attachment; filename=\"");
    for (const char *p = name; *p; p++)
        kn_buf_append(&b, strchr(plain, *p) || *p == ' ' ? p : "_", 1);
    kn_buf_puts(&b, "\"; filename*=UTF-8''");
    for (const char *p = name; *p; p++)
        kn_buf_printf(&b, strchr(plain, *p) ? "%c" : "%%%02X", (unsigned char)*p);
    return kn_buf_take(&b);
}

int kn_reply_file(kn_reply *r, const char *path, const char *type, const char *download_name, kn_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? kn_fail(err, KN_ENOTFOUND, "the file is not there any more")
                   : kn_fail(err, KN_EIO, "cannot open the file: %s", strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return kn_fail(err, KN_ENOTFOUND, "there is no such file");
    }
    int rc = begin(r, KN_REPLY_FILE, 200, type, err);
    if (rc) {
        close(fd);
        return rc;
    }
    r->fd = fd;
    r->file_size = (uint64_t)st.st_size;
    r->etag = kn_asprintf("\"%llx-%llx-%llx\"", (unsigned long long)st.st_ino,
                          (unsigned long long)st.st_mtim.tv_sec * 1000000000 +
                              (unsigned long long)st.st_mtim.tv_nsec,
                          (unsigned long long)st.st_size);
    r->disposition = download_name ? make_disposition(download_name) : NULL;
    return r->etag && (!download_name || r->disposition) ? 0
                                                         : kn_fail(err, KN_ENOMEM, "no memory for a reply");
}

void kn_made_free(kn_made *m)
{
    if (m)
        m->done(m->ud);
    free(m);
}

int kn_reply_made(kn_reply *r, const char *type, uint64_t size, kn_made take, const char *download_name,
                  kn_err *err)
{
    kn_made *made = kn_calloc(1, sizeof *made);
    int rc = begin(r, KN_REPLY_MADE, 200, type, err);
    if (!made) {
        take.done(take.ud);
        return kn_fail(err, KN_ENOMEM, "no memory for a reply");
    }
    *made = take;
    r->made = made;
    r->file_size = size;
    r->disposition = download_name ? make_disposition(download_name) : NULL;
    return rc || !download_name || r->disposition ? rc : kn_fail(err, KN_ENOMEM, "no memory for a reply");
}

int kn_reply_header(kn_reply *r, const char *name, const char *value, kn_err *err)
{
    char *copy = kn_strdup(value);
    int i = 0;
    if (!copy || value[strcspn(value, "\r\n")]) {
        free(copy);
        return copy ? kn_fail(err, KN_EINVAL, "the header %s would hold a line end", name)
                    : kn_fail(err, KN_ENOMEM, "no memory for a header");
    }
    while (i < r->n_headers && strcasecmp(r->headers[i].name, name) != 0)
        i++;
    KN_ASSERT(i < KN_LIMIT_REPLY_HEADERS);
    if (i == r->n_headers) {
        if (!(r->headers[i].name = kn_strdup(name))) {
            free(copy);
            return kn_fail(err, KN_ENOMEM, "no memory for a header");
        }
        r->n_headers++;
    }
    free(r->headers[i].value);
    r->headers[i].value = copy;
    return 0;
}

void kn_reply_param(kn_reply *r, const char *name)
{
    free(r->param);
    r->param = kn_strdup(name); /* without memory the error names no parameter */
}

static const char *error_type(int status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status == 429 ? "rate_limit_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

/* A message may quote bytes of the client, or be cut off inside a letter. */
static void make_utf8(char *s)
{
    while (*s) {
        kn_utf8_scan scan = {0};
        size_t n = 0;
        bool ok;
        do
            ok = s[n] && kn_utf8_scan_byte(&scan, (unsigned char)s[n++]);
        while (ok && scan.n_left);
        if (!ok) {
            *s = '?';
            n = 1;
        }
        s += n;
    }
}

void kn_reply_error(kn_reply *r, int status, const kn_err *err)
{
    kn_err why = *err;
    make_utf8(why.msg);
    json_t *e = json_pack("{s:{s:s, s:s, s:s?, s:s}}", "error", "code", kn_err_name(why.code), "type",
                          error_type(status), "param", r->param, "message", why.msg);
    if (kn_reply_json(r, status, e, NULL))
        clear(r);
    r->status = status;
}

int kn_reply_events(kn_reply *r, kn_feed *feed, int64_t last_id, kn_err *err)
{
    int rc = begin(r, KN_REPLY_STREAM, 200, "text/event-stream", err);
    if (rc)
        return rc;
    if (strcmp(r->rq->method, "HEAD") != 0)
        r->stream = kn_sse_new(r->rq->h, r->rq->connection, feed, last_id);
    if (!r->stream && strcmp(r->rq->method, "HEAD") != 0)
        return kn_fail(err, KN_ENOMEM, "no memory for a stream");
    rc = kn_reply_header(r, "Cache-Control", "no-store", err);
    /* Nobody asks for anything after a stream; making its connection ready for that takes time when a server stops. */
    return rc ? rc : kn_reply_header(r, "Connection", "close", err);
}

/* ---- WebSockets ---- */

static bool has_word(const char *list, const char *word)
{
    for (const char *s = list; s && *s; s += strspn(s, ", \t")) {
        size_t n = strcspn(s, ", \t");
        if (n == strlen(word) && strncasecmp(s, word, n) == 0)
            return true;
        s += n;
    }
    return false;
}

static int check_handshake(kn_reply *r, char accept[29], kn_err *err)
{
    const kn_http_request *rq = r->rq;
    const char *key = kn_http_header(rq, "Sec-WebSocket-Key");
    const char *version = kn_http_header(rq, "Sec-WebSocket-Version");
    if (strcmp(rq->method, "GET") != 0 || !has_word(kn_http_header(rq, "Connection"), "upgrade") ||
        !has_word(kn_http_header(rq, "Upgrade"), "websocket"))
        return kn_fail(err, KN_EINVAL,
                       "this is a WebSocket; expected Connection: Upgrade, Upgrade: websocket");
    if (!version || strcmp(version, "13") != 0) {
        kn_reply_header(r, "Sec-WebSocket-Version", "13", NULL);
        return kn_fail(err, KN_EINVAL, "Sec-WebSocket-Version: \"%.16s\", expected 13",
                       version ? version : "");
    }
    if (!key || !kn_socket_accept_key(key, accept))
        return kn_fail(err, KN_EINVAL, "Sec-WebSocket-Key: \"%.32s\", expected 16 bytes in base64",
                       key ? key : "");
    return 0;
}

int kn_reply_websocket(kn_reply *r, kn_feed *feed, json_t *greeting, kn_err *err)
{
    char accept[29];
    char *text = greeting ? json_dumps(greeting, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    int rc = greeting && !text ? kn_fail(err, KN_ENOMEM, "no memory for a greeting") : 0;
    json_decref(greeting);
    if (!rc)
        rc = check_handshake(r, accept, err);
    if (!rc)
        rc = begin(r, KN_REPLY_SOCKET, 101, NULL, err);
    if (!rc && !(r->socket = kn_socket_new(r->rq->h, feed, text)))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a WebSocket");
    if (!rc)
        rc = kn_reply_header(r, "Sec-WebSocket-Accept", accept, err);
    free(text);
    return rc;
}
