/* What happened when, on tracks beside each other: for looking at what overlaps and what waits.
 *
 * Written as trace events (the JSON object format of chrome://tracing), which https://ui.perfetto.dev shows.  Everything
 * accepts a NULL timeline, which records nothing, and any thread may add. */
#ifndef KN_BASE_TIMELINE_H
#define KN_BASE_TIMELINE_H

#include <stdint.h>

#include "base/err.h"

/* From top to bottom. */
typedef enum kn_track {
    KN_TRACK_PHASES,
    KN_TRACK_UNITS,
    KN_TRACK_BLOCKS,
    KN_TRACK_DISK,
    KN_TRACK_COUNT
} kn_track;

typedef struct kn_timeline kn_timeline;

kn_timeline *kn_timeline_new(void); /* NULL: no memory */
void kn_timeline_free(kn_timeline *t);

/* From begin_s to end_s (kn_clock_s); `name` is a literal; number < 0: none.  bytes: how much was moved, 0: not said.
 * Above KN_LIMIT_TIMELINE_SPANS spans are counted only. */
void kn_timeline_add(kn_timeline *t, kn_track track, const char *name, int64_t number, double begin_s,
                     double end_s, double bytes);
/* KN_EIO: the file is as it was. */
int kn_timeline_write(kn_timeline *t, const char *path, kn_err *err);

#endif
