/* Published numbers for step caches: found for the models that they are of, and for no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "models/wan/cache_numbers.h"

static const kn_wan_config
    t2v_1_3b = {.dim = 1536, .n_layers = 30, .in_channels = 16, .out_channels = 16},
    t2v_14b = {.dim = 5120, .n_layers = 40, .in_channels = 16, .out_channels = 16},
    i2v_14b = {.dim = 5120, .n_layers = 40, .in_channels = 36, .out_channels = 16},
    flf2v = {.dim = 5120, .n_layers = 40, .in_channels = 36, .out_channels = 16, .n_pos_embed = 514},
    vace = {.dim = 1536, .n_layers = 30, .in_channels = 16, .out_channels = 16, .n_vace = 15},
    ti2v = {.dim = 3072, .n_layers = 30, .in_channels = 48, .out_channels = 48},
    small = {.dim = 192, .n_layers = 6, .in_channels = 16, .out_channels = 16};

static void each_has_its_own(void **state)
{
    (void)state;
    /* the ratio at the end of 50 (or 40) steps, as published; 0: none */
    const struct {
        kn_wan_kind kind;
        int n;
        double last;
        bool tea;
    } cases[] = {
        {{.config = &t2v_1_3b, .flow_shift = 3}, 50, 0.81838, true},
        {{.config = &t2v_14b, .flow_shift = 5}, 50, 0.86111, true},
        {{.config = &i2v_14b, .flow_shift = 3}, 40, 0.92617, true},
        {{.config = &i2v_14b, .flow_shift = 5}, 40, 0.8679, true},
        {{.config = &vace, .flow_shift = 3}, 50, 0.80141, false},
        {{.config = &t2v_14b, .two_experts = true, .flow_shift = 12}, 40, 0.80263, false},
        {{.config = &i2v_14b, .two_experts = true, .flow_shift = 5}, 40, 0.79823, false},
        {{.config = &ti2v, .expand_timesteps = true, .flow_shift = 5}, 50, 0.96949, false},
        {{.config = &ti2v, .expand_timesteps = true, .with_image = true, .flow_shift = 5},
         50,
         0.96655,
         false},
        {{.config = &flf2v, .flow_shift = 5}, 40, 0, false},
        {{.config = &small, .flow_shift = 3}, 50, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ratios[50] = {0};
        bool found = kn_wan_mag_ratios(&cases[i].kind, cases[i].n, ratios);
        assert_int_equal(found, cases[i].last > 0);
        assert_true(ratios[cases[i].n - 1] == cases[i].last);
        assert_true(ratios[0] == (found ? 1 : 0));
        assert_int_equal(kn_wan_tea_polynomial(&cases[i].kind) != NULL, cases[i].tea);
    }
}

/* Of another number of steps the nearest ones. */
static void other_numbers_of_steps(void **state)
{
    (void)state;
    const kn_wan_kind k = {.config = &t2v_1_3b, .flow_shift = 3};
    double all[50], half[25], one, many[1000];
    assert_true(kn_wan_mag_ratios(&k, 50, all) && kn_wan_mag_ratios(&k, 25, half));
    assert_true(half[0] == all[0] && half[24] == all[49] && half[1] == all[2] && half[12] == all[24]);
    assert_true(kn_wan_mag_ratios(&k, 1, &one) && one == all[49]);
    assert_true(kn_wan_mag_ratios(&k, 1000, many) && many[999] == all[49] && many[500] == all[25]);
}

/* Highest power first. */
static void polynomials(void **state)
{
    (void)state;
    const double p[KN_WAN_TEA_COEFFICIENTS] = {1, 0, -2, 3, 5};
    assert_true(kn_wan_tea_change(p, 2) == 16 - 8 + 6 + 5);
    const kn_wan_kind k = {.config = &t2v_1_3b, .flow_shift = 3};
    assert_true(fabs(kn_wan_tea_change(kn_wan_tea_polynomial(&k), 0) + 0.0499875664) < 1e-12);
    assert_true(kn_wan_tea_change(kn_wan_tea_polynomial(&k), 0.03) > 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_own),
        cmocka_unit_test(other_numbers_of_steps),
        cmocka_unit_test(polynomials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
