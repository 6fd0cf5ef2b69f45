/* Flow-match Euler (diffusers' FlowMatchEulerDiscreteScheduler). */
#include "engine/scheduler.h"

static double shifted(double sigma, double shift)
{
    return shift * sigma / (1 + (shift - 1) * sigma);
}

/* The reference shifts twice: sigma_max and sigma_min of its constructor are already shifted, and what is laid
 * linearly between them is shifted again. */
static void schedule(const kn_scheduler_config *f, int n, double *sigmas, double *timesteps)
{
    double t = f->n_train_timesteps;
    float max = (float)shifted(1.0, f->flow_shift), min = (float)shifted((float)(1.0 / t), f->flow_shift);
    for (int i = 0; i < n; i++) {
        double step = n > 1 ? ((double)min * t - (double)max * t) / (n - 1) : 0;
        double timestep = (double)max * t + step * i;
        sigmas[i] = (float)shifted(timestep / t, f->flow_shift);
        timesteps[i] = (float)(sigmas[i] * t);
    }
    sigmas[n] = 0;
}

static void step(kn_scheduler *s, int i, float *sample, const float *v)
{
    float dt = (float)s->sigmas[i + 1] - (float)s->sigmas[i];
    for (int64_t j = 0; j < s->n; j++)
        sample[j] += dt * v[j];
}

const kn_scheduler_class kn_scheduler_euler = {
    .name = "euler",
    .diffusers = "FlowMatchEulerDiscreteScheduler",
    .schedule = schedule,
    .step = step,
};
