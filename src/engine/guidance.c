#include "engine/guidance.h"

#include <stdbool.h>
#include <string.h>

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* uncond_scale * uncond + scale * (cond - uncond_scale * uncond) */
static void extrapolate(float *cond, const float *uncond, float uncond_scale, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float u = uncond_scale * uncond[i];
        cond[i] = u + scale * (cond[i] - u);
    }
}

static bool is_zero_step(const kn_guidance_at *at)
{
    int n = (at->n_steps * 4 + 50) / 100;
    return at->step < (n > 1 ? n : 1);
}

static void guide_zero(const kn_guidance_at *at, double scale, float *cond, const float *uncond)
{
    if (is_zero_step(at)) {
        memset(cond, 0, (size_t)at->n * sizeof *cond);
        return;
    }
    double size = dot(uncond, uncond, at->n);
    double fit = size > 0 ? dot(cond, uncond, at->n) / size : 1;
    extrapolate(cond, uncond, (float)fit, (float)scale, at->n);
}

/* The predicted video is latents - sigma * velocity, so that differences of videos are -sigma * those of velocities. */
static void guide_projected(const kn_guidance_at *at, double scale, float *cond, const float *uncond)
{
    double along = 0, size = 0, sigma = at->sigma;
    for (int64_t i = 0; i < at->n; i++) {
        double video = (double)at->latents[i] - sigma * (double)cond[i];
        along += -sigma * ((double)cond[i] - (double)uncond[i]) * video;
        size += video * video;
    }
    double share = size > 0 ? along / size : 0;
    for (int64_t i = 0; i < at->n; i++) {
        double video = (double)at->latents[i] - sigma * (double)cond[i];
        double orthogonal = -sigma * ((double)cond[i] - (double)uncond[i]) - share * video;
        cond[i] = (float)((double)cond[i] - (scale - 1) * orthogonal / sigma);
    }
}

void kn_guide(const char *method, const kn_guidance_at *at, double scale, float *cond, const float *uncond)
{
    if (method && strcmp(method, "cfg-zero") == 0)
        guide_zero(at, scale, cond, uncond);
    else if (method && strcmp(method, "apg") == 0 && at->sigma > 0)
        guide_projected(at, scale, cond, uncond);
    else
        extrapolate(cond, uncond, 1, (float)scale, at->n);
}
