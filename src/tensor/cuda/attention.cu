// Attention on the tensor cores: softmax on the way (Dao 2023, FlashAttention-2), bf16 in, f32 sums.
//
// A block has 128 queries of one head, a warp 32 of them in two tiles of 16.  Keys come in tiles of 64: while scores are made of
// one tile of keys its values arrive, while its values are used the next keys arrive.
#include "tensor/cuda/mma.cuh"

namespace {

enum { QUERIES = 128, KEYS = 64, WARPS = 4, THREADS = WARPS * 32, TILES = 2 };

#define NO_SCORE (-1e30f)

// Shared memory: rows of D values and 16 bytes more, so that eight rows lie in different banks.
template <int D> struct shared_rows {
    bf16 q[QUERIES][D + 8], k[KEYS][D + 8], v[KEYS][D + 8];
};

// Rows [first, first + N) of one head into shared memory; zeros past n and past d.
template <int D, int N> __device__ void fetch_rows(bf16 (*to)[D + 8], const bf16 *from, int64_t first, int64_t n, int64_t stride, int d)
{
    enum { PIECES = D / 8 };
    for (int i = (int)threadIdx.x; i < N * PIECES; i += THREADS) {
        int row = i / PIECES, at = i % PIECES * 8;
        bool there = first + row < n && at < d;
        fetch16(&to[row][at], from + (there ? (first + row) * stride + at : 0), there);
    }
    fetch_end();
}

template <int D> struct state {
    float out[TILES][D / 8][4];
    float most[TILES][2], sum[TILES][2]; // of rows g and g + 8; sum: of this thread's columns only
};

// Scores [16 * TILES, KEYS] of a warp's queries.
template <int D> __device__ void make_scores(float s[TILES][KEYS / 8][4], const shared_rows<D> &m, int lane, int warp)
{
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                s[t][j][e] = 0;
    int r = lane % 8, which = lane / 8;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
        uint32_t q[TILES][4];
#pragma unroll
        for (int t = 0; t < TILES; t++)
            load_matrices(q[t], &m.q[warp * 32 + t * 16 + which % 2 * 8 + r][k + which / 2 * 8]);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j += 2) {
            uint32_t b[4];
            load_matrices(b, &m.k[j * 8 + which / 2 * 8 + r][k + which % 2 * 8]);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                mma_bf16(s[t][j], q[t], b);
                mma_bf16(s[t][j + 1], q[t], b + 2);
            }
        }
    }
}

// Hides keys past nk, or after the query where attention is causal.
__device__ inline void mask(float s[TILES][KEYS / 8][4], const kn_k_attention &a, int64_t first_query, int64_t first_key, int lane)
{
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int64_t key = first_key + j * 8 + lane % 4 * 2 + e % 2;
                int64_t query = first_query + t * 16 + lane / 4 + e / 2 * 8;
                if (key >= a.nk || (a.causal && key > query + a.nk - a.nq))
                    s[t][j][e] = NO_SCORE;
            }
}

// Scores become weights; what was summed before is brought to the new maximum.
template <int D> __device__ void soften(float s[TILES][KEYS / 8][4], state<D> &st, float scale_log2)
{
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float m = st.most[t][h];
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++)
                m = fmaxf(m, fmaxf(s[t][j][h * 2], s[t][j][h * 2 + 1]));
            m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 1));
            m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 2));
            float shrink = exp2f((st.most[t][h] - m) * scale_log2), sum = 0;
            st.most[t][h] = m;
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
                for (int e = h * 2; e < h * 2 + 2; e++) {
                    float x = s[t][j][e];
                    x = x <= NO_SCORE ? 0.0f : exp2f((x - m) * scale_log2);
                    s[t][j][e] = x;
                    sum += x;
                }
            st.sum[t][h] = st.sum[t][h] * shrink + sum;
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                st.out[t][j][h * 2] *= shrink;
                st.out[t][j][h * 2 + 1] *= shrink;
            }
        }
}

// out += weights values: two tiles of scores beside each other are a fragment of A.
template <int D> __device__ void add_values(const float s[TILES][KEYS / 8][4], state<D> &st, const shared_rows<D> &m, int lane)
{
    int r = lane % 8, which = lane / 8;
#pragma unroll
    for (int k = 0; k < KEYS / 8; k += 2) {
        uint32_t w[TILES][4];
#pragma unroll
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                w[t][e] = pack2(s[t][k + e / 2][e % 2 * 2], s[t][k + e / 2][e % 2 * 2 + 1]);
#pragma unroll
        for (int j = 0; j < D / 8; j += 2) {
            uint32_t b[4];
            load_matrices_turned(b, &m.v[k * 8 + which % 2 * 8 + r][j * 8 + which / 2 * 8]);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                mma_bf16(st.out[t][j], w[t], b);
                mma_bf16(st.out[t][j + 1], w[t], b + 2);
            }
        }
    }
}

template <int D, typename O> __device__ void write_out(const state<D> &st, const kn_k_attention &a, O *out, int64_t first_query, int lane)
{
    int64_t stride = (int64_t)a.n_heads * a.d;
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float sum = st.sum[t][h];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            int64_t query = first_query + t * 16 + h * 8 + lane / 4;
            float inverse = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
            for (int j = 0; j < D / 8; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    int at = j * 8 + lane % 4 * 2 + e;
                    if (query < a.nq && at < a.d)
                        put(out + query * stride + at, st.out[t][j][h * 2 + e] * inverse);
                }
        }
}

template <int D, typename O> __global__ void __launch_bounds__(THREADS) attend(kn_k_attention a)
{
    KN_SHARED_DYNAMIC(shared);
    shared_rows<D> &m = *(shared_rows<D> *)shared;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int64_t first = (int64_t)(gridDim.x - 1 - blockIdx.x) * QUERIES; // the last ones are the longest with a causal mask
    int head = (int)blockIdx.y, kv_head = head / (a.n_heads / a.n_kv_heads);
    int64_t q_stride = (int64_t)a.n_heads * a.d, kv_stride = (int64_t)a.n_kv_heads * a.d, batch = blockIdx.z;
    const bf16 *q = (const bf16 *)a.q + batch * a.nq * q_stride + head * a.d;
    const bf16 *k = (const bf16 *)a.k + batch * a.nk * kv_stride + kv_head * a.d;
    const bf16 *v = (const bf16 *)a.v + batch * a.nk * kv_stride + kv_head * a.d;
    int64_t mine = first + warp * 32, end = a.nk;
    if (a.causal && first + QUERIES + a.nk - a.nq < end)
        end = first + QUERIES + a.nk - a.nq;
    state<D> st;
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            st.most[t][h] = NO_SCORE;
            st.sum[t][h] = 0;
#pragma unroll
            for (int j = 0; j < D / 8; j++)
                st.out[t][j][h * 2] = st.out[t][j][h * 2 + 1] = 0;
        }
    fetch_rows<D, QUERIES>(m.q, q, first, a.nq, q_stride, a.d);
    fetch_rows<D, KEYS>(m.k, k, 0, a.nk, kv_stride, a.d);
    for (int64_t key = 0; key < end; key += KEYS) {
        float s[TILES][KEYS / 8][4];
        fetch_wait<0>(); // keys are here
        __syncthreads(); // and everyone is done with the values
        fetch_rows<D, KEYS>(m.v, v, key, a.nk, kv_stride, a.d);
        make_scores<D>(s, m, lane, warp);
        if (key + KEYS > a.nk || (a.causal && key + KEYS > mine + a.nk - a.nq))
            mask(s, a, mine, key, lane);
        soften<D>(s, st, a.scale * 1.4426950408889634f);
        fetch_wait<0>();
        __syncthreads();
        if (key + KEYS < end)
            fetch_rows<D, KEYS>(m.k, k, key + KEYS, a.nk, kv_stride, a.d);
        add_values<D>(s, st, m, lane);
    }
    write_out<D, O>(st, a, (O *)a.out + batch * a.nq * q_stride + head * a.d, mine, lane);
}

template <int D> void launch(const kn_k_attention *a, void *stream)
{
    dim3 grid((unsigned)((a->nq + QUERIES - 1) / QUERIES), (unsigned)a->n_heads, (unsigned)a->batch);
    KN_TYPED(a->out_bf16, O, {
        KN_ALLOW_SHARED((attend<D, O>), sizeof(shared_rows<D>));
        KN_LAUNCH((attend<D, O>), grid, THREADS, sizeof(shared_rows<D>), stream, *a);
    });
}

} // namespace

int kn_k_attention_is_fast(const kn_k_attention *a)
{
    // scores below zero times a negative scale would turn the order of maxima
    return a->in_bf16 && !a->bias && !a->rel_bias && a->d % 8 == 0 && a->d <= 128 && a->scale > 0 &&
           is_aligned(a->q, 16) && is_aligned(a->k, 16) && is_aligned(a->v, 16);
}

void kn_k_attention_fast(const kn_k_attention *a, void *stream)
{
    if (a->d <= 32)
        launch<32>(a, stream);
    else if (a->d <= 64)
        launch<64>(a, stream);
    else if (a->d <= 96)
        launch<96>(a, stream);
    else
        launch<128>(a, stream);
}
