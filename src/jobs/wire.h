/* Messages between the server and its workers: JSON objects over a stream socket, each after its length (4 bytes, little
 * endian).  Neither side trusts the other to stay alive: whatever is read may end anywhere. */
#ifndef KN_JOBS_WIRE_H
#define KN_JOBS_WIRE_H

#include "base/json.h"
#include "base/mem.h"

typedef struct kn_wire {
    int fd; /* borrowed */
    kn_buf in;
} kn_wire;

void kn_wire_init(kn_wire *w, int fd);
void kn_wire_done(kn_wire *w);
/* Consumes `take`, also on failure; NULL is KN_ENOMEM. KN_EIO: the other side is gone; KN_ELIMIT. May block while the other
 * side does not read. */
int kn_wire_send(kn_wire *w, json_t *take, kn_err *err);
/* Takes in what has arrived, without waiting. KN_EIO: the other side is gone. */
int kn_wire_fill(kn_wire *w, kn_err *err);
/* The next whole message: *ret NULL if there is none yet. KN_EFORMAT, KN_ELIMIT. */
int kn_wire_next(kn_wire *w, json_t **ret, kn_err *err);

#endif
