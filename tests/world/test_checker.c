/* The checker names what was drawn, also when the pictures are as rough as a model's; it does not name what is not
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "world/checker.h"

enum { N_SCENES = 420, CLIP_BYTES = WORLD_FRAMES * WORLD_FRAME_BYTES };

typedef struct counts {
    int n, colour, shape, motion;
} counts;

static void count(counts *c, const world_verdict *v)
{
    for (int i = 0; i < v->n_objects; i++) {
        c->n++;
        c->colour += v->colour[i];
        c->shape += v->shape[i];
        c->motion += v->motion[i];
    }
}

static void at_least(const counts *c, double share)
{
    print_message("%d objects: colour %.4f, shape %.4f, motion %.4f\n", c->n, (double)c->colour / c->n,
                  (double)c->shape / c->n, (double)c->motion / c->n);
    assert_true(c->colour >= share * c->n);
    assert_true(c->shape >= share * c->n);
    assert_true(c->motion >= share * c->n);
}

/* One in three has two objects, half are held out. */
static void random_scene(kn_rng *r, int i, world_scene *ret)
{
    world_scene_random(r, i % 3 == 2 ? 2 : 1, i % 2, ret);
}

typedef struct tools {
    world_checker *checker;
    uint8_t *rgb, *other;
    float *noise;
} tools;

static int make(void **state)
{
    tools *t = calloc(1, sizeof *t);
    if (!t)
        return -1;
    t->checker = world_checker_new();
    t->rgb = malloc(CLIP_BYTES);
    t->other = malloc(CLIP_BYTES);
    t->noise = malloc(CLIP_BYTES * sizeof *t->noise);
    *state = t;
    return t->checker && t->rgb && t->other && t->noise ? 0 : -1;
}

static int unmake(void **state)
{
    tools *t = *state;
    world_checker_free(t->checker);
    free(t->rgb);
    free(t->other);
    free(t->noise);
    free(t);
    return 0;
}

/* ---- roughness ---- */

static int clamp(int x, int max)
{
    return x < 0 ? 0 : x > max ? max : x;
}

static uint8_t blurred(const uint8_t *frame, int x, int y, int k)
{
    int sum = 0;
    for (int i = 0; i < 9; i++)
        sum +=
            frame[(clamp(y + i / 3 - 1, WORLD_SIDE - 1) * WORLD_SIDE + clamp(x + i % 3 - 1, WORLD_SIDE - 1)) *
                      3 +
                  k];
    return (uint8_t)(sum / 9);
}

/* A 3x3 blur, every channel brighter or darker by 8 levels, noise of 6 levels; t->rgb to t->other. */
static void roughen(tools *t, kn_rng *r)
{
    int shift[3];
    for (int k = 0; k < 3; k++)
        shift[k] = kn_rng_u32(r) % 2 ? 8 : -8;
    kn_rng_normal(r, t->noise, CLIP_BYTES);
    for (int i = 0; i < CLIP_BYTES; i++) {
        int f = i / WORLD_FRAME_BYTES, p = i % WORLD_FRAME_BYTES / 3, k = i % 3;
        int v = blurred(t->rgb + f * WORLD_FRAME_BYTES, p % WORLD_SIDE, p / WORLD_SIDE, k) + shift[k];
        t->other[i] = (uint8_t)clamp((int)((float)v + 6 * t->noise[i] + 0.5f), 255);
    }
}

/* Moves a whole frame by at most a pixel each way. */
static void wobble(const uint8_t *from, uint8_t *to, int dx, int dy)
{
    for (int y = 0; y < WORLD_SIDE; y++)
        for (int x = 0; x < WORLD_SIDE; x++)
            memcpy(to + (y * WORLD_SIDE + x) * 3,
                   from + (clamp(y + dy, WORLD_SIDE - 1) * WORLD_SIDE + clamp(x + dx, WORLD_SIDE - 1)) * 3,
                   3);
}

/* ---- what is there ---- */

/* Scene i of the generator into t->rgb. */
static void draw(tools *t, kn_rng *r, int i, world_scene *ret)
{
    random_scene(r, i, ret);
    world_draw_clip(ret, t->rgb);
}

/* Looks at a clip of the scene and counts what is right. */
static void look(tools *t, const uint8_t *clip, const world_scene *s, counts *c, world_sight *ret)
{
    world_verdict v;
    world_check(t->checker, clip, s->n_objects, ret);
    world_judge(s, ret, &v);
    count(c, &v);
}

static void test_drawn_clips(void **state)
{
    tools *t = *state;
    counts right = {0}, shuffled = {0};
    world_scene before[3];
    kn_rng r;
    kn_rng_seed(&r, 11);
    for (int i = 0; i < N_SCENES; i++) {
        world_scene s;
        world_sight sight;
        world_verdict v;
        draw(t, &r, i, &s);
        look(t, t->rgb, &s, &right, &sight);
        if (i >= 3) { /* another scene with as many objects */
            world_judge(&before[i % 3], &sight, &v);
            count(&shuffled, &v);
        }
        before[i % 3] = s;
    }
    at_least(&right, 0.99);
    print_message("against another sentence: colour %.3f, shape %.3f, motion %.3f\n",
                  (double)shuffled.colour / shuffled.n, (double)shuffled.shape / shuffled.n,
                  (double)shuffled.motion / shuffled.n);
    assert_true(shuffled.colour < 0.35 * shuffled.n);
    assert_true(shuffled.shape < 0.35 * shuffled.n);
    assert_true(shuffled.motion < 0.35 * shuffled.n);
}

static void test_rough_clips(void **state)
{
    tools *t = *state;
    counts right = {0};
    kn_rng r, noise;
    kn_rng_seed(&r, 11);
    kn_rng_seed(&noise, 12);
    for (int i = 0; i < N_SCENES; i++) {
        world_scene s;
        world_sight sight;
        draw(t, &r, i, &s);
        roughen(t, &noise);
        look(t, t->other, &s, &right, &sight);
    }
    at_least(&right, 0.95);
}

/* A frame in which nothing is to be seen, and every frame off by up to a pixel. */
static void test_wobble_and_a_missing_frame(void **state)
{
    enum { N = 100, MISSING = 8 };
    tools *t = *state;
    counts right = {0};
    kn_rng r;
    kn_rng_seed(&r, 13);
    for (int i = 0; i < N; i++) {
        world_scene s;
        world_sight sight;
        draw(t, &r, i, &s);
        for (int f = 0; f < WORLD_FRAMES; f++)
            wobble(t->rgb + f * WORLD_FRAME_BYTES, t->other + f * WORLD_FRAME_BYTES,
                   (int)(kn_rng_u32(&r) % 3) - 1, (int)(kn_rng_u32(&r) % 3) - 1);
        memset(t->other + MISSING * WORLD_FRAME_BYTES, 90, WORLD_FRAME_BYTES);
        look(t, t->other, &s, &right, &sight);
    }
    at_least(&right, 0.95);
}

/* ---- what is not there ---- */

static world_object still(world_shape shape, world_colour colour, float x)
{
    return (world_object){
        .shape = shape, .colour = colour, .motion = WORLD_STILL, .radius = 14, .x = x, .y = 48};
}

static world_scene scene_of(int n, world_object a, world_object b)
{
    return (world_scene){
        .n_objects = n, .objects = {a, b}, .tones = {{66, 74, 88}, {66, 74, 88}}, .cell = 16, .horizon = 60};
}

static void assert_nothing(const world_seen *s)
{
    assert_int_equal(s->colour, WORLD_NONE);
    assert_int_equal(s->shape, WORLD_NONE);
    assert_int_equal(s->motion, WORLD_NONE);
}

static void test_empty_and_noise(void **state)
{
    tools *t = *state;
    world_sight s;
    kn_rng r;
    memset(t->rgb, 90, CLIP_BYTES);
    world_check(t->checker, t->rgb, 1, &s);
    assert_int_equal(s.n_objects, 0);
    assert_nothing(&s.objects[0]);
    kn_rng_seed(&r, 14);
    for (int i = 0; i < CLIP_BYTES; i++)
        t->rgb[i] = (uint8_t)kn_rng_u32(&r);
    world_check(t->checker, t->rgb, 2, &s);
    assert_int_equal(s.objects[0].shape, WORLD_NONE);
    assert_int_equal(s.objects[1].shape, WORLD_NONE);
}

static void test_missing_and_additional_objects(void **state)
{
    tools *t = *state;
    world_scene s = scene_of(2, still(WORLD_STAR, WORLD_RED, 24), still(WORLD_RING, WORLD_BLUE, 70));
    world_sight sight;
    world_verdict v;
    world_draw_clip(&s, t->rgb);
    world_check(t->checker, t->rgb, 2, &sight);
    world_judge(&s, &sight, &v);
    assert_true(v.all);
    world_check(t->checker, t->rgb, 1, &sight); /* one too many */
    assert_int_equal(sight.n_objects, 2);
    assert_nothing(&sight.objects[0]);
    s.n_objects = 1;
    world_draw_clip(&s, t->rgb);
    world_check(t->checker, t->rgb, 2, &sight); /* one too few */
    assert_int_equal(sight.n_objects, 1);
    assert_int_equal(sight.objects[0].shape, WORLD_STAR);
    assert_nothing(&sight.objects[1]);
    s.n_objects = 2;
    world_judge(&s, &sight, &v);
    assert_true(v.shape[0]);
    assert_false(v.shape[1]);
    assert_false(v.all);
}

/* A model puts objects closer than any scene does. */
static void test_objects_that_touch(void **state)
{
    tools *t = *state;
    world_scene s = scene_of(2, still(WORLD_SQUARE, WORLD_BLUE, 36), still(WORLD_SQUARE, WORLD_GREEN, 60));
    world_sight sight;
    world_verdict v;
    kn_rng r;
    kn_rng_seed(&r, 15);
    world_draw_clip(&s, t->rgb);
    roughen(t, &r);
    world_check(t->checker, t->other, 2, &sight);
    world_judge(&s, &sight, &v);
    assert_int_equal(sight.n_objects, 2);
    assert_true(v.all);
}

/* The second half of the clip is of another scene. */
static void check_spliced(tools *t, world_object first, world_object second, world_sight *ret)
{
    world_scene a = scene_of(1, first, first), b = scene_of(1, second, second);
    int half = WORLD_FRAMES / 2 * WORLD_FRAME_BYTES;
    world_draw_clip(&a, t->rgb);
    world_draw_clip(&b, t->other);
    memcpy(t->rgb + half, t->other + half, (size_t)(CLIP_BYTES - half));
    world_check(t->checker, t->rgb, 1, ret);
}

static void test_what_changes_is_nothing(void **state)
{
    tools *t = *state;
    world_sight s;
    check_spliced(t, still(WORLD_STAR, WORLD_RED, 48), still(WORLD_CROSS, WORLD_RED, 48), &s);
    assert_int_equal(s.objects[0].colour, WORLD_RED);
    assert_int_equal(s.objects[0].shape, WORLD_NONE);
    check_spliced(t, still(WORLD_STAR, WORLD_RED, 48), still(WORLD_STAR, WORLD_GREEN, 48), &s);
    assert_int_equal(s.objects[0].colour, WORLD_NONE);
    check_spliced(t, still(WORLD_STAR, WORLD_RED, 30), still(WORLD_STAR, WORLD_RED, 70), &s); /* it jumps */
    assert_int_equal(s.objects[0].shape, WORLD_STAR);
    assert_int_equal(s.objects[0].motion, WORLD_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_clips),
        cmocka_unit_test(test_rough_clips),
        cmocka_unit_test(test_wobble_and_a_missing_frame),
        cmocka_unit_test(test_empty_and_noise),
        cmocka_unit_test(test_missing_and_additional_objects),
        cmocka_unit_test(test_objects_that_touch),
        cmocka_unit_test(test_what_changes_is_nothing),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
