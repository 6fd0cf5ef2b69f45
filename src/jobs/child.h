/* A worker as the server sees it: a child process, the socket to it, and how it is. */
#ifndef KN_JOBS_CHILD_H
#define KN_JOBS_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "jobs/wire.h"

typedef struct kn_child {
    pid_t pid; /* 0: none */
    kn_wire wire;
    double heard_s; /* when it last said something */
    double busy_s;  /* when its processor time last grew */
    double cpu_s;
} kn_child;

/* Starts `program` worker. */
int kn_child_start(kn_child *c, const char *program, kn_err *err);
/* Waits for a message for at most timeout_ms, or until wake_fd is readable (-1: none). *ret NULL: none came. KN_EIO: it
 * has died, is silent for KN_LIMIT_WORKER_SILENCE_S, or, while is_working, has used no processor time for
 * KN_LIMIT_WORKER_HANG_S; the message says what. */
int kn_child_receive(kn_child *c, int wake_fd, int timeout_ms, bool is_working, json_t **ret, kn_err *err);
/* Asks it to end, waits, kills it. Accepts one that is not started. */
void kn_child_end(kn_child *c, int wait_ms);
/* At once. */
void kn_child_kill(kn_child *c);

#endif
