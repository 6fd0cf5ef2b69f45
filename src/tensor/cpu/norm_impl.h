/* The text of the norm kernels; included once for each instruction set (norm_c.c, norm_avx2.c, norm_avx512.c). */
#include "tensor/cpu/norm_kernels.h"
#include "tensor/cpu/simd_math.h"

#include <math.h>

/* Sum of (x - shift)^2 (square) or of x - shift over n elements of a row from `at` on. */
KN_INLINE float piece_sum(const void *x, bool bf16, int64_t at, int64_t n, float shift, bool square)
{
    const vf s = v_set1(shift);
    vf acc[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        for (int j = 0; j < 4; j++) {
            vf d = v_get(x, bf16, at + i + j * VL) - s;
            acc[j] = square ? v_fma(d, d, acc[j]) : acc[j] + d;
        }
    }
    for (; i + VL <= n; i += VL) {
        vf d = v_get(x, bf16, at + i) - s;
        acc[0] = square ? v_fma(d, d, acc[0]) : acc[0] + d;
    }
    if (i < n) {
        vf d = v_first(v_get_n(x, bf16, at + i, (int)(n - i)) - s, (int)(n - i));
        acc[1] = square ? v_fma(d, d, acc[1]) : acc[1] + d;
    }
    return v_sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

/* Pieces are short enough that adding up in float costs no accuracy; their sums are added in double. */
KN_INLINE double row_sum(const void *x, bool bf16, int64_t n, float shift, bool square)
{
    enum { PIECE = 64 * VL };
    double sum = 0;
    for (int64_t at = 0; at < n; at += PIECE)
        sum += (double)piece_sum(x, bf16, at, n - at < PIECE ? n - at : PIECE, shift, square);
    return sum;
}

/* ---- rotary embedding ---- */

KN_INLINE void rope_pairs(void *row, bool bf16, int64_t at, int64_t d, const float *cos, const float *sin)
{
    for (int64_t i = 0; i < d; i += VL) {
        int m = d - i < VL ? (int)(d - i) : VL;
        if (m == VL) {
            vf v = v_get(row, bf16, at + i);
            vf turned = v_negate_even(v_swap_pairs(v));
            v = v_fma(turned, v_load_twice(sin + i / 2), v * v_load_twice(cos + i / 2));
            v_put(row, bf16, at + i, v);
        } else {
            float c[VL] = {0}, s[VL] = {0};
            memcpy(c, cos + i / 2, (size_t)(m / 2) * sizeof *c);
            memcpy(s, sin + i / 2, (size_t)(m / 2) * sizeof *s);
            vf v = v_get_n(row, bf16, at + i, m);
            vf turned = v_negate_even(v_swap_pairs(v));
            v = v_fma(turned, v_load_twice(s), v * v_load_twice(c));
            v_put_n(row, bf16, at + i, v, m);
        }
    }
}

KN_INLINE void rope_halves(void *row, bool bf16, int64_t at, int64_t d, const float *cos, const float *sin)
{
    int64_t h = d / 2;
    for (int64_t i = 0; i < h; i += VL) {
        int m = h - i < VL ? (int)(h - i) : VL;
        vf c = v_load_n(cos + i, m), s = v_load_n(sin + i, m);
        vf lo = v_get_n(row, bf16, at + i, m), hi = v_get_n(row, bf16, at + h + i, m);
        v_put_n(row, bf16, at + i, v_fma(-hi, s, lo * c), m);
        v_put_n(row, bf16, at + h + i, v_fma(lo, s, hi * c), m);
    }
}

static void rope_row(void *row, bool bf16, int n_heads, int64_t d, const float *cos, const float *sin,
                     bool halves)
{
    for (int h = 0; h < n_heads; h++) {
        if (halves && bf16)
            rope_halves(row, true, h * d, d, cos, sin);
        else if (halves)
            rope_halves(row, false, h * d, d, cos, sin);
        else if (bf16)
            rope_pairs(row, true, h * d, d, cos, sin);
        else
            rope_pairs(row, false, h * d, d, cos, sin);
    }
}

/* ---- RMS norm ---- */

/* x * r * gamma, act. */
KN_INLINE void scale_row(void *out, bool out_bf16, const void *x, bool x_bf16, int64_t n, float r,
                         const float *gamma, kn_act act)
{
    const vf scale = v_set1(r);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = v_get(x, x_bf16, i) * scale;
        v = gamma ? v * v_load(gamma + i) : v;
        v_put(out, out_bf16, i, v_act(v, act));
    }
    if (i < n) {
        int m = (int)(n - i);
        vf v = v_get_n(x, x_bf16, i, m) * scale;
        v = gamma ? v * v_load_n(gamma + i, m) : v;
        v_put_n(out, out_bf16, i, v_act(v, act), m);
    }
}

/* x * r * gamma rotated: the normalised head stays in float until it is stored. */
static void scale_and_rotate(const kn_norm_job *job, void *out, const void *x, int64_t row, float r,
                             const float *gamma)
{
    const kn_norm_args *a = job->args;
    const kn_rope *rope = a->rope;
    bool x_bf16 = a->x.dtype == KN_BF16, out_bf16 = a->out.dtype == KN_BF16;
    int64_t d = job->n_channels / a->n_heads, table_at = row % job->n_rope_rows * (d / 2);
    const float *cos = (const float *)rope->cos.data + table_at,
                *sin = (const float *)rope->sin.data + table_at;
    size_t x_size = x_bf16 ? 2 : 4, out_size = out_bf16 ? 2 : 4;
    float head[KN_NORM_HEAD_MAX];
    for (int h = 0; h < a->n_heads; h++) {
        const char *from = (const char *)x + (size_t)(h * d) * x_size;
        char *to = (char *)out + (size_t)(h * d) * out_size;
        void *mid = d <= KN_NORM_HEAD_MAX ? (void *)head : (void *)to;
        bool mid_bf16 = d <= KN_NORM_HEAD_MAX ? false : out_bf16;
        scale_row(mid, mid_bf16, from, x_bf16, d, r, gamma ? gamma + h * d : NULL, a->act);
        rope_row(mid, mid_bf16, 1, d, cos, sin, rope->halves);
        if (mid != to)
            scale_row(to, out_bf16, head, false, d, 1.0f, NULL, KN_ACT_NONE);
    }
}

/* Rows are taken a few at a time, sums first: the sums of one row are a chain of dependent instructions that would
 * leave a narrow row's few vectors waiting. */
KN_INLINE void rms_rows(const kn_norm_job *job, int64_t begin, int64_t end, bool x_bf16, bool out_bf16)
{
    enum { TOGETHER = 16, TOGETHER_ELEMENTS = 4096 };
    const kn_norm_args *a = job->args;
    int64_t n = job->n_channels, step = TOGETHER_ELEMENTS / n;
    step = step < 1 ? 1 : step > TOGETHER ? TOGETHER : step;
    for (int64_t first = begin; first < end; first += step) {
        int rows = (int)(end - first < step ? end - first : step);
        const char *x = (const char *)a->x.data + (size_t)(first * n) * (x_bf16 ? 2 : 4);
        char *out = (char *)a->out.data + (size_t)(first * n) * (out_bf16 ? 2 : 4);
        float r[TOGETHER];
        for (int i = 0; i < rows; i++) {
            double squares = row_sum(x + (size_t)(i * n) * (x_bf16 ? 2 : 4), x_bf16, n, 0.0f, true);
            r[i] = 1.0f / sqrtf((float)(squares / (double)n) + a->eps);
        }
        for (int i = 0; i < rows; i++) {
            const void *from = x + (size_t)(i * n) * (x_bf16 ? 2 : 4);
            void *to = out + (size_t)(i * n) * (out_bf16 ? 2 : 4);
            if (a->rope)
                scale_and_rotate(job, to, from, first + i, r[i], a->gamma.data);
            else if (a->act == KN_ACT_SILU)
                scale_row(to, out_bf16, from, x_bf16, n, r[i], a->gamma.data, KN_ACT_SILU);
            else if (a->act == KN_ACT_NONE)
                scale_row(to, out_bf16, from, x_bf16, n, r[i], a->gamma.data, KN_ACT_NONE);
            else
                scale_row(to, out_bf16, from, x_bf16, n, r[i], a->gamma.data, a->act);
        }
    }
}

static void rms(const kn_norm_job *job, int64_t begin, int64_t end)
{
    bool x_bf16 = job->args->x.dtype == KN_BF16, out_bf16 = job->args->out.dtype == KN_BF16;
    if (x_bf16 && out_bf16)
        rms_rows(job, begin, end, true, true);
    else if (x_bf16)
        rms_rows(job, begin, end, true, false);
    else if (out_bf16)
        rms_rows(job, begin, end, false, true);
    else
        rms_rows(job, begin, end, false, false);
}

/* ---- layer norm ---- */

/* The per-channel parameters of one row; each may be NULL. */
typedef struct affine {
    const float *gamma, *beta, *shift, *scale;
} affine;

KN_INLINE vf affine_n(vf v, affine p, int64_t i, int n)
{
    if (p.gamma)
        v = v * v_load_n(p.gamma + i, n);
    if (p.beta)
        v = v + v_load_n(p.beta + i, n);
    if (p.scale)
        v = v_fma(v, v_load_n(p.scale + i, n), v);
    if (p.shift)
        v = v + v_load_n(p.shift + i, n);
    return v;
}

static const float *mod_row(const kn_mod *mod, int64_t row, int64_t n)
{
    if (!mod->table.data)
        return NULL;
    int64_t group = mod->row_group.data ? ((const int32_t *)mod->row_group.data)[row] : 0;
    return (const float *)mod->table.data + group * n;
}

KN_INLINE void layer_rows(const kn_norm_job *job, int64_t begin, int64_t end, bool x_bf16, bool out_bf16)
{
    const kn_norm_args *a = job->args;
    int64_t n = job->n_channels;
    for (int64_t row = begin; row < end; row++) {
        const void *x = (const char *)a->x.data + (size_t)(row * n) * (x_bf16 ? 2 : 4);
        void *out = (char *)a->out.data + (size_t)(row * n) * (out_bf16 ? 2 : 4);
        float mean = (float)(row_sum(x, x_bf16, n, 0.0f, false) / (double)n);
        float var = (float)(row_sum(x, x_bf16, n, mean, true) / (double)n);
        affine p = {a->gamma.data, a->beta.data, mod_row(&a->shift, row, n), mod_row(&a->scale, row, n)};
        const vf r = v_set1(1.0f / sqrtf(var + a->eps)), mu = v_set1(mean);
        int64_t i = 0;
        for (; i + VL <= n; i += VL)
            v_put(out, out_bf16, i, affine_n((v_get(x, x_bf16, i) - mu) * r, p, i, VL));
        if (i < n) {
            int m = (int)(n - i);
            v_put_n(out, out_bf16, i, affine_n((v_get_n(x, x_bf16, i, m) - mu) * r, p, i, m), m);
        }
    }
}

static void layer(const kn_norm_job *job, int64_t begin, int64_t end)
{
    bool x_bf16 = job->args->x.dtype == KN_BF16, out_bf16 = job->args->out.dtype == KN_BF16;
    if (x_bf16 && out_bf16)
        layer_rows(job, begin, end, true, true);
    else if (x_bf16)
        layer_rows(job, begin, end, true, false);
    else if (out_bf16)
        layer_rows(job, begin, end, false, true);
    else
        layer_rows(job, begin, end, false, false);
}

/* ---- group norm ---- */

/* Mean and squared deviations of up to VL channels over rows [0, n_rows): two passes while the rows are in cache. */
KN_INLINE void channel_stats(const void *x, bool bf16, int64_t stride, int64_t n_rows, int n, double *stats)
{
    vf sum = v_set1(0), squares = v_set1(0);
    for (int64_t row = 0; row < n_rows; row++)
        sum = sum + v_get_n(x, bf16, row * stride, n);
    vf mean = sum / v_set1((float)n_rows);
    for (int64_t row = 0; row < n_rows; row++) {
        vf d = v_get_n(x, bf16, row * stride, n) - mean;
        squares = v_fma(d, d, squares);
    }
    float m[VL], s[VL];
    v_store(m, mean);
    v_store(s, squares);
    for (int i = 0; i < n; i++) {
        stats[2 * i] = (double)m[i];
        stats[2 * i + 1] = (double)s[i];
    }
}

static void group_stats(const kn_group_job *job, int64_t begin_block, int64_t end_block)
{
    const kn_norm_args *a = job->args;
    int64_t n = job->n_channels;
    bool bf16 = a->x.dtype == KN_BF16;
    for (int64_t block = begin_block; block < end_block; block++) {
        int64_t row = block * job->block_rows, left = job->n_rows - row;
        int64_t rows = left < job->block_rows ? left : job->block_rows;
        for (int64_t c = 0; c < n; c += VL) {
            int m = n - c < VL ? (int)(n - c) : VL;
            const char *x = (const char *)a->x.data + (size_t)(row * n + c) * (bf16 ? 2 : 4);
            double *stats = job->stats + (block * n + c) * 2;
            if (bf16)
                channel_stats(x, true, n, rows, m, stats);
            else
                channel_stats(x, false, n, rows, m, stats);
        }
    }
}

static void group_apply(const kn_group_job *job, int64_t begin_row, int64_t end_row)
{
    const kn_norm_args *a = job->args;
    int64_t n = job->n_channels;
    bool x_bf16 = a->x.dtype == KN_BF16, out_bf16 = a->out.dtype == KN_BF16;
    const float *beta = a->beta.data;
    for (int64_t row = begin_row; row < end_row; row++) {
        const void *x = (const char *)a->x.data + (size_t)(row * n) * (x_bf16 ? 2 : 4);
        void *out = (char *)a->out.data + (size_t)(row * n) * (out_bf16 ? 2 : 4);
        for (int64_t i = 0; i < n; i += VL) {
            int m = n - i < VL ? (int)(n - i) : VL;
            vf v = (v_get_n(x, x_bf16, i, m) - v_load_n(job->mean + i, m)) * v_load_n(job->scale + i, m);
            v = beta ? v + v_load_n(beta + i, m) : v;
            v_put_n(out, out_bf16, i, v_act(v, a->act), m);
        }
    }
}

const kn_norm_kernels KN_FN(kn_norm_kernels) = {
    .rms = rms, .layer = layer, .group_stats = group_stats, .group_apply = group_apply, .rope = rope_row};
