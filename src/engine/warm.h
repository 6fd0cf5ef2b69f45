/* Components that stay on the device when a run is done with them, so that the next run that wants them need not load them.
 *
 * What is kept is idle: it counts in no run's memory, and where the plan of a run needs its room it goes, the least recently
 * used first.  One thread at a time. */
#ifndef KN_ENGINE_WARM_H
#define KN_ENGINE_WARM_H

#include "engine/plan.h"

typedef struct kn_warm_part {
    uint64_t key;     /* of everything that decides what was loaded; 0: it cannot be kept */
    const char *name; /* for people: "transformer"; static */
    char model[96];   /* whose */
    size_t bytes;     /* on the device, accounted there as weights */
    bool is_mapped;   /* from a file: the system can have the memory without our doing */
    void *what;
    void (*free)(void *what);
} kn_warm_part;

typedef struct kn_warm kn_warm;

kn_warm *kn_warm_new(void);
void kn_warm_free(kn_warm *w); /* the device too; accepts NULL */
/* The device (kn_device_open's name) on which everything is kept, opened when it is asked for otherwise than before, for which
 * everything goes.  What is free on it is known anew. */
int kn_warm_device(kn_warm *w, const char *name, const kn_cpu_options *opts, kn_device **ret, kn_err *err);

/* What was kept under the key, which is the caller's again; NULL: nothing. */
void *kn_warm_take(kn_warm *w, uint64_t key);
/* Keeps it; of an equal one, or where too many are kept, the older goes. */
void kn_warm_put(kn_warm *w, const kn_warm_part *part);
/* Frees until no more than `bytes` are kept. */
void kn_warm_shrink(kn_warm *w, size_t bytes);
/* Until the plan's phase has the memory it was promised. */
void kn_warm_make_room(kn_warm *w, const kn_plan *p, kn_phase phase);
size_t kn_warm_bytes(const kn_warm *w);
/* [{"name", "model", "bytes", "is_mapped"}], the most recently used first. */
json_t *kn_warm_to_json(const kn_warm *w);

/* The same for a run, which may keep nothing (kn_run.warm NULL).  recall makes room for `phase`, the one that needs most of
 * those in which the component is used; NULL: load it. */
void *kn_run_recall(kn_run *r, uint64_t key, kn_phase phase);
void kn_run_keep(kn_run *r, const kn_warm_part *part);

#endif
