/* A WebSocket in the loop. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/socket_internal.h"

enum {
    CLOSE_MS = 2000,  /* how long a client may take to answer a close frame */
    SILENT_PINGS = 3, /* a client that answers none of them is gone */
    GOING_AWAY = 1001,
};

static bool write_some(kn_socket *s)
{
    s->peer.wanted = EPOLLIN | (kn_socket_write(s) ? EPOLLOUT : 0u);
    return !kn_socket_is_over(s);
}

static bool serve(kn_peer *p, unsigned events)
{
    kn_socket *s = (kn_socket *)p;
    if (events & ~(unsigned)EPOLLOUT)
        p->wants_turn = kn_socket_read(s);
    return write_some(s);
}

static bool tick(kn_peer *p, int64_t now_ns)
{
    kn_socket *s = (kn_socket *)p;
    if ((s->close_code && now_ns - s->closing_ns > CLOSE_MS * 1000000ll) ||
        now_ns - s->heard_ns > (SILENT_PINGS + 1) * s->ping_ns)
        return false;
    if (now_ns - s->heard_ns < s->ping_ns || now_ns - s->pinged_ns < s->ping_ns)
        return true;
    s->wants_ping = true;
    s->pinged_ns = now_ns;
    return write_some(s);
}

static void end(kn_peer *p)
{
    kn_socket_close((kn_socket *)p, GOING_AWAY);
}

static void leave(kn_peer *p)
{
    kn_socket *s = (kn_socket *)p;
    MHD_upgrade_action(s->urh, MHD_UPGRADE_ACTION_CLOSE);
    kn_socket_free(s);
}

static const kn_peer_kind kind = {serve, tick, end, leave};

kn_socket *kn_socket_new(kn_http *h, kn_feed *feed, const char *greeting)
{
    kn_socket *s = kn_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->ping_ns = (int64_t)h->opts.ping_s * 1000000000;
    s->greeting = kn_strdup(greeting);
    if (greeting && !s->greeting) {
        free(s);
        return NULL;
    }
    kn_peer_init(&s->peer, &kind, h->loop, feed, -1);
    return s;
}

void kn_socket_free(kn_socket *s)
{
    if (!s)
        return;
    kn_listener_detach(&s->peer.listener);
    if (s->frames)
        wslay_frame_context_free(s->frames);
    kn_message_unref(s->message);
    free(s->greeting);
    free(s->extra);
    free(s);
}

void kn_socket_hand_over(kn_socket *s, int fd, struct MHD_UpgradeResponseHandle *urh, const char *extra,
                         size_t extra_size)
{
    s->peer.fd = fd;
    s->urh = urh;
    s->extra = kn_strndup(extra_size ? extra : "", extra_size);
    s->extra_size = extra_size;
    s->heard_ns = s->pinged_ns = kn_clock_ns();
    if (!s->extra || !kn_socket_open_frames(s) || !kn_loop_take(&s->peer))
        leave(&s->peer);
}
