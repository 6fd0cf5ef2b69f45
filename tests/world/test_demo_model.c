/* The model that ships follows simple sentences and begins with the picture it is given.  `make bench-demo` measures it on
 * hundreds; this is the least that must not break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "world/checker.h"
#include "world/commands.h"
#include "world/tally.h"

enum { N_SENTENCES = 8, N_PICTURES = 3 };
/* One less than measured, since processors differ. */
enum { LEAST_COLOURS = 6, LEAST_SHAPES = 6, LEAST_MOTIONS = 6 };

static const world_program program = {.path = KN_PROGRAM, .model = "demo", .n_jobs = 2};

typedef struct seen {
    world_checker *checker;
    const world_scene *scenes;
    world_tally tally;
    double psnr[N_SENTENCES];
} seen;

static int look(void *ud, int i, const uint8_t *rgb, kn_err *err)
{
    seen *s = ud;
    uint8_t first[WORLD_FRAME_BYTES];
    world_sight sight;
    world_verdict verdict;
    (void)err;
    world_check(s->checker, rgb, s->scenes[i].n_objects, &sight);
    world_judge(&s->scenes[i], &sight, &verdict);
    world_tally_add(&s->tally, &s->scenes[i], &verdict);
    world_draw(&s->scenes[i], 0, first);
    s->psnr[i] = world_psnr(first, rgb, WORLD_FRAME_BYTES);
    return 0;
}

static void generate(const world_order *orders, int n, seen *s)
{
    kn_err err = {0};
    char *work = world_work_folder(NULL, &err);
    assert_non_null(work);
    s->checker = world_checker_new();
    assert_non_null(s->checker);
    if (world_generate(&program, work, false, orders, n, look, s, &err))
        fail_msg("%s", err.msg);
    world_checker_free(s->checker);
    rmdir(work);
    free(work);
}

/* Nothing here is held out, and nothing is small. */
static void test_follows_a_sentence(void **state)
{
    static const struct {
        const char *prompt;
        world_object is;
    } asked[N_SENTENCES] = {
        {"a large red circle moves to the right",
         {.shape = WORLD_CIRCLE, .colour = WORLD_RED, .motion = WORLD_RIGHT}},
        {"a large green square moves up", {.shape = WORLD_SQUARE, .colour = WORLD_GREEN, .motion = WORLD_UP}},
        {"a large yellow star stays still",
         {.shape = WORLD_STAR, .colour = WORLD_YELLOW, .motion = WORLD_STILL}},
        {"a large blue triangle falls",
         {.shape = WORLD_TRIANGLE, .colour = WORLD_BLUE, .motion = WORLD_DOWN}},
        {"a pink heart grows", {.shape = WORLD_HEART, .colour = WORLD_PINK, .motion = WORLD_GROW}},
        {"a white ring shrinks", {.shape = WORLD_RING, .colour = WORLD_WHITE, .motion = WORLD_SHRINK}},
        {"a large orange cross moves to the left",
         {.shape = WORLD_CROSS, .colour = WORLD_ORANGE, .motion = WORLD_LEFT}},
        {"a large purple ball bounces",
         {.shape = WORLD_CIRCLE, .colour = WORLD_PURPLE, .motion = WORLD_BOUNCE}},
    };
    world_scene scenes[N_SENTENCES] = {0};
    world_order orders[N_SENTENCES];
    (void)state;
    for (int i = 0; i < N_SENTENCES; i++) {
        scenes[i] = (world_scene){.n_objects = 1, .objects = {asked[i].is}};
        orders[i] = (world_order){.prompt = asked[i].prompt, .seed = (uint64_t)i};
    }
    seen s = {.scenes = scenes};
    generate(orders, N_SENTENCES, &s);
    print_message("of %d: colour %d, shape %d, motion %d, all %d\n", N_SENTENCES, s.tally.right[0],
                  s.tally.right[1], s.tally.right[2], s.tally.all);
    assert_in_range(s.tally.right[0], LEAST_COLOURS, N_SENTENCES);
    assert_in_range(s.tally.right[1], LEAST_SHAPES, N_SENTENCES);
    assert_in_range(s.tally.right[2], LEAST_MOTIONS, N_SENTENCES);
}

static void test_begins_with_the_picture(void **state)
{
    world_scene scenes[N_PICTURES];
    world_order orders[N_PICTURES];
    char captions[N_PICTURES][WORLD_CAPTION_MAX], *paths[N_PICTURES];
    uint8_t rgb[WORLD_FRAME_BYTES];
    kn_err err = {0};
    char *work = world_work_folder(NULL, &err);
    kn_rng r;
    (void)state;
    assert_non_null(work);
    kn_rng_seed(&r, 5);
    for (int i = 0; i < N_PICTURES; i++) {
        world_scene_random(&r, 1, false, &scenes[i]);
        world_caption(&r, &scenes[i], captions[i]);
        world_draw(&scenes[i], 0, rgb);
        paths[i] = kn_asprintf("%s/%d.png", work, i);
        assert_int_equal(world_frame_save(rgb, paths[i], &err), 0);
        orders[i] = (world_order){.prompt = captions[i], .image = paths[i], .seed = (uint64_t)i};
    }
    seen s = {.scenes = scenes};
    generate(orders, N_PICTURES, &s);
    for (int i = 0; i < N_PICTURES; i++) {
        print_message("first frame: %.1f dB\n", s.psnr[i]);
        assert_true(s.psnr[i] >= 28);
        free(paths[i]);
    }
    world_folder_remove(work);
    free(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_a_sentence),
        cmocka_unit_test(test_begins_with_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
