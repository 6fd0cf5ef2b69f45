/* A device of host memory whose compute slots only record what they were given and overwrite their output, so that
 * tests see what the fronts hand down and that every address is real. */
#ifndef KN_TESTS_TENSOR_FAKE_DEVICE_H
#define KN_TESTS_TENSOR_FAKE_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/device.h"

enum { FAKE_RESERVE_ALIGN = 65536 };

typedef struct fake_device {
    kn_device dev;
    kn_device_ops ops; /* a copy, so that a test can empty a slot */
    int n_calls;       /* of compute slots */
    int n_weights;     /* live */
    int fail_with;     /* code that compute slots return */
    size_t trimmed_bytes;
    int64_t live_reserved; /* bytes reserved and not given back */
    kn_linear_args linear;
    kn_conv_args conv;
    kn_attention_args attention;
    kn_norm_args norm;
    kn_ewise_args ewise;
} fake_device;

static inline fake_device *fake_of(kn_device *dev)
{
    return dev->priv;
}

static inline int fake_result(kn_device *dev, kn_tensor out, kn_err *err)
{
    fake_of(dev)->n_calls++;
    memset(out.data, 0x3f, kn_bytes(out));
    return fake_of(dev)->fail_with ? kn_fail(err, fake_of(dev)->fail_with, "the fake broke") : 0;
}

static inline void *fake_reserve(kn_device *dev, size_t bytes)
{
    fake_of(dev)->live_reserved += (int64_t)bytes;
    return aligned_alloc(FAKE_RESERVE_ALIGN,
                         (bytes + FAKE_RESERVE_ALIGN - 1) / FAKE_RESERVE_ALIGN * FAKE_RESERVE_ALIGN);
}

static inline void fake_unreserve(kn_device *dev, void *p, size_t bytes)
{
    fake_of(dev)->live_reserved -= (int64_t)bytes;
    free(p);
}

static inline void fake_trim(kn_device *dev, void *p, size_t bytes)
{
    memset(p, 0xee, bytes); /* content is lost */
    fake_of(dev)->trimmed_bytes += bytes;
}

static inline int fake_copy_bytes(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err)
{
    (void)dev, (void)err;
    memcpy(dst, src, bytes);
    return 0;
}

static inline int fake_fill_zero(kn_device *dev, void *dst, size_t bytes, kn_err *err)
{
    (void)dev, (void)err;
    memset(dst, 0, bytes);
    return 0;
}

static inline size_t fake_weight_bytes(kn_device *dev, const kn_weight_spec *spec)
{
    (void)dev;
    size_t n = (size_t)kn_dtype_block_bytes(spec->dtype);
    for (int i = 0; i < (spec->kind == KN_WEIGHT_CONV ? 5 : 2); i++)
        n *= (size_t)spec->dims[i];
    return n + (spec->bias ? (size_t)spec->dims[0] * 4 : 0);
}

static inline int fake_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src,
                                  kn_weight *w, kn_err *err)
{
    (void)spec, (void)src, (void)w;
    if (fake_of(dev)->fail_with)
        return kn_fail(err, fake_of(dev)->fail_with, "the fake broke");
    fake_of(dev)->n_weights++;
    return 0;
}

static inline void fake_weight_free(kn_device *dev, kn_weight *w)
{
    (void)w;
    fake_of(dev)->n_weights--;
}

static inline size_t fake_linear_workspace(kn_device *dev, const kn_linear_args *a)
{
    (void)dev;
    return (size_t)kn_numel(a->x);
}

static inline size_t fake_attention_workspace(kn_device *dev, const kn_attention_args *a)
{
    (void)dev;
    return (size_t)a->n_heads * 1000;
}

static inline int fake_linear(kn_device *dev, const kn_linear_args *a, kn_err *err)
{
    fake_of(dev)->linear = *a;
    if (a->workspace)
        memset(a->workspace, 1, fake_linear_workspace(dev, a));
    return fake_result(dev, a->out, err);
}

static inline int fake_conv(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    fake_of(dev)->conv = *a;
    return fake_result(dev, a->out, err);
}

static inline int fake_attention(kn_device *dev, const kn_attention_args *a, kn_err *err)
{
    fake_of(dev)->attention = *a;
    memset(a->workspace, 1, fake_attention_workspace(dev, a));
    return fake_result(dev, a->out, err);
}

static inline int fake_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    fake_of(dev)->norm = *a;
    return fake_result(dev, a->out, err);
}

static inline int fake_rope(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err)
{
    (void)rope, (void)n_heads;
    return fake_result(dev, x, err);
}

static inline int fake_ewise(kn_device *dev, const kn_ewise_args *a, kn_err *err)
{
    fake_of(dev)->ewise = *a;
    return fake_result(dev, a->x, err);
}

static inline int fake_copy(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err)
{
    (void)src;
    return fake_result(dev, dst, err);
}

static inline int fake_permute(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err)
{
    (void)src, (void)perm;
    return fake_result(dev, dst, err);
}

static inline int fake_concat(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs,
                              kn_err *err)
{
    (void)axis, (void)n, (void)xs;
    return fake_result(dev, dst, err);
}

static inline int fake_slice(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin,
                             kn_err *err)
{
    (void)src, (void)axis, (void)begin;
    return fake_result(dev, dst, err);
}

static inline int fake_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int n, kn_err *err)
{
    (void)src, (void)n;
    return fake_result(dev, dst, err);
}

static inline void fake_close(kn_device *dev)
{
    free(dev->priv);
}

static inline fake_device *fake_device_new(size_t mem_total_bytes)
{
    fake_device *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->ops = (kn_device_ops){
        .reserve = fake_reserve,
        .unreserve = fake_unreserve,
        .trim = fake_trim,
        .upload = fake_copy_bytes,
        .download = fake_copy_bytes,
        .fill_zero = fake_fill_zero,
        .weight_bytes = fake_weight_bytes,
        .weight_new = fake_weight_new,
        .weight_free = fake_weight_free,
        .linear_workspace = fake_linear_workspace,
        .attention_workspace = fake_attention_workspace,
        .linear = fake_linear,
        .conv = fake_conv,
        .attention = fake_attention,
        .rms_norm = fake_norm,
        .layer_norm = fake_norm,
        .group_norm = fake_norm,
        .rope = fake_rope,
        .ewise = fake_ewise,
        .copy = fake_copy,
        .permute = fake_permute,
        .concat = fake_concat,
        .slice = fake_slice,
        .repeat_channels = fake_channels,
        .mean_channels = fake_channels,
        .close = fake_close,
    };
    f->dev.ops = &f->ops;
    f->dev.priv = f;
    f->dev.mem_total_bytes = mem_total_bytes;
    f->dev.has_bf16 = true;
    snprintf(f->dev.name, sizeof f->dev.name, "fake");
    snprintf(f->dev.description, sizeof f->dev.description, "a device of host memory");
    return f;
}

static inline kn_weight *fake_weight(kn_device *dev, kn_weight_spec spec)
{
    static const float nothing[1];
    kn_weight_src src = {.data = nothing, .dtype = KN_F32, .bias = spec.bias ? nothing : NULL};
    kn_weight *w = NULL;
    kn_err err = {0};
    if (kn_weight_new(dev, &spec, &src, &w, &err))
        fail_msg("%s", err.msg);
    return w;
}

static inline kn_weight *fake_linear_weight(kn_device *dev, int64_t n_out, int64_t n_in)
{
    return fake_weight(
        dev,
        (kn_weight_spec){.kind = KN_WEIGHT_LINEAR, .dims = {n_out, n_in}, .dtype = KN_BF16, .bias = true});
}

#define assert_error(c, expected_code, part)                                                                 \
    do {                                                                                                     \
        if ((c)->err.code != (expected_code) || !strstr((c)->err.msg, (part)))                               \
            fail_msg("error is %s \"%s\", expected %s with \"%s\"", kn_err_name((c)->err.code),              \
                     (c)->err.msg, kn_err_name(expected_code), (part));                                      \
        (c)->err = (kn_err){0};                                                                              \
    } while (0)

#endif
