/* Each way of guiding against what its paper says it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "engine/guidance.h"

enum { N = 5 };

static const float cond0[N] = {1, -2, 0.5f, 3, 0}, uncond0[N] = {0.5f, -1, 1, 2, 0.25f},
                   latents[N] = {2, 1, -1, 0.5f, 3};
static const kn_guidance_at middle = {.step = 10, .n_steps = 50, .sigma = 0.7, .latents = latents, .n = N};

static void guide(const char *method, const kn_guidance_at *at, double scale, const float *uncond,
                  float out[N])
{
    memcpy(out, cond0, sizeof cond0);
    kn_guide(method, at, scale, out, uncond);
}

static void near(const float *a, const float *b)
{
    for (int i = 0; i < N; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f)
            fail_msg("value %d is %g, expected %g", i, (double)a[i], (double)b[i]);
}

static void plain(void **state)
{
    (void)state;
    float got[N], want[N];
    for (int i = 0; i < N; i++)
        want[i] = uncond0[i] + 4 * (cond0[i] - uncond0[i]);
    guide(NULL, &middle, 4, uncond0, got);
    assert_memory_equal(got, want, sizeof got); /* to the bit: it is what all fixtures were made with */
    guide("cfg", &middle, 4, uncond0, got);
    assert_memory_equal(got, want, sizeof got);
}

static void zero(void **state)
{
    (void)state;
    float got[N], multiple[N], nothing[N] = {0};
    /* an uncond that is cond but for its size says nothing: any scale gives cond */
    for (int i = 0; i < N; i++)
        multiple[i] = -3 * cond0[i];
    guide("cfg-zero", &middle, 7, multiple, got);
    near(got, cond0);
    /* the fit: (cond - fit * uncond) is orthogonal to uncond, so guiding moves along that only */
    guide("cfg-zero", &middle, 2, uncond0, got);
    double along = 0;
    for (int i = 0; i < N; i++)
        along += (double)(got[i] - cond0[i]) * (double)uncond0[i];
    assert_true(fabs(along) < 1e-5);
    /* the first steps of 50 do nothing: 4 % are two */
    for (int step = 0; step < 3; step++) {
        kn_guidance_at at = middle;
        at.step = step;
        guide("cfg-zero", &at, 4, uncond0, got);
        assert_int_equal(memcmp(got, nothing, sizeof got) == 0, step < 2);
    }
    kn_guidance_at few = middle;
    few.n_steps = 4;
    few.step = 0;
    guide("cfg-zero", &few, 4, uncond0, got);
    near(got, nothing);
    guide("cfg-zero", &middle, 4, nothing, got); /* no uncond to fit */
    for (int i = 0; i < N; i++)
        assert_true(isfinite(got[i]));
}

static void projected(void **state)
{
    (void)state;
    float got[N];
    guide("apg", &middle, 1, uncond0, got);
    near(got, cond0);
    /* what is added to the predicted video is orthogonal to it */
    guide("apg", &middle, 5, uncond0, got);
    double along = 0, moved = 0;
    for (int i = 0; i < N; i++) {
        double video = (double)latents[i] - 0.7 * (double)cond0[i],
               added = -0.7 * (double)(got[i] - cond0[i]);
        along += video * added;
        moved += added * added;
    }
    assert_true(moved > 0.1);
    assert_true(fabs(along) < 1e-5);
    kn_guidance_at clean = middle;
    clean.sigma = 0;
    guide("apg", &clean, 5, uncond0, got);
    for (int i = 0; i < N; i++)
        assert_true(isfinite(got[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(zero),
        cmocka_unit_test(projected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
