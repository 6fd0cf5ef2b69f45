/* What is kept between runs: found by its key, idle in the device's books, and gone where a plan needs its room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/warm.h"

static int n_freed;

static void count_freed(void *what)
{
    (void)what;
    n_freed++;
}

static kn_device *device_of(kn_warm *w)
{
    kn_device *dev = NULL;
    assert_int_equal(kn_warm_device(w, "cpu", &(kn_cpu_options){.n_threads = 1}, &dev, NULL), 0);
    return dev;
}

/* As if it had been loaded. */
static void put(kn_warm *w, uint64_t key, size_t bytes, bool is_mapped)
{
    static char things[64];
    kn_warm_part p = {.key = key,
                      .name = "transformer",
                      .model = "m",
                      .bytes = bytes,
                      .is_mapped = is_mapped,
                      .what = &things[key],
                      .free = count_freed};
    kn_device_account(device_of(w), (int64_t)bytes, 0);
    kn_warm_put(w, &p);
}

/* Gives the accounted bytes back, as freeing it would. */
static void forget(kn_device *dev, size_t bytes)
{
    kn_device_account(dev, -(int64_t)bytes, 0);
}

static void test_taken(void **state)
{
    (void)state;
    kn_warm *w = kn_warm_new();
    kn_device *dev = device_of(w);
    assert_null(kn_warm_take(w, 7));
    put(w, 7, 1000, false);
    put(w, 8, 500, false);
    assert_int_equal(dev->mem_weights_bytes, 0); /* no run's */
    assert_int_equal(dev->mem_idle_bytes, 1500);
    assert_int_equal(kn_warm_bytes(w), 1500);
    assert_null(kn_warm_take(w, 9));
    assert_non_null(kn_warm_take(w, 7));
    assert_int_equal(dev->mem_weights_bytes, 1000);
    assert_int_equal(kn_warm_bytes(w), 500);
    assert_null(kn_warm_take(w, 7)); /* it is the caller's */
    forget(dev, 1000);
    json_t *o = kn_warm_to_json(w);
    assert_int_equal(json_array_size(o), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(o, 0), "bytes")), 500);
    json_decref(o);
    n_freed = 0;
    kn_warm_free(w);
    assert_int_equal(n_freed, 1);
}

/* Another device's weights are of no use. */
static void test_other_threads(void **state)
{
    kn_device *dev = NULL;
    (void)state;
    kn_warm *w = kn_warm_new();
    put(w, 7, 1000, false);
    n_freed = 0;
    assert_int_equal(kn_warm_device(w, "cpu", &(kn_cpu_options){.n_threads = 2}, &dev, NULL), 0);
    assert_int_equal(n_freed, 1);
    assert_null(kn_warm_take(w, 7));
    kn_warm_free(w);
}

static void test_same_key(void **state)
{
    (void)state;
    kn_warm *w = kn_warm_new();
    put(w, 7, 1000, false);
    n_freed = 0;
    put(w, 7, 1000, false);
    assert_int_equal(n_freed, 1);
    assert_int_equal(kn_warm_bytes(w), 1000);
    kn_warm_free(w);
}

static void test_room(void **state)
{
    (void)state;
    kn_plan p = {.need_bytes = 5100, .peak_bytes = 5000, .budget_bytes = 8000, .n_spans = 2};
    p.spans[0] = (kn_span){.phase = KN_PHASE_ENCODE, .peak_bytes = 2000};
    p.spans[1] = (kn_span){.phase = KN_PHASE_SAMPLE, .peak_bytes = 5000};
    kn_warm *w = kn_warm_new();
    put(w, 1, 2000, false);
    put(w, 2, 2000, false);
    put(w, 3, 900, false);
    n_freed = 0;
    kn_warm_make_room(w, &p, KN_PHASE_ENCODE); /* 8000 - 2100 */
    assert_int_equal(n_freed, 0);
    kn_warm_make_room(w, &p, KN_PHASE_SAMPLE); /* 8000 - 5100: the oldest goes */
    assert_int_equal(n_freed, 1);
    assert_int_equal(kn_warm_bytes(w), 2900);
    assert_null(kn_warm_take(w, 1));
    kn_warm_make_room(w, &p, KN_PHASE_DECODE); /* not in the plan: its peak */
    assert_int_equal(n_freed, 1);
    p.budget_bytes = 100;
    kn_warm_make_room(w, &p, KN_PHASE_ENCODE);
    assert_int_equal(kn_warm_bytes(w), 0);
    kn_warm_free(w);
}

/* Idle memory is free to a plan, mapped files are not counted twice, and a budget of the process leaves it out. */
static void test_available(void **state)
{
    enum { GIGA = 1 << 30 };
    (void)state;
    kn_warm *w = kn_warm_new();
    int64_t before = (int64_t)device_of(w)->mem_available_bytes;
    put(w, 1, GIGA, true);
    int64_t mapped = (int64_t)device_of(w)->mem_available_bytes;
    put(w, 2, (size_t)4 * GIGA, false);
    int64_t heap = (int64_t)device_of(w)->mem_available_bytes;
    assert_true(mapped < before + GIGA / 2); /* the machine's other users change it meanwhile */
    assert_true(heap > before + (int64_t)3 * GIGA);
    kn_warm_free(w);
}

/* More than the table holds: the oldest goes. */
static void test_many(void **state)
{
    (void)state;
    kn_warm *w = kn_warm_new();
    n_freed = 0;
    for (uint64_t key = 1; key <= 40; key++)
        put(w, key, 10, false);
    assert_int_equal(n_freed, 8);
    assert_null(kn_warm_take(w, 8));
    assert_non_null(kn_warm_take(w, 9));
    forget(device_of(w), 10);
    kn_warm_free(w);
    assert_int_equal(n_freed, 39);
}

/* A run without a place to keep things frees them; what has no key is never kept. */
static void test_run(void **state)
{
    (void)state;
    kn_run r = {0};
    kn_warm_part p = {.key = 5, .name = "x", .what = &r, .free = count_freed};
    n_freed = 0;
    assert_null(kn_run_recall(&r, 5, KN_PHASE_SAMPLE));
    kn_run_keep(&r, &p);
    assert_int_equal(n_freed, 1);
    kn_plan plan = {.budget_bytes = 1 << 20};
    r.warm = kn_warm_new();
    r.plan = &plan;
    device_of(r.warm);
    p.key = 0;
    kn_run_keep(&r, &p);
    assert_int_equal(n_freed, 2);
    p.key = 5;
    kn_run_keep(&r, &p);
    assert_int_equal(n_freed, 2);
    assert_ptr_equal(kn_run_recall(&r, 5, KN_PHASE_SAMPLE), &r);
    assert_null(kn_run_recall(&r, 0, KN_PHASE_SAMPLE));
    kn_warm_free(r.warm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken), cmocka_unit_test(test_other_threads), cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_room),  cmocka_unit_test(test_available),     cmocka_unit_test(test_many),
        cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
