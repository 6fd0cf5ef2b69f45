#include "media/av.h"
#include "media/av_util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/yuv.h"

int kn_av_fail(kn_err *err, int code, int averror, const char *fmt, ...)
{
    char why[AV_ERROR_MAX_STRING_SIZE] = "", msg[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    av_strerror(averror, why, sizeof why);
    if (averror == AVERROR(ENOMEM))
        code = KN_ENOMEM;
    else if (averror == AVERROR_PATCHWELCOME || averror == AVERROR_DECODER_NOT_FOUND)
        code = KN_EUNSUPPORTED;
    else if (averror == AVERROR(ENOSPC) || averror == AVERROR(EIO) || averror == AVERROR(EFBIG) ||
             averror == AVERROR(EDQUOT) || averror == AVERROR(EACCES) || averror == AVERROR(EROFS))
        code = KN_EIO;
    return kn_fail(err, code, "%s: %s", msg, why);
}

/* ---- exact conversion: RGB, palettes and full-range grey in any layout and depth ---- */

/* PIL keeps the high byte of 16-bit samples and widens fewer bits by v * 255 / max, rounded down. */
static uint8_t to_8bit(unsigned v, int depth)
{
    if (depth >= 8)
        return (uint8_t)(v >> (depth - 8));
    return (uint8_t)(v * 255u / ((1u << depth) - 1u));
}

static void line_palette(const AVFrame *f, int y, uint8_t *dst)
{
    const uint8_t *index = f->data[0] + (ptrdiff_t)y * f->linesize[0];
    for (int x = 0; x < f->width; x++, dst += 3) {
        uint32_t argb;
        memcpy(&argb, f->data[1] + 4 * index[x], sizeof argb);
        dst[0] = (uint8_t)(argb >> 16);
        dst[1] = (uint8_t)(argb >> 8);
        dst[2] = (uint8_t)argb;
    }
}

static void line_components(const AVFrame *f, const AVPixFmtDescriptor *desc, int y, uint16_t *line,
                            uint8_t *dst)
{
    bool grey = desc->nb_components < 3;
    uint8_t invert = f->format == AV_PIX_FMT_MONOWHITE ? 0xff : 0;
    for (int c = 0; c < (grey ? 1 : 3); c++) {
        av_read_image_line2(line, (const uint8_t **)(uintptr_t)f->data, f->linesize, desc, 0, y, c, f->width,
                            0, 2);
        for (int x = 0; x < f->width; x++) {
            uint8_t v = to_8bit(line[x], desc->comp[c].depth) ^ invert;
            if (grey)
                dst[3 * x] = dst[3 * x + 1] = dst[3 * x + 2] = v;
            else
                dst[3 * x + c] = v;
        }
    }
}

static int convert_exact(const AVFrame *f, const AVPixFmtDescriptor *desc, kn_image *im, kn_err *err)
{
    uint16_t *line = kn_calloc((size_t)f->width, sizeof *line);
    if (!line)
        return kn_fail(err, KN_ENOMEM, "no memory for a line of %d pixels", f->width);
    for (int y = 0; y < f->height; y++) {
        uint8_t *dst = im->rgb + (size_t)y * (size_t)f->width * 3;
        if (f->format == AV_PIX_FMT_RGB24)
            memcpy(dst, f->data[0] + (ptrdiff_t)y * f->linesize[0], (size_t)f->width * 3);
        else if (desc->flags & AV_PIX_FMT_FLAG_PAL)
            line_palette(f, y, dst);
        else
            line_components(f, desc, y, line, dst);
    }
    free(line);
    return 0;
}

/* ---- the rest, such as 10-bit video, through swscale ---- */

static int convert_swscale(const AVFrame *f, const AVPixFmtDescriptor *desc, bool full, kn_image *im,
                           kn_err *err)
{
    /* BITEXACT: the same picture whatever vector units the machine has. */
    int flags = SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT, w = f->width,
        h = f->height;
    bool named = f->colorspace != AVCOL_SPC_UNSPECIFIED;
    const int *matrix = sws_getCoefficients(named ? (int)f->colorspace : SWS_CS_ITU601);
    struct SwsContext *sws = sws_getContext(w, h, f->format, w, h, AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (!sws || sws_setColorspaceDetails(sws, matrix, full, matrix, 1, 0, 1 << 16, 1 << 16) < 0) {
        sws_freeContext(sws);
        return kn_fail(err, KN_EUNSUPPORTED, "pixels of the kind %s are not supported", desc->name);
    }
    uint8_t *dst[4] = {im->rgb};
    int stride[4] = {w * 3}, rc = 0;
    int done = sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, h, dst, stride);
    if (done != h)
        rc = kn_fail(err, KN_EFORMAT, "%d of %d lines of %s pixels could be converted", done, h, desc->name);
    sws_freeContext(sws);
    return rc;
}

static bool is_yuvj(int format)
{
    return format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P || format == AV_PIX_FMT_YUVJ444P ||
           format == AV_PIX_FMT_YUVJ440P || format == AV_PIX_FMT_YUVJ411P;
}

int kn_av_frame_to_rgb(const AVFrame *f, kn_av_color dflt, kn_image *ret, kn_err *err)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->format);
    uint64_t odd = AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
    if (!desc || desc->flags & odd)
        return kn_fail(err, KN_EUNSUPPORTED, "pixels of the kind %s are not supported",
                       desc ? desc->name : "unknown");
    bool full =
        f->color_range == AVCOL_RANGE_UNSPECIFIED ? dflt.full_range : f->color_range == AVCOL_RANGE_JPEG;
    full = full || is_yuvj(f->format);
    bool center = f->chroma_location == AVCHROMA_LOC_CENTER;
    if (f->chroma_location == AVCHROMA_LOC_UNSPECIFIED)
        center = dflt.center;
    bool rgb = desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL), grey = desc->nb_components < 3;
    kn_image im = {0};
    int rc = kn_image_new(f->width, f->height, &im, err);
    if (!rc && (rgb || (grey && full)))
        rc = convert_exact(f, desc, &im, err);
    else if (!rc && kn_yuv_is_planar8(desc))
        rc = kn_yuv_to_rgb8(f, desc, full, center, &im, err);
    else if (!rc)
        rc = convert_swscale(f, desc, full, &im, err);
    if (rc)
        kn_image_done(&im);
    else
        *ret = im;
    return rc;
}

/* ---- orientation ---- */

int kn_av_orientation(const int32_t *m)
{
    static const struct {
        int8_t a, b, c, d; /* signs of the matrix: x' = a x + c y, y' = b x + d y */
        int8_t orientation;
    } table[] = {{1, 0, 0, 1, 1}, {-1, 0, 0, 1, 2}, {-1, 0, 0, -1, 3}, {1, 0, 0, -1, 4},
                 {0, 1, 1, 0, 5}, {0, 1, -1, 0, 6}, {0, -1, -1, 0, 7}, {0, -1, 1, 0, 8}};
    int sign[4] = {(m[0] > 0) - (m[0] < 0), (m[1] > 0) - (m[1] < 0), (m[3] > 0) - (m[3] < 0),
                   (m[4] > 0) - (m[4] < 0)};
    for (int i = 0; i < 8; i++)
        if (table[i].a == sign[0] && table[i].b == sign[1] && table[i].c == sign[2] && table[i].d == sign[3])
            return table[i].orientation;
    return 1;
}

int kn_image_orient(kn_image *im, int orientation, kn_err *err)
{
    /* Where pixel (x, y) of the upright picture is stored: the two swapped, then counted from the far side. */
    static const struct {
        bool swap, from_right, from_bottom;
    } how[9] = {[2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
                [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};
    if (orientation < 2 || orientation > 8)
        return 0;
    bool swap = how[orientation].swap;
    int w = im->width, h = im->height;
    kn_image out = {0};
    int rc = kn_image_new(swap ? h : w, swap ? w : h, &out, err);
    if (rc)
        return rc;
    uint8_t *dst = out.rgb;
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++, dst += 3) {
            int sx = swap ? y : x, sy = swap ? x : y;
            sx = how[orientation].from_right ? w - 1 - sx : sx;
            sy = how[orientation].from_bottom ? h - 1 - sy : sy;
            memcpy(dst, im->rgb + ((size_t)sy * (size_t)w + (size_t)sx) * 3, 3);
        }
    }
    kn_image_done(im);
    *im = out;
    return 0;
}
