// The tensor cores' instructions of sm_80 and later, which g++ gets from tests/cuda/on_host.h.
//
// Fragments are as the PTX manual draws them for mma.m16n8k16: of A [16, 16] a thread holds rows g and g + 8, columns 2t, 2t + 1
// and 8 further; of B [16, 8] rows 2t, 2t + 1 and 8 further, column g; of C [16, 8] rows g and g + 8, columns 2t, 2t + 1;
// g = lane / 4, t = lane % 4.
#ifndef KN_TENSOR_CUDA_MMA_CUH
#define KN_TENSOR_CUDA_MMA_CUH

#include "tensor/cuda/kernel.cuh"

namespace {

#ifdef __CUDACC__

// c += a b
__device__ inline void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8 x 8 matrices of 16 bits: thread 8 m + r has the address of row r of matrix m, 16 bytes in shared memory.
__device__ inline void load_matrices(uint32_t r[4], const void *row)
{
    uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

// The same, each matrix transposed.
__device__ inline void load_matrices_turned(uint32_t r[4], const void *row)
{
    uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

// 16 bytes to shared memory without waiting; zeros when `there` is false (src must be a valid address all the same).
__device__ inline void fetch16(void *dst, const void *src, bool there)
{
    uint32_t at = (uint32_t)__cvta_generic_to_shared(dst);
    int n = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(at), "l"(src), "r"(n) : "memory");
}

// Ends a group of fetches; fetch_wait<N> waits until at most N groups are under way.
__device__ inline void fetch_end() { asm volatile("cp.async.commit_group;" : : : "memory"); }
template <int N> __device__ inline void fetch_wait() { asm volatile("cp.async.wait_group %0;" : : "n"(N) : "memory"); }

#else

inline void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]) { host_mma_bf16(c, a, b); }
inline void load_matrices(uint32_t r[4], const void *row) { host_load_matrices(r, row, false); }
inline void load_matrices_turned(uint32_t r[4], const void *row) { host_load_matrices(r, row, true); }
inline void fetch16(void *dst, const void *src, bool there) { host_fetch16(dst, src, there); }
inline void fetch_end() { host_fetch_end(); }
template <int N> inline void fetch_wait() { host_fetch_wait(N); }

#endif

} // namespace

#endif
