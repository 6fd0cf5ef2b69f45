#include "media/yuv.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

bool kn_yuv_is_planar8(const AVPixFmtDescriptor *desc)
{
    uint64_t not_plain = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM;
    if (!(desc->flags & AV_PIX_FMT_FLAG_PLANAR) || desc->flags & not_plain || desc->nb_components < 3)
        return false;
    for (int c = 0; c < 3; c++)
        if (desc->comp[c].depth != 8 || desc->comp[c].plane != c || desc->comp[c].step != 1)
            return false;
    return true;
}

/* Share of red and blue in Y, by AVColorSpace (ITU-T H.273, table 4). */
static void luma_weights(enum AVColorSpace space, double *kr, double *kb)
{
    *kr = 0.299;
    *kb = 0.114;
    if (space == AVCOL_SPC_BT709) {
        *kr = 0.2126;
        *kb = 0.0722;
    } else if (space == AVCOL_SPC_FCC) {
        *kr = 0.30;
        *kb = 0.11;
    } else if (space == AVCOL_SPC_SMPTE240M) {
        *kr = 0.212;
        *kb = 0.087;
    } else if (space == AVCOL_SPC_BT2020_NCL) {
        *kr = 0.2627;
        *kb = 0.0593;
    }
}

/* ---- to RGB ---- */

enum { BITS = 16, HALF = 1 << (BITS - 1) };

typedef struct matrix {
    int32_t y, red_v, green_u, green_v, blue_u; /* times 2^BITS */
    int32_t black;
} matrix;

static int32_t fixed(double v)
{
    return (int32_t)lrint(v * (1 << BITS));
}

static matrix make_matrix(enum AVColorSpace space, bool full)
{
    double kr, kb, chroma = full ? 1.0 : 255.0 / 224.0;
    luma_weights(space, &kr, &kb);
    double kg = 1.0 - kr - kb, red = 2.0 * (1.0 - kr) * chroma, blue = 2.0 * (1.0 - kb) * chroma;
    return (matrix){.y = fixed(full ? 1.0 : 255.0 / 219.0),
                    .red_v = fixed(red),
                    .green_u = fixed(-blue * kb / kg),
                    .green_v = fixed(-red * kr / kg),
                    .blue_u = fixed(blue),
                    .black = full ? 0 : 16};
}

static uint8_t clip(int32_t v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

typedef struct chroma {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height; /* of the plane */
    int shift_w, shift_h;
    bool center;
} chroma;

/* 3/4 of the nearer line and 1/4 of the other, times 4; or one line as it is. */
static void mix_lines(const chroma *c, int y, int *dst)
{
    int at = y >> c->shift_h;
    const uint8_t *near = c->data + at * c->stride;
    if (c->shift_h != 1) {
        for (int x = 0; x < c->width; x++)
            dst[x] = near[x];
        return;
    }
    int other = y & 1 ? at + 1 : at - 1;
    other = other < 0 ? 0 : other >= c->height ? c->height - 1 : other;
    const uint8_t *far = c->data + other * c->stride;
    for (int x = 0; x < c->width; x++)
        dst[x] = 3 * near[x] + far[x];
}

/* One line of chroma at full width.  The rounding, now up, now down, is libjpeg's (jdsample.c). */
static void interpolate(const chroma *c, int y, int width, int *mixed, uint8_t *dst)
{
    bool halved = c->shift_w == 1, mixed_lines = c->shift_h == 1;
    int bits = 2 * halved + 2 * mixed_lines;
    mix_lines(c, y, mixed);
    for (int x = 0; x < width; x++) {
        int at = x >> c->shift_w, v = mixed[at], round = 0;
        if (halved) {
            int other = x & 1 ? at + 1 : at - 1;
            other = other < 0 ? 0 : other >= c->width ? c->width - 1 : other;
            if (c->center)
                v = 3 * v + mixed[other];
            else
                v = x & 1 ? 2 * (v + mixed[other]) : 4 * v;
            round = mixed_lines ? 8 - (x & 1) : 1 + (x & 1);
        } else if (mixed_lines) {
            round = 1 + (y & 1);
        }
        dst[x] = (uint8_t)((v + round) >> bits);
    }
}

int kn_yuv_to_rgb8(const AVFrame *f, const AVPixFmtDescriptor *desc, bool full, bool center, kn_image *im,
                   kn_err *err)
{
    const matrix m = make_matrix(f->colorspace, full);
    int sw = desc->log2_chroma_w, sh = desc->log2_chroma_h;
    chroma u = {f->data[1], f->linesize[1], -((-f->width) >> sw), -((-f->height) >> sh), sw, sh, center},
           v = u;
    v.data = f->data[2];
    v.stride = f->linesize[2];
    int *mixed = kn_calloc((size_t)f->width, sizeof *mixed);
    uint8_t *line = kn_calloc((size_t)f->width, 2);
    if (!mixed || !line) {
        free(mixed);
        free(line);
        return kn_fail(err, KN_ENOMEM, "no memory for a line of %d pixels", f->width);
    }
    uint8_t *dst = im->rgb, *us = line, *vs = line + f->width;
    for (int y = 0; y < f->height; y++) {
        const uint8_t *luma = f->data[0] + (ptrdiff_t)y * f->linesize[0];
        interpolate(&u, y, f->width, mixed, us);
        interpolate(&v, y, f->width, mixed, vs);
        for (int x = 0; x < f->width; x++, dst += 3) {
            int32_t l = (luma[x] - m.black) * m.y + HALF, cu = us[x] - 128, cv = vs[x] - 128;
            dst[0] = clip((l + m.red_v * cv) >> BITS);
            dst[1] = clip((l + m.green_u * cu + m.green_v * cv) >> BITS);
            dst[2] = clip((l + m.blue_u * cu) >> BITS);
        }
    }
    free(mixed);
    free(line);
    return 0;
}

/* ---- from RGB ---- */

static float clamp01(float v)
{
    v = v > 0.0f ? v : 0.0f; /* NaN becomes 0 */
    return v < 1.0f ? v : 1.0f;
}

/* Y of a line; half of its U and V (-0.5..0.5) is added to u and v, which gather two lines. */
static void luma_line(const kn_frame *f, int y, int width, uint8_t *luma, float *u, float *v)
{
    const float kr = 0.2126f, kb = 0.0722f, kg = 1.0f - 0.2126f - 0.0722f;
    const float *row = f->rgb + (size_t)(y < f->height ? y : f->height - 1) * (size_t)f->width * 3;
    for (int x = 0; x < width; x++) {
        const float *p = row + 3 * (x < f->width ? x : f->width - 1);
        float r = clamp01(p[0]), g = clamp01(p[1]), b = clamp01(p[2]);
        float l = kr * r + kg * g + kb * b;
        luma[x] = (uint8_t)lrintf(16.0f + 219.0f * l);
        u[x] += (b - l) / (2.0f * (1.0f - kb)) * 0.5f;
        v[x] += (r - l) / (2.0f * (1.0f - kr)) * 0.5f;
    }
}

/* [1 2 1] / 4 around every even pixel. */
static void halve(const float *c, int width, uint8_t *dst)
{
    for (int x = 0; x < width; x += 2) {
        float left = c[x ? x - 1 : 0], right = c[x + 1];
        dst[x / 2] = (uint8_t)lrintf(128.0f + 224.0f * 0.25f * (left + 2.0f * c[x] + right));
    }
}

void kn_frame_to_yuv420(const kn_frame *f, AVFrame *dst, float *work)
{
    int w = dst->width;
    float *u = work, *v = work + w;
    for (int y = 0; y < dst->height; y += 2) {
        for (int x = 0; x < 2 * w; x++)
            work[x] = 0.0f;
        luma_line(f, y, w, dst->data[0] + (ptrdiff_t)y * dst->linesize[0], u, v);
        luma_line(f, y + 1, w, dst->data[0] + (ptrdiff_t)(y + 1) * dst->linesize[0], u, v);
        halve(u, w, dst->data[1] + (ptrdiff_t)(y / 2) * dst->linesize[1]);
        halve(v, w, dst->data[2] + (ptrdiff_t)(y / 2) * dst->linesize[2]);
    }
}
