#include "jobs/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"

enum { LENGTH_BYTES = 4, CHUNK = 64 << 10 };

void kn_wire_init(kn_wire *w, int fd)
{
    *w = (kn_wire){.fd = fd};
    kn_buf_init(&w->in, KN_LIMIT_WIRE_BYTES + LENGTH_BYTES + CHUNK);
}

void kn_wire_done(kn_wire *w)
{
    kn_buf_done(&w->in);
}

static int send_all(int fd, const void *data, size_t size, kn_err *err)
{
    const char *p = data;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kn_fail(err, KN_EIO, "the other process is gone: %s", strerror(errno));
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int kn_wire_send(kn_wire *w, json_t *take, kn_err *err)
{
    char *text = take ? json_dumps(take, JSON_COMPACT) : NULL;
    json_decref(take);
    if (!text)
        return kn_fail(err, KN_ENOMEM, "no memory for a message");
    size_t n = strlen(text);
    int rc = n <= KN_LIMIT_WIRE_BYTES ? 0
                                      : kn_fail(err, KN_ELIMIT, "a message of %zu bytes, at most %u", n,
                                                (unsigned)KN_LIMIT_WIRE_BYTES);
    unsigned char length[LENGTH_BYTES] = {n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24 & 255};
    if (!rc)
        rc = send_all(w->fd, length, sizeof length, err);
    if (!rc)
        rc = send_all(w->fd, text, n, err);
    free(text);
    return rc;
}

int kn_wire_fill(kn_wire *w, kn_err *err)
{
    char chunk[CHUNK];
    while (w->in.size <= KN_LIMIT_WIRE_BYTES + LENGTH_BYTES) {
        ssize_t n = recv(w->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0)
            return kn_fail(err, KN_EIO, "the other process is gone%s%s", n ? ": " : "",
                           n ? strerror(errno) : "");
        kn_buf_append(&w->in, chunk, (size_t)n);
        if (w->in.failed)
            return kn_fail(err, KN_ENOMEM, "no memory for a message");
    }
    return 0;
}

int kn_wire_next(kn_wire *w, json_t **ret, kn_err *err)
{
    const unsigned char *p = (const unsigned char *)w->in.data;
    *ret = NULL;
    if (w->in.size < LENGTH_BYTES)
        return 0;
    size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (n > KN_LIMIT_WIRE_BYTES)
        return kn_fail(err, KN_ELIMIT, "a message of %zu bytes, at most %u", n,
                       (unsigned)KN_LIMIT_WIRE_BYTES);
    if (w->in.size < LENGTH_BYTES + n)
        return 0;
    int rc = kn_json_parse(w->in.data + LENGTH_BYTES, n, "message", ret, err);
    if (!rc && !json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        rc = kn_fail(err, KN_EFORMAT, "message: expected an object");
    }
    w->in.size -= LENGTH_BYTES + n;
    memmove(w->in.data, w->in.data + LENGTH_BYTES + n, w->in.size);
    return rc;
}
