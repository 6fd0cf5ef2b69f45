#include "media/av.h"
#include "media/encoder_hw.h"

#include <string.h>

/* What an encoder may hold back while it orders frames, and some. */
enum { POOL_FRAMES = 20 };

static int attach_pool(AVCodecContext *ctx, AVBufferRef *device)
{
    AVBufferRef *pool = av_hwframe_ctx_alloc(device);
    if (!pool)
        return AVERROR(ENOMEM);
    AVHWFramesContext *frames = (AVHWFramesContext *)(void *)pool->data;
    frames->format = AV_PIX_FMT_VAAPI;
    frames->sw_format = AV_PIX_FMT_NV12;
    frames->width = ctx->width;
    frames->height = ctx->height;
    frames->initial_pool_size = POOL_FRAMES;
    int rc = av_hwframe_ctx_init(pool);
    if (rc >= 0) {
        ctx->hw_frames_ctx = av_buffer_ref(pool);
        rc = ctx->hw_frames_ctx ? 0 : AVERROR(ENOMEM);
    }
    av_buffer_unref(&pool);
    return rc;
}

int kn_hw_attach(AVCodecContext *ctx)
{
    AVBufferRef *device = NULL;
    int rc = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, NULL, 0);
    if (rc >= 0)
        rc = attach_pool(ctx, device);
    av_buffer_unref(&device);
    return rc;
}

int kn_hw_interleave(const AVFrame *planar, AVFrame **ret)
{
    AVFrame *f = av_frame_alloc();
    if (!f)
        return AVERROR(ENOMEM);
    f->format = AV_PIX_FMT_NV12;
    f->width = planar->width;
    f->height = planar->height;
    int rc = av_frame_get_buffer(f, 0);
    if (rc >= 0)
        rc = av_frame_copy_props(f, planar);
    if (rc < 0) {
        av_frame_free(&f);
        return rc;
    }
    for (int y = 0; y < f->height; y++)
        memcpy(f->data[0] + (ptrdiff_t)y * f->linesize[0],
               planar->data[0] + (ptrdiff_t)y * planar->linesize[0], (size_t)f->width);
    for (int y = 0; y < f->height / 2; y++) {
        const uint8_t *u = planar->data[1] + (ptrdiff_t)y * planar->linesize[1];
        const uint8_t *v = planar->data[2] + (ptrdiff_t)y * planar->linesize[2];
        uint8_t *dst = f->data[1] + (ptrdiff_t)y * f->linesize[1];
        for (int x = 0; x < f->width / 2; x++) {
            dst[2 * x] = u[x];
            dst[2 * x + 1] = v[x];
        }
    }
    *ret = f;
    return 0;
}

int kn_hw_upload(AVCodecContext *ctx, const AVFrame *nv12, AVFrame **ret)
{
    AVFrame *f = av_frame_alloc();
    int rc = f ? av_hwframe_get_buffer(ctx->hw_frames_ctx, f, 0) : AVERROR(ENOMEM);
    if (rc >= 0)
        rc = av_hwframe_transfer_data(f, nv12, 0);
    if (rc >= 0)
        rc = av_frame_copy_props(f, nv12);
    if (rc < 0)
        av_frame_free(&f);
    else
        *ret = f;
    return rc;
}
