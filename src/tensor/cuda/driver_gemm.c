/* Matrix products by cuBLASLt.
 *
 * It thinks in columns: out^T [n, rows] = w^T' x^T, where w [n, k] as it lies is a matrix of k rows, to be transposed, and x [rows, k] one
 * of k rows as it is.  That is also the only arrangement in which it multiplies int8. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/cuda/driver_cuda.h"

/* What NVIDIA recommends for Hopper; less costs some of the fastest kernels. */
enum { WORKSPACE_BYTES = 32 << 20 };

size_t kn_gemm_version(void)
{
    return cublasLtGetVersion();
}

static int check(cublasStatus_t s, const char *what, kn_err *err)
{
    if (s == CUBLAS_STATUS_SUCCESS)
        return 0;
    int code = s == CUBLAS_STATUS_ALLOC_FAILED    ? KN_ENOMEM
               : s == CUBLAS_STATUS_NOT_SUPPORTED ? KN_EUNSUPPORTED
                                                  : KN_EDEVICE;
    return kn_fail(err, code, "%s: %s", what, cublasLtGetStatusString(s));
}

int kn_gemm_open(kn_gpu *g, kn_err *err)
{
    int rc = check(cublasLtCreate(&g->lt), "opening cuBLASLt", err);
    return rc ? rc : kn_cuda_check(cudaMalloc(&g->workspace, WORKSPACE_BYTES), "memory for cuBLASLt", err);
}

static void plan_free(kn_gemm_plan *p)
{
    if (!p)
        return;
    cublasLtMatrixLayoutDestroy(p->w);
    cublasLtMatrixLayoutDestroy(p->x);
    cublasLtMatrixLayoutDestroy(p->out);
    cublasLtMatmulDescDestroy(p->product);
    free(p);
}

static void forget_plans(kn_gpu *g)
{
    for (int i = 0; i < g->n_plans; i++)
        plan_free(g->plans[i]);
    g->n_plans = 0;
}

void kn_gemm_close(kn_gpu *g)
{
    forget_plans(g);
    if (g->lt)
        cublasLtDestroy(g->lt);
    cudaFree(g->workspace);
}

/* ---- planning ---- */

static cudaDataType_t type_of(int32_t t)
{
    return t == KN_BF16 ? CUDA_R_16BF : t == KN_I8 ? CUDA_R_8I : t == KN_I32 ? CUDA_R_32I : CUDA_R_32F;
}

static int32_t alignment(const void *p)
{
    uintptr_t a = (uintptr_t)p | 256;
    return (int32_t)(a & (~a + 1));
}

static kn_gemm_key key_of(const kn_gpu_gemm *a)
{
    kn_gemm_key k;
    memset(&k, 0, sizeof k); /* keys are compared byte by byte */
    k.rows = a->rows;
    k.n = a->n;
    k.k = a->type == KN_I8 ? a->stride : a->k; /* zeros behind, and multiples of 16 */
    k.stride = a->stride;
    k.type = (int32_t)a->type;
    k.out_type = (int32_t)a->out_type;
    k.has_bias = a->bias != NULL;
    k.gelu_tanh = a->gelu_tanh;
    k.accumulate = a->accumulate;
    k.align[0] = alignment(a->x);
    k.align[1] = alignment(a->w);
    k.align[2] = alignment(a->out);
    return k;
}

static int describe_product(kn_gemm_plan *p, kn_err *err)
{
    const kn_gemm_key *k = &p->key;
    bool is_int8 = k->type == KN_I8;
    cublasOperation_t turned = CUBLAS_OP_T;
    cublasLtEpilogue_t epilogue = k->gelu_tanh
                                      ? (k->has_bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU)
                                  : k->has_bias ? CUBLASLT_EPILOGUE_BIAS
                                                : CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType_t bias = type_of(k->out_type);
    int rc = check(cublasLtMatmulDescCreate(&p->product, is_int8 ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F,
                                            is_int8 ? CUDA_R_32I : CUDA_R_32F),
                   "describing a product", err);
    if (!rc)
        rc = check(
            cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned),
            "its order", err);
    if (!rc)
        rc = check(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                                  sizeof epilogue),
                   "its epilogue", err);
    if (!rc && k->has_bias)
        rc = check(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias,
                                                  sizeof bias),
                   "its bias", err);
    return rc;
}

static int describe_matrices(kn_gemm_plan *p, kn_err *err)
{
    const kn_gemm_key *k = &p->key;
    uint64_t rows = (uint64_t)k->rows, n = (uint64_t)k->n, depth = (uint64_t)k->k;
    int rc = check(cublasLtMatrixLayoutCreate(&p->w, type_of(k->type), depth, n, k->stride),
                   "describing weights", err);
    if (!rc)
        rc = check(cublasLtMatrixLayoutCreate(&p->x, type_of(k->type), depth, rows, k->stride),
                   "describing a factor", err);
    if (!rc)
        rc = check(cublasLtMatrixLayoutCreate(&p->out, type_of(k->out_type), n, rows, k->n),
                   "describing a result", err);
    return rc;
}

static int choose_algorithm(kn_gpu *g, kn_gemm_plan *p, kn_err *err)
{
    static const cublasLtMatmulPreferenceAttributes_t attributes[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t found;
    uint64_t most = WORKSPACE_BYTES;
    int n = 0;
    int rc = check(cublasLtMatmulPreferenceCreate(&preference), "asking for a kernel", err);
    if (rc)
        return rc;
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                         sizeof most);
    for (int i = 0; i < 4; i++) {
        uint32_t bytes = (uint32_t)p->key.align[i < 2 ? i : 2];
        cublasLtMatmulPreferenceSetAttribute(preference, attributes[i], &bytes, sizeof bytes);
    }
    rc = check(cublasLtMatmulAlgoGetHeuristic(g->lt, p->product, p->w, p->x, p->out, p->out, preference, 1,
                                              &found, &n),
               "asking for a kernel", err);
    cublasLtMatmulPreferenceDestroy(preference);
    if (!rc && !n)
        rc = kn_fail(err, KN_EUNSUPPORTED, "cuBLASLt has no %s product of %lld x %lld x %lld",
                     kn_dtype_name((kn_dtype)p->key.type), (long long)p->key.rows, (long long)p->key.n,
                     (long long)p->key.k);
    if (!rc)
        p->algo = found.algo;
    return rc;
}

static int find_plan(kn_gpu *g, const kn_gemm_key *key, kn_gemm_plan **ret, kn_err *err)
{
    for (int i = 0; i < g->n_plans; i++)
        if (memcmp(&g->plans[i]->key, key, sizeof *key) == 0) {
            *ret = g->plans[i];
            return 0;
        }
    if (g->n_plans == KN_GEMM_PLANS)
        forget_plans(g);
    kn_gemm_plan *p = kn_calloc(1, sizeof *p);
    if (!p)
        return kn_fail(err, KN_ENOMEM, "no memory for a product's plan");
    p->key = *key;
    int rc = describe_product(p, err);
    if (!rc)
        rc = describe_matrices(p, err);
    if (!rc)
        rc = choose_algorithm(g, p, err);
    if (rc) {
        plan_free(p);
        return rc;
    }
    *ret = g->plans[g->n_plans++] = p;
    return 0;
}

/* ---- running ---- */

int kn_gpu_gemm_run(kn_gpu *g, const kn_gpu_gemm *a, kn_err *err)
{
    kn_gemm_key key = key_of(a);
    kn_gemm_plan *p = NULL;
    int rc = find_plan(g, &key, &p, err);
    if (!rc && a->bias)
        rc = check(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &a->bias,
                                                  sizeof a->bias),
                   "a bias", err);
    if (rc)
        return rc;
    float one = 1, sum = a->accumulate ? 1 : 0;
    int32_t one_int = 1, none_int = 0;
    bool is_int8 = a->type == KN_I8;
    const void *alpha = is_int8 ? (const void *)&one_int : &one,
               *beta = is_int8 ? (const void *)&none_int : &sum;
    return check(cublasLtMatmul(g->lt, p->product, alpha, a->w, p->w, a->x, p->x, beta, a->out, p->out,
                                a->out, p->out, &p->algo, g->workspace, WORKSPACE_BYTES,
                                g->streams[KN_GPU_COMPUTE]),
                 "a product", err);
}
