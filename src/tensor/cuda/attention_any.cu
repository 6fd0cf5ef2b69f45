// Attention of any type, head size and bias, without tensor cores: text encoders, float32, the wide single head of a VAE.
//
// A block has 16 queries of one head; keys come 32 at a time.  Scores and weights of a tile lie in shared memory; the sums over
// values are in registers, a thread having every 128th column of all 16 queries.
#include "tensor/cuda/kernel.cuh"

namespace {

enum { QUERIES = 16, KEYS = 32, THREADS = 128, DEPTH = 32 }; // DEPTH: values of a head multiplied at a time

struct tile {
    float q[QUERIES][DEPTH + 1], k[KEYS][DEPTH + 1];
    float s[QUERIES][KEYS];
    float most[QUERIES], sum[QUERIES], shrink[QUERIES];
};

// Where one block's head lies.
struct head_place {
    int64_t q, kv;          // offset of row 0
    int64_t q_stride, kv_stride;
    int head;
    int64_t first;          // query
};

__device__ inline head_place find_head(const kn_k_attention &a)
{
    head_place p;
    p.head = (int)blockIdx.y;
    p.q_stride = (int64_t)a.n_heads * a.d;
    p.kv_stride = (int64_t)a.n_kv_heads * a.d;
    p.q = (int64_t)blockIdx.z * a.nq * p.q_stride + (int64_t)p.head * a.d;
    p.kv = (int64_t)blockIdx.z * a.nk * p.kv_stride + (int64_t)(p.head / (a.n_heads / a.n_kv_heads)) * a.d;
    p.first = (int64_t)blockIdx.x * QUERIES;
    return p;
}

template <typename T> __device__ void load_part(float (*to)[DEPTH + 1], int rows, const T *from, int64_t first, int64_t n, int64_t stride, int depth, int d)
{
    for (int i = (int)threadIdx.x; i < rows * DEPTH; i += THREADS) {
        int row = i / DEPTH, at = depth + i % DEPTH;
        to[row][i % DEPTH] = first + row < n && at < d ? get(from[(first + row) * stride + at]) : 0.0f;
    }
}

// Scaled score with its biases; a hidden key's is minus infinity.
__device__ inline float finish_score(const kn_k_attention &a, const head_place &p, float s, int64_t query, int64_t key)
{
    if (query >= a.nq || key >= a.nk || (a.causal && key > query + a.nk - a.nq))
        return -INFINITY;
    s *= a.scale;
    if (a.bias)
        s += a.bias[p.head * a.bias_head_stride + query * a.bias_row_stride + key];
    if (a.rel_bias) {
        int64_t r = key - query, most = a.rel_radius;
        r = r < -most ? -most : r > most ? most : r;
        s += a.rel_bias[p.head * (2 * most + 1) + r + most];
    }
    return s;
}

// t.s = scores of the tile of keys at `key`; a thread has one key and four queries.
template <typename T> __device__ void make_scores(const kn_k_attention &a, const head_place &p, tile &t, int64_t key)
{
    int column = (int)threadIdx.x % KEYS, row = (int)threadIdx.x / KEYS;
    float s[4] = {0, 0, 0, 0};
    for (int depth = 0; depth < a.d; depth += DEPTH) {
        __syncthreads();
        load_part(t.q, QUERIES, (const T *)a.q + p.q, p.first, a.nq, p.q_stride, depth, a.d);
        load_part(t.k, KEYS, (const T *)a.k + p.kv, key, a.nk, p.kv_stride, depth, a.d);
        __syncthreads();
        for (int i = 0; i < DEPTH; i++)
            for (int r = 0; r < 4; r++)
                s[r] += t.q[row + r * 4][i] * t.k[column][i];
    }
    for (int r = 0; r < 4; r++)
        t.s[row + r * 4][column] = finish_score(a, p, s[r], p.first + row + r * 4, key + column);
}

// Scores become weights; one thread a query.
__device__ inline void soften(tile &t)
{
    __syncthreads();
    int row = (int)threadIdx.x;
    if (row < QUERIES) {
        float most = t.most[row], sum = 0;
        for (int k = 0; k < KEYS; k++)
            most = fmaxf(most, t.s[row][k]);
        float from = most == -INFINITY ? 0.0f : most;
        for (int k = 0; k < KEYS; k++) {
            t.s[row][k] = expf(t.s[row][k] - from);
            sum += t.s[row][k];
        }
        t.shrink[row] = expf(t.most[row] - from);
        t.sum[row] = t.sum[row] * t.shrink[row] + sum;
        t.most[row] = most;
    }
    __syncthreads();
}

// C: columns a thread has.
template <int C, typename T, typename O> __global__ void __launch_bounds__(THREADS) attend_any(kn_k_attention a)
{
    __shared__ tile t;
    head_place p = find_head(a);
    float out[C][QUERIES];
    for (int c = 0; c < C; c++)
        for (int q = 0; q < QUERIES; q++)
            out[c][q] = 0;
    if (threadIdx.x < QUERIES) {
        t.most[threadIdx.x] = -INFINITY;
        t.sum[threadIdx.x] = 0;
    }
    for (int64_t key = 0; key < a.nk; key += KEYS) {
        make_scores<T>(a, p, t, key);
        soften(t);
#pragma unroll
        for (int c = 0; c < C; c++) {
            int column = c * THREADS + (int)threadIdx.x;
            if (column >= a.d)
                continue;
            for (int q = 0; q < QUERIES; q++)
                out[c][q] *= t.shrink[q];
            for (int k = 0; k < KEYS && key + k < a.nk; k++) {
                float v = get(((const T *)a.v)[p.kv + (key + k) * p.kv_stride + column]);
#pragma unroll
                for (int q = 0; q < QUERIES; q++)
                    out[c][q] += t.s[q][k] * v;
            }
        }
    }
    __syncthreads();
    for (int c = 0; c < C; c++) {
        int column = c * THREADS + (int)threadIdx.x;
        for (int q = 0; q < QUERIES; q++)
            if (column < a.d && p.first + q < a.nq)
                put((O *)a.out + p.q + (p.first + q) * p.q_stride + column, out[c][q] / t.sum[q]);
    }
}

template <int C> void launch(const kn_k_attention *a, void *stream)
{
    dim3 grid((unsigned)((a->nq + QUERIES - 1) / QUERIES), (unsigned)a->n_heads, (unsigned)a->batch);
    KN_TYPED(a->in_bf16, T, KN_TYPED(a->out_bf16, O, KN_LAUNCH((attend_any<C, T, O>), grid, THREADS, 0, stream, *a)));
}

} // namespace

void kn_k_attention_any(const kn_k_attention *a, void *stream)
{
    if (a->d <= THREADS)
        launch<1>(a, stream);
    else if (a->d <= 3 * THREADS)
        launch<3>(a, stream);
    else
        launch<8>(a, stream);
}
