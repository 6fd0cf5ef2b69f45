/* Reading ahead: one thread that has parts of mapped files read while others compute.
 *
 * It only moves bytes from the disk to the system's cache, so results do not depend on it, and what it cannot do is left
 * undone.  A thread of its own, because asking waits for the disk as soon as the disk's queue is full. */
#ifndef KN_TENSOR_READ_AHEAD_H
#define KN_TENSOR_READ_AHEAD_H

#include <stddef.h>

#include "base/timeline.h"

typedef struct kn_read_range {
    const void *data; /* in a file's map */
    size_t bytes;
} kn_read_range;

typedef struct kn_read_ahead kn_read_ahead;

/* NULL when there is no thread to be had: then nothing is read ahead. */
kn_read_ahead *kn_read_ahead_new(void);
/* Waits for the range that is being read; accepts NULL. */
void kn_read_ahead_free(kn_read_ahead *r);
/* These next, which are block `block`, and no longer those asked for before. `ranges` is borrowed until r is freed. Accepts NULL.
 * timeline: what comes from the disk, until it is there; NULL: nobody looks. */
void kn_read_ahead_want(kn_read_ahead *r, const kn_read_range *ranges, int n, int block,
                        kn_timeline *timeline);

#endif
