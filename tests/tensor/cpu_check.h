/* What the tests of the CPU kernels share: a device of a given instruction set, random tensors, distances. */
#ifndef KN_TESTS_TENSOR_CPU_CHECK_H
#define KN_TESTS_TENSOR_CPU_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "base/parallel.h"
#include "tensor/cpu/isa.h"
#include "tensor/cpu/kernels.h"

typedef struct check_device {
    kn_cpu_base base;
    kn_device dev;
} check_device;

static inline kn_device *check_device_init(check_device *d, kn_cpu_isa isa)
{
    *d = (check_device){.base = {isa}};
    d->dev.priv = &d->base;
    return &d->dev;
}

static inline kn_tensor check_tensor(kn_dtype dtype, int n_dims, const int64_t *dims)
{
    kn_tensor t = {.dtype = dtype, .n_dims = n_dims};
    size_t bytes = (size_t)kn_dtype_block_bytes(dtype);
    for (int i = 0; i < KN_MAX_DIMS; i++) {
        t.dims[i] = i < n_dims ? dims[i] : 1;
        bytes *= (size_t)t.dims[i];
    }
    t.data = malloc(bytes ? bytes : 1); /* exact, so that the address sanitizer sees a read beyond the end */
    assert_non_null(t.data);
    memset(t.data, 0xff, bytes); /* NaN: what is not written shows */
    return t;
}

static inline uint32_t check_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* About normal, mean `mean`, deviation `deviation`. */
static inline double check_normal(uint64_t *state, double mean, double deviation)
{
    double s = 0;
    for (int i = 0; i < 4; i++)
        s += (double)check_random(state) / 2147483648.0 - 0.5;
    return mean + deviation * s * 1.7320508;
}

static inline void check_set(kn_tensor t, int64_t i, double v)
{
    if (t.dtype == KN_BF16)
        ((uint16_t *)t.data)[i] = kn_f32_to_bf16((float)v);
    else
        ((float *)t.data)[i] = (float)v;
}

static inline double check_get(kn_tensor t, int64_t i)
{
    return (double)(t.dtype == KN_BF16 ? kn_bf16_to_f32(((const uint16_t *)t.data)[i])
                                       : ((const float *)t.data)[i]);
}

static inline kn_tensor check_random_tensor(kn_dtype dtype, int n_dims, const int64_t *dims, uint64_t seed,
                                            double mean, double deviation)
{
    kn_tensor t = check_tensor(dtype, n_dims, dims);
    int64_t n = kn_numel(t);
    for (int64_t i = 0; i < n; i++)
        check_set(t, i, check_normal(&seed, mean, deviation));
    return t;
}

static inline void check_free(kn_tensor *t)
{
    free(t->data);
    t->data = NULL;
}

static inline kn_tensor check_clone(kn_tensor t)
{
    kn_tensor c = check_tensor(t.dtype, t.n_dims, t.dims);
    memcpy(c.data, t.data, kn_bytes(t));
    return c;
}

/* Relative L2 distance of t from want [numel]; infinite if t has a NaN. */
static inline double check_distance(kn_tensor t, const double *want)
{
    double d = 0, n = 0;
    for (int64_t i = 0; i < kn_numel(t); i++) {
        double e = check_get(t, i) - want[i];
        if (isnan(e))
            return INFINITY;
        d += e * e;
        n += want[i] * want[i];
    }
    return n > 0 ? sqrt(d / n) : sqrt(d);
}

static inline double check_tolerance(kn_tensor t, double f32, double bf16)
{
    return t.dtype == KN_BF16 ? bf16 : f32;
}

#define check_close(tensor, want, f32, bf16, ...)                                                            \
    do {                                                                                                     \
        double distance_ = check_distance(tensor, want), limit_ = check_tolerance(tensor, f32, bf16);        \
        if (!(distance_ <= limit_)) {                                                                        \
            print_error(__VA_ARGS__);                                                                        \
            fail_msg(": relative L2 %.3g, limit %.3g", distance_, limit_);                                   \
        }                                                                                                    \
    } while (0)

static inline double check_act(double x, kn_act act)
{
    switch (act) {
    case KN_ACT_SILU:
        return x / (1 + exp(-x));
    case KN_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case KN_ACT_GELU_ERF:
        return 0.5 * x * erfc(-x / sqrt(2));
    case KN_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case KN_ACT_RELU:
        return x > 0 ? x : 0;
    case KN_ACT_NONE:
        break;
    }
    return x;
}

#endif
