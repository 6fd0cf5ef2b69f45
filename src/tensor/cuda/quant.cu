// Rows to int8 with a scale each: of activations on the way into a product, of weights when they are made.
#include "tensor/cuda/reduce.cuh"

namespace {

enum { BLOCK = 256 };

template <typename X> __global__ void __launch_bounds__(BLOCK) quantize(const X *x, int n, int8_t *q, int64_t stride, float *scale)
{
    int64_t row = blockIdx.x;
    x += row * n;
    q += row * stride;
    float m = 0;
    for (int i = (int)threadIdx.x; i < n; i += BLOCK)
        m = fmaxf(m, fabsf(get(x[i])));
    m = max_over<BLOCK>(m);
    float inverse = m > 1e-30f ? 127.0f / m : 0.0f; // 127 / m must be finite
    for (int i = (int)threadIdx.x; i < stride; i += BLOCK)
        q[i] = i < n ? (int8_t)rintf(get(x[i]) * inverse) : (int8_t)0;
    if (!threadIdx.x)
        scale[row] = m / 127.0f;
}

template <typename X> void run(const void *x, int64_t rows, int n, int8_t *q, int64_t stride, float *scale, void *stream)
{
    KN_LAUNCH((quantize<X>), (unsigned)rows, BLOCK, 0, stream, (const X *)x, n, q, stride, scale);
}

} // namespace

void kn_k_quantize(const void *x, int x_type, int64_t rows, int n, int8_t *q, int64_t stride, float *scale, void *stream)
{
    if (x_type == KN_K_F16)
        run<f16>(x, rows, n, q, stride, scale, stream);
    else
        KN_TYPED(x_type == KN_K_BF16, X, run<X>(x, rows, n, q, stride, scale, stream));
}
