// Kernels of src/tensor/cuda/*.cu compiled by g++ and run on the host, for tests on machines without a card.
//
// Every thread of a block is a fibre; barriers, shuffles and the tensor cores' instructions exchange values between them.  Copies to
// shared memory happen when they are waited for and not before, so that a forgotten wait shows.
#ifndef KN_TESTS_CUDA_ON_HOST_HPP
#define KN_TESTS_CUDA_ON_HOST_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(n)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) int4 {
    int32_t x, y, z, w;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
inline uint2 make_uint2(uint32_t x, uint32_t y)
{
    return {x, y};
}
inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

inline float __uint_as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

inline uint16_t host_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

void __syncthreads();
float __shfl_xor_sync(uint32_t mask, float v, int lane_mask);
void host_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]);
void host_load_matrices(uint32_t r[4], const void *row, bool turned);
void host_fetch16(void *dst, const void *src, bool there);
void host_fetch_end();
void host_fetch_wait(int n);
unsigned char *host_shared();
void host_launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &thread);

#define KN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                            \
    ((void)(stream), host_launch(grid, block, shared_bytes, [&] { kernel(__VA_ARGS__); }))
#define KN_ALLOW_SHARED(kernel, bytes) ((void)0)
#define KN_SHARED_DYNAMIC(name)        unsigned char *name = host_shared()

#endif
