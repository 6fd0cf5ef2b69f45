/* Sentences: many, complete, and short enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "world/world.h"

enum { N_CAPTIONS = 8000 };

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void make_captions(uint64_t seed, char (*ret)[WORLD_CAPTION_MAX])
{
    kn_rng r;
    kn_rng_seed(&r, seed);
    for (int i = 0; i < N_CAPTIONS; i++) {
        world_scene s;
        world_scene_random(&r, i % 10 < 3 ? 2 : 1, false, &s);
        world_caption(&r, &s, ret[i]);
    }
}

static void test_many_different(void **state)
{
    (void)state;
    char(*captions)[WORLD_CAPTION_MAX] = calloc(N_CAPTIONS, sizeof *captions);
    int n = 1;
    assert_non_null(captions);
    make_captions(31, captions);
    qsort(captions, N_CAPTIONS, sizeof *captions, compare);
    for (int i = 1; i < N_CAPTIONS; i++)
        n += strcmp(captions[i - 1], captions[i]) != 0;
    print_message("%d captions of %d are different\n", n, N_CAPTIONS);
    assert_true(n >= 5000);
    free(captions);
}

/* The same scene can be told in several ways, of which each names the colour. */
static void test_names_the_colour(void **state)
{
    (void)state;
    static const char *const also[WORLD_COLOURS] = {[WORLD_CYAN] = "turquoise", [WORLD_PURPLE] = "violet"};
    kn_rng r;
    kn_rng_seed(&r, 32);
    for (int i = 0; i < N_CAPTIONS; i++) {
        world_scene s;
        char caption[WORLD_CAPTION_MAX];
        world_scene_random(&r, 1 + i % 2, false, &s);
        world_caption(&r, &s, caption);
        assert_true(strlen(caption) < WORLD_CAPTION_MAX - 1); /* nothing was cut off */
        caption[0] |= 0x20;                                   /* "Red ball rolls" */
        for (int k = 0; k < s.n_objects; k++) {
            int c = (int)s.objects[k].colour;
            if (!strstr(caption, world_colour_name(c)) && !(also[c] && strstr(caption, also[c])))
                fail_msg("no %s in: %s", world_colour_name(c), caption);
        }
    }
}

static void test_same_seed_same_sentence(void **state)
{
    (void)state;
    char(*a)[WORLD_CAPTION_MAX] = calloc(N_CAPTIONS, sizeof *a),
    (*b)[WORLD_CAPTION_MAX] = calloc(N_CAPTIONS, sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    make_captions(33, a);
    make_captions(33, b);
    for (int i = 0; i < N_CAPTIONS; i++)
        assert_string_equal(a[i], b[i]);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_different),
        cmocka_unit_test(test_names_the_colour),
        cmocka_unit_test(test_same_seed_same_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
