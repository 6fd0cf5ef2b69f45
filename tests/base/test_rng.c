#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"

/* The golden file, opened by hand: this layer lies below the checkpoint reader. */
typedef struct golden {
    char *data;
    json_t *header;
    const char *tensors;
} golden;

static int open_golden(void **state)
{
    golden *g = calloc(1, sizeof *g);
    assert_non_null(g);
    size_t size;
    kn_err err;
    assert_int_equal(
        kn_file_read(KN_FIXTURES "/torch-rng/golden.safetensors", 1 << 20, &g->data, &size, &err), 0);
    uint64_t n;
    memcpy(&n, g->data, sizeof n);
    assert_int_equal(kn_json_parse(g->data + 8, (size_t)n, "golden", &g->header, &err), 0);
    g->tensors = g->data + 8 + n;
    *state = g;
    return 0;
}

static int close_golden(void **state)
{
    golden *g = *state;
    free(g->data);
    json_decref(g->header);
    free(g);
    return 0;
}

static const float *tensor(const golden *g, const char *name, int64_t *n)
{
    json_t *offsets = json_object_get(json_object_get(g->header, name), "data_offsets");
    int64_t begin = json_integer_value(json_array_get(offsets, 0));
    *n = (json_integer_value(json_array_get(offsets, 1)) - begin) / 4;
    return offsets ? (const float *)(const void *)(g->tensors + begin) : NULL;
}

/* Bit for bit, not within a tolerance: the seed is the contract. */
static void assert_bits(const char *name, const float *found, const float *expected, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&found[i], &expected[i], 4))
            fail_msg("%s[%lld] is %a, expected %a", name, (long long)i, (double)found[i],
                     (double)expected[i]);
}

static void test_every_first_draw(void **state)
{
    const golden *g = *state;
    const char *name;
    json_t *value;
    int n_tested = 0;
    json_object_foreach(g->header, name, value)
    {
        unsigned long long seed;
        int64_t n;
        bool uniform = sscanf(name, "rand.seed%llu", &seed) == 1;
        if (!uniform && sscanf(name, "randn.seed%llu", &seed) != 1 &&
            sscanf(name, "latents.seed%llu", &seed) != 1)
            continue;
        const float *expected = tensor(g, name, &n);
        float *found = malloc((size_t)n * sizeof *found);
        assert_non_null(found);
        kn_rng r;
        kn_rng_seed(&r, seed);
        if (uniform)
            kn_rng_uniform(&r, found, n);
        else
            kn_rng_normal(&r, found, n);
        assert_bits(name, found, expected, n);
        free(found);
        n_tested++;
    }
    assert_int_equal(n_tested, 3 * 16); /* 14 sizes, a 5-D draw and a uniform one, for three seeds */
}

/* State and the spare of a pair carry over from draw to draw, across both paths. */
static void test_draws_in_a_row(void **state)
{
    static const uint64_t seeds[] = {0, 42, 1099511627779};
    static const int sizes[] = {16, 5, 40, 3, 3, 64};
    for (size_t s = 0; s < 3; s++) {
        kn_rng r;
        kn_rng_seed(&r, seeds[s]);
        for (int i = 0; i < 6; i++) {
            char name[64];
            float found[64];
            int64_t n;
            snprintf(name, sizeof name, "seq.seed%llu.draw%d.n%d", (unsigned long long)seeds[s], i, sizes[i]);
            const float *expected = tensor(*state, name, &n);
            assert_int_equal(n, sizes[i]);
            kn_rng_normal(&r, found, n);
            assert_bits(name, found, expected, n);
        }
    }
}

static void test_known_words(void **state)
{
    (void)state;
    kn_rng r;
    kn_rng_seed(&r, 5489); /* the authors' reference output for their default seed */
    assert_int_equal(kn_rng_u32(&r), 3499211612u);
    assert_int_equal(kn_rng_u32(&r), 581869302u);
    for (int i = 2; i < 9999; i++)
        kn_rng_u32(&r);
    assert_int_equal(kn_rng_u32(&r), 4123659995u); /* the 10000th, as the C++ standard demands */
}

static void test_word_order_and_seed_bits(void **state)
{
    (void)state;
    kn_rng a, b;
    kn_rng_seed(&a, 7);
    kn_rng_seed(&b, 7 + (1ull << 32));
    uint64_t hi = kn_rng_u32(&a), lo = kn_rng_u32(&a);
    assert_true(kn_rng_u64(&b) == (hi << 32 | lo));
}

static void test_seeding_drops_the_spare(void **state)
{
    (void)state;
    kn_rng r;
    float first, again;
    kn_rng_seed(&r, 3);
    kn_rng_normal(&r, &first, 1);
    kn_rng_seed(&r, 3);
    kn_rng_normal(&r, &again, 1);
    assert_memory_equal(&first, &again, sizeof first);
    kn_rng_normal(&r, NULL, 0);
    assert_true(r.has_spare);
}

static void test_moments(void **state)
{
    (void)state;
    enum { N = 1 << 18 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    kn_rng r;
    kn_rng_seed(&r, 1);
    kn_rng_normal(&r, x, N);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    assert_true(sum / N > -0.01 && sum / N < 0.01);
    assert_true(squares / N > 0.99 && squares / N < 1.01);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_first_draw),
        cmocka_unit_test(test_draws_in_a_row),
        cmocka_unit_test(test_known_words),
        cmocka_unit_test(test_word_order_and_seed_bits),
        cmocka_unit_test(test_seeding_drops_the_spare),
        cmocka_unit_test(test_moments),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
