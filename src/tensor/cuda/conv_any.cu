// Convolution of any types and channel counts, without tensor cores: float32, and the few-channelled ends of a VAE.
//
// A block makes 64 pixels x 64 channels, a thread 4 x 4 of them, 16 products deep at a time.
#include "tensor/cuda/kernel.cuh"

namespace {

enum { SIDE = 64, DEPTH = 16, THREADS = 256, EACH = 4 };

struct tile {
    float x[DEPTH][SIDE + 1], w[DEPTH][SIDE + 1];
};

// Value k of an output pixel's taps by channels, 0 beside the picture.
template <typename X> __device__ float tap_value(const kn_k_conv &a, int64_t pixel, int64_t k)
{
    int c = (int)(k % a.n_in), tap = (int)(k / a.n_in), doubled = a.doubled ? 1 : 0;
    int64_t t = pixel / (a.o[1] * a.o[2]) * a.stride[0] - a.pad[0] + tap / (a.kernel[1] * a.kernel[2]);
    int64_t y = pixel / a.o[2] % a.o[1] * a.stride[1] - a.pad[1] + tap / a.kernel[2] % a.kernel[1];
    int64_t x = pixel % a.o[2] * a.stride[2] - a.pad[2] + tap % a.kernel[2];
    if (t < 0 || t >= a.in[0] || y < 0 || y >= a.in[1] << doubled || x < 0 || x >= a.in[2] << doubled)
        return 0;
    return get(((const X *)a.x)[((t * a.in[1] + (y >> doubled)) * a.in[2] + (x >> doubled)) * a.n_in + c]);
}

template <typename X, typename W> __device__ void load_tile(tile &m, const kn_k_conv &a, int64_t first_pixel, int first_channel, int64_t k0)
{
    int64_t n_pixels = a.o[0] * a.o[1] * a.o[2], n_products = (int64_t)a.kernel[0] * a.kernel[1] * a.kernel[2] * a.n_in;
    for (int i = (int)threadIdx.x; i < SIDE * DEPTH; i += THREADS) {
        int row = i / DEPTH, at = i % DEPTH;
        int64_t pixel = first_pixel + row, channel = first_channel + row, k = k0 + at;
        m.x[at][row] = k < n_products && pixel < n_pixels ? tap_value<X>(a, pixel, k) : 0.0f;
        m.w[at][row] = k < n_products && channel < a.n_out ? get(((const W *)a.w)[channel * n_products + k]) : 0.0f;
    }
}

__device__ inline float finish(const kn_k_conv &a, float sum, int64_t at, int channel)
{
    if (a.bias)
        sum += a.bias[channel];
    if (a.add)
        sum += a.add_bf16 ? get(((const bf16 *)a.add)[at]) : ((const float *)a.add)[at];
    return sum;
}

template <typename X, typename W, typename O> __global__ void __launch_bounds__(THREADS) conv_any(kn_k_conv a)
{
    __shared__ tile m;
    int row = (int)threadIdx.x / 16, column = (int)threadIdx.x % 16, first_channel = (int)blockIdx.y * SIDE;
    int64_t first_pixel = (int64_t)blockIdx.x * SIDE, n_products = (int64_t)a.kernel[0] * a.kernel[1] * a.kernel[2] * a.n_in;
    float sum[EACH][EACH] = {{0}};
    for (int64_t k = 0; k < n_products; k += DEPTH) {
        __syncthreads();
        load_tile<X, W>(m, a, first_pixel, first_channel, k);
        __syncthreads();
        for (int i = 0; i < DEPTH; i++)
            for (int u = 0; u < EACH; u++)
                for (int v = 0; v < EACH; v++)
                    sum[u][v] += m.x[i][row + u * 16] * m.w[i][column + v * 16];
    }
    for (int u = 0; u < EACH; u++)
        for (int v = 0; v < EACH; v++) {
            int64_t pixel = first_pixel + row + u * 16;
            int channel = first_channel + column + v * 16;
            if (pixel < a.o[0] * a.o[1] * a.o[2] && channel < a.n_out) {
                int64_t at = pixel * a.n_out + channel;
                put((O *)a.out + at, finish(a, sum[u][v], at, channel));
            }
        }
}

} // namespace

void kn_k_conv_any(const kn_k_conv *a, void *stream)
{
    int64_t n = a->o[0] * a->o[1] * a->o[2];
    dim3 grid((unsigned)((n + SIDE - 1) / SIDE), (unsigned)((a->n_out + SIDE - 1) / SIDE));
    KN_TYPED(a->x_bf16, X, KN_TYPED(a->w_bf16, W, KN_TYPED(a->out_bf16, O, KN_LAUNCH((conv_any<X, W, O>), grid, THREADS, 0, stream, *a))));
}
