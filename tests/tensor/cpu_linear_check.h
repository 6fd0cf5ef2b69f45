/* One matrix product on a real CPU device and in double precision; shared by the f32/bf16 and the int8 tests. */
#ifndef KN_TESTS_TENSOR_CPU_LINEAR_CHECK_H
#define KN_TESTS_TENSOR_CPU_LINEAR_CHECK_H

#include "tensor/cpu_check.h"

typedef struct linear_case {
    const char *isa;
    int64_t m, n, k;
    kn_dtype x, w, out;
    kn_act act;
    bool bias, accumulate;
    int groups; /* rows of the gate's table; 0: no gate */
    bool from_f16;
} linear_case;

typedef struct linear_rig {
    kn_device *dev;
    kn_weight *w;
    kn_linear_args args;
    kn_tensor weights, bias; /* f32, as the device was given them */
    kn_tensor before;        /* out before an accumulation */
} linear_rig;

static inline kn_tensor rig_groups(int64_t m, int groups)
{
    kn_tensor t = check_tensor(KN_I32, 1, (const int64_t[]){m});
    for (int64_t i = 0; i < m; i++)
        ((int32_t *)t.data)[i] = (int32_t)((i * 7 / 5) % groups);
    return t;
}

/* Values that f32, bf16 and f16 all represent. */
static inline void rig_round(kn_tensor t)
{
    for (int64_t i = 0; i < kn_numel(t); i++)
        check_set(t, i, round(check_get(t, i) * 64) / 64);
}

static inline uint16_t rig_f16(float f)
{
    if (f == 0)
        return 0;
    int e;
    float m = frexpf(fabsf(f), &e); /* normal in f16: at least 1/64 */
    return (uint16_t)((f < 0 ? 0x8000u : 0u) | (unsigned)(e + 14) << 10 | ((unsigned)(m * 2048) & 1023u));
}

static inline void rig_weight(linear_rig *r, const linear_case *c)
{
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {c->n, c->k}, .dtype = c->w, .bias = c->bias};
    r->weights = check_random_tensor(KN_F32, 2, (const int64_t[]){c->n, c->k}, 5, 0, 1);
    if (c->w != KN_I8)
        rig_round(r->weights);
    r->bias = check_random_tensor(KN_F32, 1, &c->n, 6, 0, 2);
    uint16_t *f16 = malloc((size_t)kn_numel(r->weights) * sizeof *f16);
    assert_non_null(f16);
    for (int64_t i = 0; i < kn_numel(r->weights); i++)
        f16[i] = rig_f16(((float *)r->weights.data)[i]);
    kn_weight_src src = {.data = c->from_f16 ? (void *)f16 : r->weights.data,
                         .dtype = c->from_f16 ? KN_F16 : KN_F32,
                         .bias = c->bias ? r->bias.data : NULL};
    kn_err err = {0};
    if (kn_weight_new(r->dev, &spec, &src, &r->w, &err))
        fail_msg("%s", err.msg);
    free(f16);
}

static inline void linear_rig_init(linear_rig *r, const linear_case *c, int threads)
{
    *r = (linear_rig){0};
    kn_err err = {0};
    if (kn_cpu_device_open(&(kn_cpu_options){.n_threads = threads, .isa = c->isa}, &r->dev, &err))
        fail_msg("%s", err.msg);
    rig_weight(r, c);
    kn_linear_args *a = &r->args;
    a->x = check_random_tensor(c->x, 2, (const int64_t[]){c->m, c->k}, 7, 0, 1);
    a->out = check_random_tensor(c->out, 2, (const int64_t[]){c->m, c->n}, 8, 0, 4);
    r->before = check_clone(a->out);
    a->w = r->w;
    a->act = c->act;
    a->accumulate = c->accumulate;
    if (c->groups) {
        a->gate.table = check_random_tensor(KN_F32, 2, (const int64_t[]){c->groups, c->n}, 9, 0, 1);
        if (c->groups > 1)
            a->gate.row_group = rig_groups(c->m, c->groups);
    }
    a->workspace = malloc(r->dev->ops->linear_workspace(r->dev, a) + 64);
    assert_non_null(a->workspace);
}

static inline void linear_rig_run(linear_rig *r)
{
    kn_linear_args a = r->args;
    a.workspace = (void *)(((uintptr_t)a.workspace + 63) & ~(uintptr_t)63);
    kn_err err = {0};
    if (r->dev->ops->linear(r->dev, &a, &err))
        fail_msg("%s", err.msg);
}

static inline void linear_rig_done(linear_rig *r)
{
    kn_weight_free(r->dev, r->w);
    check_free(&r->weights);
    check_free(&r->bias);
    check_free(&r->before);
    check_free(&r->args.x);
    check_free(&r->args.out);
    free(r->args.gate.table.data);
    free(r->args.gate.row_group.data);
    free(r->args.workspace);
    assert_int_equal(r->dev->mem_weights_bytes, 0);
    kn_device_close(r->dev);
}

static inline double *linear_rig_want(const linear_rig *r, const linear_case *c)
{
    double *want = malloc((size_t)(c->m * c->n) * sizeof *want);
    assert_non_null(want);
    const int32_t *group = r->args.gate.row_group.data;
    const float *w = r->weights.data, *table = r->args.gate.table.data;
    for (int64_t i = 0; i < c->m; i++)
        for (int64_t j = 0; j < c->n; j++) {
            double s = c->bias ? check_get(r->bias, j) : 0;
            for (int64_t k = 0; k < c->k; k++)
                s += check_get(r->args.x, i * c->k + k) * (double)w[j * c->k + k];
            s = check_act(s, c->act);
            if (table)
                s *= (double)table[(group ? group[i] : 0) * c->n + j];
            want[i * c->n + j] = c->accumulate ? s + check_get(r->before, i * c->n + j) : s;
        }
    return want;
}

/* The tolerance follows from the coarser of the types taking part. */
static inline void check_linear_case(const linear_case *c)
{
    linear_rig r;
    linear_rig_init(&r, c, 0);
    linear_rig_run(&r);
    double *want = linear_rig_want(&r, c), d = check_distance(r.args.out, want);
    double limit = c->w == KN_I8 ? 2.5e-2 : c->w == KN_BF16 || c->out == KN_BF16 ? 6e-3 : 2e-6;
    if (!(d <= limit))
        fail_msg("%lld x %lld x %lld, x %s, w %s, out %s, act %d, accumulate %d, groups %d: %.3g, limit %.3g",
                 (long long)c->m, (long long)c->n, (long long)c->k, kn_dtype_name(c->x), kn_dtype_name(c->w),
                 kn_dtype_name(c->out), c->act, c->accumulate, c->groups, d, limit);
    free(want);
    linear_rig_done(&r);
}

#endif
