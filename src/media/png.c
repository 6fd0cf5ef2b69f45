#include "media/av.h"
#include "media/png.h"

#include <stdlib.h>
#include <string.h>

#include "media/av_util.h"

static int open_encoder(const kn_image *im, AVCodecContext **ret)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!ctx)
        return codec ? AVERROR(ENOMEM) : AVERROR_ENCODER_NOT_FOUND;
    ctx->width = im->width;
    ctx->height = im->height;
    ctx->pix_fmt = AV_PIX_FMT_RGB24;
    ctx->time_base = (AVRational){1, 1};
    ctx->thread_count = 1;
    *ret = ctx;
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "pred", "mixed", 0); /* the best of PNG's filters for each row */
    int rc = avcodec_open2(ctx, codec, &opts);
    av_dict_free(&opts);
    return rc;
}

static int fill_frame(const kn_image *im, AVFrame *frame)
{
    frame->width = im->width;
    frame->height = im->height;
    frame->format = AV_PIX_FMT_RGB24;
    int rc = av_frame_get_buffer(frame, 0);
    size_t row = (size_t)im->width * 3;
    for (int y = 0; rc >= 0 && y < im->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], im->rgb + (size_t)y * row, row);
    return rc;
}

int kn_png_encode(const kn_image *im, void **ret_data, size_t *ret_size, kn_err *err)
{
    int loaded = kn_av_load(err);
    if (loaded)
        return loaded;
    AVCodecContext *ctx = NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    void *data = NULL;
    int rc = frame && packet ? open_encoder(im, &ctx) : AVERROR(ENOMEM);
    if (rc >= 0)
        rc = fill_frame(im, frame);
    if (rc >= 0)
        rc = avcodec_send_frame(ctx, frame);
    if (rc >= 0)
        rc = avcodec_receive_packet(ctx, packet);
    if (rc >= 0) {
        data = malloc((size_t)packet->size);
        rc = data ? 0 : AVERROR(ENOMEM);
    }
    if (rc >= 0) {
        memcpy(data, packet->data, (size_t)packet->size);
        *ret_data = data;
        *ret_size = (size_t)packet->size;
    } else {
        rc = kn_av_fail(err, KN_EUNSUPPORTED, rc, "cannot encode a PNG picture of %dx%d pixels", im->width,
                        im->height);
    }
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&ctx);
    return rc < 0 ? rc : 0;
}
