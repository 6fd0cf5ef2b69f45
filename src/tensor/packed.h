/* A file of packed weights: what a device made of a component's tensors, to be mapped the next time instead of made again.
 *
 * The file is a cache and never trusted: it is used only if it is whole, says the key that was asked for, and each item is
 * what is asked for in a layout the device would choose today; an item's checksum is compared when it is first used.  What
 * does not fit is as if it were not there, and no failure here ever stops a load.  The key holds everything else that decides the
 * bytes: the caller makes it (engine/packed_cache.h).
 *
 * Layout: a header of KN_PACKED_ALIGN bytes, the items at multiples of that, and a JSON index at the end. */
#ifndef KN_TENSOR_PACKED_H
#define KN_TENSOR_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A page, so that an item's pages are its own; more than any device's alignment. */
enum { KN_PACKED_ALIGN = 4096 };

typedef struct kn_packed kn_packed;

/* What an item is found by. */
typedef struct kn_packed_item {
    const char *name; /* of the first tensor it was made of, in full */
    const char *what; /* what was made: "linear 8960x1536 int8 bias" */
    uint64_t format;  /* how it is laid out: kn_weight_format; 0 for plain float32 */
    size_t bytes;
} kn_packed_item;

/* The file at `path`, if it is whole and has this key; else NULL. */
kn_packed *kn_packed_open(const char *path, const char *key);
/* A file to be recorded: nothing is at `path` before kn_packed_commit. NULL if it cannot be written, or another process is
 * recording it.  path NULL: a rehearsal that writes nothing, for `meta`. */
kn_packed *kn_packed_record(const char *path, const char *key);
/* Everything that was mapped of it must be gone. What was recorded and not committed is removed. Accepts NULL. */
void kn_packed_close(kn_packed *p);

/* Of NULL, all are false. */
bool kn_packed_is_recording(const kn_packed *p);
/* Whether what is loaded from now on comes, or in a rehearsal would come, from the file. */
bool kn_packed_is_ready(const kn_packed *p);

/* The item's bytes in the map, checked; NULL if they are not there or damaged, after which the file is given up. */
const void *kn_packed_get(kn_packed *p, const kn_packed_item *item);
/* The same unchecked, for reading ahead; format and bytes are not compared. */
const void *kn_packed_find(const kn_packed *p, const char *name, const char *what, size_t *ret_bytes);

/* Begins an item; its bytes follow by kn_packed_put (a kn_put_fn whose ud is p), in pieces that are multiples of
 * KN_SAVE_PIECE but for the last.  Too few or a failure: nothing more is recorded. */
void kn_packed_begin(kn_packed *p, const kn_packed_item *item);
int kn_packed_put(void *p, const void *data, size_t bytes);
void kn_packed_end(kn_packed *p);
/* What was recorded becomes the file, and is read from now on. */
void kn_packed_commit(kn_packed *p);

#endif
