/* The vendor's own matrix product, for comparison. */
#include <stdlib.h>

#include "base/clock.h"
#include "tensor/cuda/cuda_device.h"

enum { ROWS = 4096, IN = 1536, OUT = 8960, RUNS = 7, PRODUCTS = 20, PATTERN = 1 << 12 };

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

/* Numbers of [-1, 1), the same ones over and over: a card is faster with zeros. */
static int make_matrix(kn_gpu *gpu, kn_dtype dtype, int64_t n, void **ret, kn_err *err)
{
    float f32[PATTERN];
    uint16_t bf16[PATTERN];
    uint32_t seed = 1;
    for (int i = 0; i < PATTERN; i++) {
        seed = seed * 1664525u + 1013904223u;
        f32[i] = (float)(int32_t)seed * 0x1p-31f;
        bf16[i] = kn_f32_to_bf16(f32[i]);
    }
    int rc = kn_gpu_alloc(gpu, kn_dtype_bytes(dtype, n), ret, err);
    for (int64_t i = 0; i < n && !rc; i += PATTERN) {
        size_t bytes = kn_dtype_bytes(dtype, n - i < PATTERN ? n - i : PATTERN);
        const void *from = dtype == KN_BF16 ? (const void *)bf16 : f32;
        rc = kn_gpu_upload(gpu, KN_GPU_COMPUTE, (char *)*ret + kn_dtype_bytes(dtype, i), from, bytes, err);
    }
    return rc;
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
    int rc = make_matrix(gpu, dtype, (int64_t)ROWS * IN, &x, err);
    if (!rc)
        rc = make_matrix(gpu, dtype, (int64_t)OUT * IN, &w, err);
    if (!rc)
        rc = make_matrix(gpu, dtype, (int64_t)ROWS * OUT, &out, err);
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
