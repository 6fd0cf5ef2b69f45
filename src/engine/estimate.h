/* What a request would cost, from the request alone: opens its model, makes the plan, reads no weights. */
#ifndef KN_ENGINE_ESTIMATE_H
#define KN_ENGINE_ESTIMATE_H

#include "engine/plan.h"

/* Rates of this machine by computation type, measured when first needed; zeroed to begin with. Not for several threads. */
typedef struct kn_known_rates {
    char device[160]; /* whose they are: its description */
    kn_rates of[KN_DTYPE_COUNT];
    bool is_known[KN_DTYPE_COUNT];
} kn_known_rates;

typedef struct kn_estimate {
    kn_request request; /* complete, but for a seed that was left open */
    kn_plan plan;
    char device[160];
} kn_estimate;

typedef struct kn_estimate_opts {
    const char *path;      /* where the model lies; NULL: it needs no files */
    const char *cache_dir; /* as the run will have it; NULL: none */
    size_t idle_bytes;     /* memory in use that gives way to a run (engine/warm.h) */
    kn_known_rates *rates;
    kn_note_fn note; /* may be NULL */
    void *ud;
} kn_estimate_opts;

int kn_estimate_make(const kn_model_desc *desc, const kn_request *given, const kn_estimate_opts *opts,
                     kn_estimate *ret, kn_err *err);
void kn_estimate_done(kn_estimate *e); /* accepts a zeroed one */
/* The plan's JSON with the complete request. */
json_t *kn_estimate_to_json(const kn_estimate *e);

#endif
