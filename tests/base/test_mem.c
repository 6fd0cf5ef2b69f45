#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void test_sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(kn_calloc(SIZE_MAX / 2, 3));
    void *p = kn_calloc(0, 8);
    assert_non_null(p);
    assert_null(kn_realloc_array(p, SIZE_MAX / 4, 5));
    p = kn_realloc_array(p, 0, 8);
    assert_non_null(p);
    free(p);
}

static void test_strings(void **state)
{
    (void)state;
    assert_null(kn_strdup(NULL));
    char *a = kn_strndup("abcdef", 3), *b = kn_asprintf("%s-%05d", a, 42);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "abc-00042");
    free(a);
    free(b);
}

static void test_arena(void **state)
{
    (void)state;
    kn_arena a;
    kn_arena_init(&a, 1 << 20);
    unsigned char *p[64];
    for (size_t i = 0; i < 64; i++) {
        p[i] = kn_arena_alloc(&a, 1 + i * 100);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t k = 0; k < 1 + i * 100; k++)
            assert_int_equal(p[i][k], 0);
        memset(p[i], (int)i, 1 + i * 100);
    }
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < 1 + i * 100; k++)
            assert_int_equal(p[i][k], i);
    assert_non_null(kn_arena_alloc(&a, 500000)); /* larger than a chunk */
    assert_string_equal(kn_arena_strdup(&a, "x"), "x");
    assert_string_equal(kn_arena_printf(&a, "%d/%d", 1, 2), "1/2");
    assert_null(kn_arena_alloc(&a, 1 << 20));
    assert_null(kn_arena_alloc(&a, SIZE_MAX));
    assert_non_null(kn_arena_alloc(&a, 16));
    kn_arena_done(&a);
    assert_int_equal(a.used_bytes, 0);
    kn_arena_done(&a);
}

static void test_buffer_stops_at_its_maximum(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 10);
    kn_buf_puts(&b, "hello");
    kn_buf_printf(&b, " %d", 123);
    assert_false(b.failed);
    assert_string_equal(b.data, "hello 123");
    kn_buf_puts(&b, "45");
    assert_true(b.failed);
    assert_string_equal(b.data, "hello 123");
    kn_buf_puts(&b, "");
    assert_true(b.failed); /* a lost piece is not forgotten */
    assert_null(kn_buf_take(&b));
    assert_null(b.data);
    kn_buf_done(&b);
}

static void test_buffer_is_taken_whole(void **state)
{
    (void)state;
    kn_buf b;
    kn_buf_init(&b, 1 << 20);
    char *s = kn_buf_take(&b);
    assert_string_equal(s, "");
    free(s);
    for (int i = 0; i < 10000; i++)
        kn_buf_append(&b, "ab", 2);
    assert_int_equal(b.size, 20000);
    s = kn_buf_take(&b);
    assert_int_equal(strlen(s), 20000);
    assert_int_equal(b.size, 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_that_overflow_are_refused),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_buffer_stops_at_its_maximum),
        cmocka_unit_test(test_buffer_is_taken_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
