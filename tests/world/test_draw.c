/* Pictures: the same every time, and objects that can be seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "world/world.h"

enum { N_SCENES = 40, CLIP_BYTES = WORLD_FRAMES * WORLD_FRAME_BYTES };

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    uint8_t *clips[2];
    kn_rng r[2];
    for (int k = 0; k < 2; k++) {
        clips[k] = malloc(CLIP_BYTES);
        assert_non_null(clips[k]);
        kn_rng_seed(&r[k], 41);
    }
    for (int i = 0; i < N_SCENES; i++) {
        for (int k = 0; k < 2; k++) {
            world_scene s;
            world_scene_random(&r[k], 1 + i % 2, false, &s);
            world_draw_clip(&s, clips[k]);
        }
        assert_memory_equal(clips[0], clips[1], CLIP_BYTES);
    }
    free(clips[0]);
    free(clips[1]);
}

/* An object's middle has its colour while it is there, and the background's when it has faded. */
static void test_objects_are_where_they_should_be(void **state)
{
    (void)state;
    uint8_t rgb[WORLD_FRAME_BYTES];
    kn_rng r;
    kn_rng_seed(&r, 42);
    for (int i = 0; i < 10 * N_SCENES; i++) {
        world_scene s;
        world_scene_random(&r, 1, false, &s);
        const world_object *o = &s.objects[0];
        int f = i % WORLD_FRAMES;
        world_pose p = world_object_pose(o, f);
        const uint8_t *at = rgb + ((int)p.y * WORLD_SIDE + (int)p.x) * 3,
                      *colour = world_colour_rgb[o->colour];
        if (o->shape == WORLD_RING)
            continue;
        world_draw(&s, f, rgb);
        float off = 0;
        for (int k = 0; k < 3; k++)
            off = fmaxf(off, fabsf((float)at[k] - (float)colour[k]));
        if (p.alpha >= 1)
            assert_true(off <= 20); /* shading */
        else if (p.alpha <= 0)
            assert_true(off >= 40);
    }
}

/* What does not move leaves every frame the same. */
static void test_still_is_still(void **state)
{
    (void)state;
    uint8_t *clip = malloc(CLIP_BYTES);
    assert_non_null(clip);
    world_scene s = {
        .n_objects = 1,
        .objects = {{.shape = WORLD_HEART, .motion = WORLD_STILL, .radius = 15, .x = 48, .y = 48}},
        .cell = 16};
    world_draw_clip(&s, clip);
    for (int f = 1; f < WORLD_FRAMES; f++)
        assert_memory_equal(clip, clip + f * WORLD_FRAME_BYTES, WORLD_FRAME_BYTES);
    free(clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_objects_are_where_they_should_be),
        cmocka_unit_test(test_still_is_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
