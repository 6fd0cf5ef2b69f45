/* Where velocities were kept instead of computed, the solver goes on from what is computed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/scheduler.h"

enum { N = 4, STEPS = 8, REJOINED = 4 };

/* Steps up to and with REJOINED; the velocity before it is `held`. ret: the sample after it. */
static void walk(const char *name, float held, bool rejoin, float ret[N])
{
    kn_scheduler_config f;
    kn_scheduler *s = NULL;
    float v[N];
    kn_scheduler_config_default(&f);
    f.name = name;
    f.no_corrector_mask = 1u << (REJOINED - 2); /* so that only the prediction remembers the held velocity */
    assert_int_equal(kn_scheduler_new(&f, STEPS, N, &s, NULL), 0);
    for (int i = 0; i <= REJOINED; i++) {
        for (int k = 0; k < N; k++) {
            ret[k] = (float)(k + 1) / (float)(i + 1);
            v[k] = i == REJOINED - 1 ? held : 0.5f + 0.1f * (float)(i * k);
        }
        if (rejoin && i == REJOINED)
            kn_scheduler_rejoin(s, i, ret, v);
        kn_scheduler_step(s, i, ret, v);
    }
    kn_scheduler_free(s);
}

static void what_was_held_is_forgotten(void **state)
{
    (void)state;
    float a[N], b[N];
    walk("unipc", 0.1f, false, a);
    walk("unipc", 0.9f, false, b);
    assert_memory_not_equal(a, b, sizeof a);
    walk("unipc", 0.1f, true, a);
    walk("unipc", 0.9f, true, b);
    assert_memory_equal(a, b, sizeof a);
}

/* Euler keeps nothing that could be wrong. */
static void euler_has_nothing_to_forget(void **state)
{
    (void)state;
    float a[N], b[N];
    walk("euler", 0.3f, false, a);
    walk("euler", 0.3f, true, b);
    assert_memory_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_held_is_forgotten),
        cmocka_unit_test(euler_has_nothing_to_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
