/* Schedulers: the noise schedule and the solver that walks it.  They work on host float32 latents, which are small. */
#ifndef KN_ENGINE_SCHEDULER_H
#define KN_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

typedef enum kn_final_sigma { KN_FINAL_ZERO, KN_FINAL_SIGMA_MIN } kn_final_sigma;

/* Keys of diffusers' scheduler_config.json. */
typedef struct kn_scheduler_config {
    const char *name; /* "unipc", "euler" */
    double flow_shift;
    int n_train_timesteps;
    int solver_order; /* UniPC: 1..3 */
    bool bh1;         /* UniPC: solver_type "bh1" instead of "bh2" */
    bool lower_order_final;
    kn_final_sigma final_sigma;
    uint64_t no_corrector_mask; /* bit i: the corrector after step i is off (disable_corrector) */
} kn_scheduler_config;

/* What scheduler_config.json says; KN_EUNSUPPORTED for a class or option that is not built in, naming it. */
int kn_scheduler_config_read(const json_t *obj, const char *origin, kn_scheduler_config *ret, kn_err *err);
void kn_scheduler_config_default(kn_scheduler_config *ret); /* Wan's: UniPC, order 2, flow shift 3 */

typedef struct kn_scheduler kn_scheduler;

typedef struct kn_scheduler_class {
    const char *name;      /* "unipc" */
    const char *diffusers; /* "UniPCMultistepScheduler" */
    /* Fills sigmas [n + 1] and timesteps [n]. */
    void (*schedule)(const kn_scheduler_config *config, int n_steps, double *sigmas, double *timesteps);
    int n_state; /* arrays of the latents' size that the solver keeps between steps */
    void (*step)(kn_scheduler *s, int i, float *sample, const float *velocity);
    /* NULL: it keeps nothing of earlier steps */
    void (*rejoin)(kn_scheduler *s, int i, const float *sample, const float *velocity);
} kn_scheduler_class;

struct kn_scheduler {
    const kn_scheduler_class *cls;
    kn_scheduler_config config;
    int n_steps;
    double *sigmas, *timesteps;
    int64_t n; /* latent values */
    /* What a checkpoint must save: */
    float *state;   /* [n_state, n] */
    int last_order; /* UniPC: order of the last predictor step */
};

extern const kn_scheduler_class kn_scheduler_unipc, kn_scheduler_euler;

/* n: number of latent values. KN_EINVAL for an unknown name. */
int kn_scheduler_new(const kn_scheduler_config *config, int n_steps, int64_t n, kn_scheduler **ret,
                     kn_err *err);
void kn_scheduler_free(kn_scheduler *s);
/* One step, in place on sample [n]. Steps are taken in order, i = 0 .. n_steps - 1. */
void kn_scheduler_step(kn_scheduler *s, int i, float *sample, const float *velocity);
/* Before step i: the velocities of the steps before it were not computed, this one is. A solver that goes by differences would take
 * what has changed over several steps for the change of one: the prediction of the step before becomes this one's. */
void kn_scheduler_rejoin(kn_scheduler *s, int i, const float *sample, const float *velocity);

#endif
