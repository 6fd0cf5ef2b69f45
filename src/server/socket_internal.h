/* A WebSocket: the loop says when it may read and write, the protocol says what. */
#ifndef KN_SERVER_SOCKET_INTERNAL_H
#define KN_SERVER_SOCKET_INTERNAL_H

#include <wslay/wslay.h>

#include "server/loop.h"
#include "server/utf8_scan.h"

enum { KN_SOCKET_CONTROL_BYTES = 125 }; /* of a control frame; RFC 6455, 5.5 */

struct kn_socket {
    kn_peer peer; /* first */
    struct MHD_UpgradeResponseHandle *urh;
    int64_t ping_ns;
    char *extra; /* what came with the handshake */
    size_t extra_size, extra_used;
    wslay_frame_context_ptr frames;
    /* What is being received: */
    bool has_failed; /* the connection is gone */
    bool is_in_frame;
    uint64_t frame_left, message_size;
    int message_opcode; /* 0: no message is open */
    kn_utf8_scan text;
    unsigned char control[KN_SOCKET_CONTROL_BYTES];
    size_t control_size;
    /* What is being sent: a frame's head (or all of a control frame), then a message. */
    unsigned char head[KN_SOCKET_CONTROL_BYTES + 10];
    size_t head_size, head_sent, body_sent;
    kn_message *message;
    char *greeting;
    const char *body;
    size_t body_size;
    bool wants_pong, wants_ping;
    unsigned char pong[KN_SOCKET_CONTROL_BYTES];
    size_t pong_size;
    int close_code; /* 0: open; otherwise a close frame is the last to be sent */
    unsigned char close_payload[KN_SOCKET_CONTROL_BYTES];
    size_t close_size;
    bool has_sent_close, has_got_close;
    int64_t heard_ns, pinged_ns, closing_ns;
};

bool kn_socket_open_frames(kn_socket *s); /* false without memory */
/* Reads what there is; true: there is more, but others wait. */
bool kn_socket_read(kn_socket *s);
/* Sends until the connection takes no more; true: something is left. */
bool kn_socket_write(kn_socket *s);
/* The first code counts; what waits is dropped. */
void kn_socket_close(kn_socket *s, int code);
/* Nothing is left to say or to hear. */
bool kn_socket_is_over(const kn_socket *s);

#endif
