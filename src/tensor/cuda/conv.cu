// Convolution on the tensor cores: a product of pixels by taps with output channels, whose left matrix is never written: its rows are
// fetched from the picture tap by tap, zeros where a tap falls beside it.
//
// A block makes 128 pixels x 128 channels, a warp 64 x 32; three steps of 32 input channels are under way.
#include "tensor/cuda/mma.cuh"

namespace {

enum { PIXELS = 128, CHANNELS = 128, DEPTH = 32, STAGES = 3, THREADS = 256 };
enum { WARP_PIXELS = 64, WARP_CHANNELS = 32, M_TILES = WARP_PIXELS / 16, N_TILES = WARP_CHANNELS / 8 };
enum { PIECES = DEPTH / 8, ROWS_AT_ONCE = THREADS / PIECES, MY_ROWS = PIXELS / ROWS_AT_ONCE };

struct stage {
    bf16 x[PIXELS][DEPTH + 8], w[CHANNELS][DEPTH + 8];
};

// First place in time, height and width that an output pixel's taps read; `there` is false past the last pixel.
struct pixel {
    int64_t t;
    int y, x;
    bool there;
};

__device__ inline pixel find_pixel(const kn_k_conv &a, int64_t i)
{
    pixel p;
    p.there = i < a.o[0] * a.o[1] * a.o[2];
    p.x = (int)(i % a.o[2]) * a.stride[2] - a.pad[2];
    p.y = (int)(i / a.o[2] % a.o[1]) * a.stride[1] - a.pad[1];
    p.t = i / (a.o[1] * a.o[2]) * a.stride[0] - a.pad[0];
    return p;
}

// Offset of the pixel that a tap reads, -1 beside the picture.
__device__ inline int64_t find_source(const kn_k_conv &a, const pixel &p, int tap)
{
    int64_t t = p.t + tap / (a.kernel[1] * a.kernel[2]);
    int y = p.y + tap / a.kernel[2] % a.kernel[1], x = p.x + tap % a.kernel[2];
    int doubled = a.doubled ? 1 : 0;
    bool inside = p.there && t >= 0 && t < a.in[0] && y >= 0 && y < a.in[1] << doubled && x >= 0 && x < a.in[2] << doubled;
    return inside ? ((t * a.in[1] + (y >> doubled)) * a.in[2] + (x >> doubled)) * a.n_in : -1;
}

// Step i of the sum: input channels [c, c + DEPTH) of a tap.
__device__ inline void fetch_step(stage &s, const kn_k_conv &a, const pixel p[MY_ROWS], int first_channel, int i, int n_steps, int per_tap)
{
    if (i < n_steps) {
        int tap = i / per_tap, piece = (int)threadIdx.x % PIECES * 8, c = i % per_tap * DEPTH + piece;
        int64_t n_taps = (int64_t)a.kernel[0] * a.kernel[1] * a.kernel[2];
#pragma unroll
        for (int k = 0; k < MY_ROWS; k++) {
            int row = (int)threadIdx.x / PIECES + k * ROWS_AT_ONCE, channel = first_channel + row;
            int64_t from = find_source(a, p[k], tap);
            bool there = from >= 0 && c < a.n_in;
            fetch16(&s.x[row][piece], (const bf16 *)a.x + (there ? from + c : 0), there);
            there = channel < a.n_out && c < a.n_in;
            fetch16(&s.w[row][piece], (const bf16 *)a.w + (there ? (channel * n_taps + tap) * a.n_in + c : 0), there);
        }
    }
    fetch_end();
}

__device__ inline void multiply(float sum[M_TILES][N_TILES][4], const stage &s, int warp, int lane)
{
    int r = lane % 8, which = lane / 8, first_row = warp / 4 * WARP_PIXELS, first_column = warp % 4 * WARP_CHANNELS;
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        uint32_t x[M_TILES][4], w[N_TILES / 2][4];
#pragma unroll
        for (int m = 0; m < M_TILES; m++)
            load_matrices(x[m], &s.x[first_row + m * 16 + which % 2 * 8 + r][k + which / 2 * 8]);
#pragma unroll
        for (int n = 0; n < N_TILES / 2; n++)
            load_matrices(w[n], &s.w[first_column + n * 16 + which / 2 * 8 + r][k + which % 2 * 8]);
#pragma unroll
        for (int m = 0; m < M_TILES; m++)
#pragma unroll
            for (int n = 0; n < N_TILES; n++)
                mma_bf16(sum[m][n], x[m], &w[n / 2][n % 2 * 2]);
    }
}

template <typename O> __device__ void write_pair(const kn_k_conv &a, int64_t pixel, int channel, float u, float v)
{
    float value[2] = {u, v};
#pragma unroll
    for (int e = 0; e < 2; e++) {
        int c = channel + e;
        if (pixel >= a.o[0] * a.o[1] * a.o[2] || c >= a.n_out)
            continue;
        int64_t at = pixel * a.n_out + c;
        float r = value[e] + (a.bias ? a.bias[c] : 0.0f);
        if (a.add)
            r += a.add_bf16 ? get(((const bf16 *)a.add)[at]) : ((const float *)a.add)[at];
        put((O *)a.out + at, r);
    }
}

template <typename O> __global__ void __launch_bounds__(THREADS) conv(kn_k_conv a, int per_tap)
{
    KN_SHARED_DYNAMIC(shared);
    stage *stages = (stage *)shared;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int64_t first_pixel = (int64_t)blockIdx.x * PIXELS;
    int first_channel = (int)blockIdx.y * CHANNELS, n_steps = a.kernel[0] * a.kernel[1] * a.kernel[2] * per_tap;
    pixel p[MY_ROWS];
#pragma unroll
    for (int k = 0; k < MY_ROWS; k++)
        p[k] = find_pixel(a, first_pixel + threadIdx.x / PIECES + k * ROWS_AT_ONCE);
    float sum[M_TILES][N_TILES][4];
#pragma unroll
    for (int m = 0; m < M_TILES; m++)
#pragma unroll
        for (int n = 0; n < N_TILES; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                sum[m][n][e] = 0;
    for (int i = 0; i < STAGES - 1; i++)
        fetch_step(stages[i], a, p, first_channel, i, n_steps, per_tap);
    for (int i = 0; i < n_steps; i++) {
        fetch_wait<STAGES - 2>(); // step i is here
        __syncthreads();          // and everyone is done with step i - 1, whose place step i + STAGES - 1 takes
        fetch_step(stages[(i + STAGES - 1) % STAGES], a, p, first_channel, i + STAGES - 1, n_steps, per_tap);
        multiply(sum, stages[i % STAGES], warp, lane);
    }
#pragma unroll
    for (int m = 0; m < M_TILES; m++)
#pragma unroll
        for (int n = 0; n < N_TILES; n++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                write_pair<O>(a, first_pixel + warp / 4 * WARP_PIXELS + m * 16 + h * 8 + lane / 4,
                              first_channel + warp % 4 * WARP_CHANNELS + n * 8 + lane % 4 * 2, sum[m][n][h * 2], sum[m][n][h * 2 + 1]);
}

} // namespace

int kn_k_conv_is_fast(const kn_k_conv *a)
{
    return a->x_bf16 && a->w_bf16 && a->n_in % 8 == 0 && is_aligned(a->x, 16) && is_aligned(a->w, 16);
}

void kn_k_conv_fast(const kn_k_conv *a, void *stream)
{
    int64_t n = a->o[0] * a->o[1] * a->o[2];
    dim3 grid((unsigned)((n + PIXELS - 1) / PIXELS), (unsigned)((a->n_out + CHANNELS - 1) / CHANNELS));
    KN_TYPED(a->out_bf16, O, {
        KN_ALLOW_SHARED((conv<O>), sizeof(stage) * STAGES);
        KN_LAUNCH((conv<O>), grid, THREADS, sizeof(stage) * STAGES, stream, *a, (a->n_in + DEPTH - 1) / DEPTH);
    });
}
