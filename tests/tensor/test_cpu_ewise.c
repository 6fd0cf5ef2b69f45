#include "tensor/cpu_check.h"

/* Parameters of one comparison: y of x's shape or [C]; types; row groups for the gate. */
typedef struct setup {
    kn_ewise op;
    kn_act act;
    kn_dtype x, y;
    int64_t rows, n;
    bool broadcast, groups;
} setup;

enum { GROUPS = 3 };

static double expect(const setup *s, double x, double y, double gate)
{
    switch (s->op) {
    case KN_EWISE_ADD:
        return x + -0.75 * y;
    case KN_EWISE_MUL:
        return x * y;
    case KN_EWISE_AFFINE:
        return x * -0.75 + 0.25;
    case KN_EWISE_CLAMP:
        return x < -0.75 ? -0.75 : x > 0.25 ? 0.25 : x;
    case KN_EWISE_ACT:
        return check_act(x, s->act);
    case KN_EWISE_GATE_ADD:
        return x + y * gate;
    }
    return 0;
}

static void compare(kn_device *dev, const setup *s)
{
    const int64_t dims[] = {s->rows, s->n};
    kn_tensor x = check_random_tensor(s->x, 2, dims, 3, 0, 2), y, none = {0};
    y = check_random_tensor(s->y, s->broadcast ? 1 : 2, s->broadcast ? dims + 1 : dims, 4, 0, 1);
    kn_tensor gate = check_random_tensor(KN_F32, 2, (int64_t[]){GROUPS, s->n}, 5, 0, 1);
    kn_tensor group = check_tensor(KN_I32, 1, dims);
    double *want = malloc((size_t)(s->rows * s->n) * sizeof *want);
    for (int64_t r = 0; r < s->rows; r++) {
        ((int32_t *)group.data)[r] = s->groups ? (int32_t)(r * 2 % GROUPS) : 0;
        for (int64_t i = 0; i < s->n; i++) {
            double g = check_get(gate, ((int32_t *)group.data)[r] * s->n + i);
            want[r * s->n + i] =
                expect(s, check_get(x, r * s->n + i), check_get(y, s->broadcast ? i : r * s->n + i), g);
        }
    }
    bool has_y = s->op == KN_EWISE_ADD || s->op == KN_EWISE_MUL || s->op == KN_EWISE_GATE_ADD;
    kn_ewise_args a = {.op = s->op, .act = s->act, .x = x, .y = has_y ? y : none, .a = -0.75f, .b = 0.25f};
    if (s->op == KN_EWISE_GATE_ADD)
        a.gate = (kn_mod){gate, s->groups ? group : none};
    assert_int_equal(kn_cpu_ewise(dev, &a, NULL), 0);
    check_close(x, want, 3e-7, 4e-3, "op %d act %d x %s y %s %lld x %lld", s->op, s->act, kn_dtype_name(s->x),
                kn_dtype_name(s->y), (long long)s->rows, (long long)s->n);
    free(want);
    check_free(&x);
    check_free(&y);
    check_free(&gate);
    check_free(&group);
}

static void for_shapes(kn_device *dev, setup s)
{
    const int64_t shapes[][2] = {{1, 1}, {3, 3}, {7, 31}, {5, 1536}, {300, 257}, {9000, 3}};
    for (int i = 0; i < 6; i++) {
        s.rows = shapes[i][0];
        s.n = shapes[i][1];
        compare(dev, &s);
    }
}

static void test_operations(void **state)
{
    (void)state;
    const kn_dtype types[] = {KN_F32, KN_BF16};
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (int i = 0; i < 4; i++) {
            setup s = {.x = types[i & 1], .y = types[i >> 1]};
            for (int op = 0; op <= KN_EWISE_GATE_ADD; op++) {
                s.op = (kn_ewise)op;
                for_shapes(dev, s);
                s.broadcast = op == KN_EWISE_ADD || op == KN_EWISE_MUL;
                s.groups = op == KN_EWISE_GATE_ADD;
                if (s.broadcast || s.groups)
                    for_shapes(dev, s);
                s.broadcast = s.groups = false;
            }
        }
    }
}

/* Activations point by point, tails included: absolute 3e-7 of max(1, |x|), and nothing but numbers. */
static void test_activations(void **state)
{
    (void)state;
    enum { N = 40001 };
    float *x = malloc(N * sizeof *x);
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (int act = 0; act <= KN_ACT_RELU; act++) {
            for (int i = 0; i < N; i++)
                x[i] = (float)(i - N / 2) * 0.006f;
            kn_tensor t = {x, KN_F32, 1, {N, 1, 1, 1, 1, 1, 1, 1}};
            kn_ewise_args a = {.op = KN_EWISE_ACT, .act = (kn_act)act, .x = t};
            assert_int_equal(kn_cpu_ewise(dev, &a, NULL), 0);
            for (int i = 0; i < N; i++) {
                double in = (double)((float)(i - N / 2) * 0.006f), want = check_act(in, (kn_act)act);
                if (!(fabs((double)x[i] - want) <= 3e-7 * fmax(1, fabs(in))))
                    fail_msg("isa %d act %d at %.9g: %.9g, expected %.9g", isa, act, in, (double)x[i], want);
            }
        }
    }
    free(x);
}

static void test_nan_stays(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (int op = KN_EWISE_CLAMP; op <= KN_EWISE_ACT; op++) {
            for (int act = KN_ACT_NONE; act <= KN_ACT_RELU; act++) {
                kn_tensor t = check_random_tensor(KN_F32, 1, (int64_t[]){37}, 3, 0, 1);
                check_set(t, 5, NAN);
                check_set(t, 36, NAN);
                kn_ewise_args a = {.op = (kn_ewise)op, .act = (kn_act)act, .x = t, .a = -1, .b = 1};
                assert_int_equal(kn_cpu_ewise(dev, &a, NULL), 0);
                assert_true(isnan(check_get(t, 5)) && isnan(check_get(t, 36)));
                assert_false(isnan(check_get(t, 4)) || isnan(check_get(t, 35)));
                check_free(&t);
            }
        }
    }
}

/* Rounding to bf16 is to nearest even on every path, ties, NaN and infinities included. */
static void test_conversion(void **state)
{
    (void)state;
    enum { N = 16 * 4099 + 5 };
    uint32_t *bits = malloc(N * sizeof *bits);
    uint16_t *half = malloc(N * sizeof *half);
    float *back = malloc(N * sizeof *back);
    for (int isa = 0; isa <= (int)kn_cpu_isa_best(); isa++) {
        check_device d;
        kn_device *dev = check_device_init(&d, (kn_cpu_isa)isa);
        for (uint32_t i = 0; i < N; i++)
            bits[i] = (i * 0x10000u) ^ (i % 3 == 0 ? 0x8000u : i * 2654435761u >> 16);
        kn_tensor f = {bits, KN_F32, 1, {N, 1, 1, 1, 1, 1, 1, 1}},
                  h = {half, KN_BF16, 1, {N, 1, 1, 1, 1, 1, 1, 1}};
        kn_tensor g = {back, KN_F32, 1, {N, 1, 1, 1, 1, 1, 1, 1}};
        assert_int_equal(kn_cpu_copy(dev, h, f, NULL), 0);
        assert_int_equal(kn_cpu_copy(dev, g, h, NULL), 0);
        for (int i = 0; i < N; i++) {
            float v = ((float *)bits)[i];
            if (half[i] != kn_f32_to_bf16(v))
                fail_msg("isa %d: %08x gave %04x, expected %04x", isa, bits[i], half[i], kn_f32_to_bf16(v));
            float b = kn_bf16_to_f32(half[i]);
            assert_memory_equal(&back[i], &b, sizeof b);
        }
    }
    free(bits);
    free(half);
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operations), cmocka_unit_test(test_activations),
                                       cmocka_unit_test(test_nan_stays), cmocka_unit_test(test_conversion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
