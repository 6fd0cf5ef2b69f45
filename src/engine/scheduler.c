#include "engine/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static const kn_scheduler_class *const classes[] = {&kn_scheduler_unipc, &kn_scheduler_euler, NULL};

void kn_scheduler_config_default(kn_scheduler_config *ret)
{
    *ret = (kn_scheduler_config){.name = "unipc",
                                 .flow_shift = 3.0,
                                 .n_train_timesteps = 1000,
                                 .solver_order = 2,
                                 .lower_order_final = true,
                                 .final_sigma = KN_FINAL_ZERO};
}

static void read_unipc(kn_json_reader *r, kn_scheduler_config *f)
{
    f->flow_shift = kn_json_real(r, "flow_shift", 1.0, 0.001, 1000);
    f->solver_order = (int)kn_json_int(r, "solver_order", 2, 1, 3);
    const char *type = kn_json_str(r, "solver_type", "bh2"),
               *final = kn_json_str(r, "final_sigmas_type", "zero");
    const char *prediction = kn_json_str(r, "prediction_type", "epsilon");
    f->lower_order_final = kn_json_bool(r, "lower_order_final", true);
    f->bh1 = strcmp(type, "bh1") == 0;
    f->final_sigma = strcmp(final, "sigma_min") == 0 ? KN_FINAL_SIGMA_MIN : KN_FINAL_ZERO;
    int64_t disabled[64];
    int n = kn_json_ints(r, "disable_corrector", disabled, 64, 0, 63);
    for (int i = 0; i < n; i++)
        f->no_corrector_mask |= 1ull << disabled[i];
    bool flow = kn_json_bool(r, "use_flow_sigmas", false) && strcmp(prediction, "flow_prediction") == 0;
    if (!r->err.code && !flow)
        kn_fail(&r->err, KN_EUNSUPPORTED,
                "%s: UniPC with prediction_type %s; only flow_prediction with use_flow_sigmas is supported",
                r->origin, prediction);
    if (!r->err.code && !f->bh1 && strcmp(type, "bh2") != 0)
        kn_fail(&r->err, KN_EUNSUPPORTED, "%s: solver_type %s, expected bh1 or bh2", r->origin, type);
}

int kn_scheduler_config_read(const json_t *obj, const char *origin, kn_scheduler_config *ret, kn_err *err)
{
    kn_scheduler_config f;
    kn_scheduler_config_default(&f);
    kn_json_reader r;
    kn_json_reader_init(&r, obj, origin);
    const char *cls = kn_json_str(&r, "_class_name", "");
    f.n_train_timesteps = (int)kn_json_int(&r, "num_train_timesteps", 1000, 1, 100000);
    static const char *const unsupported[] = {"use_karras_sigmas",   "use_exponential_sigmas",
                                              "use_beta_sigmas",     "use_dynamic_shifting",
                                              "stochastic_sampling", NULL};
    for (int i = 0; unsupported[i]; i++)
        if (kn_json_bool(&r, unsupported[i], false) && !r.err.code)
            kn_fail(&r.err, KN_EUNSUPPORTED, "%s: %s is not supported", origin, unsupported[i]);
    const kn_scheduler_class *found = NULL;
    for (int i = 0; classes[i]; i++)
        if (strcmp(classes[i]->diffusers, cls) == 0)
            found = classes[i];
    if (!r.err.code && !found)
        kn_fail(&r.err, KN_EUNSUPPORTED, "%s: scheduler class \"%.64s\" is not supported; supported: %s, %s",
                origin, cls, kn_scheduler_unipc.diffusers, kn_scheduler_euler.diffusers);
    if (!r.err.code && found == &kn_scheduler_unipc)
        read_unipc(&r, &f);
    if (!r.err.code && found == &kn_scheduler_euler)
        f.flow_shift = kn_json_real(&r, "shift", 1.0, 0.001, 1000);
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    f.name = found->name;
    *ret = f;
    return 0;
}

int kn_scheduler_new(const kn_scheduler_config *config, int n_steps, int64_t n, kn_scheduler **ret,
                     kn_err *err)
{
    const kn_scheduler_class *cls = NULL;
    for (int i = 0; classes[i]; i++)
        if (strcmp(classes[i]->name, config->name) == 0)
            cls = classes[i];
    if (!cls)
        return kn_fail(err, KN_EINVAL, "unknown scheduler \"%.64s\"; known: unipc, euler", config->name);
    if (n_steps < 1 || n_steps > KN_LIMIT_STEPS)
        return kn_fail(err, KN_EINVAL, "%d steps are outside 1..%d", n_steps, KN_LIMIT_STEPS);
    kn_scheduler *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory for a scheduler");
    *s = (kn_scheduler){.cls = cls, .config = *config, .n_steps = n_steps, .n = n};
    s->sigmas = kn_calloc((size_t)n_steps + 1, sizeof *s->sigmas);
    s->timesteps = kn_calloc((size_t)n_steps, sizeof *s->timesteps);
    s->state = kn_calloc((size_t)cls->n_state * (size_t)n, sizeof *s->state);
    if (!s->sigmas || !s->timesteps || !s->state) {
        kn_scheduler_free(s);
        return kn_fail(err, KN_ENOMEM, "no memory for a scheduler's history of %lld values", (long long)n);
    }
    cls->schedule(config, n_steps, s->sigmas, s->timesteps);
    *ret = s;
    return 0;
}

void kn_scheduler_free(kn_scheduler *s)
{
    if (!s)
        return;
    free(s->sigmas);
    free(s->timesteps);
    free(s->state);
    free(s);
}

void kn_scheduler_step(kn_scheduler *s, int i, float *sample, const float *velocity)
{
    KN_ASSERT(i >= 0 && i < s->n_steps);
    s->cls->step(s, i, sample, velocity);
}

void kn_scheduler_rejoin(kn_scheduler *s, int i, const float *sample, const float *velocity)
{
    KN_ASSERT(i >= 0 && i < s->n_steps);
    if (s->cls->rejoin)
        s->cls->rejoin(s, i, sample, velocity);
}
