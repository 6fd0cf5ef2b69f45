#include "media/av.h"
#include "media/encoder.h"

#include <stdio.h>
#include <string.h>

#include "media/av_util.h"

/* More does not encode a clip faster than a model makes it; a fixed number makes the same file on any machine. */
enum { ENCODER_THREADS = 4 };

static void setup_x264(AVCodecContext *ctx, const kn_encoder_opts *o)
{
    av_opt_set_int(ctx->priv_data, "crf", o->crf, 0);
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

static const struct candidate {
    const char *name;
    void (*setup)(AVCodecContext *ctx, const kn_encoder_opts *o);
    const char *warning;
} CANDIDATES[] = {
    {"libx264", setup_x264, ""},
    {"libopenh264", setup_openh264, ""},
    {"mpeg4", setup_mpeg4, " (MPEG-4 part 2: players read it, browsers do not)"},
};
enum { N_CANDIDATES = sizeof CANDIDATES / sizeof *CANDIDATES };

const char *kn_encoder_name(int i)
{
    return i < N_CANDIDATES ? CANDIDATES[i].name : NULL;
}

static int open_one(const struct candidate *c, const kn_encoder_opts *o, AVCodecContext **ret)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(c->name);
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    if (!ctx)
        return AVERROR(ENOMEM);
    ctx->width = o->width;
    ctx->height = o->height;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->framerate = o->fps;
    ctx->time_base = av_inv_q(o->fps);
    ctx->sample_aspect_ratio = (AVRational){1, 1};
    ctx->color_range = AVCOL_RANGE_MPEG;
    ctx->colorspace = AVCOL_SPC_BT709;
    ctx->color_primaries = AVCOL_PRI_BT709;
    ctx->color_trc = AVCOL_TRC_BT709;
    ctx->chroma_sample_location = AVCHROMA_LOC_LEFT;
    ctx->thread_count = ENCODER_THREADS;
    if (o->global_header)
        ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->setup(ctx, o);
    int rc = avcodec_open2(ctx, codec, NULL);
    if (rc < 0)
        avcodec_free_context(&ctx);
    else
        *ret = ctx;
    return rc;
}

static void list_names(char *buf, size_t size)
{
    buf[0] = '\0';
    for (int i = 0; i < N_CANDIDATES; i++)
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", i ? ", " : "", CANDIDATES[i].name);
}

static int open_named(const char *name, const kn_encoder_opts *o, AVCodecContext **ret, kn_err *err)
{
    char names[128];
    for (int i = 0; i < N_CANDIDATES; i++) {
        if (strcmp(CANDIDATES[i].name, name))
            continue;
        int rc = open_one(&CANDIDATES[i], o, ret);
        return rc < 0 ? kn_av_fail(err, KN_EUNSUPPORTED, rc, "cannot open the encoder %s for %dx%d pixels",
                                   name, o->width, o->height)
                      : 0;
    }
    list_names(names, sizeof names);
    return kn_fail(err, KN_EINVAL, "unknown encoder %s; one of %s was expected", name, names);
}

int kn_encoder_open(const char *name, const kn_encoder_opts *o, AVCodecContext **ret, char *ret_note,
                    kn_err *err)
{
    char reasons[KN_ENCODER_NOTE - 96] = "";
    ret_note[0] = '\0';
    if (name)
        return open_named(name, o, ret, err);
    for (int i = 0; i < N_CANDIDATES; i++) {
        char why[AV_ERROR_MAX_STRING_SIZE] = "";
        int rc = open_one(&CANDIDATES[i], o, ret);
        if (rc >= 0) {
            if (i)
                snprintf(ret_note, KN_ENCODER_NOTE, "encoded by %s%s, because %s", CANDIDATES[i].name,
                         CANDIDATES[i].warning, reasons);
            return 0;
        }
        av_strerror(rc, why, sizeof why);
        size_t used = strlen(reasons);
        snprintf(reasons + used, sizeof reasons - used, "%s%s: %s", used ? "; " : "", CANDIDATES[i].name,
                 why);
    }
    return kn_fail(err, KN_EUNSUPPORTED, "no video encoder for %dx%d pixels opens: %s", o->width, o->height,
                   reasons);
}
