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

static void take(kn_step_cache *c, int i, result *r)
{
    float v[N];
    r->computed[i] = !kn_step_cache_skip(c, r->x, v);
    if (r->computed[i]) {
        velocity_at((double)i / STEPS, r->x, v);
        kn_step_cache_put(c, r->x, v);
        r->n_computed++;
    }
    for (int k = 0; k < N; k++)
        r->x[k] -= v[k] / STEPS;
}

static result solve(double speed)
{
    kn_step_cache c;
    kn_err err = {0};
    result r = {0};
    assert_int_equal(kn_step_cache_init(&c, speed, STEPS, N, &err), 0);
    for (int k = 0; k < N; k++)
        r.x[k] = (float)k / N;
    for (int i = 0; i < STEPS; i++)
        take(&c, i, &r);
    assert_int_equal(c.state.n_computed, r.n_computed);
    kn_step_cache_done(&c);
    return r;
}

static void as_many_as_asked_for(void **state)
{
    (void)state;
    static const double speeds[] = {1, 1.5, 2, 3};
    static const int computed[] = {40, 27, 20, 13};
    for (int i = 0; i < 4; i++) {
        result r = solve(speeds[i]);
        assert_int_equal(r.n_computed, computed[i]);
        assert_int_equal(kn_step_cache_wanted(speeds[i], STEPS), computed[i]);
        assert_true(r.computed[0] && r.computed[1] && r.computed[2] && r.computed[STEPS - 1]);
    }
}

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sqrt(sum);
}

/* Every other step, without looking. */
static result solve_evenly(void)
{
    result r = {0};
    float v[N] = {0};
    for (int k = 0; k < N; k++)
        r.x[k] = (float)k / N;
    for (int i = 0; i < STEPS; i++) {
        if (i % 2 == 0)
            velocity_at((double)i / STEPS, r.x, v);
        for (int k = 0; k < N; k++)
            r.x[k] -= v[k] / STEPS;
    }
    return r;
}

/* Where the velocity turns, more is computed; the end is nearer to that of all steps than without looking. */
static void where_it_matters(void **state)
{
    (void)state;
    result all = solve(1), half = solve(2);
    int middle = 0, calm = 0;
    for (int i = 0; i < 6; i++) {
        middle += half.computed[STEPS / 2 - 3 + i];
        calm += half.computed[STEPS - 8 + i];
    }
    assert_true(middle > calm);
    double off = distance(all.x, half.x), evenly = distance(all.x, solve_evenly().x);
    print_message("off by %.3f, evenly by %.3f\n", off, evenly);
    assert_true(off < 0.5 * evenly);
}

static void off_keeps_nothing(void **state)
{
    (void)state;
    kn_step_cache c;
    float x[N] = {0}, v[N];
    assert_int_equal(kn_step_cache_init(&c, 1, STEPS, N, NULL), 0);
    assert_null(c.arrays);
    for (int i = 0; i < 5; i++) {
        assert_false(kn_step_cache_skip(&c, x, v));
        kn_step_cache_put(&c, x, x);
    }
    kn_step_cache_done(&c);
    assert_int_equal(kn_step_cache_wanted(3, 4), 4); /* too few steps to leave any out */
    assert_int_equal(kn_step_cache_wanted(2, 1), 1);
}

/* After a reset (another expert) the first steps are computed again. */
static void a_reset_begins_anew(void **state)
{
    (void)state;
    kn_step_cache c;
    result r = {0};
    assert_int_equal(kn_step_cache_init(&c, 1.5, STEPS, N, NULL), 0);
    for (int i = 0; i < 20; i++)
        take(&c, i, &r);
    kn_step_cache_reset(&c);
    for (int i = 20; i < STEPS; i++)
        take(&c, i, &r);
    assert_true(r.computed[20] && r.computed[21] && r.computed[22]);
    assert_int_equal(r.n_computed, 27);
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
        cmocka_unit_test(as_many_as_asked_for), cmocka_unit_test(where_it_matters),
        cmocka_unit_test(off_keeps_nothing),    cmocka_unit_test(a_reset_begins_anew),
        cmocka_unit_test(speeds_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
