#include "media/av.h"
#include "media/encoder.h"

#include <string.h>

#include "media/av_util.h"
#include "media/encoder_hw.h"

/* More does not encode a clip faster than a model makes it; a fixed number makes the same file on any machine. */
enum { ENCODER_THREADS = 4 };

static bool takes_yuv(const kn_codec *c)
{
    return c->takes == AV_PIX_FMT_YUV420P || c->takes == AV_PIX_FMT_NV12 || c->takes == AV_PIX_FMT_VAAPI;
}

/* A failure of the encoder itself: whatever libav's reason, another encoder may do. */
static int encoder_failed(const kn_encoder *e, int averror, kn_err *err)
{
    if (averror == AVERROR(ENOMEM) && !e->codec->is_hardware)
        return kn_fail(err, KN_ENOMEM, "no memory for the encoder %s", e->codec->name);
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(averror, why, sizeof why);
    return kn_fail(err, KN_EDEVICE, "the encoder %s failed at frame %lld: %s", e->codec->name,
                   (long long)e->n_sent, why);
}

/* ---- opening ---- */

static void configure(AVCodecContext *ctx, const kn_codec *codec, const kn_encoder_opts *o)
{
    ctx->width = o->width;
    ctx->height = o->height;
    ctx->pix_fmt = codec->takes;
    ctx->framerate = o->fps;
    ctx->time_base = av_inv_q(o->fps);
    ctx->sample_aspect_ratio = (AVRational){1, 1};
    ctx->thread_count = ENCODER_THREADS;
    if (takes_yuv(codec)) {
        ctx->color_range = AVCOL_RANGE_MPEG;
        ctx->colorspace = AVCOL_SPC_BT709;
        ctx->color_primaries = AVCOL_PRI_BT709;
        ctx->color_trc = AVCOL_TRC_BT709;
        ctx->chroma_sample_location = AVCHROMA_LOC_LEFT;
    }
    if (o->global_header)
        ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    codec->setup(ctx, o);
}

static int open_one(const kn_codec *codec, const kn_encoder_opts *o, kn_encoder *ret)
{
    const AVCodec *av = avcodec_find_encoder_by_name(codec->name);
    if (!av)
        return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *ctx = avcodec_alloc_context3(av);
    if (!ctx)
        return AVERROR(ENOMEM);
    configure(ctx, codec, o);
    int rc = codec->takes == AV_PIX_FMT_VAAPI ? kn_hw_attach(ctx) : 0;
    if (rc >= 0)
        rc = avcodec_open2(ctx, av, NULL);
    if (rc < 0)
        avcodec_free_context(&ctx);
    else
        *ret = (kn_encoder){.codec = codec, .ctx = ctx};
    return rc;
}

static int fail_to_open(const kn_codec *codec, int averror, kn_err *err)
{
    if (averror == AVERROR(ENOMEM) && !codec->is_hardware)
        return kn_fail(err, KN_ENOMEM, "no memory for the encoder %s", codec->name);
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(averror, why, sizeof why);
    return averror == AVERROR_ENCODER_NOT_FOUND
               ? kn_fail(err, KN_EUNSUPPORTED, "this libavcodec does not have it")
               : kn_fail(err, KN_EUNSUPPORTED, "cannot be opened: %s", why);
}

int kn_encoder_open(const kn_codec *codec, const kn_encoder_opts *o, kn_encoder *ret, kn_err *err)
{
    int rc = codec->is_hardware ? kn_encoder_try(codec, o, err) : 0;
    if (rc)
        return rc;
    int averror = open_one(codec, o, ret);
    return averror < 0 ? fail_to_open(codec, averror, err) : 0;
}

/* ---- frames ---- */

int kn_encoder_frame(const kn_encoder *e, AVFrame **ret, kn_err *err)
{
    AVFrame *f = av_frame_alloc();
    int rc = AVERROR(ENOMEM);
    if (f) {
        f->format = takes_yuv(e->codec) ? AV_PIX_FMT_YUV420P : e->codec->takes;
        f->width = e->ctx->width;
        f->height = e->ctx->height;
        f->color_range = e->ctx->color_range;
        f->colorspace = e->ctx->colorspace;
        f->color_primaries = e->ctx->color_primaries;
        f->color_trc = e->ctx->color_trc;
        f->chroma_location = e->ctx->chroma_sample_location;
        rc = av_frame_get_buffer(f, 0);
    }
    if (rc < 0) {
        av_frame_free(&f);
        return kn_fail(err, KN_ENOMEM, "no memory for a frame of %dx%d pixels", e->ctx->width,
                       e->ctx->height);
    }
    *ret = f;
    return 0;
}

static int send_converted(kn_encoder *e, const AVFrame *planar)
{
    AVFrame *nv12 = NULL, *surface = NULL;
    int rc = kn_hw_interleave(planar, &nv12);
    if (rc >= 0 && e->codec->takes == AV_PIX_FMT_VAAPI)
        rc = kn_hw_upload(e->ctx, nv12, &surface);
    if (rc >= 0)
        rc = avcodec_send_frame(e->ctx, surface ? surface : nv12);
    av_frame_free(&surface);
    av_frame_free(&nv12);
    return rc;
}

int kn_encoder_send(kn_encoder *e, AVFrame *f, kn_err *err)
{
    bool convert = f && f->format != (int)e->codec->takes;
    if (f)
        f->pts = e->n_sent;
    int rc = convert ? send_converted(e, f) : avcodec_send_frame(e->ctx, f);
    if (rc < 0)
        return encoder_failed(e, rc, err);
    e->n_sent += f != NULL;
    return 0;
}

int kn_encoder_receive(kn_encoder *e, AVPacket *ret, bool *ret_got, kn_err *err)
{
    int rc = avcodec_receive_packet(e->ctx, ret);
    *ret_got = rc >= 0;
    return rc >= 0 || rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? 0 : encoder_failed(e, rc, err);
}

/* ---- a frame that nobody will see ---- */

static void fill_grey(AVFrame *f)
{
    for (int p = 0; p < AV_NUM_DATA_POINTERS && f->buf[p]; p++)
        memset(f->buf[p]->data, 128, (size_t)f->buf[p]->size);
}

static int send_grey(kn_encoder *e, kn_err *err)
{
    AVFrame *f = NULL;
    int rc = kn_encoder_frame(e, &f, err);
    if (rc)
        return rc;
    fill_grey(f);
    rc = kn_encoder_send(e, f, err);
    av_frame_free(&f);
    return rc;
}

/* All packets of an encoder that was told the end. */
static int count_packets(kn_encoder *e, int *ret, kn_err *err)
{
    AVPacket *packet = av_packet_alloc();
    bool got = packet != NULL;
    int rc = got ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a packet");
    for (*ret = 0; !rc && got;) {
        rc = kn_encoder_receive(e, packet, &got, err);
        *ret += !rc && got;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return rc;
}

int kn_encoder_try(const kn_codec *codec, const kn_encoder_opts *o, kn_err *err)
{
    kn_encoder e = {0};
    int n = 0, averror;
    if (codec->needs_a_frame)
        return avcodec_find_encoder_by_name(codec->name)
                   ? 0
                   : fail_to_open(codec, AVERROR_ENCODER_NOT_FOUND, err);
    averror = open_one(codec, o, &e);
    if (averror < 0)
        return fail_to_open(codec, averror, err);
    int rc = send_grey(&e, err);
    if (!rc)
        rc = kn_encoder_send(&e, NULL, err);
    if (!rc)
        rc = count_packets(&e, &n, err);
    if (!rc && !n)
        rc = kn_fail(err, KN_EUNSUPPORTED, "it made nothing of a frame");
    kn_encoder_close(&e);
    if (rc != KN_EDEVICE)
        return rc;
    if (err)
        err->code = KN_EUNSUPPORTED;
    return KN_EUNSUPPORTED;
}

/* SVT-AV1 1.4 waits for ever for its first frame when it is closed without one. */
void kn_encoder_close(kn_encoder *e)
{
    if (e->ctx && e->codec->needs_a_frame && !e->n_sent)
        (void)send_grey(e, NULL);
    avcodec_free_context(&e->ctx);
    *e = (kn_encoder){0};
}
