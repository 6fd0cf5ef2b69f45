/* Norms, element-wise operations and movement: each is one launch, or one strided copy. */
#include "tensor/cuda/cuda_device.h"

/* kernels.h is read by compilers that do not see the tensor layer's headers, and its numbers are theirs. */
_Static_assert((int)KN_K_NONE == (int)KN_ACT_NONE && (int)KN_K_SILU == (int)KN_ACT_SILU &&
                   (int)KN_K_GELU_TANH == (int)KN_ACT_GELU_TANH &&
                   (int)KN_K_GELU_ERF == (int)KN_ACT_GELU_ERF &&
                   (int)KN_K_QUICK_GELU == (int)KN_ACT_QUICK_GELU && (int)KN_K_RELU == (int)KN_ACT_RELU,
               "activations");
_Static_assert((int)KN_K_ADD == (int)KN_EWISE_ADD && (int)KN_K_MUL == (int)KN_EWISE_MUL &&
                   (int)KN_K_AFFINE == (int)KN_EWISE_AFFINE && (int)KN_K_CLAMP == (int)KN_EWISE_CLAMP &&
                   (int)KN_K_ACT == (int)KN_EWISE_ACT && (int)KN_K_GATE_ADD == (int)KN_EWISE_GATE_ADD,
               "element-wise operations");

static int64_t last_dim(kn_tensor t)
{
    return t.dims[t.n_dims - 1];
}

static kn_k_norm describe(const kn_norm_args *a)
{
    int64_t n = last_dim(a->x);
    kn_k_norm k = {.x = a->x.data,
                   .out = a->out.data,
                   .x_bf16 = a->x.dtype == KN_BF16,
                   .out_bf16 = a->out.dtype == KN_BF16,
                   .rows = kn_numel(a->x) / n,
                   .n = (int)n,
                   .gamma = a->gamma.data,
                   .beta = a->beta.data,
                   .eps = a->eps,
                   .act = a->act,
                   .shift = kn_cuda_mod(a->shift),
                   .scale = kn_cuda_mod(a->scale),
                   .n_heads = a->n_heads,
                   .n_groups = a->n_groups,
                   .workspace = a->workspace};
    if (a->rope) {
        k.cos = a->rope->cos.data;
        k.sin = a->rope->sin.data;
        k.halves = a->rope->halves;
        k.rope_rows = kn_numel(a->rope->cos) / (n / a->n_heads / 2);
    }
    return k;
}

int kn_cuda_rms_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    kn_k_norm k = describe(a);
    kn_k_rms_norm(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "rms_norm", err);
}

int kn_cuda_layer_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    kn_k_norm k = describe(a);
    kn_k_layer_norm(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "layer_norm", err);
}

size_t kn_cuda_group_norm_workspace(kn_device *dev, const kn_norm_args *a)
{
    (void)dev;
    int64_t n = last_dim(a->x), rows = 1;
    for (int i = 0; i < a->x.n_dims - 1; i++)
        rows *= a->x.dims[i];
    return kn_k_group_norm_workspace(rows, (int)n);
}

int kn_cuda_group_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    kn_k_norm k = describe(a);
    kn_k_group_norm(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "group_norm", err);
}

int kn_cuda_rope(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err)
{
    kn_norm_args a = {.x = x, .out = x, .rope = rope, .n_heads = n_heads};
    kn_k_norm k = describe(&a);
    kn_k_rope(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "rope", err);
}

int kn_cuda_ewise(kn_device *dev, const kn_ewise_args *a, kn_err *err)
{
    kn_k_ewise k = {.op = (int)a->op,
                    .x = a->x.data,
                    .y = a->y.data,
                    .x_bf16 = a->x.dtype == KN_BF16,
                    .y_bf16 = a->y.dtype == KN_BF16,
                    .y_is_row = a->y.data && kn_numel(a->y) != kn_numel(a->x),
                    .n = kn_numel(a->x),
                    .row = last_dim(a->x),
                    .a = a->a,
                    .b = a->b,
                    .act = a->act,
                    .gate = kn_cuda_mod(a->gate)};
    kn_k_ewise_run(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "ewise", err);
}

/* ---- movement ---- */

static int copy_rows(kn_device *dev, void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                     size_t width, size_t height, kn_err *err)
{
    return kn_gpu_copy_rows(kn_cuda_of(dev)->gpu, KN_GPU_COMPUTE, dst, dst_pitch, src, src_pitch, width,
                            height, err);
}

int kn_cuda_copy(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err)
{
    size_t bytes = kn_bytes(src);
    if (dst.dtype == src.dtype)
        return copy_rows(dev, dst.data, bytes, src.data, bytes, bytes, 1, err);
    if ((dst.dtype != KN_F32 && dst.dtype != KN_BF16) || (src.dtype != KN_F32 && src.dtype != KN_BF16))
        return kn_fail(err, KN_EUNSUPPORTED, "copy from %s to %s: only f32 and bf16 are converted",
                       kn_dtype_name(src.dtype), kn_dtype_name(dst.dtype));
    kn_k_convert(dst.data, dst.dtype == KN_BF16, src.data, kn_cuda_type(src.dtype), kn_numel(src),
                 kn_cuda_stream(dev));
    return kn_cuda_done(dev, "copy", err);
}

int kn_cuda_permute(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err)
{
    kn_k_permute k = {.dst = dst.data,
                      .src = src.data,
                      .element_bytes = kn_dtype_block_bytes(src.dtype),
                      .n_dims = dst.n_dims};
    int64_t stride[KN_MAX_DIMS], s = 1;
    for (int d = src.n_dims - 1; d >= 0; d--) {
        stride[d] = s;
        s *= src.dims[d];
    }
    for (int d = 0; d < dst.n_dims; d++) {
        k.dims[d] = dst.dims[d];
        k.stride[d] = stride[perm[d]];
    }
    kn_k_permute_run(&k, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "permute", err);
}

/* Bytes of one step along `axis`, and how many runs of them there are. */
static size_t step_bytes(kn_tensor t, int axis)
{
    int64_t n = 1;
    for (int d = axis + 1; d < t.n_dims; d++)
        n *= t.dims[d];
    return kn_dtype_bytes(t.dtype, n);
}

static size_t n_runs(kn_tensor t, int axis)
{
    int64_t n = 1;
    for (int d = 0; d < axis; d++)
        n *= t.dims[d];
    return (size_t)n;
}

int kn_cuda_concat(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs, kn_err *err)
{
    size_t step = step_bytes(dst, axis), pitch = step * (size_t)dst.dims[axis], at = 0;
    for (int i = 0; i < n; i++) {
        size_t width = step * (size_t)xs[i].dims[axis];
        int rc =
            copy_rows(dev, (char *)dst.data + at, pitch, xs[i].data, width, width, n_runs(dst, axis), err);
        if (rc)
            return rc;
        at += width;
    }
    return 0;
}

int kn_cuda_slice(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin, kn_err *err)
{
    size_t step = step_bytes(src, axis), width = step * (size_t)dst.dims[axis];
    return copy_rows(dev, dst.data, width, (const char *)src.data + step * (size_t)begin,
                     step * (size_t)src.dims[axis], width, n_runs(src, axis), err);
}

int kn_cuda_repeat_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int r, kn_err *err)
{
    kn_k_repeat_channels(dst.data, src.data, src.dtype == KN_BF16, kn_numel(src), r, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "repeat_channels", err);
}

int kn_cuda_mean_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int g, kn_err *err)
{
    kn_k_mean_channels(dst.data, src.data, src.dtype == KN_BF16, kn_numel(dst), g, kn_cuda_stream(dev));
    return kn_cuda_done(dev, "mean_channels", err);
}
