/* A ticker calls at once and again, and is stopped without waiting for its period. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ticker.h"

static void count(void *ud)
{
    atomic_fetch_add((atomic_int *)ud, 1);
}

static void wait_for(atomic_int *n, int wanted)
{
    for (double since = kn_clock_s(); atomic_load(n) < wanted; usleep(1000))
        if (kn_clock_s() - since > 30)
            fail_msg("%d calls, expected %d", atomic_load(n), wanted);
}

static void test_again(void **state)
{
    atomic_int n = 0;
    kn_ticker *t = NULL;
    (void)state;
    assert_int_equal(kn_ticker_start(0.001, count, &n, "the test", &t, NULL), 0);
    wait_for(&n, 3);
    kn_ticker_stop(t);
    int after = atomic_load(&n);
    usleep(20000);
    assert_int_equal(atomic_load(&n), after);
    kn_ticker_stop(NULL);
}

static void test_stopped_early(void **state)
{
    atomic_int n = 0;
    kn_ticker *t = NULL;
    (void)state;
    assert_int_equal(kn_ticker_start(3600, count, &n, "the test", &t, NULL), 0);
    wait_for(&n, 1);
    kn_ticker_stop(t); /* or the test never ends */
    assert_int_equal(atomic_load(&n), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_again), cmocka_unit_test(test_stopped_early)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
