/* What runs keep on disk to save time, and can make again: text states and packed weights. */
#ifndef KN_ENGINE_CACHES_H
#define KN_ENGINE_CACHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* Removes, or with dry_run only counts, what lies in the two folders of cache_dir and was written by Kinora. Runs that use it go on:
 * what they have mapped stays until they end, and what one is recording is left. *ret: [{"name": "text states", "path", "files",
 * "size_bytes"}, {"name": "packed weights", ...}]. KN_EIO: something could not be removed. */
int kn_caches_clear(const char *cache_dir, bool dry_run, json_t **ret, kn_err *err);

#endif
