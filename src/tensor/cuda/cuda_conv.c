/* Convolutions: which kernel takes them. */
#include "tensor/cuda/cuda_device.h"

/* A float32 picture before bf16 weights is brought to bf16, so that the tensor cores take it. */
static bool converts(const kn_conv_args *a)
{
    return a->w->spec.dtype == KN_BF16 && a->x.dtype == KN_F32 && a->x.dims[3] % 8 == 0;
}

size_t kn_cuda_conv_workspace(kn_device *dev, const kn_conv_args *a)
{
    (void)dev;
    return converts(a) ? kn_dtype_bytes(KN_BF16, a->x.dims[0] * a->x.dims[1] * a->x.dims[2] * a->x.dims[3])
                       : 0;
}

static kn_k_conv describe(const kn_conv_args *a)
{
    const kn_cuda_weight *w = a->w->priv;
    const kn_conv_opts *o = &a->opts;
    kn_k_conv k = {.x = converts(a) ? a->workspace : a->x.data,
                   .w = w->data,
                   .out = a->out.data,
                   .x_bf16 = converts(a) || a->x.dtype == KN_BF16,
                   .w_bf16 = a->w->spec.dtype == KN_BF16,
                   .out_bf16 = a->out.dtype == KN_BF16,
                   .n_in = (int)a->x.dims[3],
                   .n_out = (int)a->out.dims[3],
                   .doubled = o->upsample2,
                   .bias = w->bias,
                   .add = o->add.data,
                   .add_bf16 = o->add.dtype == KN_BF16};
    for (int i = 0; i < 3; i++) {
        k.in[i] = a->x.dims[i];
        k.o[i] = a->out.dims[i];
        k.kernel[i] = (int)a->w->spec.dims[2 + i];
        k.stride[i] = o->stride[i];
        k.pad[i] = o->pad_lo[i];
    }
    return k;
}

int kn_cuda_conv(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    kn_k_conv k = describe(a);
    void *stream = kn_cuda_stream(dev);
    if (converts(a))
        kn_k_convert(a->workspace, 1, a->x.data, KN_K_F32, kn_numel(a->x), stream);
    if (kn_k_conv_is_fast(&k))
        kn_k_conv_fast(&k, stream);
    else
        kn_k_conv_any(&k, stream);
    int rc = kn_cuda_weight_used(dev, a->w, err);
    return rc ? rc : kn_cuda_done(dev, "conv", err);
}
