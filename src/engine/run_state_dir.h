/* The folders that run states lie in: one a request, locked while in use, the oldest removed; with a file a segment. */
#ifndef KN_ENGINE_RUN_STATE_DIR_H
#define KN_ENGINE_RUN_STATE_DIR_H

#include <stdint.h>

#include "base/err.h"

typedef struct kn_run_dir {
    char *path; /* of the folder */
    int fd;     /* of the folder: holds the lock */
} kn_run_dir;

/* Makes and locks <state_dir>/runs/<key>. KN_EBUSY: another process has it; KN_EIO, KN_ENOMEM. */
int kn_run_dir_open(const char *state_dir, uint64_t key, kn_run_dir *ret, kn_err *err);
/* The file of a segment's state (of the only one: 0); heap; NULL without memory. */
char *kn_run_dir_file(const kn_run_dir *d, int segment);
/* Removes what is in the folder. */
void kn_run_dir_clear(const kn_run_dir *d);
/* Removes the folder if there is nothing in it. Accepts a zeroed struct. */
void kn_run_dir_close(kn_run_dir *d);

#endif
