/* MP4: H.264 (or what encoder.c falls back to) in yuv420p, BT.709 16..235, moov in front, JSON in the comment tag.
 *
 * yuv420p has even sides: an odd side is extended by repeating its last row or column. */
#include <stdlib.h>
#include <unistd.h>

#include "media/av.h"
#include "base/file.h"
#include "base/mem.h"
#include "media/av_util.h"
#include "media/encoder.h"
#include "media/sink_driver.h"
#include "media/yuv.h"

enum {
    DEFAULT_CRF = 18,
    FPS_MAX_TERM = 65535, /* MPEG-4 part 2 stores 16 bits; holds 60000/1001 */
};

typedef struct mp4 {
    char *path, *part;
    char note[KN_ENCODER_NOTE];
    AVFormatContext *out;
    AVStream *stream;
    AVCodecContext *enc;
    AVPacket *packet;
    float *work; /* of kn_frame_to_yuv420 */
    int64_t n_written;
    bool part_exists;
} mp4;

/* ---- opening ---- */

static int open_encoder(mp4 *m, const kn_sink_opts *opts, kn_err *err)
{
    kn_encoder_opts o = {.width = opts->width + (opts->width & 1),
                         .height = opts->height + (opts->height & 1),
                         .fps = av_d2q(opts->fps, FPS_MAX_TERM),
                         .crf = opts->crf ? opts->crf : DEFAULT_CRF,
                         .global_header = m->out->oformat->flags & AVFMT_GLOBALHEADER};
    return kn_encoder_open(opts->encoder, &o, &m->enc, m->note, err);
}

/* "file:" keeps libav from reading a name such as "a:b.mp4" as a protocol. */
static int open_part(mp4 *m, kn_err *err)
{
    char *url = kn_asprintf("file:%s", m->part);
    if (!url)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", m->part);
    int rc = avformat_alloc_output_context2(&m->out, NULL, "mp4", url);
    if (rc >= 0)
        rc = avio_open(&m->out->pb, url, AVIO_FLAG_WRITE);
    m->part_exists = rc >= 0;
    free(url);
    if (rc < 0)
        return kn_av_fail(err, KN_EIO, rc, "cannot write %s", m->part);
    return 0;
}

static int write_header(mp4 *m, kn_err *err)
{
    m->stream = avformat_new_stream(m->out, NULL);
    if (!m->stream)
        return kn_fail(err, KN_ENOMEM, "no memory to write %s", m->part);
    m->stream->time_base = m->enc->time_base;
    m->stream->avg_frame_rate = m->enc->framerate;
    int rc = avcodec_parameters_from_context(m->stream->codecpar, m->enc);
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "movflags", "+faststart", 0);
    if (rc >= 0)
        rc = avformat_write_header(m->out, &opts);
    av_dict_free(&opts);
    return rc < 0 ? kn_av_fail(err, KN_EIO, rc, "cannot begin %s", m->part) : 0;
}

static int mp4_open(void *priv, const char *path, const kn_sink_opts *opts, kn_err *err)
{
    mp4 *m = priv;
    m->path = kn_strdup(path);
    m->part = kn_asprintf("%s.part", path);
    if (!m->path || !m->part)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", path);
    int rc = open_part(m, err);
    if (!rc)
        rc = open_encoder(m, opts, err);
    if (rc)
        return rc;
    m->packet = av_packet_alloc();
    m->work = kn_calloc((size_t)m->enc->width, 2 * sizeof *m->work);
    if (!m->packet || !m->work)
        return kn_fail(err, KN_ENOMEM, "no memory to encode frames of %dx%d pixels", opts->width,
                       opts->height);
    return write_header(m, err);
}

/* ---- frames ---- */

static int drain(mp4 *m, kn_err *err)
{
    for (;;) {
        int rc = avcodec_receive_packet(m->enc, m->packet);
        if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
            return 0;
        if (rc < 0)
            return kn_av_fail(err, KN_EINTERNAL, rc, "the encoder %s failed", m->enc->codec->name);
        m->packet->duration = 1; /* in frames, as the encoder's time base */
        m->packet->stream_index = m->stream->index;
        av_packet_rescale_ts(m->packet, m->enc->time_base, m->stream->time_base);
        rc = av_interleaved_write_frame(m->out, m->packet);
        if (rc >= 0) {
            avio_flush(m->out->pb); /* so that a full disk is seen at this frame, not at the end */
            rc = m->out->pb->error;
        }
        if (rc < 0)
            return kn_av_fail(err, KN_EIO, rc, "cannot write %s", m->part);
    }
}

static int mp4_write(void *priv, const kn_frame *f, kn_err *err)
{
    mp4 *m = priv;
    AVFrame *yuv = av_frame_alloc();
    int rc = AVERROR(ENOMEM);
    if (yuv) {
        yuv->format = m->enc->pix_fmt;
        yuv->width = m->enc->width;
        yuv->height = m->enc->height;
        yuv->color_range = m->enc->color_range;
        yuv->colorspace = m->enc->colorspace;
        yuv->color_primaries = m->enc->color_primaries;
        yuv->color_trc = m->enc->color_trc;
        yuv->chroma_location = m->enc->chroma_sample_location;
        yuv->pts = m->n_written;
        rc = av_frame_get_buffer(yuv, 0);
    }
    if (rc >= 0) {
        kn_frame_to_yuv420(f, yuv, m->work);
        rc = avcodec_send_frame(m->enc, yuv);
    }
    av_frame_free(&yuv);
    if (rc < 0)
        return kn_av_fail(err, KN_EINTERNAL, rc, "the encoder %s refused frame %lld", m->enc->codec->name,
                          (long long)m->n_written);
    m->n_written++;
    return drain(m, err);
}

/* ---- the end ---- */

static int mp4_finish(void *priv, const char *json, kn_err *err)
{
    mp4 *m = priv;
    int rc = avcodec_send_frame(m->enc, NULL);
    if (rc < 0)
        return kn_av_fail(err, KN_EINTERNAL, rc, "the encoder %s failed", m->enc->codec->name);
    rc = drain(m, err);
    if (rc)
        return rc;
    /* The mov muxer writes its tags with the trailer, so they may come as late as this. */
    rc = json ? av_dict_set(&m->out->metadata, "comment", json, 0) : 0;
    if (rc >= 0)
        rc = av_write_trailer(m->out);
    int close_rc = avio_closep(&m->out->pb);
    if (rc >= 0)
        rc = close_rc;
    if (rc < 0)
        return kn_av_fail(err, KN_EIO, rc, "cannot finish %s", m->part);
    rc = kn_commit_path(m->part, m->path, err);
    if (!rc)
        m->part_exists = false;
    return rc;
}

static void mp4_close(void *priv)
{
    mp4 *m = priv;
    av_packet_free(&m->packet);
    avcodec_free_context(&m->enc);
    if (m->out)
        avio_closep(&m->out->pb);
    avformat_free_context(m->out);
    if (m->part_exists)
        unlink(m->part);
    free(m->work);
    free(m->part);
    free(m->path);
}

static const char *mp4_encoder(const void *priv)
{
    const mp4 *m = priv;
    return m->enc->codec->name;
}

static const char *mp4_note(const void *priv)
{
    const mp4 *m = priv;
    return m->note;
}

const kn_sink_driver kn_sink_driver_mp4 = {
    .priv_size = sizeof(mp4),
    .open = mp4_open,
    .write = mp4_write,
    .finish = mp4_finish,
    .close = mp4_close,
    .encoder = mp4_encoder,
    .note = mp4_note,
};
