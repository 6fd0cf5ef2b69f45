/* What is done at a pace costs a hundredth of the time, whatever it costs once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pace.h"

/* Asks every step_s for an hour, and does it when it may; the clock is the test's own. */
static double share_of(double step_s, double cost_s, double max_pause_s, int *ret_n)
{
    const double hour_s = 3600;
    kn_pace p = {.max_pause_s = max_pause_s};
    double spent_s = 0;
    *ret_n = 0;
    for (double now_s = 0; now_s < hour_s; now_s += step_s) {
        if (!kn_pace_is_due(&p, now_s))
            continue;
        now_s += cost_s;
        spent_s += cost_s;
        kn_pace_did(&p, cost_s, now_s);
        ++*ret_n;
    }
    return spent_s / hour_s;
}

static void test_share(void **state)
{
    (void)state;
    static const double steps_s[] = {0.001, 0.01, 0.3, 20}, costs_s[] = {0.0001, 0.002, 0.05, 1};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++) {
            int n;
            double share = share_of(steps_s[i], costs_s[k], 0, &n);
            if (share > 0.0101)
                fail_msg("%.4f of the time, steps of %g s, %g s each", share, steps_s[i], costs_s[k]);
            /* as often as that allows, or as there are steps */
            double possible = steps_s[i] + costs_s[k] > 101 * costs_s[k] ? steps_s[i] + costs_s[k]
                                                                         : 101 * costs_s[k] + steps_s[i];
            assert_true(n >= (int)(3600 / possible));
        }
}

static void test_first_and_longest(void **state)
{
    (void)state;
    kn_pace p = {0};
    assert_true(kn_pace_is_due(&p, 0));
    kn_pace_did(&p, 2, 10);
    assert_false(kn_pace_is_due(&p, 209));
    assert_true(kn_pace_is_due(&p, 210));
    p.max_pause_s = 1;
    kn_pace_did(&p, 2, 300);
    assert_false(kn_pace_is_due(&p, 300.9));
    assert_true(kn_pace_is_due(&p, 301));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_first_and_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
