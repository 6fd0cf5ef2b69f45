#include "engine/step_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Two computed steps are needed to know how much one changes, also after another model took over. */
enum { FIRST_STEPS = 3 };

/* The first steps decide what the picture becomes: one in so many is computed in any case. */
enum { FIRST_SHARE = 4 };

/* How far a threshold goes towards what a new plan says. */
static const double follow = 0.5;

double kn_step_cache_speed(const char *text)
{
    return text ? strtod(text, NULL) : 1.0;
}

static int first_steps(int n_steps, int n_wanted)
{
    int n = n_steps / FIRST_SHARE > FIRST_STEPS ? n_steps / FIRST_SHARE : FIRST_STEPS;
    return n < n_wanted ? n : n_wanted - 1;
}

/* Probes begin one step before the first that may be left out, so that its change is known; the last step has none. */
static int probes(int n_steps, int n_wanted)
{
    return n_steps - 1 - (first_steps(n_steps, n_wanted) - 2);
}

int kn_step_cache_wanted(const kn_step_cache_opts *o, int n_steps)
{
    const kn_step_cache_class *cls = kn_step_cache_find(o->name);
    int least = FIRST_STEPS + 1;
    if (!cls->ahead || o->speed <= 1)
        return n_steps;
    int wanted = (int)lround(n_steps / o->speed);
    if (cls->probes)
        wanted = (int)lround(n_steps / o->speed - o->probe_cost * probes(n_steps, wanted));
    wanted = wanted > least ? wanted : least;
    return wanted < n_steps ? wanted : n_steps;
}

int kn_step_cache_probes(const kn_step_cache_opts *o, int n_steps)
{
    int wanted = kn_step_cache_wanted(o, n_steps);
    return wanted < n_steps && kn_step_cache_find(o->name)->probes ? probes(n_steps, wanted) : 0;
}

int kn_step_cache_init(kn_step_cache *c, const kn_step_cache_opts *o, int n_steps, int64_t n, kn_err *err)
{
    *c = (kn_step_cache){.cls = kn_step_cache_find(o->name),
                         .n_steps = n_steps,
                         .n_wanted = kn_step_cache_wanted(o, n_steps),
                         .table = o->table,
                         .n = n,
                         .state = {.last = -1}};
    c->state.n_first = first_steps(n_steps, c->n_wanted);
    if (c->n_wanted == n_steps)
        return 0;
    KN_ASSERT(!c->cls->has_table || c->table);
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
    c->state.rate = c->state.slope = c->state.sum = 0;
    c->state.n_since_reset = 0;
    c->state.n_first = FIRST_STEPS;
    c->state.is_filled = 0;
}

/* Steps that are left, this one included, and computed ones among them. */
static bool must_compute(const kn_step_cache *c)
{
    const kn_step_cache_state *s = &c->state;
    int left = c->n_steps - s->n_done, to_compute = c->n_wanted - s->n_computed;
    return s->n_since_reset < s->n_first || left == 1 || to_compute >= left;
}

static bool must_skip(const kn_step_cache *c)
{
    return c->n_wanted - c->state.n_computed <= 1; /* the last step needs it */
}

/* How many of the steps after the last computed one a threshold would have computed. */
static int count_ahead(const kn_step_cache *c, double threshold)
{
    int n = 0, from = c->state.last;
    double sum = 0;
    for (int k = from + 1; k < c->n_steps; k++) {
        sum += c->cls->ahead(c, from, k);
        if (sum < threshold && k < c->n_steps - 1)
            continue;
        n++;
        from = k;
        sum = 0;
    }
    return n;
}

/* The least threshold that leaves no more than the wanted steps to compute. */
static double find_threshold(const kn_step_cache *c)
{
    int wanted = c->n_wanted - c->state.n_computed;
    double low = 0, high = 1;
    for (int i = 0; i < 64 && count_ahead(c, high) > wanted; i++)
        high *= 2;
    for (int i = 0; i < 64; i++) {
        double middle = (low + high) / 2;
        if (count_ahead(c, middle) > wanted)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* A cache that measures keeps to what a threshold meant before: following each plan would call a stretch of large changes usual, and
 * compute no more of it than elsewhere. */
static void set_threshold(kn_step_cache *c)
{
    kn_step_cache_state *s = &c->state;
    double planned = find_threshold(c);
    bool follows = c->cls->measure && s->threshold > 0 && s->n_since_reset > s->n_first;
    s->threshold = follows ? pow(s->threshold, 1 - follow) * pow(planned, follow) : planned;
}

bool kn_step_cache_wants_probe(const kn_step_cache *c)
{
    const kn_step_cache_state *s = &c->state;
    return c->arrays && c->cls->probes && s->n_since_reset >= s->n_first - 2 && s->n_done < c->n_steps - 1;
}

bool kn_step_cache_skip(kn_step_cache *c, const float *input, double change, float *velocity)
{
    kn_step_cache_state *s = &c->state;
    if (!c->arrays || !s->is_filled || must_compute(c))
        return false;
    s->sum =
        c->cls->measure ? c->cls->measure(c, input, change) : s->sum + c->cls->ahead(c, s->last, s->n_done);
    if (!must_skip(c) && !(s->sum < s->threshold))
        return false;
    memcpy(velocity, c->arrays + c->n, (size_t)c->n * sizeof *velocity);
    s->n_done++;
    s->n_since_reset++;
    return true;
}

bool kn_step_cache_was_held(const kn_step_cache *c)
{
    return c->state.last >= 0 && c->state.n_done - c->state.last > 1;
}

void kn_step_cache_put(kn_step_cache *c, const float *input, double change, const float *velocity)
{
    kn_step_cache_state *s = &c->state;
    if (c->arrays && s->is_filled && c->cls->learn)
        c->cls->learn(c, input, velocity, change);
    s->last = s->n_done++;
    s->n_computed++;
    s->n_since_reset++;
    s->sum = 0;
    if (!c->arrays)
        return;
    memcpy(c->arrays, input, (size_t)c->n * sizeof *input);
    memcpy(c->arrays + c->n, velocity, (size_t)c->n * sizeof *velocity);
    s->is_filled = 1;
    set_threshold(c);
}

const float *kn_step_cache_last_input(const kn_step_cache *c)
{
    return c->arrays && c->state.is_filled ? c->arrays : NULL;
}
