/* An operation on the processor's device in float32 and on the CUDA one, and how far apart the results are.
 *
 * The CUDA device is KINORA_CUDA_LIBRARY's, where that is set (on a machine with a card), else its kernels on the host. */
#ifndef KN_TESTS_CUDA_BOTH_H
#define KN_TESTS_CUDA_BOTH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "tensor/device.h"

enum { BOTH_INPUTS = 8 };

typedef struct both {
    kn_device *dev[2]; /* the processor's, the CUDA one */
} both;

static inline bool both_open(both *b)
{
    kn_err err = {0};
#ifdef KN_CUDA_LIBRARY
    setenv("KINORA_CUDA_LIBRARY", KN_CUDA_LIBRARY, 0);
#endif
    if (kn_cpu_device_open(NULL, &b->dev[0], &err))
        fail_msg("%s", err.msg);
    if (!kn_device_open("cuda", NULL, &b->dev[1], &err))
        return true;
    print_message("skipped: %s\n", err.msg);
    return false;
}

static inline void both_close(both *b)
{
    kn_device_close(b->dev[0]);
    kn_device_close(b->dev[1]);
}

/* What an operation works on; the same values on both devices. */
typedef struct both_case {
    kn_ctx *c;
    kn_dtype act; /* f32 on the processor; what is tested on the card */
    kn_dtype weights;
    uint64_t seed;
    kn_weight *owned[BOTH_INPUTS];
    int n_owned;
} both_case;

static inline double both_random(uint64_t *seed)
{
    double s = 0;
    for (int i = 0; i < 4; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        s += (double)(uint32_t)(*seed >> 33) / 2147483648.0 - 0.5;
    }
    return s * 1.7320508;
}

/* Values that bf16 has, so that both devices begin with the same ones. */
static inline float *both_values(both_case *k, int64_t n, double deviation)
{
    float *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++)
        v[i] = kn_bf16_to_f32(kn_f32_to_bf16((float)(both_random(&k->seed) * deviation)));
    return v;
}

static inline int64_t both_count(int n_dims, const int64_t *dims)
{
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    return n;
}

static inline kn_tensor both_tensor(both_case *k, kn_dtype dtype, int n_dims, const int64_t *dims)
{
    float *v = both_values(k, both_count(n_dims, dims), 1);
    kn_tensor t = kn_from_f32(k->c, dtype, n_dims, dims, v);
    free(v);
    return t;
}

/* Row r belongs to group r * 7 / 5 % groups. */
static inline kn_tensor both_groups(both_case *k, int64_t rows, int groups)
{
    float *v = malloc((size_t)rows * sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < rows; i++)
        v[i] = (float)(i * 7 / 5 % groups);
    kn_tensor t = kn_from_f32(k->c, KN_I32, KN_DIMS(rows), v);
    free(v);
    return t;
}

static inline const kn_weight *both_weight(both_case *k, kn_weight_spec spec)
{
    int64_t n = spec.dims[0] * spec.dims[1];
    if (spec.kind == KN_WEIGHT_CONV)
        n *= spec.dims[2] * spec.dims[3] * spec.dims[4];
    float *v = both_values(k, n, 1 / sqrt((double)(n / spec.dims[0]))),
          *bias = both_values(k, spec.dims[0], 1);
    kn_weight_src src = {.data = v, .dtype = KN_F32, .bias = spec.bias ? bias : NULL};
    kn_err err = {0};
    spec.dtype = k->weights;
    if (kn_weight_new(k->c->dev, &spec, &src, &k->owned[k->n_owned], &err))
        fail_msg("%s", err.msg);
    free(v);
    free(bias);
    return k->owned[k->n_owned++];
}

typedef kn_tensor (*both_fn)(both_case *k, const void *arg);

/* The result on device `which`, on the heap. */
static inline float *both_run(both *b, int which, both_fn fn, const void *arg, kn_dtype act, kn_dtype weights,
                              int64_t *ret_n)
{
    kn_ctx c;
    kn_err err = {0};
    if (kn_ctx_init(&c, b->dev[which], KN_F32, (size_t)1 << 30, &err))
        fail_msg("%s", err.msg);
    both_case k = {.c = &c, .act = which ? act : KN_F32, .weights = which ? weights : KN_F32, .seed = 5};
    kn_tensor t = fn(&k, arg);
    float *v = malloc((size_t)kn_numel(t) * sizeof *v + 1);
    assert_non_null(v);
    kn_to_f32(&c, t, v);
    if (!kn_ok(&c))
        fail_msg("device %s: %s", b->dev[which]->name, c.err.msg);
    for (int i = 0; i < k.n_owned; i++)
        kn_weight_free(b->dev[which], k.owned[i]);
    kn_ctx_done(&c);
    *ret_n = kn_numel(t);
    return v;
}

static inline double both_distance(const float *got, const float *want, int64_t n)
{
    double d = 0, w = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(got[i]))
            return INFINITY;
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        w += (double)want[i] * (double)want[i];
    }
    return w > 0 ? sqrt(d / w) : sqrt(d);
}

static inline void both_check(both *b, const char *what, both_fn fn, const void *arg, kn_dtype act,
                              kn_dtype weights, double limit)
{
    int64_t n = 0, m = 0;
    float *want = both_run(b, 0, fn, arg, act, weights, &n), *got = both_run(b, 1, fn, arg, act, weights, &m);
    assert_int_equal(n, m);
    double d = both_distance(got, want, n);
    if (!(d <= limit))
        fail_msg("%s, activations %s, weights %s: %.3g from the processor's, expected at most %.3g", what,
                 kn_dtype_name(act), kn_dtype_name(weights), d, limit);
    free(want);
    free(got);
}

#endif
