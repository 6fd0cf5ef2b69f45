/* Steps that are left out: as many as were asked for, where least is lost, never the first ones and the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/step_cache.h"

enum { N = 16, STEPS = 40 };

/* A velocity that turns quickly in the middle of the way and hardly anywhere else. */
static void velocity_at(double t, const float *x, float *v)
{
    double turn = 4 / (1 + exp(-60 * (t - 0.5)));
    for (int i = 0; i < N; i++)
        v[i] = 0.1f * x[i] + (float)(cos(turn + i) * 3 + 1);
}

typedef struct result {
    bool computed[STEPS];
    int n_computed;
    float x[N];
} result;

static void take(kn_step_cache *c, int i, double change, result *r)
{
    float v[N];
    r->computed[i] = !kn_step_cache_skip(c, r->x, change, v);
    if (r->computed[i]) {
        velocity_at((double)i / STEPS, r->x, v);
        kn_step_cache_put(c, r->x, change, v);
        r->n_computed++;
    }
    for (int k = 0; k < N; k++)
        r->x[k] -= v[k] / STEPS;
}

/* What a model that is probed would say: how far the velocity has turned since the last computed step. */
static double probe(const kn_step_cache *c, int i)
{
    double turn = 4 / (1 + exp(-60 * ((double)i / STEPS - 0.5)));
    double then = 4 / (1 + exp(-60 * ((double)c->state.last / STEPS - 0.5)));
    return c->state.last < 0 ? INFINITY : fabs(turn - then) + 0.01 * (i - c->state.last);
}

static result solve(const kn_step_cache_opts *o)
{
    kn_step_cache c;
    kn_err err = {0};
    result r = {0};
    assert_int_equal(kn_step_cache_init(&c, o, STEPS, N, &err), 0);
    for (int k = 0; k < N; k++)
        r.x[k] = (float)k / N;
    for (int i = 0; i < STEPS; i++)
        take(&c, i, kn_step_cache_wants_probe(&c) ? probe(&c, i) : NAN, &r);
    assert_int_equal(c.state.n_computed, r.n_computed);
    kn_step_cache_done(&c);
    return r;
}

static const double speeds[] = {1, 1.5, 2, 3};
enum { SPEEDS = sizeof speeds / sizeof *speeds };

/* Tables of a model: nothing changes but in the middle. */
static void make_tables(double *tea, double *mag)
{
    for (int i = 0; i < STEPS; i++) {
        bool middle = abs(i - STEPS / 2) <= 3;
        tea[i] = middle ? 0.5 : 0.01;
        mag[i] = middle ? 0.7 : 0.999;
    }
}

/* Whatever the cache: the wanted number exactly, never without the first steps and the last. */
static void as_many_as_asked_for(void **state)
{
    (void)state;
    static const int computed[] = {40, 27, 20, 13};
    double tea[STEPS], mag[STEPS];
    make_tables(tea, mag);
    const kn_step_cache_opts caches[] = {
        {.name = NULL},
        {.name = "auto"},
        {.name = "easy"},
        {.name = "first-block"},
        {.name = "tea", .table = tea},
        {.name = "mag", .table = mag},
    };
    for (size_t k = 0; k < sizeof caches / sizeof *caches; k++)
        for (int i = 0; i < SPEEDS; i++) {
            kn_step_cache_opts o = caches[k];
            o.speed = speeds[i];
            result r = solve(&o);
            assert_int_equal(r.n_computed, computed[i]);
            assert_int_equal(kn_step_cache_wanted(&o, STEPS), computed[i]);
            for (int j = 0; j < 10; j++)
                assert_true(r.computed[j]);
            assert_true(r.computed[STEPS - 1]);
        }
    result off = solve(&(kn_step_cache_opts){.name = "off", .speed = 3});
    assert_int_equal(off.n_computed, STEPS);
}

/* Gaps of auto grow towards the end, and none is much longer than another. */
static void auto_spreads(void **state)
{
    (void)state;
    result r = solve(&(kn_step_cache_opts){.speed = 3});
    int gaps[STEPS] = {0}, n = 0, gap = 0;
    for (int i = 0; i < STEPS; i++) {
        gap = r.computed[i] ? 0 : gap + 1;
        if (gap > 0)
            gaps[n] = gap;
        else if (i > 0 && !r.computed[i - 1])
            n++;
    }
    assert_int_equal(n, 3);
    assert_true(gaps[0] < gaps[1] && gaps[1] < gaps[2] && gaps[2] < 2 * gaps[0]);
}

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sqrt(sum);
}

/* Where the velocity turns more is computed by those that look; by those that see it coming or that see the velocity itself, so that the
 * end is nearer to that of all steps. */
static void where_it_matters(void **state)
{
    (void)state;
    double tea[STEPS], mag[STEPS];
    make_tables(tea, mag);
    const kn_step_cache_opts caches[] = {
        {.name = "easy", .speed = 2},
        {.name = "first-block", .speed = 2},
        {.name = "tea", .speed = 2, .table = tea},
        {.name = "mag", .speed = 2, .table = mag},
    };
    result all = solve(&(kn_step_cache_opts){.speed = 1}), even = solve(&(kn_step_cache_opts){.speed = 2});
    for (size_t k = 0; k < sizeof caches / sizeof *caches; k++) {
        result half = solve(&caches[k]);
        int middle = 0, calm = 0;
        for (int i = 0; i < 7; i++) {
            middle += half.computed[STEPS / 2 - 3 + i];
            calm += half.computed[STEPS - 8 + i];
        }
        print_message("%s: %d of 7 in the middle, %d later; off by %.3f, auto by %.3f\n", caches[k].name,
                      middle, calm, distance(all.x, half.x), distance(all.x, even.x));
        assert_true(middle > calm);
        assert_true(caches[k].name[0] == 'f' || distance(all.x, half.x) < distance(all.x, even.x));
    }
}

static void off_keeps_nothing(void **state)
{
    (void)state;
    kn_step_cache c;
    float x[N] = {0}, v[N];
    assert_int_equal(kn_step_cache_init(&c, &(kn_step_cache_opts){.speed = 1}, STEPS, N, NULL), 0);
    assert_null(c.arrays);
    for (int i = 0; i < 5; i++) {
        assert_false(kn_step_cache_wants_probe(&c));
        assert_false(kn_step_cache_skip(&c, x, NAN, v));
        kn_step_cache_put(&c, x, NAN, x);
    }
    assert_null(kn_step_cache_last_input(&c));
    kn_step_cache_done(&c);
    /* too few steps to leave any out */
    assert_int_equal(kn_step_cache_wanted(&(kn_step_cache_opts){.speed = 3}, 4), 4);
    assert_int_equal(kn_step_cache_wanted(&(kn_step_cache_opts){.speed = 2}, 1), 1);
}

/* After a reset (another expert) the first steps are computed again. */
static void a_reset_begins_anew(void **state)
{
    (void)state;
    kn_step_cache c;
    result r = {0};
    assert_int_equal(kn_step_cache_init(&c, &(kn_step_cache_opts){.speed = 1.5}, STEPS, N, NULL), 0);
    for (int i = 0; i < 20; i++)
        take(&c, i, NAN, &r);
    kn_step_cache_reset(&c);
    assert_null(kn_step_cache_last_input(&c));
    for (int i = 20; i < STEPS; i++)
        take(&c, i, NAN, &r);
    assert_true(r.computed[20] && r.computed[21] && r.computed[22]);
    assert_int_equal(r.n_computed, 27);
    kn_step_cache_done(&c);
}

/* What probes cost is made up for by computing less, so that the speed is met. */
static void probes_are_paid_for(void **state)
{
    (void)state;
    kn_step_cache c;
    result r = {0};
    const kn_step_cache_opts o = {.name = "first-block", .speed = 2, .probe_cost = 0.1};
    int probed = 0;
    assert_int_equal(kn_step_cache_init(&c, &o, STEPS, N, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        bool wanted = kn_step_cache_wants_probe(&c);
        probed += wanted;
        take(&c, i, wanted ? probe(&c, i) : NAN, &r);
    }
    assert_int_equal(probed, kn_step_cache_probes(&o, STEPS));
    assert_true(fabs(r.n_computed + 0.1 * probed - STEPS / 2.0) <= 0.5);
    assert_int_equal(kn_step_cache_probes(&(kn_step_cache_opts){.speed = 2, .probe_cost = 0.1}, STEPS), 0);
    kn_step_cache_done(&c);
}

/* The solver is told where velocities before a computed step were kept. */
static void what_was_held_is_known(void **state)
{
    (void)state;
    kn_step_cache c;
    float x[N] = {0}, v[N] = {1};
    bool skipped = false;
    int held = 0;
    assert_int_equal(kn_step_cache_init(&c, &(kn_step_cache_opts){.speed = 3}, STEPS, N, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        if (kn_step_cache_skip(&c, x, NAN, v)) {
            skipped = true;
            continue;
        }
        assert_int_equal(kn_step_cache_was_held(&c), skipped);
        held += skipped;
        skipped = false;
        kn_step_cache_put(&c, x, NAN, v);
        assert_false(kn_step_cache_was_held(&c));
    }
    assert_true(held > 0);
    kn_step_cache_done(&c);
}

static void speeds_are_read(void **state)
{
    (void)state;
    assert_true(kn_step_cache_speed(NULL) == 1);
    assert_true(kn_step_cache_speed("1.5x") == 1.5);
    assert_true(kn_step_cache_speed("2x") == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_asked_for),   cmocka_unit_test(auto_spreads),
        cmocka_unit_test(where_it_matters),       cmocka_unit_test(off_keeps_nothing),
        cmocka_unit_test(a_reset_begins_anew),    cmocka_unit_test(probes_are_paid_for),
        cmocka_unit_test(what_was_held_is_known), cmocka_unit_test(speeds_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
