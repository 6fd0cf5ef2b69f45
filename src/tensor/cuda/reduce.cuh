// Sums and maxima over the 32 threads of a warp or a whole block of 256; every thread gets the result, and the order of
// additions never changes.
#ifndef KN_TENSOR_CUDA_REDUCE_CUH
#define KN_TENSOR_CUDA_REDUCE_CUH

#include "tensor/cuda/kernel.cuh"

namespace {

struct plus {
    __device__ float operator()(float a, float b) const { return a + b; }
};
struct larger {
    __device__ float operator()(float a, float b) const { return a > b ? a : b; }
};

template <int T, typename F> __device__ inline float reduce(float v, F join)
{
    for (int o = 16; o; o >>= 1)
        v = join(v, __shfl_xor_sync(0xffffffffu, v, o));
    if (T == 32)
        return v;
    __shared__ float of_warp[T / 32];
    __syncthreads(); // the one before may still be read
    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = v;
    __syncthreads();
    v = of_warp[0];
    for (int i = 1; i < T / 32; i++)
        v = join(v, of_warp[i]);
    return v;
}

template <int T> __device__ inline float sum_over(float v) { return reduce<T>(v, plus()); }
template <int T> __device__ inline float max_over(float v) { return reduce<T>(v, larger()); }

} // namespace

#endif
