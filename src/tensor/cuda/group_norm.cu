// Group norm over all rows: statistics of blocks of rows for each channel, merged in one order, then applied.
#include "tensor/cuda/kernel.cuh"

namespace {

enum { BLOCK = 256, ROWS = 128 }; // rows of a block of statistics

struct moments {
    float mean, squares; // of deviations from the mean
};

int64_t n_row_blocks(int64_t rows) { return (rows + ROWS - 1) / ROWS; }

// Each thread one channel of ROWS rows (Welford 1962).
template <typename X> __global__ void __launch_bounds__(BLOCK) block_moments(kn_k_norm a, moments *ret)
{
    int c = (int)(blockIdx.y * BLOCK + threadIdx.x);
    int64_t first = (int64_t)blockIdx.x * ROWS, end = first + ROWS < a.rows ? first + ROWS : a.rows;
    if (c >= a.n)
        return;
    moments m = {0, 0};
    for (int64_t r = first; r < end; r++) {
        float v = get(((const X *)a.x)[r * a.n + c]), d = v - m.mean;
        m.mean += d / (float)(r - first + 1);
        m.squares += d * (v - m.mean);
    }
    ret[(int64_t)blockIdx.x * a.n + c] = m;
}

struct total {
    double n, mean, squares;
    // Chan, Golub, LeVeque 1979
    __device__ void add(double m, double other_mean, double other_squares)
    {
        double d = other_mean - mean;
        mean += d * m / (n + m);
        squares += other_squares + d * d * n * m / (n + m);
        n += m;
    }
};

// One block a group: every thread merges a part, the first one merges these.
__global__ void __launch_bounds__(BLOCK) group_moments(kn_k_norm a, const moments *of_blocks, int64_t n_blocks, float *ret)
{
    __shared__ total of_thread[BLOCK];
    int per = a.n / a.n_groups, t = (int)threadIdx.x;
    int64_t n = n_blocks * per;
    total sum = {0, 0, 0};
    for (int64_t i = t; i < n; i += BLOCK) {
        int64_t b = i / per, left = a.rows - b * ROWS;
        moments m = of_blocks[b * a.n + blockIdx.x * per + i % per];
        sum.add((double)(left < (int64_t)ROWS ? left : (int64_t)ROWS), m.mean, m.squares);
    }
    of_thread[t] = sum;
    __syncthreads();
    if (t)
        return;
    for (int i = 1; i < BLOCK; i++)
        if (of_thread[i].n > 0)
            sum.add(of_thread[i].n, of_thread[i].mean, of_thread[i].squares);
    ret[blockIdx.x * 2] = (float)sum.mean;
    ret[blockIdx.x * 2 + 1] = (float)(1.0 / sqrt(sum.squares / sum.n + (double)a.eps));
}

template <typename X, typename O> __global__ void __launch_bounds__(BLOCK) group_apply(kn_k_norm a, const float *of_groups)
{
    int64_t n = a.rows * a.n, step = (int64_t)gridDim.x * BLOCK;
    int per = a.n / a.n_groups;
    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < n; i += step) {
        int c = (int)(i % a.n), g = c / per;
        float v = (get(((const X *)a.x)[i]) - of_groups[g * 2]) * of_groups[g * 2 + 1];
        v = v * (a.gamma ? a.gamma[c] : 1.0f) + (a.beta ? a.beta[c] : 0.0f);
        put((O *)a.out + i, activate(v, a.act));
    }
}

} // namespace

size_t kn_k_group_norm_workspace(int64_t rows, int n)
{
    return (size_t)(n_row_blocks(rows) * n) * sizeof(moments) + (size_t)n * 2 * sizeof(float);
}

void kn_k_group_norm(const kn_k_norm *a, void *stream)
{
    int64_t n_blocks = n_row_blocks(a->rows);
    moments *of_blocks = (moments *)a->workspace;
    float *of_groups = (float *)(of_blocks + n_blocks * a->n);
    dim3 grid((unsigned)n_blocks, (unsigned)((a->n + BLOCK - 1) / BLOCK));
    KN_TYPED(a->x_bf16, X, KN_LAUNCH((block_moments<X>), grid, BLOCK, 0, stream, *a, of_blocks));
    KN_LAUNCH(group_moments, (unsigned)a->n_groups, BLOCK, 0, stream, *a, of_blocks, n_blocks, of_groups);
    unsigned blocks = blocks_for(a->rows * a->n, BLOCK);
    KN_TYPED(a->x_bf16, X, KN_TYPED(a->out_bf16, O, KN_LAUNCH((group_apply<X, O>), blocks, BLOCK, 0, stream, *a, of_groups)));
}
