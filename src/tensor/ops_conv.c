/* Front of the convolution. */
#include "tensor/op.h"

static bool check_conv(kn_ctx *c, kn_tensor x, const kn_weight *w, kn_dtype out)
{
    if (!w || w->spec.kind != KN_WEIGHT_CONV) {
        kn_ctx_fail(c, KN_EINTERNAL, "conv: %s, expected a convolution's weight",
                    w ? "a linear weight" : "no weight");
        return false;
    }
    char shape[KN_SHAPE_STR];
    if (x.n_dims != 4 || x.dims[3] != w->spec.dims[1]) {
        kn_ctx_fail(c, KN_EINTERNAL, "conv: x is %s, expected [frames, height, width, %lld]",
                    kn_shape_str(x, shape, sizeof shape), (long long)w->spec.dims[1]);
        return false;
    }
    return kn_op_float(c, "conv", "x", x) && kn_op_out(c, "conv", out);
}

/* A weight packed for doubled pictures serves nothing else. */
static bool check_doubled(kn_ctx *c, const kn_weight *w, const kn_conv_opts *o)
{
    bool ok = !w->spec.upsample2 || o->upsample2;
    for (int i = 0; i < 3 && w->spec.upsample2; i++)
        ok = ok && o->stride[i] <= 1 && o->pad_lo[i] == (i > 0) && o->pad_hi[i] == (i > 0);
    if (!ok)
        kn_ctx_fail(c, KN_EINTERNAL,
                    "conv: the weight is packed for doubled pictures with padding 1 and stride 1");
    return ok;
}

/* Fills in the defaults of `opts` and the shape of the result. */
static bool conv_shape(kn_ctx *c, kn_tensor x, const kn_weight *w, kn_conv_opts *o, int64_t dims[4])
{
    const char *const axes[3] = {"time", "height", "width"};
    for (int i = 0; i < 3; i++) {
        if (o->stride[i] == 0)
            o->stride[i] = 1;
        if (o->stride[i] < 1 || o->pad_lo[i] < 0 || o->pad_hi[i] < 0) {
            kn_ctx_fail(c, KN_EINTERNAL, "conv: stride %d and padding %d, %d in %s, expected none negative",
                        o->stride[i], o->pad_lo[i], o->pad_hi[i], axes[i]);
            return false;
        }
        int64_t in = (o->upsample2 && i > 0 ? 2 * x.dims[i] : x.dims[i]) + o->pad_lo[i] + o->pad_hi[i];
        int64_t kernel = w->spec.dims[2 + i];
        if (in < kernel) {
            kn_ctx_fail(c, KN_EINTERNAL, "conv: %lld in %s with padding, expected at least the kernel's %lld",
                        (long long)in, axes[i], (long long)kernel);
            return false;
        }
        dims[i] = (in - kernel) / o->stride[i] + 1;
    }
    dims[3] = w->spec.dims[0];
    return true;
}

static bool check_add(kn_ctx *c, kn_tensor add, const int64_t dims[4])
{
    return kn_is_null(add) ||
           (kn_op_float(c, "conv", "add", add) && kn_op_is(c, "conv", "add", add, add.dtype, 4, dims));
}

kn_tensor kn_conv(kn_ctx *c, kn_tensor x, const kn_weight *w, const kn_conv_opts *opts, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(x) || !check_conv(c, x, w, out))
        return (kn_tensor){0};
    kn_conv_args a = {.x = x, .w = w, .cancel = c->cancel};
    if (opts)
        a.opts = *opts;
    int64_t dims[4];
    if (!check_doubled(c, w, &a.opts) || !conv_shape(c, x, w, &a.opts, dims) ||
        !check_add(c, a.opts.add, dims))
        return (kn_tensor){0};
    a.out = kn_empty(c, out, 4, dims);
    if (kn_is_null(a.out))
        return a.out;
    const int64_t *k = w->spec.dims;
    kn_op_count(
        c, KN_WORK_CONV, 2 * (double)kn_numel(a.out) * (double)(k[1] * k[2] * k[3] * k[4]),
        (double)(kn_bytes(x) + kn_bytes(a.out) + (kn_is_null(a.opts.add) ? 0 : kn_bytes(a.opts.add))));
    const kn_device_ops *ops = c->dev->ops;
    if (!kn_op_workspace(c, ops->conv_workspace ? ops->conv_workspace(c->dev, &a) : 0, &a.workspace))
        return (kn_tensor){0};
    KN_OP_CALL(c, "conv", conv, &a);
    kn_op_workspace_done(c, a.workspace);
    return kn_ok(c) ? a.out : (kn_tensor){0};
}
