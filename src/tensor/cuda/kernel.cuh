// What every kernel file includes: launching, element types, activations.
//
// The same text is compiled by nvcc for cards and by g++ for tests (tests/cuda/on_host.hpp), where every thread of a block
// is a fibre; so launches go through KN_LAUNCH, and instructions of the tensor cores through mma.cuh.
#ifndef KN_TENSOR_CUDA_KERNEL_CUH
#define KN_TENSOR_CUDA_KERNEL_CUH

#include "tensor/cuda/kernels.h"

#ifdef __CUDACC__
#define KN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                    \
    kernel<<<grid, block, shared_bytes, (cudaStream_t)(stream)>>>(__VA_ARGS__)
// More than the 48 KiB that every kernel may have.  Asked for at each launch: it costs nothing, and cards may differ.
#define KN_ALLOW_SHARED(kernel, bytes)                                                                               \
    cudaFuncSetAttribute((const void *)(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))
#define KN_SHARED_DYNAMIC(name) extern __shared__ __align__(16) unsigned char name[]
#else
#include "cuda/on_host.hpp"
#endif

// Runs the statement with the type T of what a flag says.
#define KN_TYPED(is_bf16, T, ...)                                                                                    \
    do {                                                                                                             \
        if (is_bf16) {                                                                                               \
            typedef bf16 T;                                                                                          \
            __VA_ARGS__;                                                                                             \
        } else {                                                                                                     \
            typedef float T;                                                                                         \
            __VA_ARGS__;                                                                                             \
        }                                                                                                            \
    } while (0)

namespace {

struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

__device__ inline float get(float v) { return v; }
__device__ inline float get(int32_t v) { return (float)v; }
__device__ inline float get(bf16 v) { return __uint_as_float((uint32_t)v.bits << 16); }

// Half precision only comes from files, so this need not be fast: subnormals are multiples of 2^-24.
__device__ inline float get(f16 v)
{
    uint32_t sign = (uint32_t)(v.bits & 0x8000u) << 16, e = v.bits >> 10 & 31u, m = v.bits & 1023u;
    if (e == 31)
        return __uint_as_float(sign | 0x7f800000u | m << 13);
    float f = e ? __uint_as_float((e + 112) << 23 | m << 13) : (float)m * 5.9604644775390625e-8f;
    return sign ? -f : f;
}

// Two values to bf16, nearest even; the first in the low half.
__device__ inline uint32_t pack2(float lo, float hi)
{
#ifdef __CUDACC__
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
#else
    return host_bf16(lo) | (uint32_t)host_bf16(hi) << 16;
#endif
}

__device__ inline void put(float *p, float v) { *p = v; }
__device__ inline void put(bf16 *p, float v) { p->bits = (uint16_t)pack2(v, 0.0f); }

// W values at once; W is 1 or 4, and then the address is a multiple of 4 values.
template <int W> __device__ inline void load(const float *p, float *v)
{
    if (W == 4) {
        float4 t = *(const float4 *)p;
        v[0] = t.x, v[1] = t.y, v[2] = t.z, v[3] = t.w;
    } else {
        v[0] = *p;
    }
}

template <int W> __device__ inline void load(const int32_t *p, float *v)
{
    if (W == 4) {
        int4 t = *(const int4 *)p;
        v[0] = (float)t.x, v[1] = (float)t.y, v[2] = (float)t.z, v[3] = (float)t.w;
    } else {
        v[0] = (float)*p;
    }
}

template <int W> __device__ inline void load(const bf16 *p, float *v)
{
    if (W == 4) {
        uint2 t = *(const uint2 *)p;
        v[0] = __uint_as_float(t.x << 16), v[1] = __uint_as_float(t.x & 0xffff0000u);
        v[2] = __uint_as_float(t.y << 16), v[3] = __uint_as_float(t.y & 0xffff0000u);
    } else {
        v[0] = get(*p);
    }
}

template <int W> __device__ inline void store(float *p, const float *v)
{
    if (W == 4)
        *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    else
        *p = v[0];
}

template <int W> __device__ inline void store(bf16 *p, const float *v)
{
    if (W == 4)
        *(uint2 *)p = make_uint2(pack2(v[0], v[1]), pack2(v[2], v[3]));
    else
        put(p, v[0]);
}

__device__ inline float activate(float x, int act)
{
    switch (act) {
    case KN_K_SILU:
        return x / (1.0f + expf(-x));
    case KN_K_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    case KN_K_GELU_ERF:
        return 0.5f * x * (1.0f + erff(x * 0.7071067811865476f));
    case KN_K_QUICK_GELU:
        return x / (1.0f + expf(-1.702f * x));
    case KN_K_RELU:
        return x > 0.0f ? x : 0.0f;
    default:
        return x;
    }
}

__device__ inline const float *mod_row(kn_k_mod m, int64_t row, int64_t n)
{
    return m.table + (m.group ? m.group[row] : 0) * n;
}

inline bool is_aligned(const void *p, int bytes) { return (uintptr_t)p % (uintptr_t)bytes == 0; }
inline int bytes_of(int is_bf16) { return is_bf16 ? 2 : 4; }
// Whether groups of four values at p are loaded at once.
inline bool takes_four(const void *p, int is_bf16) { return is_aligned(p, 4 * bytes_of(is_bf16)); }

// Blocks for n items of work in a loop over the grid.
inline unsigned blocks_for(int64_t n, int per_block)
{
    int64_t b = (n + per_block - 1) / per_block;
    return (unsigned)(b < 1 << 20 ? b : 1 << 20);
}

} // namespace

#endif
