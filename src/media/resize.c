/* PIL and torch resize 8-bit pictures alike: per output pixel a few taps of a filter that widens when shrinking,
 * weights in fixed point, one horizontal and one vertical pass with 8-bit pixels between.  They differ in the order
 * of the passes and in the precision of the weights: PIL 32 - 8 - 2 bits (Pillow, libImaging/Resample.c), torch as
 * many as let the largest weight of the pass fit int16 (ATen, native/cpu/UpSampleKernel.cpp). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/image.h"

enum { PIL_BITS = 32 - 8 - 2, TORCH_MAX_BITS = 22 };

/* The taps of one pass: output i reads n[i] inputs from first[i] on, weighted by weight[i * stride ...]. */
typedef struct taps {
    int *first, *n;
    int32_t *weight;
    int stride, bits;
} taps;

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(x * M_PI) / (x * M_PI);
}

static double filter_at(kn_filter f, double x)
{
    const double a = -0.5; /* both libraries' antialiased bicubic */
    x = fabs(x);
    switch (f) {
    case KN_FILTER_BILINEAR:
        return x < 1.0 ? 1.0 - x : 0.0;
    case KN_FILTER_BICUBIC:
        if (x < 1.0)
            return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
        return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
    case KN_FILTER_LANCZOS:
        return x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
    }
    return 0.0;
}

static double filter_support(kn_filter f)
{
    return f == KN_FILTER_BILINEAR ? 1.0 : f == KN_FILTER_BICUBIC ? 2.0 : 3.0;
}

static void taps_done(taps *t)
{
    free(t->first);
    free(t->n);
    free(t->weight);
}

/* Most bits with which round(max * 2^bits) stays below 2^15. */
static int torch_bits(double max)
{
    int bits = 0;
    while (bits < TORCH_MAX_BITS && (int)(0.5 + max * (double)(1 << (bits + 1))) < 1 << 15)
        bits++;
    return bits;
}

/* Real weights of every output pixel, normalised to sum 1; returns the largest. */
static double taps_fill(taps *t, double *real, int n_in, int n_out, kn_filter f)
{
    double scale = (double)n_in / n_out, widen = scale < 1.0 ? 1.0 : scale, inverse = 1.0 / widen;
    double support = filter_support(f) * widen, max = 0.0;
    for (int i = 0; i < n_out; i++) {
        double *w = real + (size_t)i * (size_t)t->stride, sum = 0.0, center = (i + 0.5) * scale;
        int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
        first = first < 0 ? 0 : first;
        end = end > n_in ? n_in : end;
        t->first[i] = first;
        t->n[i] = end - first < t->stride ? end - first : t->stride;
        for (int k = 0; k < t->n[i]; k++) {
            w[k] = filter_at(f, (k + first - center + 0.5) * inverse);
            sum += w[k];
        }
        for (int k = 0; k < t->n[i]; k++) {
            w[k] = sum != 0.0 ? w[k] / sum : w[k];
            max = w[k] > max ? w[k] : max;
        }
    }
    return max;
}

static int taps_init(taps *ret, int n_in, int n_out, kn_filter f, bool torch, kn_err *err)
{
    double scale = (double)n_in / n_out, support = filter_support(f) * (scale < 1.0 ? 1.0 : scale);
    taps t = {.stride = (int)ceil(support) * 2 + 1, .bits = PIL_BITS};
    t.stride = t.stride < n_in ? t.stride : n_in;
    size_t n = (size_t)n_out * (size_t)t.stride;
    double *real = kn_calloc(n, sizeof *real);
    t.first = kn_calloc((size_t)n_out, sizeof *t.first);
    t.n = kn_calloc((size_t)n_out, sizeof *t.n);
    t.weight = kn_calloc(n, sizeof *t.weight);
    if (!real || !t.first || !t.n || !t.weight) {
        free(real);
        taps_done(&t);
        return kn_fail(err, KN_ENOMEM, "no memory for the weights of a resize from %d to %d pixels", n_in,
                       n_out);
    }
    double max = taps_fill(&t, real, n_in, n_out, f);
    if (torch)
        t.bits = torch_bits(max);
    for (size_t i = 0; i < n; i++) {
        double v = real[i] * (double)(1 << t.bits);
        t.weight[i] = (int32_t)(v < 0.0 ? v - 0.5 : v + 0.5);
    }
    free(real);
    *ret = t;
    return 0;
}

static uint8_t clip(int32_t sum, int bits)
{
    int32_t v = sum >> bits;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static void resize_rows(const kn_image *src, const taps *t, kn_image *dst)
{
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *row = src->rgb + (size_t)y * (size_t)src->width * 3;
        uint8_t *out = dst->rgb + (size_t)y * (size_t)dst->width * 3;
        for (int x = 0; x < dst->width; x++, out += 3) {
            const uint8_t *p = row + (size_t)t->first[x] * 3;
            const int32_t *w = t->weight + (size_t)x * (size_t)t->stride;
            int32_t half = 1 << (t->bits - 1), r = half, g = half, b = half;
            for (int k = 0; k < t->n[x]; k++, p += 3) {
                r += p[0] * w[k];
                g += p[1] * w[k];
                b += p[2] * w[k];
            }
            out[0] = clip(r, t->bits);
            out[1] = clip(g, t->bits);
            out[2] = clip(b, t->bits);
        }
    }
}

static int resize_columns(const kn_image *src, const taps *t, kn_image *dst, kn_err *err)
{
    size_t row = (size_t)src->width * 3;
    int32_t *sum = kn_calloc(row, sizeof *sum);
    if (!sum)
        return kn_fail(err, KN_ENOMEM, "no memory for a line of %d pixels", src->width);
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *p = src->rgb + (size_t)t->first[y] * row;
        const int32_t *w = t->weight + (size_t)y * (size_t)t->stride;
        uint8_t *out = dst->rgb + (size_t)y * row;
        for (size_t i = 0; i < row; i++)
            sum[i] = 1 << (t->bits - 1);
        for (int k = 0; k < t->n[y]; k++, p += row)
            for (size_t i = 0; i < row; i++)
                sum[i] += p[i] * w[k];
        for (size_t i = 0; i < row; i++)
            out[i] = clip(sum[i], t->bits);
    }
    free(sum);
    return 0;
}

static int copy(const kn_image *src, kn_image *ret, kn_err *err)
{
    int rc = kn_image_new(src->width, src->height, ret, err);
    if (!rc)
        memcpy(ret->rgb, src->rgb, (size_t)src->width * (size_t)src->height * 3);
    return rc;
}

/* One pass: to n columns, or to n rows. */
static int resize_axis(const kn_image *src, bool vertical, int n, kn_filter f, bool torch, kn_image *ret,
                       kn_err *err)
{
    taps t = {0};
    kn_image out = {0};
    int rc = taps_init(&t, vertical ? src->height : src->width, n, f, torch, err);
    if (!rc)
        rc = kn_image_new(vertical ? src->width : n, vertical ? n : src->height, &out, err);
    if (!rc && vertical)
        rc = resize_columns(src, &t, &out, err);
    else if (!rc)
        resize_rows(src, &t, &out);
    taps_done(&t);
    if (rc)
        kn_image_done(&out);
    else
        *ret = out;
    return rc;
}

static int resize(const kn_image *src, int width, int height, kn_filter f, bool torch, bool vertical_first,
                  kn_image *ret, kn_err *err)
{
    if (width < 1 || height < 1)
        return kn_fail(err, KN_EINVAL, "cannot resize a picture to %dx%d pixels", width, height);
    bool across = width != src->width, down = height != src->height;
    if (!across && !down)
        return copy(src, ret, err);
    if (!across || !down)
        return resize_axis(src, down, down ? height : width, f, torch, ret, err);
    kn_image half = {0};
    int rc = resize_axis(src, vertical_first, vertical_first ? height : width, f, torch, &half, err);
    if (!rc)
        rc = resize_axis(&half, !vertical_first, vertical_first ? width : height, f, torch, ret, err);
    kn_image_done(&half);
    return rc;
}

int kn_image_resize_pil(const kn_image *src, int width, int height, kn_filter f, kn_image *ret, kn_err *err)
{
    /* Pillow 13's rule, found by trying it; older ones go horizontally first.  A few levels lie between the two. */
    bool vertical_first = height < src->height && src->height - height > 2 * ((int64_t)src->width - width);
    return resize(src, width, height, f, false, vertical_first, ret, err);
}

int kn_image_resize_torch(const kn_image *src, int width, int height, kn_filter f, kn_image *ret, kn_err *err)
{
    if (f == KN_FILTER_LANCZOS)
        return kn_fail(err, KN_EINVAL, "torch has no Lanczos filter; bilinear and bicubic were expected");
    return resize(src, width, height, f, true, false, ret, err);
}
