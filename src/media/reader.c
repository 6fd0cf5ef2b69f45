#include "media/av.h"
#include "media/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/mem.h"
#include "media/av_util.h"

/* Containers people have.  Playlists, concat scripts and capture devices, which open other things, are not among them. */
static const char FORMATS[] =
    "mov,mp4,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,ogg,flv,asf,yuv4mpegpipe,ivf,"
    "h264,hevc,av1,obu,m4v,mjpeg,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe";

static int open_input(const char *path, AVFormatContext **ret, kn_err *err)
{
    struct stat st;
    if (stat(path, &st))
        return kn_fail(err, errno == ENOENT || errno == ENOTDIR ? KN_ENOTFOUND : KN_EIO, "cannot open %s: %s",
                       path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kn_fail(err, KN_EINVAL, "%s is not a regular file", path);
    char *url = kn_asprintf("file:%s", path);
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "protocol_whitelist", "file", 0);
    av_dict_set(&opts, "format_whitelist", FORMATS, 0);
    int rc = url ? avformat_open_input(ret, url, NULL, &opts) : AVERROR(ENOMEM);
    av_dict_free(&opts);
    free(url);
    if (rc < 0)
        return kn_av_fail(err, KN_EFORMAT, rc, "%s: not a video or picture file", path);
    return 0;
}

int kn_reader_open(const char *path, AVFormatContext **ret, AVStream **ret_stream, kn_err *err)
{
    int loaded = kn_av_load(err);
    if (loaded)
        return loaded;
    AVFormatContext *in = NULL;
    int rc = open_input(path, &in, err);
    if (rc)
        return rc;
    int averror = avformat_find_stream_info(in, NULL);
    int i = averror < 0 ? averror : av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (i < 0) {
        rc = kn_av_fail(err, KN_EFORMAT, i, "%s: no video in it", path);
        goto out;
    }
    AVStream *st = in->streams[i];
    int w = st->codecpar->width, h = st->codecpar->height;
    if (w < 1 || h < 1) {
        rc = kn_fail(err, KN_EFORMAT, "%s: its %s video has no picture size", path,
                     avcodec_get_name(st->codecpar->codec_id));
        goto out;
    }
    if (w > KN_LIMIT_VIDEO_SIDE || h > KN_LIMIT_VIDEO_SIDE) {
        rc = kn_fail(err, KN_ELIMIT, "%s: %dx%d pixels, more than KN_LIMIT_VIDEO_SIDE (%d) a side", path, w,
                     h, KN_LIMIT_VIDEO_SIDE);
        goto out;
    }
    *ret = in;
    *ret_stream = st;
    in = NULL;
out:
    avformat_close_input(&in);
    return rc;
}

double kn_reader_fps(AVFormatContext *in, AVStream *st)
{
    AVRational r = av_guess_frame_rate(in, st, NULL);
    return r.num > 0 && r.den > 0 ? av_q2d(r) : 0.0;
}

int kn_reader_orientation(const AVStream *st)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102) /* FFmpeg 6.1 moved it from the stream */
    const AVPacketSideData *sd = av_packet_side_data_get(
        st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    const uint8_t *data = sd ? sd->data : NULL;
    size_t size = sd ? sd->size : 0;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
    int32_t matrix[9];
    if (!data || size < sizeof matrix)
        return 1;
    memcpy(matrix, data, sizeof matrix);
    return kn_av_orientation(matrix);
}
