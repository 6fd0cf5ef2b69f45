/* The folders that run states lie in: one a request, locked while in use, the oldest removed. */
#ifndef KN_ENGINE_RUN_STATE_DIR_H
#define KN_ENGINE_RUN_STATE_DIR_H

#include <stdint.h>

#include "base/err.h"

#define KN_RUN_STATE_FILE "state.safetensors"

typedef struct kn_run_dir {
    char *path; /* of the folder */
    char *file; /* of the state in it */
    int fd;     /* of the folder: holds the lock */
} kn_run_dir;

/* Makes and locks <state_dir>/runs/<key>. KN_EBUSY: another process has it; KN_EIO, KN_ENOMEM. */
int kn_run_dir_open(const char *state_dir, uint64_t key, kn_run_dir *ret, kn_err *err);
/* Removes the folder if there is nothing in it. Accepts a zeroed struct. */
void kn_run_dir_close(kn_run_dir *d);

#endif
