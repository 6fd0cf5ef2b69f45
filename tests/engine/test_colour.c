/* Pictures that show the same in other colours get the colours of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "engine/colour.h"

enum { N = 256 };

static void make(float rgb[3 * N], const float gain[3], const float offset[3])
{
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 3; k++)
            rgb[i * 3 + k] = (0.3f + 0.4f * (float)((i * (k + 3)) % N) / N) * gain[k] + offset[k];
}

static kn_colour_map map_between(const float *from, const float *to, int n)
{
    kn_colours a = {0}, b = {0};
    kn_colours_add(&a, from, n);
    kn_colours_add(&b, to, n);
    return kn_colour_map_make(&a, &b);
}

static void shifted_colours_come_back(void **state)
{
    (void)state;
    float to[3 * N], from[3 * N], out[3 * N];
    make(to, (const float[]){1, 1, 1}, (const float[]){0, 0, 0});
    make(from, (const float[]){0.9f, 1.1f, 1}, (const float[]){0.05f, -0.04f, 0.02f});
    kn_colour_map m = map_between(from, to, N);
    kn_colour_map_apply(&m, from, N, out);
    for (int i = 0; i < 3 * N; i++)
        assert_true(fabsf(out[i] - to[i]) < 1e-5f);
}

static void equal_colours_stay(void **state)
{
    (void)state;
    float to[3 * N];
    make(to, (const float[]){1, 1, 1}, (const float[]){0, 0, 0});
    kn_colour_map m = map_between(to, to, N);
    for (int k = 0; k < 3; k++) {
        assert_true(m.gain[k] == 1);
        assert_true(m.offset[k] == 0);
    }
}

/* A flat channel moves and is not stretched; other pictures are not forced. */
static void no_more_than_drift(void **state)
{
    (void)state;
    float flat[3 * N], to[3 * N], wild[3 * N];
    make(to, (const float[]){1, 1, 1}, (const float[]){0, 0, 0});
    make(flat, (const float[]){0, 0, 0}, (const float[]){0.5f, 0.5f, 0.5f});
    make(wild, (const float[]){0.1f, 0.1f, 2}, (const float[]){0, 0, 0});
    kn_colour_map m = map_between(flat, to, N);
    assert_true(m.gain[0] == 1);
    m = map_between(wild, to, N);
    assert_true(m.gain[0] == 1.25f);
    assert_true(m.gain[2] == 0.8f);
}

static void results_stay_within_0_and_1(void **state)
{
    (void)state;
    const float in[3] = {0, 0.5f, 1};
    float out[3];
    kn_colour_map m = {.gain = {1, 1, 1}, .offset = {-0.2f, 0, 0.2f}};
    kn_colour_map_apply(&m, in, 1, out);
    assert_true(out[0] == 0 && out[1] == 0.5f && out[2] == 1);
    m = kn_colour_map_make(&(kn_colours){0}, &(kn_colours){0});
    assert_true(m.gain[0] == 1 && m.offset[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifted_colours_come_back),
        cmocka_unit_test(equal_colours_stay),
        cmocka_unit_test(no_more_than_drift),
        cmocka_unit_test(results_stay_within_0_and_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
