#include "engine/step_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The first steps decide what the picture becomes, and two computed ones are needed to know the rate. */
enum { FIRST_STEPS = 3 };

/* Where the search begins: the paper's choice for Wan 2.1. */
static const double first_threshold = 0.05;
/* By how much a threshold moves when computed steps are ahead of, or behind, their share. */
static const double adjustment = 1.3;

double kn_step_cache_speed(const char *text)
{
    return text ? strtod(text, NULL) : 1.0;
}

int kn_step_cache_wanted(double speed, int n_steps)
{
    int wanted = (int)lround(n_steps / speed), least = FIRST_STEPS + 1;
    wanted = wanted > least ? wanted : least;
    return wanted < n_steps ? wanted : n_steps;
}

int kn_step_cache_init(kn_step_cache *c, double speed, int n_steps, int64_t n, kn_err *err)
{
    *c = (kn_step_cache){.n_steps = n_steps,
                         .n_wanted = kn_step_cache_wanted(speed, n_steps),
                         .n = n,
                         .state = {.threshold = first_threshold}};
    if (c->n_wanted == n_steps)
        return 0;
    c->arrays = kn_calloc((size_t)n, KN_STEP_CACHE_ARRAYS * sizeof *c->arrays);
    return c->arrays ? 0 : kn_fail(err, KN_ENOMEM, "no memory to keep %lld latent values", (long long)n);
}

void kn_step_cache_done(kn_step_cache *c)
{
    free(c->arrays);
    c->arrays = NULL;
}

void kn_step_cache_reset(kn_step_cache *c)
{
    c->state.rate = c->state.sum = 0;
    c->state.n_since_reset = 0;
    c->state.is_filled = 0;
}

static double mean_abs(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs((double)a[i] - (b ? (double)b[i] : 0));
    return sum / (double)n;
}

/* Steps and computed steps that are left, this one included. */
static bool must_compute(const kn_step_cache *c)
{
    const kn_step_cache_state *s = &c->state;
    int left = c->n_steps - s->n_done, to_compute = c->n_wanted - s->n_computed;
    return s->n_since_reset < FIRST_STEPS || left == 1 || to_compute >= left || s->rate == 0;
}

static bool must_skip(const kn_step_cache *c)
{
    return c->n_wanted - c->state.n_computed <= 1; /* the last step needs it */
}

/* Towards the wanted share of computed steps among those that are not fixed. */
static void adjust(kn_step_cache *c)
{
    kn_step_cache_state *s = &c->state;
    double share = (double)(c->n_wanted - FIRST_STEPS) / (c->n_steps - FIRST_STEPS);
    double due = FIRST_STEPS + share * (s->n_done - FIRST_STEPS);
    s->threshold *= s->n_computed > due ? adjustment : 1 / adjustment;
}

bool kn_step_cache_skip(kn_step_cache *c, const float *input, float *velocity)
{
    kn_step_cache_state *s = &c->state;
    if (!c->arrays || !s->is_filled || must_compute(c))
        return false;
    float *last_input = c->arrays, *last_velocity = c->arrays + c->n;
    double size = mean_abs(last_velocity, NULL, c->n);
    s->sum += size > 0 ? s->rate * mean_abs(input, last_input, c->n) / size : INFINITY;
    bool skip = must_skip(c) || s->sum < s->threshold;
    adjust(c);
    if (!skip)
        return false;
    memcpy(velocity, last_velocity, (size_t)c->n * sizeof *velocity);
    memcpy(last_input, input, (size_t)c->n * sizeof *input);
    s->n_done++;
    s->n_since_reset++;
    return true;
}

void kn_step_cache_put(kn_step_cache *c, const float *input, const float *velocity)
{
    kn_step_cache_state *s = &c->state;
    s->n_done++;
    s->n_computed++;
    s->n_since_reset++;
    s->sum = 0;
    if (!c->arrays)
        return;
    float *last_input = c->arrays, *last_velocity = c->arrays + c->n;
    if (s->is_filled) {
        double moved = mean_abs(input, last_input, c->n);
        s->rate = moved > 0 ? mean_abs(velocity, last_velocity, c->n) / moved : 0;
    }
    memcpy(last_input, input, (size_t)c->n * sizeof *input);
    memcpy(last_velocity, velocity, (size_t)c->n * sizeof *velocity);
    s->is_filled = 1;
}
