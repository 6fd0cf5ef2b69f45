// Conversions and changes of layout: bound by memory, so only coalescing matters, and that the writes are in order.
#include "tensor/cuda/kernel.cuh"

namespace {

enum { BLOCK = 256 };

#define GRID_LOOP(i, n)                                                                                              \
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x, step_ = (int64_t)gridDim.x * BLOCK; i < (n); i += step_)

template <typename D, typename S> __global__ void __launch_bounds__(BLOCK) convert(D *dst, const S *src, int64_t n)
{
    GRID_LOOP (i, n)
        put(dst + i, get(src[i]));
}

template <typename E> __global__ void __launch_bounds__(BLOCK) permute(kn_k_permute a, int64_t n)
{
    GRID_LOOP (i, n) {
        int64_t left = i, at = 0;
        for (int d = a.n_dims - 1; d >= 0; d--) {
            at += left % a.dims[d] * a.stride[d];
            left /= a.dims[d];
        }
        ((E *)a.dst)[i] = ((const E *)a.src)[at];
    }
}

template <typename E> __global__ void __launch_bounds__(BLOCK) repeat_channels(E *dst, const E *src, int64_t n, int times)
{
    GRID_LOOP (i, n)
        dst[i] = src[i / times];
}

template <typename E> __global__ void __launch_bounds__(BLOCK) mean_channels(E *dst, const E *src, int64_t n, int group)
{
    GRID_LOOP (i, n) {
        float s = 0;
        for (int k = 0; k < group; k++)
            s += get(src[i * group + k]);
        put(dst + i, s / (float)group);
    }
}

template <typename D, typename S>
__global__ void __launch_bounds__(BLOCK) relayout(D *dst, const S *src, int64_t n, int64_t n_in, int taps)
{
    GRID_LOOP (i, n) {
        int64_t c = i % n_in, tap = i / n_in % taps, o = i / n_in / taps;
        put(dst + i, get(src[(o * n_in + c) * taps + tap]));
    }
}

} // namespace

int kn_k_is_built(void)
{
#ifdef __CUDACC__
    cudaFuncAttributes a;
    bool is_built = cudaFuncGetAttributes(&a, (const void *)repeat_channels<float>) == cudaSuccess;
    cudaGetLastError(); // else the next launch reports it
    return is_built;
#else
    return 1;
#endif
}

void kn_k_convert(void *dst, int dst_bf16, const void *src, int src_type, int64_t n, void *stream)
{
    kn_k_relayout(dst, dst_bf16, src, src_type, 1, n, 1, stream);
}

void kn_k_relayout(void *dst, int dst_bf16, const void *src, int src_type, int64_t n_out, int64_t n_in, int taps,
                   void *stream)
{
    int64_t n = n_out * n_in * taps;
    unsigned blocks = blocks_for(n, BLOCK);
    if (src_type == KN_K_F16)
        KN_TYPED(dst_bf16, D, KN_LAUNCH((relayout<D, f16>), blocks, BLOCK, 0, stream, (D *)dst, (const f16 *)src, n, n_in, taps));
    else if (taps == 1)
        KN_TYPED(dst_bf16, D, KN_TYPED(src_type == KN_K_BF16, S, {
                     KN_LAUNCH((convert<D, S>), blocks, BLOCK, 0, stream, (D *)dst, (const S *)src, n);
                 }));
    else
        KN_TYPED(dst_bf16, D, KN_TYPED(src_type == KN_K_BF16, S, {
                     KN_LAUNCH((relayout<D, S>), blocks, BLOCK, 0, stream, (D *)dst, (const S *)src, n, n_in, taps);
                 }));
}

void kn_k_permute_run(const kn_k_permute *a, void *stream)
{
    int64_t n = 1;
    for (int d = 0; d < a->n_dims; d++)
        n *= a->dims[d];
    if (a->element_bytes == 2)
        KN_LAUNCH((permute<uint16_t>), blocks_for(n, BLOCK), BLOCK, 0, stream, *a, n);
    else
        KN_LAUNCH((permute<uint32_t>), blocks_for(n, BLOCK), BLOCK, 0, stream, *a, n);
}

void kn_k_repeat_channels(void *dst, const void *src, int is_bf16, int64_t n_src, int times, void *stream)
{
    int64_t n = n_src * times;
    KN_TYPED(is_bf16, E, KN_LAUNCH((repeat_channels<E>), blocks_for(n, BLOCK), BLOCK, 0, stream, (E *)dst, (const E *)src, n, times));
}

void kn_k_mean_channels(void *dst, const void *src, int is_bf16, int64_t n_dst, int group, void *stream)
{
    KN_TYPED(is_bf16, E, KN_LAUNCH((mean_channels<E>), blocks_for(n_dst, BLOCK), BLOCK, 0, stream, (E *)dst, (const E *)src, n_dst, group));
}
