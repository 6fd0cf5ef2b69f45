/* The plan: what a request will cost, before a byte of weights is read.  It is a run on `meta`. */
#ifndef KN_ENGINE_PLAN_H
#define KN_ENGINE_PLAN_H

#include "engine/model.h"

/* What the device reaches, measured in a fraction of a second with small operations. */
typedef struct kn_rates {
    double flops[KN_WORK_COUNT]; /* per second */
    double bytes;                /* per second, for KN_WORK_MEMORY */
    double loading;              /* bytes of weights that are made ready per second, from memory */
    double disk;       /* bytes per second at which weights are read for that; 0: from the system's cache */
    double raw_matmul; /* the vendor library's plain matrix product in the same type */
} kn_rates;

int kn_rates_measure(kn_device *dev, kn_dtype dtype, kn_rates *ret, kn_err *err);
double kn_rates_seconds(const kn_rates *rates, const kn_stats *stats);

/* A policy that was tried. */
typedef struct kn_candidate {
    kn_policy policy;
    size_t need_bytes;
    double seconds;
    bool fits;
    char reason[96]; /* why not, if it does not fit */
} kn_candidate;

enum { KN_MAX_CANDIDATES = 16 };

typedef struct kn_plan {
    kn_dtype dtype;
    kn_policy policy;            /* n_resident <= n_blocks */
    int n_segments;              /* engine/segments.h; spans and seconds are of all of them */
    int n_blocks;                /* of the denoiser; 0: it has none that could come and go */
    kn_span spans[KN_MAX_SPANS]; /* seconds: estimated */
    int n_spans;
    size_t peak_bytes;      /* device memory: weights, activations, workspace, large host buffers */
    size_t pool_bytes;      /* address space to reserve for activations and workspace */
    size_t need_bytes;      /* peak_bytes, and what the program takes beside it */
    double seconds;         /* estimated, all phases */
    size_t mem_total_bytes; /* of the device */
    size_t budget_bytes;    /* what need_bytes may be: of the request, or free when the plan was made */
    bool budget_is_request; /* the former */
    kn_candidate candidates[KN_MAX_CANDIDATES]; /* in the order they were tried; the last one is the plan */
    int n_candidates;
} kn_plan;

/* The plan of one policy. rq must be prepared. rates NULL: no times are estimated. cache_dir: as the run will have it;
 * NULL: none. */
int kn_plan_make(const kn_model_desc *desc, void *model, const kn_request *rq, const kn_policy *policy,
                 kn_device *dev, const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err);
/* The plan of the first policy that fits the budget, in order of what they cost: everything resident; as many blocks
 * resident as fit, which costs time; the VAE in tiles, which changes pixels at their seams.  What the request says is not
 * varied.  If none fits, the one that needs least: kn_plan_fits tells. */
int kn_plan_choose(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                   const kn_rates *rates, const char *cache_dir, kn_plan *ret, kn_err *err);
bool kn_plan_fits(const kn_plan *p);
/* KN_ENOMEM, with advice, if the device's memory or the request's budget cannot hold it.  Memory that is merely in use
 * by others is no error: they may let go of it. */
int kn_plan_check(const kn_plan *p, kn_err *err);
/* The next policy that needs less in the given phase, where rq leaves that open; false: there is none. */
bool kn_policy_reduce(const kn_request *rq, kn_phase phase, kn_policy *p);
/* What a user can change, in order of least loss. */
const char *kn_plan_advice(const kn_plan *p);
/* "12 of 40 blocks stay in memory, pictures are decoded in tiles of 256": into buf, empty if nothing is special. */
const char *kn_plan_describe(const kn_plan *p, char *buf, size_t size);
json_t *kn_plan_to_json(const kn_plan *p);
/* Sets what `plan` (of kn_plan_to_json) says of dtype, resident blocks and tiles, and rq leaves open. KN_EFORMAT; origin names
 * it. */
int kn_plan_pin(const json_t *plan, const char *origin, kn_request *rq, kn_err *err);

/* The computation type a request names, or the device's best when it names none. */
kn_dtype kn_request_dtype(const kn_request *rq, const kn_device *dev);
/* The type of activations that goes with it. */
kn_dtype kn_activation_dtype(kn_dtype dtype);

#endif
