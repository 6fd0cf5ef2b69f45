#include "media/av.h"
#include "media/image.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "media/av_util.h"
#include "media/image_decode.h"
#include "media/image_probe.h"
#include "media/png.h"

int kn_image_new(int width, int height, kn_image *ret, kn_err *err)
{
    if (width < 1 || height < 1)
        return kn_fail(err, KN_EINVAL, "a picture of %dx%d pixels", width, height);
    if ((int64_t)width * height > KN_LIMIT_IMAGE_PIXELS)
        return kn_fail(err, KN_ELIMIT,
                       "a picture of %dx%d pixels is larger than KN_LIMIT_IMAGE_PIXELS (%lld)", width, height,
                       KN_LIMIT_IMAGE_PIXELS);
    uint8_t *rgb = kn_calloc((size_t)width * (size_t)height, 3);
    if (!rgb)
        return kn_fail(err, KN_ENOMEM, "no memory for a picture of %dx%d pixels", width, height);
    *ret = (kn_image){width, height, rgb};
    return 0;
}

void kn_image_done(kn_image *im)
{
    if (!im)
        return;
    free(im->rgb);
    *im = (kn_image){0};
}

void kn_images_free(kn_image *frames, int n)
{
    for (int i = 0; frames && i < n; i++)
        kn_image_done(&frames[i]);
    free(frames);
}

static int codec_id(kn_image_format f)
{
    static const int ids[KN_IMAGE_FORMAT_COUNT] = {
        [KN_IMAGE_PNG] = AV_CODEC_ID_PNG,   [KN_IMAGE_JPEG] = AV_CODEC_ID_MJPEG,
        [KN_IMAGE_WEBP] = AV_CODEC_ID_WEBP, [KN_IMAGE_BMP] = AV_CODEC_ID_BMP,
        [KN_IMAGE_TIFF] = AV_CODEC_ID_TIFF, [KN_IMAGE_GIF] = AV_CODEC_ID_GIF};
    return ids[f];
}

static int open_decoder(const kn_image_probe *probe, const char *origin, AVCodecContext **ret, kn_err *err)
{
    const char *name = kn_image_format_name(probe->format);
    const AVCodec *codec = avcodec_find_decoder(codec_id(probe->format));
    if (!codec)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: this libavcodec was built without %s", origin, name);
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    int rc = AVERROR(ENOMEM);
    if (ctx) {
        ctx->thread_count = 1;
        ctx->max_pixels = KN_LIMIT_IMAGE_PIXELS;
        /* A TIFF reader that explodes does so at any tag it does not know. */
        if (probe->format != KN_IMAGE_TIFF)
            ctx->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
        rc = avcodec_open2(ctx, codec, NULL);
    }
    if (rc < 0) {
        avcodec_free_context(&ctx);
        return kn_av_fail(err, KN_EINTERNAL, rc, "%s: cannot open the %s decoder", origin, name);
    }
    *ret = ctx;
    return 0;
}

/* The whole file is one packet: no demuxer sees bytes of strangers, and none can open other files. */
static int decode(AVCodecContext *ctx, const void *data, size_t size, AVFrame *frame)
{
    AVPacket *packet = av_packet_alloc();
    int rc = packet ? av_new_packet(packet, (int)size) : AVERROR(ENOMEM);
    if (rc >= 0) {
        memcpy(packet->data, data, size);
        packet->flags = AV_PKT_FLAG_KEY;
        rc = avcodec_send_packet(ctx, packet);
    }
    if (rc >= 0)
        rc = avcodec_send_packet(ctx, NULL);
    if (rc >= 0)
        rc = avcodec_receive_frame(ctx, frame);
    av_packet_free(&packet);
    if (rc >= 0 && (frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT))
        rc = AVERROR_INVALIDDATA;
    return rc;
}

static int check_probe(const kn_image_probe *probe, size_t size, const char *origin, kn_err *err)
{
    if (probe->width > INT_MAX || probe->height > INT_MAX ||
        probe->width * probe->height > KN_LIMIT_IMAGE_PIXELS)
        return kn_fail(err, KN_ELIMIT, "%s: %lld x %lld pixels, more than KN_LIMIT_IMAGE_PIXELS (%lld)",
                       origin, (long long)probe->width, (long long)probe->height, KN_LIMIT_IMAGE_PIXELS);
    if (size > KN_LIMIT_IMAGE_FILE_BYTES)
        return kn_fail(err, KN_ELIMIT, "%s: %zu bytes, more than KN_LIMIT_IMAGE_FILE_BYTES (%llu)", origin,
                       size, KN_LIMIT_IMAGE_FILE_BYTES);
    if (probe->format == KN_IMAGE_WEBP && probe->animated)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: an animated WebP; a still picture was expected", origin);
    return 0;
}

int kn_image_decode(const void *data, size_t size, const char *origin, kn_image_probe *ret_probe,
                    AVFrame **ret, kn_err *err)
{
    int loaded = kn_av_load(err);
    if (loaded)
        return loaded;
    kn_image_probe probe;
    const char *why = kn_image_probe_bytes(data, size, &probe);
    if (why)
        return kn_fail(err, KN_EFORMAT, "%s: %s", origin, why);
    int rc = check_probe(&probe, size, origin, err);
    if (rc)
        return rc;
    const char *name = kn_image_format_name(probe.format);
    AVCodecContext *ctx = NULL;
    rc = open_decoder(&probe, origin, &ctx, err);
    if (rc)
        return rc;
    AVFrame *frame = av_frame_alloc();
    int averror = frame ? decode(ctx, data, size, frame) : AVERROR(ENOMEM);
    if (averror < 0)
        rc = kn_av_fail(err, KN_EFORMAT, averror, "%s: damaged %s picture", origin, name);
    else if (frame->width != probe.width || frame->height != probe.height)
        rc = kn_fail(err, KN_EFORMAT,
                     "%s: damaged %s picture: its header says %lld x %lld pixels, its data %d x %d", origin,
                     name, (long long)probe.width, (long long)probe.height, frame->width, frame->height);
    avcodec_free_context(&ctx);
    if (rc) {
        av_frame_free(&frame);
        return rc;
    }
    *ret_probe = probe;
    *ret = frame;
    return 0;
}

/* WebP is BT.601 16..235 by its specification; everything else that is not RGB here counts from 0 to 255. */
kn_av_color kn_image_color(kn_image_format f)
{
    return (kn_av_color){.full_range = f != KN_IMAGE_WEBP, .center = true};
}

int kn_image_load_memory(const void *data, size_t size, const char *origin, kn_image *ret, kn_err *err)
{
    kn_image_probe probe = {0};
    AVFrame *frame = NULL;
    kn_image im = {0};
    int rc = kn_image_decode(data, size, origin, &probe, &frame, err);
    if (rc)
        return rc;
    rc = kn_av_frame_to_rgb(frame, kn_image_color(probe.format), &im, err);
    if (!rc)
        rc = kn_image_orient(&im, probe.orientation, err);
    av_frame_free(&frame);
    if (rc) {
        kn_image_done(&im);
        kn_err_prefix(err, "%s", origin);
        return rc;
    }
    *ret = im;
    return 0;
}

int kn_image_load(const char *path, kn_image *ret, kn_err *err)
{
    char *data = NULL;
    size_t size = 0;
    int rc = kn_file_read(path, KN_LIMIT_IMAGE_FILE_BYTES, &data, &size, err);
    if (!rc)
        rc = kn_image_load_memory(data, size, path, ret, err);
    free(data);
    return rc;
}

int kn_image_save_png(const kn_image *im, const char *path, kn_err *err)
{
    void *png = NULL;
    size_t size = 0;
    kn_atomic_file file = {0};
    int rc = kn_png_encode(im, &png, &size, err);
    if (!rc)
        rc = kn_atomic_open(&file, path, err);
    if (!rc) {
        fwrite(png, 1, size, file.f);
        rc = kn_atomic_commit(&file, err);
    }
    free(png);
    return rc;
}
