/* The vendor's own matrix product, for comparison. */
#include <stdlib.h>

#include "base/clock.h"
#include "tensor/cuda/cuda_device.h"

enum { ROWS = 4096, IN = 1536, OUT = 8960, RUNS = 7, PRODUCTS = 20 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(kn_gpu *gpu, const kn_gpu_gemm *g, double *ret_s, kn_err *err)
{
    double seconds[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int rc = kn_gpu_wait(gpu, KN_GPU_COMPUTE, err);
        double begin = kn_clock_s();
        for (int k = 0; k < PRODUCTS && !rc; k++)
            rc = kn_gpu_gemm_run(gpu, g, err);
        if (!rc)
            rc = kn_gpu_wait(gpu, KN_GPU_COMPUTE, err);
        if (rc)
            return rc;
        seconds[i] = (kn_clock_s() - begin) / PRODUCTS;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_size);
    *ret_s = seconds[RUNS / 2];
    return 0;
}

int kn_cuda_raw_matmul(kn_device *dev, kn_dtype dtype, double *ret_flops, kn_err *err)
{
    kn_gpu *gpu = kn_cuda_of(dev)->gpu;
    void *x = NULL, *w = NULL, *out = NULL;
    double seconds = 0;
    kn_gpu_gemm g = {.rows = ROWS, .n = OUT, .k = IN, .stride = IN, .type = dtype, .out_type = dtype};
    if (dtype != KN_F32 && dtype != KN_BF16)
        return kn_fail(err, KN_EUNSUPPORTED, "raw products are measured in f32 and bf16, not in %s",
                       kn_dtype_name(dtype));
    int rc = kn_gpu_alloc(gpu, kn_dtype_bytes(dtype, (int64_t)ROWS * IN), &x, err);
    if (!rc)
        rc = kn_gpu_alloc(gpu, kn_dtype_bytes(dtype, (int64_t)OUT * IN), &w, err);
    if (!rc)
        rc = kn_gpu_alloc(gpu, kn_dtype_bytes(dtype, (int64_t)ROWS * OUT), &out, err);
    if (!rc)
        rc = kn_gpu_zero(gpu, KN_GPU_COMPUTE, x, kn_dtype_bytes(dtype, (int64_t)ROWS * IN), err);
    if (!rc)
        rc = kn_gpu_zero(gpu, KN_GPU_COMPUTE, w, kn_dtype_bytes(dtype, (int64_t)OUT * IN), err);
    g.x = x;
    g.w = w;
    g.out = out;
    if (!rc)
        rc = measure(gpu, &g, &seconds, err);
    kn_gpu_wait(gpu, KN_GPU_COMPUTE, NULL);
    kn_gpu_free(gpu, x);
    kn_gpu_free(gpu, w);
    kn_gpu_free(gpu, out);
    if (!rc)
        *ret_flops = 2.0 * ROWS * OUT * IN / seconds;
    return rc;
}
