/* What a computation type costs in quality: every matrix product of a model's denoiser on the activations it really has,
 * against the same product in float32. */
#ifndef KN_ENGINE_QUALITY_H
#define KN_ENGINE_QUALITY_H

#include "engine/model.h"

/* One weight, over all steps: relative L2 errors, |y - exact| / |exact|, without what activations lost before it. */
typedef struct kn_layer_quality {
    char *name; /* of its first tensor */
    int64_t n_in, n_out, n_calls;
    kn_dtype dtype; /* what it is kept in */
    double error;
    double int8_error; /* what int8 would cost where it is kept in floats; < 0: not asked */
} kn_layer_quality;

typedef struct kn_quality {
    kn_layer_quality *layers; /* worst first */
    int n;
    double step_error;    /* of the first step's prediction, whose input is the same in both */
    double latents_error; /* of the final latents */
    kn_dtype dtype;
} kn_quality;

/* Two runs, without cache: in float32, and in rq's type.  rq must be prepared. */
int kn_quality_measure(const kn_model_desc *desc, void *model, const kn_request *rq, kn_device *dev,
                       kn_quality *ret, kn_err *err);
void kn_quality_done(kn_quality *q);
json_t *kn_quality_to_json(const kn_quality *q);

#endif
