/* Scenes: what is held out, and where objects go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "world/world.h"

enum { N_SCENES = 2000 };

static bool is_held_out(const world_object *o)
{
    return world_is_held_out(o->shape, o->colour, o->motion);
}

static void test_an_eighth_is_held_out(void **state)
{
    (void)state;
    int n = 0, n_held_out = 0;
    for (int s = 0; s < WORLD_SHAPES; s++)
        for (int c = 0; c < WORLD_COLOURS; c++)
            for (int m = 0; m < WORLD_MOTIONS; m++) {
                n++;
                n_held_out += world_is_held_out(s, c, m);
            }
    print_message("%d of %d combinations are held out\n", n_held_out, n);
    assert_true(n_held_out >= 0.10 * n);
    assert_true(n_held_out <= 0.15 * n);
}

static void test_held_out_stays_out(void **state)
{
    (void)state;
    kn_rng r;
    kn_rng_seed(&r, 21);
    for (int i = 0; i < N_SCENES; i++) {
        bool wanted = i % 2;
        world_scene s;
        int n = 0;
        world_scene_random(&r, 1 + i / 2 % 2, wanted, &s);
        for (int k = 0; k < s.n_objects; k++)
            n += is_held_out(&s.objects[k]);
        assert_int_equal(n > 0, wanted);
    }
}

static void test_same_seed_same_scene(void **state)
{
    (void)state;
    kn_rng a, b;
    kn_rng_seed(&a, 22);
    kn_rng_seed(&b, 22);
    for (int i = 0; i < N_SCENES; i++) {
        world_scene s = {0}, t = {0};
        world_scene_random(&a, 1 + i % 2, false, &s);
        world_scene_random(&b, 1 + i % 2, false, &t);
        assert_int_equal(s.background, t.background);
        for (int k = 0; k < s.n_objects; k++) {
            assert_int_equal(s.objects[k].shape, t.objects[k].shape);
            assert_true(s.objects[k].x == t.objects[k].x && s.objects[k].dy == t.objects[k].dy);
        }
    }
}

/* The farthest point of any shape from its centre, in radii: a triangle's tip.  Half a pixel of a tip is nothing. */
static const float farthest = 1.25f, nothing = 0.5f;

static void test_objects_stay_inside_and_apart(void **state)
{
    (void)state;
    kn_rng r;
    kn_rng_seed(&r, 23);
    for (int i = 0; i < N_SCENES; i++) {
        world_scene s;
        world_scene_random(&r, 1 + i % 2, i / 2 % 2, &s);
        for (int f = 0; f < WORLD_FRAMES; f++) {
            world_pose p[WORLD_MAX_OBJECTS];
            for (int k = 0; k < s.n_objects; k++) {
                p[k] = world_object_pose(&s.objects[k], f);
                float far = farthest * p[k].radius - nothing;
                assert_true(p[k].x >= far && p[k].x <= WORLD_SIDE - far);
                assert_true(p[k].y >= far && p[k].y <= WORLD_SIDE - far);
            }
            if (s.n_objects == 2)
                assert_true(hypotf(p[0].x - p[1].x, p[0].y - p[1].y) > p[0].radius + p[1].radius + 4);
        }
    }
}

static void test_two_objects_differ_in_colour(void **state)
{
    (void)state;
    kn_rng r;
    kn_rng_seed(&r, 24);
    for (int i = 0; i < N_SCENES; i++) {
        world_scene s;
        world_scene_random(&r, 2, i % 2, &s);
        assert_int_not_equal(s.objects[0].colour, s.objects[1].colour);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_eighth_is_held_out),
        cmocka_unit_test(test_held_out_stays_out),
        cmocka_unit_test(test_same_seed_same_scene),
        cmocka_unit_test(test_objects_stay_inside_and_apart),
        cmocka_unit_test(test_two_objects_differ_in_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
