#define _GNU_SOURCE
#include "server/socket_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    NORMAL = 1000,
    GOING_AWAY = 1001,
    PROTOCOL_ERROR = 1002,
    BAD_TEXT = 1007,
    TOO_BIG = 1009,
    TRY_AGAIN_LATER = 1013,
};

void kn_socket_close(kn_socket *s, int code)
{
    if (s->close_code)
        return;
    s->close_code = code;
    s->closing_ns = kn_clock_ns();
    s->close_payload[0] = (unsigned char)(code >> 8);
    s->close_payload[1] = (unsigned char)code;
    s->close_size = 2;
    s->wants_pong = s->wants_ping = false;
}

bool kn_socket_is_over(const kn_socket *s)
{
    return s->has_failed || (s->has_sent_close && s->has_got_close);
}

/* ---- control frames of the client ---- */

static bool is_close_code(int code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void take_close(kn_socket *s)
{
    int code = s->control_size >= 2 ? s->control[0] << 8 | s->control[1] : 0;
    s->has_got_close = true;
    if (s->control_size == 1 || (s->control_size && !is_close_code(code)))
        kn_socket_close(s, PROTOCOL_ERROR);
    else if (s->control_size > 2 && !kn_utf8_is_valid(s->control + 2, s->control_size - 2))
        kn_socket_close(s, BAD_TEXT);
    if (s->close_code)
        return;
    kn_socket_close(s, code ? code : NORMAL);
    s->close_size = code ? 2 : 0; /* as it came */
}

static void end_control(kn_socket *s, int opcode)
{
    if (opcode == WSLAY_CONNECTION_CLOSE)
        take_close(s);
    if (opcode != WSLAY_PING || s->close_code)
        return;
    /* Of several that were not answered yet the last one counts (RFC 6455, 5.5.3). */
    memcpy(s->pong, s->control, s->control_size);
    s->pong_size = s->control_size;
    s->wants_pong = true;
}

/* ---- frames of the client ---- */

static ssize_t on_recv(uint8_t *buf, size_t size, int flags, void *ud)
{
    kn_socket *s = ud;
    (void)flags;
    if (s->extra_used < s->extra_size) {
        size_t n = s->extra_size - s->extra_used < size ? s->extra_size - s->extra_used : size;
        memcpy(buf, s->extra + s->extra_used, n);
        s->extra_used += n;
        return (ssize_t)n;
    }
    ssize_t n = recv(s->peer.fd, buf, size, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        s->has_failed = true;
    return n > 0 ? n : -1;
}

static bool is_control(int opcode)
{
    return opcode >= 8;
}

/* 0, or the code of what is wrong with a frame that begins. */
static int begin_frame(kn_socket *s, const struct wslay_frame_iocb *f)
{
    bool is_known =
        f->opcode <= WSLAY_BINARY_FRAME || (f->opcode >= WSLAY_CONNECTION_CLOSE && f->opcode <= WSLAY_PONG);
    if (!f->mask || f->rsv || !is_known)
        return PROTOCOL_ERROR;
    if (is_control(f->opcode)) {
        s->control_size = 0;
        return 0;
    }
    if ((f->opcode == WSLAY_CONTINUATION_FRAME) != (s->message_opcode != 0))
        return PROTOCOL_ERROR;
    if (f->opcode) {
        s->message_opcode = f->opcode;
        s->message_size = 0;
        s->text = (kn_utf8_scan){0};
    }
    if (f->payload_length > KN_LIMIT_SOCKET_MESSAGE_BYTES - s->message_size)
        return TOO_BIG;
    s->message_size += f->payload_length;
    return 0;
}

static int take_data(kn_socket *s, const struct wslay_frame_iocb *f)
{
    if (is_control(f->opcode)) { /* wslay refuses longer ones */
        memcpy(s->control + s->control_size, f->data, f->data_length);
        s->control_size += f->data_length;
        return 0;
    }
    return s->message_opcode == WSLAY_TEXT_FRAME && !kn_utf8_scan_bytes(&s->text, f->data, f->data_length)
               ? BAD_TEXT
               : 0;
}

static int end_frame(kn_socket *s, const struct wslay_frame_iocb *f)
{
    if (is_control(f->opcode)) {
        end_control(s, f->opcode);
        return 0;
    }
    if (!f->fin)
        return 0;
    bool is_cut = s->message_opcode == WSLAY_TEXT_FRAME && s->text.n_left;
    s->message_opcode = 0;
    return is_cut ? BAD_TEXT : 0;
}

static int take_frame(kn_socket *s, const struct wslay_frame_iocb *f)
{
    int code = 0;
    if (!s->is_in_frame) {
        s->frame_left = f->payload_length;
        code = begin_frame(s, f);
    }
    if (!code)
        code = take_data(s, f);
    s->frame_left -= f->data_length;
    s->is_in_frame = s->frame_left > 0;
    return code || s->is_in_frame ? code : end_frame(s, f);
}

/* What comes after an error or a close frame is of no interest, only when it ends. */
static void discard(kn_socket *s)
{
    char buf[4096];
    ssize_t n;
    do
        n = recv(s->peer.fd, buf, sizeof buf, MSG_DONTWAIT);
    while (n > 0);
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        s->has_failed = true;
}

bool kn_socket_open_frames(kn_socket *s)
{
    const struct wslay_frame_callbacks fns = {.recv_callback = on_recv};
    return wslay_frame_context_init(&s->frames, &fns, s) == 0;
}

bool kn_socket_read(kn_socket *s)
{
    enum { TURNS = 64 }; /* others wait */
    struct wslay_frame_iocb f;
    s->heard_ns = kn_clock_ns();
    for (int i = 0; i < TURNS && !s->has_failed; i++) {
        bool is_deaf = s->has_got_close ||
                       (s->close_code && s->close_code != GOING_AWAY && s->close_code != TRY_AGAIN_LATER);
        if (is_deaf) {
            discard(s);
            return false;
        }
        memset(&f, 0, sizeof f);
        ssize_t n = wslay_frame_recv(s->frames, &f);
        if (n == WSLAY_ERR_WANT_READ)
            return false;
        int code = n < 0 ? PROTOCOL_ERROR : take_frame(s, &f);
        if (code)
            kn_socket_close(s, code);
    }
    return !s->has_failed;
}

/* ---- frames of the server ---- */

/* The head of an unmasked frame of one piece. */
static void put_head(kn_socket *s, int opcode, size_t size)
{
    unsigned char *h = s->head;
    h[0] = (unsigned char)(0x80 | opcode);
    s->head_size = size < 126 ? 2 : size < 65536 ? 4 : 10;
    h[1] = (unsigned char)(size < 126 ? size : size < 65536 ? 126 : 127);
    for (size_t i = s->head_size, rest = size; i > 2; i--, rest >>= 8)
        h[i - 1] = (unsigned char)rest;
    s->head_sent = s->body_sent = 0;
    s->body_size = 0;
}

static void put_control(kn_socket *s, int opcode, const unsigned char *data, size_t size)
{
    put_head(s, opcode, size);
    if (size)
        memcpy(s->head + s->head_size, data, size);
    s->head_size += size;
}

static void put_text(kn_socket *s, const char *text, size_t size)
{
    put_head(s, WSLAY_TEXT_FRAME, size);
    s->body = text;
    s->body_size = size;
}

/* The next message of the feed; one that was cut off is told so. */
static void put_message(kn_socket *s)
{
    kn_feed *f = s->peer.listener.feed;
    pthread_mutex_lock(&f->lock);
    bool is_cut = s->peer.listener.is_cut;
    s->message = kn_listener_take(&s->peer.listener);
    pthread_mutex_unlock(&f->lock);
    if (s->message)
        put_text(s, s->message->json, s->message->json_size);
    else if (is_cut)
        kn_socket_close(s, TRY_AGAIN_LATER);
}

/* Chooses what to send after a whole frame; false: nothing. */
static bool begin_next(kn_socket *s)
{
    if (s->has_sent_close)
        return false;
    if (s->greeting && !s->close_code) {
        put_text(s, s->greeting, strlen(s->greeting));
        return true;
    }
    if (s->wants_pong)
        put_control(s, WSLAY_PONG, s->pong, s->pong_size);
    else if (s->wants_ping)
        put_control(s, WSLAY_PING, NULL, 0);
    s->wants_ping = s->wants_pong && s->wants_ping;
    s->wants_pong = false;
    if (!s->head_size && !s->close_code)
        put_message(s);
    if (!s->head_size && s->close_code) {
        put_control(s, WSLAY_CONNECTION_CLOSE, s->close_payload, s->close_size);
        s->has_sent_close = true;
    }
    return s->head_size > 0;
}

static void end_frame_out(kn_socket *s)
{
    kn_message_unref(s->message);
    s->message = NULL;
    if (s->greeting && s->body == s->greeting) {
        free(s->greeting);
        s->greeting = NULL;
    }
    s->body = NULL;
    s->head_size = s->body_size = 0;
    if (s->has_sent_close) /* the client sees the end behind it */
        shutdown(s->peer.fd, SHUT_WR);
}

/* The rest of the frame, in one call as long as the connection takes all of it; false: it takes no more, or it is gone. */
static bool send_frame(kn_socket *s)
{
    while (s->head_sent + s->body_sent < s->head_size + s->body_size) {
        struct iovec parts[] = {{s->head + s->head_sent, s->head_size - s->head_sent},
                                {NULL, s->body_size - s->body_sent}};
        if (s->body)
            parts[1].iov_base = (void *)(uintptr_t)(s->body + s->body_sent);
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = s->body_size ? 2 : 1};
        ssize_t n = sendmsg(s->peer.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            s->has_failed = s->has_failed || (errno != EAGAIN && errno != EWOULDBLOCK);
            return false;
        }
        size_t of_head = (size_t)n < parts[0].iov_len ? (size_t)n : parts[0].iov_len;
        s->head_sent += of_head;
        s->body_sent += (size_t)n - of_head;
    }
    return true;
}

bool kn_socket_write(kn_socket *s)
{
    while (!s->has_failed && (s->head_size || begin_next(s))) {
        if (!send_frame(s))
            return !s->has_failed;
        end_frame_out(s);
    }
    return false;
}
