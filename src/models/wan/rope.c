#include "models/wan/rope.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static const double theta = 10000.0;

/* Writes the pairs of one axis: of `n` positions, pairs [first, first + n_pairs) of every token whose position on the
 * axis is (token / inner) % n. */
static void fill_axis(float *cosines, float *sines, int64_t n_tokens, int64_t row, int64_t first,
                      int64_t n_pairs, int64_t n, int64_t inner)
{
    for (int64_t i = 0; i < n_pairs; i++) {
        double freq = 1.0 / pow(theta, (double)(2 * i) / (double)(2 * n_pairs));
        for (int64_t token = 0; token < n_tokens; token += inner) {
            double angle = (double)((token / inner) % n) * freq;
            float co = (float)cos(angle), si = (float)sin(angle);
            for (int64_t j = 0; j < inner; j++) {
                cosines[(token + j) * row + first + i] = co;
                sines[(token + j) * row + first + i] = si;
            }
        }
    }
}

kn_rope kn_wan_rope(kn_ctx *c, int64_t head_dim, int64_t n_frames, int64_t height, int64_t width)
{
    kn_rope rope = {.halves = false};
    int64_t n = n_frames * height * width, row = head_dim / 2;
    int64_t side = head_dim / 6, rest = row - 2 * side; /* pairs an axis */
    float *cosines = kn_calloc((size_t)n, (size_t)row * sizeof *cosines);
    float *sines = kn_calloc((size_t)n, (size_t)row * sizeof *sines);
    if (cosines && sines) {
        fill_axis(cosines, sines, n, row, 0, rest, n_frames, height * width);
        fill_axis(cosines, sines, n, row, rest, side, height, width);
        fill_axis(cosines, sines, n, row, rest + side, side, width, 1);
        rope.cos = kn_from_f32(c, KN_F32, KN_DIMS(n, row), cosines);
        rope.sin = kn_from_f32(c, KN_F32, KN_DIMS(n, row), sines);
    } else {
        kn_ctx_fail(c, KN_ENOMEM, "no memory for rotary tables of %lld tokens", (long long)n);
    }
    free(cosines);
    free(sines);
    return rope;
}
