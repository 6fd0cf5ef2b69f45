/* Where Kinora keeps what is its own. */
#ifndef KN_BASE_DIRS_H
#define KN_BASE_DIRS_H

#include "base/err.h"

/* What runs leave behind to be resumed from: KINORA_STATE_DIR, else $XDG_STATE_HOME/kinora, else
 * ~/.local/state/kinora. Heap; NULL without a home or memory. The folder need not exist. */
char *kn_dir_state(void);

/* What can be made again, and is kept to save time: KINORA_CACHE_DIR, else $XDG_CACHE_HOME/kinora, else
 * ~/.cache/kinora. As kn_dir_state. */
char *kn_dir_cache(void);

/* Makes a folder and its parents, for the user alone (0700), where they are missing. */
int kn_dir_make(const char *path, kn_err *err);

#endif
