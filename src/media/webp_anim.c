/* Playing an animated WebP: each frame is made a still of its own, decoded, and laid on the canvas. */
#include <stdlib.h>
#include <string.h>

#include "media/av.h"
#include "base/limits.h"
#include "base/mem.h"
#include "media/image_decode.h"
#include "media/webp.h"
#include "media/webp_riff.h"

struct kn_webp_anim {
    const char *origin;
    kn_riff riff;
    kn_image canvas;
    kn_anmf last; /* what was shown last, if it goes before the next */
    bool dispose_last;
};

int kn_webp_anim_open(const void *data, size_t size, const char *origin, kn_webp_anim **ret, kn_err *err)
{
    kn_webp_info info = {0};
    int rc = kn_webp_info_read(data, size, origin, &info, err);
    if (rc)
        return rc;
    free(info.comment);
    kn_webp_anim *a = kn_calloc(1, sizeof *a);
    rc = a ? kn_image_new(info.width, info.height, &a->canvas, err)
           : kn_fail(err, KN_ENOMEM, "no memory to play %s", origin);
    if (rc) {
        kn_webp_anim_close(a);
        return rc;
    }
    a->origin = origin;
    (void)kn_riff_open_webp(data, size, &a->riff); /* it was read a moment ago */
    *ret = a;
    return 0;
}

void kn_webp_anim_close(kn_webp_anim *a)
{
    if (!a)
        return;
    kn_image_done(&a->canvas);
    free(a);
}

/* The frame's own chunks behind a head of their own. */
static int make_still(const kn_anmf *f, kn_buf *b)
{
    uint8_t head[KN_WEBP_HEAD + KN_RIFF_HEAD + KN_VP8X_BYTES] = "RIFF\0\0\0\0WEBPVP8X";
    bool alpha = false, picture = false;
    kn_riff chunks = f->chunks;
    kn_riff_chunk c;
    kn_buf_append(b, head, sizeof head);
    while (kn_riff_next(&chunks, &c)) {
        bool is_alpha = kn_riff_is(&c, "ALPH"), is_picture = kn_riff_is(&c, "VP8 ") || kn_riff_is(&c, "VP8L");
        if ((!is_alpha && !is_picture) || picture)
            continue;
        alpha |= is_alpha || kn_riff_is(&c, "VP8L");
        picture |= is_picture;
        kn_buf_append(b, c.whole, c.whole_size);
        if (c.whole_size & 1)
            kn_buf_append(b, "", 1);
    }
    if (b->failed)
        return KN_ENOMEM;
    if (!picture)
        return KN_EFORMAT;
    uint8_t *p = (uint8_t *)b->data;
    kn_put_le32(p + 4, (uint32_t)(b->size - KN_RIFF_HEAD));
    kn_put_le32(p + KN_WEBP_HEAD + 4, KN_VP8X_BYTES);
    p += KN_WEBP_HEAD + KN_RIFF_HEAD;
    p[0] = alpha ? KN_VP8X_ALPHA : 0;
    kn_put_le24(p + 4, (uint32_t)f->width - 1);
    kn_put_le24(p + 7, (uint32_t)f->height - 1);
    return 0;
}

static void clear(kn_image *canvas, const kn_anmf *f)
{
    for (int y = 0; y < f->height; y++)
        memset(canvas->rgb + ((size_t)(f->y + y) * (size_t)canvas->width + (size_t)f->x) * 3, 0,
               (size_t)f->width * 3);
}

static uint8_t mix(int over, int under, int alpha)
{
    return (uint8_t)((over * alpha + under * (255 - alpha) + 127) / 255);
}

/* line: room for a line of alpha. */
static void lay(kn_image *canvas, const kn_anmf *f, const AVFrame *frame, const kn_image *rgb, uint16_t *line)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(frame->format);
    bool blends = f->blends && desc->nb_components == 4;
    for (int y = 0; y < f->height; y++) {
        uint8_t *dst = canvas->rgb + ((size_t)(f->y + y) * (size_t)canvas->width + (size_t)f->x) * 3;
        const uint8_t *src = rgb->rgb + (size_t)y * (size_t)f->width * 3;
        if (!blends) {
            memcpy(dst, src, (size_t)f->width * 3);
            continue;
        }
        av_read_image_line2(line, (const uint8_t **)(uintptr_t)frame->data, frame->linesize, desc, 0, y, 3,
                            f->width, 0, 2);
        for (int i = 0; i < f->width * 3; i++)
            dst[i] = mix(src[i], dst[i], line[i / 3]);
    }
}

static int show(kn_webp_anim *a, const kn_anmf *f, kn_err *err)
{
    kn_buf still;
    kn_image_probe probe;
    AVFrame *frame = NULL;
    kn_image rgb = {0};
    kn_buf_init(&still, KN_LIMIT_IMAGE_FILE_BYTES);
    uint16_t *line = kn_calloc((size_t)f->width, sizeof *line);
    int rc = line ? make_still(f, &still) : KN_ENOMEM;
    if (rc)
        (void)kn_fail(err, rc,
                      rc == KN_ENOMEM ? "%s: no memory for a frame" : "%s: a frame without a picture",
                      a->origin);
    if (!rc)
        rc = kn_image_decode(still.data, still.size, a->origin, &probe, &frame, err);
    if (!rc)
        rc = kn_av_frame_to_rgb(frame, kn_image_color(KN_IMAGE_WEBP), &rgb, err);
    if (!rc) {
        if (a->dispose_last)
            clear(&a->canvas, &a->last);
        lay(&a->canvas, f, frame, &rgb, line);
        a->last = *f;
        a->dispose_last = f->disposes;
    }
    kn_image_done(&rgb);
    av_frame_free(&frame);
    free(line);
    kn_buf_done(&still);
    return rc;
}

static int copy(const kn_image *from, kn_image *ret, kn_err *err)
{
    int rc = kn_image_new(from->width, from->height, ret, err);
    if (!rc)
        memcpy(ret->rgb, from->rgb, (size_t)from->width * (size_t)from->height * 3);
    return rc;
}

int kn_webp_anim_next(kn_webp_anim *a, kn_image *ret, bool *ret_end, kn_err *err)
{
    kn_riff_chunk c;
    kn_anmf f;
    while (kn_riff_next(&a->riff, &c)) {
        if (!kn_anmf_parse(&c, &f))
            continue;
        *ret_end = false;
        int rc = show(a, &f, err);
        return rc ? rc : copy(&a->canvas, ret, err);
    }
    *ret_end = true;
    return 0;
}
