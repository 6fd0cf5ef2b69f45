/* Where Kinora keeps what is its own. */
#ifndef KN_BASE_DIRS_H
#define KN_BASE_DIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What runs leave behind to be resumed from: KINORA_STATE_DIR, else $XDG_STATE_HOME/kinora, else
 * ~/.local/state/kinora. Heap; NULL without a home or memory. The folder need not exist. */
char *kn_dir_state(void);

/* What is the user's: queue, videos, models: KINORA_DATA_DIR, else $XDG_DATA_HOME/kinora, else ~/.local/share/kinora. As
 * kn_dir_state. */
char *kn_dir_data(void);

/* What can be made again, and is kept to save time: KINORA_CACHE_DIR, else $XDG_CACHE_HOME/kinora, else
 * ~/.cache/kinora. As kn_dir_state. */
char *kn_dir_cache(void);

/* Makes a folder and its parents, for the user alone (0700), where they are missing. */
int kn_dir_make(const char *path, kn_err *err);

/* Removes a file, or a folder with all that is in it; links are removed, never followed. KN_EIO if something is left. */
int kn_dir_remove(const char *path, kn_err *err);

/* What lies in a folder that must not grow without end. */
typedef struct kn_dir_survey {
    int n;
    uint64_t bytes;   /* of the files themselves; folders do not count what is in them */
    char oldest[256]; /* name of the one that changed longest ago; "" if there is none */
} kn_dir_survey;

/* Of the entries whose names `is_wanted` accepts; nothing if the folder cannot be read. */
kn_dir_survey kn_dir_look(const char *path, bool (*is_wanted)(const char *name));

#endif
