/* Comparing modules with golden tensors: devices, inputs from the fixtures, and relative L2 distances. */
#ifndef KN_TESTS_MODELS_GOLDEN_H
#define KN_TESTS_MODELS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "models/common/trace.h"
#include "tensor/checkpoint.h"
#include "tensor/device.h"
#include "tensor/loader.h"

#define FIXTURE(path) KN_FIXTURES "/" path

/* What the issue asks: 1e-4 in f32, 3e-2 in bf16. */
static inline double tolerance_of(kn_dtype dtype)
{
    return dtype == KN_F32 ? 1e-4 : 3e-2;
}

#define must(call)                                                                                           \
    do {                                                                                                     \
        kn_err must_err_ = {0}, *err = &must_err_;                                                           \
        (void)err;                                                                                           \
        if (call)                                                                                            \
            fail_msg("%s: %s", #call, must_err_.msg);                                                        \
    } while (0)

static inline kn_device *open_cpu(void)
{
    kn_device *dev = NULL;
    must(kn_cpu_device_open(&(kn_cpu_options){.n_threads = 2}, &dev, err));
    return dev;
}

static inline kn_checkpoint *open_checkpoint(const char *path)
{
    kn_checkpoint *ck = NULL;
    must(kn_checkpoint_open(path, NULL, &ck, err));
    return ck;
}

static inline json_t *open_json(const char *path)
{
    json_t *j = NULL;
    must(kn_json_load(path, &j, err));
    return j;
}

static inline const kn_entry *golden_entry(kn_checkpoint *g, const char *name)
{
    const kn_entry *e = kn_checkpoint_find(g, name);
    if (!e)
        fail_msg("no golden tensor %s", name);
    return e;
}

/* Heap. */
static inline float *golden_f32(kn_checkpoint *g, const char *name)
{
    const kn_entry *e = golden_entry(g, name);
    int64_t n = kn_entry_numel(e);
    float *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    if (e->dtype == KN_I64)
        for (int64_t i = 0; i < n; i++) {
            int64_t x;
            memcpy(&x, (const char *)e->data + 8 * i, 8);
            v[i] = (float)x;
        }
    else
        must(kn_entry_to_f32(e, v, err));
    return v;
}

/* Heap; token ids are int64 on disk. */
static inline int32_t *golden_ids(kn_checkpoint *g, const char *name, int *ret_n)
{
    const kn_entry *e = golden_entry(g, name);
    assert_int_equal(e->dtype, KN_I64);
    int n = (int)kn_entry_numel(e);
    int32_t *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    for (int i = 0; i < n; i++) {
        int64_t x;
        memcpy(&x, (const char *)e->data + 8 * i, 8);
        v[i] = (int32_t)x;
    }
    *ret_n = n;
    return v;
}

static inline double relative_l2(const float *got, const float *want, int64_t n)
{
    double d = 0, w = 0;
    for (int64_t i = 0; i < n; i++) {
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        w += (double)want[i] * want[i];
    }
    return w > 0 ? sqrt(d / w) : sqrt(d);
}

static inline void check_close(const char *label, const char *name, const float *got, const float *want,
                               int64_t n, double tolerance)
{
    double l2 = relative_l2(got, want, n);
    print_message("%-34s %-24s %.2e\n", label, name, l2);
    if (!(l2 <= tolerance))
        fail_msg("%s %s: relative L2 %.3e, expected at most %.0e", label, name, l2, tolerance);
}

/* A trace hook that compares every inner value of which there is a golden tensor; of some only the first rows were
 * recorded. */
typedef struct golden_trace {
    kn_ctx *c;
    kn_checkpoint *golden;
    const char *label;
    double tolerance;
    int n_compared;
} golden_trace;

static inline void compare_traced(void *ud, const char *name, kn_tensor t)
{
    golden_trace *g = ud;
    const kn_entry *e = kn_checkpoint_find(g->golden, name);
    if (!e)
        return;
    int64_t n = kn_numel(t), n_golden = kn_entry_numel(e);
    assert_true(n_golden <= n);
    float *got = malloc((size_t)n * sizeof *got), *want = golden_f32(g->golden, name);
    assert_non_null(got);
    kn_to_f32(g->c, t, got);
    check_close(g->label, name, got, want, n_golden, g->tolerance);
    free(got);
    free(want);
    g->n_compared++;
}

static inline void must_be_ok(const kn_ctx *c)
{
    if (!kn_ok(c))
        fail_msg("%s", c->err.msg);
}

#endif
