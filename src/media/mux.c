#include "media/av.h"
#include "media/mux.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "media/av_util.h"
#include "media/reader.h"

enum {
    DEFAULT_CRF = 18,
    FPS_MAX_TERM = 65535, /* MPEG-4 part 2 stores 16 bits; holds 60000/1001 */
};

AVRational kn_mux_fps(double fps)
{
    return av_d2q(fps, FPS_MAX_TERM);
}

kn_encoder_opts kn_mux_encoder_opts(const kn_sink_opts *o, AVRational fps, bool even)
{
    return (kn_encoder_opts){.width = o->width + (even && o->width & 1),
                             .height = o->height + (even && o->height & 1),
                             .fps = fps,
                             .crf = o->crf ? o->crf : DEFAULT_CRF};
}

/* ---- opening ---- */

static const char *format_name(kn_container c)
{
    return c == KN_CONTAINER_WEBM ? "webm" : c == KN_CONTAINER_GIF ? "gif" : "mp4";
}

/* "file:" keeps libav from reading a name such as "a:b.mp4" as a protocol. */
static int open_file(const char *path, const char *format, AVFormatContext **ret)
{
    char *url = kn_asprintf("file:%s", path);
    int rc = url ? avformat_alloc_output_context2(ret, NULL, format, url) : AVERROR(ENOMEM);
    if (rc >= 0)
        rc = avio_open(&(*ret)->pb, url, AVIO_FLAG_WRITE);
    free(url);
    return rc;
}

static int write_header(AVFormatContext *out, bool growing)
{
    AVDictionary *opts = NULL;
    AVCodecParameters *par = out->streams[0]->codecpar;
    if (par->codec_id == AV_CODEC_ID_HEVC) /* the only tag under which Apple's players know HEVC */
        par->codec_tag = MKTAG('h', 'v', 'c', '1');
    /* others do not know them and leave them alone */
    av_dict_set(&opts, "movflags", growing ? "+empty_moov+delay_moov+default_base_moof" : "+faststart", 0);
    if (growing)
        av_dict_set(&opts, "frag_duration", "1000000", 0); /* microseconds */
    int rc = avformat_write_header(out, &opts);
    av_dict_free(&opts);
    return rc;
}

static int begin(kn_mux *m, kn_err *err)
{
    m->packet = av_packet_alloc();
    m->stream = avformat_new_stream(m->out, NULL);
    if (!m->packet || !m->stream)
        return kn_fail(err, KN_ENOMEM, "no memory to write %s", m->part);
    m->stream->time_base = m->enc.ctx->time_base;
    m->stream->avg_frame_rate = m->enc.ctx->framerate;
    int rc = avcodec_parameters_from_context(m->stream->codecpar, m->enc.ctx);
    if (rc >= 0)
        rc = write_header(m->out, m->is_growing);
    m->must_end = rc >= 0 && m->stream->codecpar->codec_id == AV_CODEC_ID_GIF;
    return rc < 0 ? kn_av_fail(err, KN_EIO, rc, "cannot begin %s", m->part) : 0;
}

int kn_mux_open(kn_mux *m, kn_container container, const char *path, const kn_sink_opts *opts, AVRational fps,
                kn_attempts *tried, kn_err *err)
{
    m->path = kn_strdup(path);
    m->part = kn_asprintf("%s.part", path);
    if (!m->path || !m->part)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", path);
    int rc = open_file(m->part, format_name(container), &m->out);
    m->part_exists = rc >= 0;
    if (rc < 0)
        return kn_av_fail(err, KN_EIO, rc, "cannot write %s", m->part);
    kn_encoder_opts eo = kn_mux_encoder_opts(opts, fps, container != KN_CONTAINER_GIF);
    eo.global_header = m->out->oformat->flags & AVFMT_GLOBALHEADER;
    rc = kn_chain_open(container, opts, &eo, tried, &m->enc, err);
    if (rc)
        return rc;
    m->fault_frame = kn_fault_frame(opts, m->enc.codec->name);
    m->is_growing = opts->growing && container == KN_CONTAINER_MP4;
    return begin(m, err);
}

/* ---- frames ---- */

static int write_packet(kn_mux *m, kn_err *err)
{
    m->packet->duration = 1; /* in frames, as the encoder's time base */
    m->packet->stream_index = m->stream->index;
    av_packet_rescale_ts(m->packet, m->enc.ctx->time_base, m->stream->time_base);
    int rc = av_interleaved_write_frame(m->out, m->packet);
    if (rc >= 0) {
        avio_flush(m->out->pb); /* so that a full disk is seen at this frame, not at the end */
        rc = m->out->pb->error;
    }
    return rc < 0 ? kn_av_fail(err, KN_EIO, rc, "cannot write %s", m->part) : 0;
}

static int drain(kn_mux *m, kn_err *err)
{
    bool got = true;
    int rc = 0;
    while (!rc && got) {
        rc = kn_encoder_receive(&m->enc, m->packet, &got, err);
        if (!rc && got)
            rc = write_packet(m, err);
    }
    return rc;
}

int kn_mux_write(kn_mux *m, AVFrame *f, kn_err *err)
{
    int rc = m->fault_frame && m->enc.n_sent + 1 == m->fault_frame
                 ? kn_fault_fail(m->enc.codec->name, m->fault_frame, err)
                 : kn_encoder_send(&m->enc, f, err);
    av_frame_free(&f);
    return rc ? rc : drain(m, err);
}

/* ---- the end ---- */

static int close_file(AVFormatContext *out, int rc)
{
    if (rc >= 0)
        rc = av_write_trailer(out);
    int closed = avio_closep(&out->pb);
    return rc >= 0 ? closed : rc;
}

int kn_mux_end(kn_mux *m, const char *comment, kn_err *err)
{
    int rc = m->fault_frame ? kn_fault_fail(m->enc.codec->name, m->enc.n_sent, err)
                            : kn_encoder_send(&m->enc, NULL, err);
    if (!rc)
        rc = drain(m, err);
    if (rc)
        return rc;
    m->must_end = false;
    /* The mov muxer writes its tags with the trailer, so they may come as late as this. */
    rc = close_file(m->out, comment ? av_dict_set(&m->out->metadata, "comment", comment, 0) : 0);
    return rc < 0 ? kn_av_fail(err, KN_EIO, rc, "cannot finish %s", m->part) : 0;
}

int kn_mux_commit(kn_mux *m, kn_err *err)
{
    int rc = kn_commit_path(m->part, m->path, err);
    if (!rc)
        m->part_exists = false;
    return rc;
}

void kn_mux_close(kn_mux *m)
{
    if (m->must_end)
        (void)av_write_trailer(m->out);
    av_packet_free(&m->packet);
    kn_encoder_close(&m->enc);
    if (m->out)
        avio_closep(&m->out->pb);
    avformat_free_context(m->out);
    if (m->part_exists)
        unlink(m->part);
    free(m->part);
    free(m->path);
}

/* ---- once more ---- */

/* The first picture is shown at 0, whatever fragments were shifted by. */
static void begin_at_zero(AVPacket *p, int64_t *begin)
{
    if (*begin == AV_NOPTS_VALUE)
        *begin = p->pts;
    p->pts -= *begin;
    p->dts -= *begin;
}

static int copy_packets(AVFormatContext *in, const AVStream *from, AVFormatContext *out)
{
    int64_t begin = AV_NOPTS_VALUE;
    AVPacket *packet = av_packet_alloc();
    int rc = packet ? 0 : AVERROR(ENOMEM);
    while (rc >= 0 && (rc = av_read_frame(in, packet)) >= 0) {
        bool wanted = packet->stream_index == from->index;
        packet->stream_index = 0;
        if (wanted)
            begin_at_zero(packet, &begin);
        packet->pos = -1;
        av_packet_rescale_ts(packet, from->time_base, out->streams[0]->time_base);
        if (wanted)
            rc = av_interleaved_write_frame(out, packet);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return rc == AVERROR_EOF ? 0 : rc;
}

static int copy_stream(const AVStream *from, AVFormatContext *out)
{
    AVStream *to = avformat_new_stream(out, NULL);
    if (!to)
        return AVERROR(ENOMEM);
    int rc = avcodec_parameters_copy(to->codecpar, from->codecpar);
    to->codecpar->codec_tag = 0;
    to->time_base = from->time_base;
    to->avg_frame_rate = from->avg_frame_rate;
    return rc;
}

int kn_mux_copy(const char *from, const char *to, const char *format, const char *comment, kn_err *err)
{
    AVFormatContext *in = NULL, *out = NULL;
    AVStream *st = NULL;
    int rc = kn_reader_open(from, &in, &st, err);
    if (rc)
        return rc;
    int averror = open_file(to, format, &out);
    bool exists = averror >= 0;
    if (exists)
        averror = copy_stream(st, out);
    if (averror >= 0)
        averror = av_dict_set(&out->metadata, "comment", comment, 0);
    if (averror >= 0)
        averror = write_header(out, false);
    if (averror >= 0)
        averror = close_file(out, copy_packets(in, st, out));
    if (averror < 0)
        rc = kn_av_fail(err, KN_EIO, averror, "cannot write %s", to);
    avformat_close_input(&in);
    if (out)
        avio_closep(&out->pb);
    avformat_free_context(out);
    if (rc && exists)
        unlink(to);
    return rc;
}
