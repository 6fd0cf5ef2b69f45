/* The plan: what a request will cost, before a byte of weights is read.  It is a run on `meta`. */
#ifndef KN_ENGINE_PLAN_H
#define KN_ENGINE_PLAN_H

#include "engine/model.h"

/* What the device reaches, measured in a fraction of a second with small operations. */
typedef struct kn_rates {
    double flops[KN_WORK_COUNT]; /* per second */
    double bytes;                /* per second, for KN_WORK_MEMORY */
    double raw_matmul;           /* the vendor library's plain matrix product in the same type */
} kn_rates;

int kn_rates_measure(kn_device *dev, kn_dtype dtype, kn_rates *ret, kn_err *err);
double kn_rates_seconds(const kn_rates *rates, const kn_stats *stats);

typedef struct kn_plan {
    kn_dtype dtype;
    kn_span spans[KN_MAX_SPANS]; /* seconds: estimated */
    int n_spans;
    size_t peak_bytes;      /* device memory: weights, activations, workspace */
    double seconds;         /* estimated, all phases */
    size_t mem_total_bytes; /* of the device */
} kn_plan;

/* rq must be prepared. rates NULL: no times are estimated. cache_dir: as the run will have it; NULL: none. */
int kn_plan_make(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                 const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err);
json_t *kn_plan_to_json(const kn_plan *p);

/* The computation type a request names, or the device's best when it names none. */
kn_dtype kn_request_dtype(const kn_request *rq, const kn_device *dev);
/* The type of activations that goes with it. */
kn_dtype kn_activation_dtype(kn_dtype dtype);

#endif
