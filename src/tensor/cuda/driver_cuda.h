/* What the two files of the CUDA driver share. */
#ifndef KN_TENSOR_CUDA_DRIVER_CUDA_H
#define KN_TENSOR_CUDA_DRIVER_CUDA_H

#include <cublasLt.h>
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "tensor/cuda/driver.h"

/* X(field, symbol): memory by pages, which only the driver's own interface has. */
#define KN_LIBCUDA_LIST(X)                                                                                   \
    X(reserve, "cuMemAddressReserve")                                                                        \
    X(unreserve, "cuMemAddressFree")                                                                         \
    X(create, "cuMemCreate")                                                                                 \
    X(release, "cuMemRelease")                                                                               \
    X(map, "cuMemMap")                                                                                       \
    X(unmap, "cuMemUnmap")                                                                                   \
    X(set_access, "cuMemSetAccess")                                                                          \
    X(granularity, "cuMemGetAllocationGranularity")

typedef struct kn_libcuda {
    CUresult (*reserve)(CUdeviceptr *ptr, size_t size, size_t alignment, CUdeviceptr addr,
                        unsigned long long flags);
    CUresult (*unreserve)(CUdeviceptr ptr, size_t size);
    CUresult (*create)(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop,
                       unsigned long long flags);
    CUresult (*release)(CUmemGenericAllocationHandle handle);
    CUresult (*map)(CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                    unsigned long long flags);
    CUresult (*unmap)(CUdeviceptr ptr, size_t size);
    CUresult (*set_access)(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc, size_t count);
    CUresult (*granularity)(size_t *granularity, const CUmemAllocationProp *prop,
                            CUmemAllocationGranularity_flags option);
} kn_libcuda;

enum { KN_GEMM_PLANS = 256 };

/* One kind of product, planned once; the plan depends on nothing else, so that results repeat bit for bit. */
typedef struct kn_gemm_key {
    int64_t rows, n, k, stride;
    int32_t type, out_type, has_bias, gelu_tanh, accumulate;
    int32_t align[3]; /* of x, w and out: a power of two up to 256 */
} kn_gemm_key;

typedef struct kn_gemm_plan {
    kn_gemm_key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t w, x, out;
    cublasLtMatmulAlgo_t algo;
} kn_gemm_plan;

struct kn_gpu {
    int index;
    cudaStream_t streams[KN_GPU_QUEUES];
    CUmemAllocationProp page;
    size_t page_bytes;
    cublasLtHandle_t lt;
    void *workspace;
    kn_gemm_plan *plans[KN_GEMM_PLANS];
    int n_plans;
};

int kn_cuda_check(cudaError_t e, const char *what, kn_err *err);
int kn_gemm_open(kn_gpu *g, kn_err *err);
void kn_gemm_close(kn_gpu *g);
size_t kn_gemm_version(void);

#endif
