#include "media/av.h"
#include "media/codec.h"

#include <string.h>

static void setup_x264(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", o->crf, 0);
    av_opt_set(ctx->priv_data, "preset", "medium", 0);
}

/* x265 at 3 more looks like x264; it writes to standard error on its own unless told not to. */
static void setup_x265(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", o->crf + 3 > 51 ? 51 : o->crf + 3, 0);
    av_opt_set(ctx->priv_data, "preset", "medium", 0);
    av_opt_set(ctx->priv_data, "x265-params", "log-level=none", 0);
}

/* Constant quality: a target quality, and no bit rate that would bind it. */
static void setup_nvenc(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set(ctx->priv_data, "preset", "p5", 0);
    av_opt_set(ctx->priv_data, "tune", "hq", 0);
    av_opt_set(ctx->priv_data, "profile", "high", 0);
    av_opt_set(ctx->priv_data, "rc", "vbr", 0);
    av_opt_set_int(ctx->priv_data, "cq", o->crf, 0);
    ctx->bit_rate = 0;
}

static void setup_amf(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set(ctx->priv_data, "usage", "transcoding", 0);
    av_opt_set(ctx->priv_data, "quality", "quality", 0);
    av_opt_set(ctx->priv_data, "rc", "cqp", 0);
    av_opt_set_int(ctx->priv_data, "qp_i", o->crf, 0);
    av_opt_set_int(ctx->priv_data, "qp_p", o->crf, 0);
    av_opt_set_int(ctx->priv_data, "qp_b", o->crf, 0);
}

static void setup_vaapi(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set(ctx->priv_data, "rc_mode", "CQP", 0);
    av_opt_set_int(ctx->priv_data, "qp", o->crf, 0);
}

static void setup_qsv(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    ctx->flags |= AV_CODEC_FLAG_QSCALE;
    ctx->global_quality = FF_QP2LAMBDA * o->crf;
    av_opt_set(ctx->priv_data, "preset", "medium", 0);
}

/* OpenH264 knows bit rates only: about what x264 spends on lively clips at crf 18, half of it 6 further. */
static void setup_openh264(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    double bits_per_pixel = 0.2;
    for (int crf = o->crf; crf > 18; crf -= 6)
        bits_per_pixel /= 2.0;
    ctx->bit_rate = 100000 + (int64_t)(bits_per_pixel * o->width * o->height * av_q2d(o->fps));
}

static void setup_mpeg4(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    int quantiser = o->crf / 6; /* 18 -> 3, visually close */
    ctx->flags |= AV_CODEC_FLAG_QSCALE;
    ctx->global_quality = FF_QP2LAMBDA * (quantiser < 1 ? 1 : quantiser);
}

/* VP9 and AV1 count quality from 0 to 63: 18 of x264 is about 24. */
static int crf_of_63(const kn_encoder_opts *o)
{
    int crf = o->crf * 63 / 51 + 2;
    return crf > 63 ? 63 : crf;
}

static void setup_vp9(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", crf_of_63(o), 0);
    av_opt_set(ctx->priv_data, "deadline", "good", 0);
    av_opt_set_int(ctx->priv_data, "cpu-used", 2, 0);
    av_opt_set_int(ctx->priv_data, "row-mt", 1, 0);
    ctx->bit_rate = 0;
}

static void setup_aom(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", crf_of_63(o), 0);
    av_opt_set_int(ctx->priv_data, "cpu-used", 6, 0);
    av_opt_set_int(ctx->priv_data, "row-mt", 1, 0);
    ctx->bit_rate = 0;
}

static void setup_svt(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", crf_of_63(o), 0);
    av_opt_set_int(ctx->priv_data, "preset", 8, 0);
}

/* libwebp counts quality from 0 to 100: 18 is 91. */
static void setup_webp(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    int quality = 100 - o->crf / 2;
    av_opt_set_int(ctx->priv_data, "lossless", 0, 0);
    av_opt_set_double(ctx->priv_data, "quality", quality, 0);
}

static void setup_nothing(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    (void)ctx, (void)o;
}

enum { MP4 = KN_CONTAINER_MP4, WEBM = KN_CONTAINER_WEBM };

/* Not VP8: its stream cannot say BT.709. */
static const kn_codec CODECS[] = {
    {"h264_nvenc", MP4, true, false, AV_PIX_FMT_YUV420P, setup_nvenc, ""},
    {"h264_amf", MP4, true, false, AV_PIX_FMT_NV12, setup_amf, ""},
    {"h264_vaapi", MP4, true, false, AV_PIX_FMT_VAAPI, setup_vaapi, ""},
    {"h264_qsv", MP4, true, false, AV_PIX_FMT_NV12, setup_qsv, ""},
    {"libx264", MP4, false, false, AV_PIX_FMT_YUV420P, setup_x264, ""},
    {"libopenh264", MP4, false, false, AV_PIX_FMT_YUV420P, setup_openh264, ""},
    {"libx265", MP4, false, false, AV_PIX_FMT_YUV420P, setup_x265,
     " (HEVC: newer players read it, some browsers do not)"},
    {"libvpx-vp9", WEBM | MP4, false, false, AV_PIX_FMT_YUV420P, setup_vp9, ""},
    {"libaom-av1", WEBM | MP4, false, false, AV_PIX_FMT_YUV420P, setup_aom, ""},
    {"libsvtav1", WEBM | MP4, false, true, AV_PIX_FMT_YUV420P, setup_svt, ""},
    {"mpeg4", MP4, false, false, AV_PIX_FMT_YUV420P, setup_mpeg4,
     " (MPEG-4 part 2: players read it, browsers do not)"},
    {"gif", KN_CONTAINER_GIF, false, false, AV_PIX_FMT_PAL8, setup_nothing, ""},
    {"libwebp_anim", KN_CONTAINER_WEBP, false, false, AV_PIX_FMT_RGB32, setup_webp, ""},
    {"png", KN_CONTAINER_PNG, false, false, AV_PIX_FMT_RGB24, setup_nothing, ""},
};
enum { N_CODECS = sizeof CODECS / sizeof *CODECS };

const kn_codec *kn_codec_at(int i)
{
    return i < N_CODECS ? &CODECS[i] : NULL;
}

const kn_codec *kn_codec_find(const char *name)
{
    for (int i = 0; i < N_CODECS; i++)
        if (!strcmp(CODECS[i].name, name))
            return &CODECS[i];
    return NULL;
}

const char *kn_container_name(kn_container c)
{
    switch (c) {
    case KN_CONTAINER_MP4:
        return "MP4";
    case KN_CONTAINER_WEBM:
        return "WebM";
    case KN_CONTAINER_GIF:
        return "GIF";
    case KN_CONTAINER_WEBP:
        return "WebP";
    case KN_CONTAINER_PNG:
        return "PNG";
    }
    return "";
}
