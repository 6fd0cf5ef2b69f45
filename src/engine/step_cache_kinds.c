/* The caches: by what each tells how much a step would change. */
#include <math.h>
#include <string.h>

#include "engine/step_cache.h"

static double mean_abs(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs((double)a[i] - (b ? (double)b[i] : 0));
    return sum / (double)n;
}

/* a / b, where a change from nothing is larger than any. */
static double ratio(double a, double b)
{
    return b > 0 ? a / b : a > 0 ? INFINITY : 0;
}

/* ---- how changes go on ---- */

/* From the step that is known on, whatever is computed between. */
static double falling(const kn_step_cache *c, int from, int k)
{
    (void)from;
    return sqrt((double)(c->state.last > 0 ? c->state.last : 1) / k);
}

static double falling_from_rate(const kn_step_cache *c, int from, int k)
{
    return c->state.rate * falling(c, from, k);
}

/* Steps that lie between: changes are relative to the last computed one. */
static void set_rate(kn_step_cache *c, double change)
{
    int steps = c->state.n_done - c->state.last;
    c->state.rate = isfinite(change) && steps > 0 ? change / steps : 0;
}

/* ---- EasyCache ---- */

static double easy_measure(const kn_step_cache *c, const float *input, double change)
{
    const float *last_input = c->arrays, *last_velocity = c->arrays + c->n;
    (void)change;
    return ratio(c->state.slope * mean_abs(input, last_input, c->n), mean_abs(last_velocity, NULL, c->n));
}

static void easy_learn(kn_step_cache *c, const float *input, const float *velocity, double change)
{
    const float *last_input = c->arrays, *last_velocity = c->arrays + c->n;
    double moved = mean_abs(input, last_input, c->n), turned = mean_abs(velocity, last_velocity, c->n);
    (void)change;
    c->state.slope = moved > 0 ? turned / moved : 0;
    set_rate(c, ratio(turned, mean_abs(velocity, NULL, c->n)));
}

/* ---- first-block cache ---- */

static double block_measure(const kn_step_cache *c, const float *input, double change)
{
    (void)c;
    (void)input;
    return change;
}

static void block_learn(kn_step_cache *c, const float *input, const float *velocity, double change)
{
    (void)input;
    (void)velocity;
    set_rate(c, change);
}

/* ---- TeaCache: the table is the polynomial's value at each step; MagCache: it is the ratio to the step before ---- */

static double tea_ahead(const kn_step_cache *c, int from, int k)
{
    (void)from;
    return c->table[k] > 0 ? c->table[k] : 0;
}

static double mag_ahead(const kn_step_cache *c, int from, int k)
{
    double product = 1;
    for (int i = from + 1; i <= k; i++)
        product *= c->table[i];
    return fabs(1 - product);
}

static const kn_step_cache_class classes[] = {
    {.name = "auto", .ahead = falling},
    {.name = "easy", .ahead = falling_from_rate, .measure = easy_measure, .learn = easy_learn},
    {.name = "first-block",
     .probes = true,
     .ahead = falling_from_rate,
     .measure = block_measure,
     .learn = block_learn},
    {.name = "tea", .has_table = true, .ahead = tea_ahead},
    {.name = "mag", .has_table = true, .ahead = mag_ahead},
    {.name = "off"},
};

const kn_step_cache_class *kn_step_cache_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].name, name) == 0)
            return &classes[i];
    return &classes[0];
}
