// Element-wise operations, and what a matrix product left to do, four values a thread where addresses allow it.
#include "tensor/cuda/kernel.cuh"

namespace {

enum { BLOCK = 256 };

__device__ inline float combine(const kn_k_ewise &a, float x, float y, float gate)
{
    switch (a.op) {
    case KN_K_ADD:
        return x + a.a * y;
    case KN_K_MUL:
        return x * y;
    case KN_K_AFFINE:
        return x * a.a + a.b;
    case KN_K_CLAMP:
        return fminf(fmaxf(x, a.a), a.b);
    case KN_K_ACT:
        return activate(x, a.act);
    default:
        return x + y * gate;
    }
}

template <int W, typename X, typename Y> __global__ void __launch_bounds__(BLOCK) ewise(kn_k_ewise a)
{
    int64_t step = (int64_t)gridDim.x * BLOCK * W;
    for (int64_t i = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) * W; i < a.n; i += step) {
        float x[W], y[W] = {0}, gate[W] = {0};
        int64_t column = i % a.row;
        load<W>((const X *)a.x + i, x);
        if (a.y)
            load<W>((const Y *)a.y + (a.y_is_row ? column : i), y);
        if (a.gate.table)
            load<W>(mod_row(a.gate, i / a.row, a.row) + column, gate);
        for (int k = 0; k < W; k++)
            x[k] = combine(a, x[k], y[k], a.gate.table ? gate[k] : 1.0f);
        store<W>((X *)a.x + i, x);
    }
}

// acc holds A; `out` is read only when accumulating.
template <int W, typename A, typename O> __global__ void __launch_bounds__(BLOCK) finish(kn_k_finish a)
{
    int64_t n = a.rows * a.n, step = (int64_t)gridDim.x * BLOCK * W;
    for (int64_t i = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) * W; i < n; i += step) {
        int64_t row = i / a.n, column = i % a.n;
        float v[W], t[W];
        load<W>((const A *)a.acc + i, v);
        float by_row = a.row_scale ? a.row_scale[row] : 1.0f;
        const float *gate = a.gate.table ? mod_row(a.gate, row, a.n) + column : NULL;
        for (int k = 0; k < W; k++) {
            float scale = by_row * (a.col_scale ? a.col_scale[column + k] : 1.0f);
            v[k] = activate(v[k] * scale + (a.bias ? a.bias[column + k] : 0.0f), a.act);
        }
        O *out = (O *)a.out + i;
        if (a.accumulate) {
            load<W>(out, t);
            for (int k = 0; k < W; k++)
                v[k] = t[k] + v[k] * (gate ? gate[k] : 1.0f);
        }
        store<W>(out, v);
    }
}

template <typename A> void run_finish(const kn_k_finish *a, bool four, void *stream)
{
    int64_t n = a->rows * a->n;
    KN_TYPED(a->out_bf16, O, {
        if (four)
            KN_LAUNCH((finish<4, A, O>), blocks_for(n, BLOCK * 4), BLOCK, 0, stream, *a);
        else
            KN_LAUNCH((finish<1, A, O>), blocks_for(n, BLOCK), BLOCK, 0, stream, *a);
    });
}

} // namespace

void kn_k_ewise_run(const kn_k_ewise *a, void *stream)
{
    bool four = a->row % 4 == 0 && takes_four(a->x, a->x_bf16) && takes_four(a->y, a->y_bf16) && is_aligned(a->gate.table, 16);
    KN_TYPED(a->x_bf16, X, KN_TYPED(a->y_bf16, Y, {
                 if (four)
                     KN_LAUNCH((ewise<4, X, Y>), blocks_for(a->n, BLOCK * 4), BLOCK, 0, stream, *a);
                 else
                     KN_LAUNCH((ewise<1, X, Y>), blocks_for(a->n, BLOCK), BLOCK, 0, stream, *a);
             }));
}

void kn_k_finish_run(const kn_k_finish *a, void *stream)
{
    int acc_bf16 = a->acc_type == KN_K_BF16;
    bool four = a->n % 4 == 0 && takes_four(a->acc, acc_bf16) && takes_four(a->out, a->out_bf16);
    if (a->acc_type == KN_K_I32)
        run_finish<int32_t>(a, four, stream);
    else
        KN_TYPED(acc_bf16, A, run_finish<A>(a, four, stream));
}
