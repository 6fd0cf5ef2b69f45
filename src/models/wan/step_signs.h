/* What step caches (engine/step_cache.h) want to know of Wan: how much the first block adds, and published numbers. */
#ifndef KN_MODELS_WAN_STEP_SIGNS_H
#define KN_MODELS_WAN_STEP_SIGNS_H

#include "models/wan/model.h"

/* Whether the model has what the request's cache goes by; KN_EINVAL says what is missing. */
int kn_wan_check_cache(const kn_wan_model *m, const kn_request *rq, kn_err *err);
/* The table [n_steps] of "tea" or "mag" for a request that was checked. t: of the timesteps' model. */
int kn_wan_cache_table(const kn_wan_model *m, kn_ctx *c, const kn_wan_transformer *t, const kn_request *rq,
                       const double *timesteps, const char *cache, double *ret, kn_err *err);

/* What the first block adds to some tokens: seen last, and kept. */
typedef struct kn_wan_probe {
    int64_t n;          /* values of each */
    float *seen, *kept; /* host; NULL before the first probe */
    bool is_kept;
} kn_wan_probe;

/* Runs the first block on `in`; *ret_change: of what it adds, relative to what was kept; INFINITY without. */
void kn_wan_probe_run(kn_wan_probe *p, kn_ctx *c, const kn_wan_transformer *t, const kn_wan_input *in,
                      double *ret_change);
void kn_wan_probe_keep(kn_wan_probe *p);
void kn_wan_probe_done(kn_wan_probe *p, kn_device *dev);

#endif
