// RMS norm, layer norm and rotary embedding: a row belongs to a warp or, when it is long, to a block.  Later passes over
// a row find it in the cache, so that memory is read once and written once.
#include "tensor/cuda/reduce.cuh"

namespace {

enum { BLOCK = 256, WARP_ROW = 1024 }; // rows up to this many channels belong to a warp

// Where a row's threads are: T threads to a row, BLOCK / T rows to a block.
template <int T> struct place {
    int64_t row;
    int lane;
    __device__ place() : row((int64_t)blockIdx.x * (BLOCK / T) + threadIdx.x / T), lane((int)threadIdx.x % T) {}
};

template <int T, int W, typename X> __device__ float sum_of_squares(const X *x, int n, int lane, float mean)
{
    float s = 0;
    for (int i = lane * W; i < n; i += T * W) {
        float v[W];
        load<W>(x + i, v);
        for (int k = 0; k < W; k++)
            s += (v[k] - mean) * (v[k] - mean);
    }
    return sum_over<T>(s);
}

template <int T, int W, typename X, typename O> __global__ void __launch_bounds__(BLOCK) rms_rows(kn_k_norm a)
{
    place<T> at;
    if (at.row >= a.rows)
        return;
    const X *x = (const X *)a.x + at.row * a.n;
    O *out = (O *)a.out + at.row * a.n;
    float r = rsqrtf(sum_of_squares<T, W>(x, a.n, at.lane, 0.0f) / (float)a.n + a.eps);
    for (int i = at.lane * W; i < a.n; i += T * W) {
        float v[W], g[W];
        load<W>(x + i, v);
        if (a.gamma)
            load<W>(a.gamma + i, g);
        for (int k = 0; k < W; k++)
            v[k] = activate(v[k] * r * (a.gamma ? g[k] : 1.0f), a.act);
        store<W>(out + i, v);
    }
}

// The pair p of a row: places of its two values, and its angle's index.
struct pair {
    int first, second, angle;
};

__device__ inline pair pair_of(int p, int half, int halves)
{
    int head = p / half, i = p % half, base = head * 2 * half;
    if (halves)
        return {base + i, base + i + half, i};
    return {base + 2 * i, base + 2 * i + 1, i};
}

// norm: x / rms * gamma before the rotation; else rotation alone.
template <int T, bool NORM, typename X, typename O> __global__ void __launch_bounds__(BLOCK) rotate_rows(kn_k_norm a)
{
    place<T> at;
    if (at.row >= a.rows)
        return;
    const X *x = (const X *)a.x + at.row * a.n;
    O *out = (O *)a.out + at.row * a.n;
    float r = NORM ? rsqrtf(sum_of_squares<T, 1>(x, a.n, at.lane, 0.0f) / (float)a.n + a.eps) : 1.0f;
    int half = a.n / a.n_heads / 2;
    const float *cos = a.cos + at.row % a.rope_rows * half, *sin = a.sin + at.row % a.rope_rows * half;
    for (int p = at.lane; p < a.n / 2; p += T) {
        pair i = pair_of(p, half, a.halves);
        float u = get(x[i.first]) * r, v = get(x[i.second]) * r;
        if (NORM && a.gamma)
            u *= a.gamma[i.first], v *= a.gamma[i.second];
        float c = cos[i.angle], s = sin[i.angle];
        put(out + i.first, activate(u * c - v * s, a.act));
        put(out + i.second, activate(v * c + u * s, a.act));
    }
}

template <int T, int W, typename X, typename O> __global__ void __launch_bounds__(BLOCK) layer_rows(kn_k_norm a)
{
    place<T> at;
    if (at.row >= a.rows)
        return;
    const X *x = (const X *)a.x + at.row * a.n;
    O *out = (O *)a.out + at.row * a.n;
    float s = 0;
    for (int i = at.lane * W; i < a.n; i += T * W) {
        float v[W];
        load<W>(x + i, v);
        for (int k = 0; k < W; k++)
            s += v[k];
    }
    float mean = sum_over<T>(s) / (float)a.n;
    float r = rsqrtf(sum_of_squares<T, W>(x, a.n, at.lane, mean) / (float)a.n + a.eps);
    const float *scale = a.scale.table ? mod_row(a.scale, at.row, a.n) : NULL;
    const float *shift = a.shift.table ? mod_row(a.shift, at.row, a.n) : NULL;
    for (int i = at.lane * W; i < a.n; i += T * W) {
        float v[W];
        load<W>(x + i, v);
        for (int k = 0; k < W; k++) {
            v[k] = (v[k] - mean) * r * (a.gamma ? a.gamma[i + k] : 1.0f) + (a.beta ? a.beta[i + k] : 0.0f);
            v[k] = v[k] * (scale ? 1.0f + scale[i + k] : 1.0f) + (shift ? shift[i + k] : 0.0f);
        }
        store<W>(out + i, v);
    }
}

bool takes_four_rows(const kn_k_norm *a)
{
    return a->n % 4 == 0 && takes_four(a->x, a->x_bf16) && takes_four(a->out, a->out_bf16) &&
           (!a->gamma || is_aligned(a->gamma, 16));
}

// Launches kernel<threads of a row, values at once, ...>.
#define LAUNCH_ROWS(kernel, a, four, stream)                                                                         \
    KN_TYPED((a)->x_bf16, X, KN_TYPED((a)->out_bf16, O, {                                                            \
                 unsigned warps = blocks_for_rows((a)->rows, BLOCK / 32), whole = blocks_for_rows((a)->rows, 1);     \
                 if ((a)->n <= WARP_ROW && (four))                                                                   \
                     KN_LAUNCH((kernel<32, 4, X, O>), warps, BLOCK, 0, stream, *(a));                                \
                 else if ((a)->n <= WARP_ROW)                                                                        \
                     KN_LAUNCH((kernel<32, 1, X, O>), warps, BLOCK, 0, stream, *(a));                                \
                 else if (four)                                                                                      \
                     KN_LAUNCH((kernel<BLOCK, 4, X, O>), whole, BLOCK, 0, stream, *(a));                             \
                 else                                                                                                \
                     KN_LAUNCH((kernel<BLOCK, 1, X, O>), whole, BLOCK, 0, stream, *(a));                             \
             }))

unsigned blocks_for_rows(int64_t rows, int per_block) { return (unsigned)((rows + per_block - 1) / per_block); }

template <bool NORM> void rotate(const kn_k_norm *a, void *stream)
{
    KN_TYPED(a->x_bf16, X, KN_TYPED(a->out_bf16, O, {
                 if (a->n <= WARP_ROW)
                     KN_LAUNCH((rotate_rows<32, NORM, X, O>), blocks_for_rows(a->rows, BLOCK / 32), BLOCK, 0, stream, *a);
                 else
                     KN_LAUNCH((rotate_rows<BLOCK, NORM, X, O>), blocks_for_rows(a->rows, 1), BLOCK, 0, stream, *a);
             }));
}

} // namespace

void kn_k_rms_norm(const kn_k_norm *a, void *stream)
{
    if (a->cos) {
        rotate<true>(a, stream);
        return;
    }
    bool four = takes_four_rows(a);
    LAUNCH_ROWS(rms_rows, a, four, stream);
}

void kn_k_layer_norm(const kn_k_norm *a, void *stream)
{
    bool four = takes_four_rows(a);
    LAUNCH_ROWS(layer_rows, a, four, stream);
}

void kn_k_rope(const kn_k_norm *a, void *stream) { rotate<false>(a, stream); }
