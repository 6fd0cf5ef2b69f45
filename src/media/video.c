/* Reading clips: videos, animated pictures, stills, folders of stills. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/av.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "media/av_util.h"
#include "media/image.h"
#include "media/image_probe.h"
#include "media/reader.h"
#include "media/webp.h"

/* Frames read so far, with their limits. */
typedef struct clip {
    kn_image *frames;
    int n, capacity, max;
    size_t bytes;
} clip;

/* Consumes *im, also on failure. */
static int clip_add(clip *c, kn_image *im, const char *path, kn_err *err)
{
    int rc = 0;
    size_t bytes = (size_t)im->width * (size_t)im->height * 3;
    if (bytes > KN_LIMIT_CLIP_BYTES - c->bytes) {
        rc = kn_fail(err, KN_ELIMIT, "%s: its first %d frames need more than KN_LIMIT_CLIP_BYTES (%llu)",
                     path, c->n + 1, KN_LIMIT_CLIP_BYTES);
        goto out;
    }
    if (c->n == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 16;
        kn_image *frames = kn_realloc_array(c->frames, (size_t)capacity, sizeof *frames);
        if (!frames) {
            rc = kn_fail(err, KN_ENOMEM, "no memory for %d frames of %s", capacity, path);
            goto out;
        }
        c->frames = frames;
        c->capacity = capacity;
    }
    c->frames[c->n++] = *im;
    c->bytes += bytes;
    *im = (kn_image){0};
out:
    kn_image_done(im);
    return rc;
}

/* ---- folders ---- */

static int by_name(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(char **names, int n)
{
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

static bool is_picture_name(const char *name)
{
    static const char *const exts[] = {"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"};
    char ext[8];
    kn_path_ext(name, ext, sizeof ext);
    for (size_t i = 0; name[0] != '.' && i < sizeof exts / sizeof *exts; i++)
        if (!strcmp(ext, exts[i]))
            return true;
    return false;
}

static int list_pictures(const char *path, char ***ret, int *ret_n, kn_err *err)
{
    DIR *d = opendir(path);
    if (!d)
        return kn_fail(err, KN_EIO, "cannot list %s: %s", path, strerror(errno));
    char **names = NULL;
    int n = 0, rc = 0;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        if (!is_picture_name(e->d_name))
            continue;
        char **grown = n < KN_LIMIT_FRAMES ? kn_realloc_array(names, (size_t)n + 1, sizeof *names) : NULL;
        names = grown ? grown : names;
        if (n == KN_LIMIT_FRAMES)
            rc = kn_fail(err, KN_ELIMIT, "%s holds more than KN_LIMIT_FRAMES (%d) pictures", path,
                         KN_LIMIT_FRAMES);
        else if (!grown || !(names[n] = kn_strdup(e->d_name)))
            rc = kn_fail(err, KN_ENOMEM, "no memory for the names in %s", path);
        else
            n++;
    }
    closedir(d);
    if (!rc && !n)
        rc = kn_fail(err, KN_ENOTFOUND, "%s holds no picture (PNG, JPEG, WebP, BMP, TIFF)", path);
    if (rc) {
        names_free(names, n);
        return rc;
    }
    qsort(names, (size_t)n, sizeof *names, by_name);
    *ret = names;
    *ret_n = n;
    return 0;
}

static int load_folder(const char *path, clip *c, kn_err *err)
{
    char **names = NULL;
    int n = 0, rc = list_pictures(path, &names, &n, err);
    for (int i = 0; !rc && i < n && c->n < c->max; i++) {
        kn_image im = {0};
        char *file = kn_path_join(path, names[i]);
        rc = file ? kn_image_load(file, &im, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a name in %s", path);
        if (!rc)
            rc = clip_add(c, &im, path, err);
        free(file);
    }
    names_free(names, n);
    return rc;
}

/* ---- files ---- */

typedef struct video {
    const char *path;
    AVFormatContext *in;
    AVStream *stream;
    AVCodecContext *dec;
    AVPacket *packet;
    AVFrame *frame;
    int orientation;
} video;

static int open_decoder(video *v, kn_err *err)
{
    const AVCodecParameters *par = v->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: this libavcodec has no decoder for %s", v->path,
                       avcodec_get_name(par->codec_id));
    v->dec = avcodec_alloc_context3(codec);
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (!v->dec || !v->packet || !v->frame)
        return kn_fail(err, KN_ENOMEM, "no memory to decode %s", v->path);
    int rc = avcodec_parameters_to_context(v->dec, par);
    v->dec->max_pixels = (int64_t)KN_LIMIT_VIDEO_SIDE * KN_LIMIT_VIDEO_SIDE;
    v->dec->pkt_timebase = v->stream->time_base;
    if (rc >= 0)
        rc = avcodec_open2(v->dec, codec, NULL);
    return rc < 0 ? kn_av_fail(err, KN_EFORMAT, rc, "%s: cannot decode its %s video", v->path, codec->name)
                  : 0;
}

/* Adds the frames the decoder has ready. */
static int receive(video *v, clip *c, kn_err *err)
{
    while (c->n < c->max) {
        int averror = avcodec_receive_frame(v->dec, v->frame);
        if (averror == AVERROR(EAGAIN) || averror == AVERROR_EOF)
            return 0;
        if (averror < 0)
            return kn_av_fail(err, KN_EFORMAT, averror, "%s: frame %d is damaged", v->path, c->n);
        kn_image im = {0};
        /* The chroma default is MPEG-2's and H.264's; frames name theirs where it differs. */
        int rc = kn_av_frame_to_rgb(v->frame, (kn_av_color){0}, &im, err);
        if (!rc)
            rc = kn_image_orient(&im, v->orientation, err);
        av_frame_unref(v->frame);
        if (rc) {
            kn_image_done(&im);
            kn_err_prefix(err, "%s", v->path);
            return rc;
        }
        if (c->n && (im.width != c->frames[0].width || im.height != c->frames[0].height)) {
            rc = kn_fail(err, KN_EFORMAT, "%s: frame %d has %dx%d pixels, the first %dx%d", v->path, c->n,
                         im.width, im.height, c->frames[0].width, c->frames[0].height);
            kn_image_done(&im);
            return rc;
        }
        rc = clip_add(c, &im, v->path, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int decode_all(video *v, clip *c, kn_err *err)
{
    int rc = 0, averror = 0;
    while (!rc && c->n < c->max && (averror = av_read_frame(v->in, v->packet)) >= 0) {
        if (v->packet->stream_index == v->stream->index) {
            averror = avcodec_send_packet(v->dec, v->packet);
            rc = averror < 0
                     ? kn_av_fail(err, KN_EFORMAT, averror, "%s: damaged after frame %d", v->path, c->n)
                     : receive(v, c, err);
        }
        av_packet_unref(v->packet);
    }
    if (rc)
        return rc;
    if (averror < 0 && averror != AVERROR_EOF)
        return kn_av_fail(err, KN_EFORMAT, averror, "%s: cannot be read after frame %d", v->path, c->n);
    averror = avcodec_send_packet(v->dec, NULL);
    rc = averror < 0 ? 0 : receive(v, c, err);
    if (!rc && !c->n)
        rc = kn_fail(err, KN_EFORMAT, "%s: holds no frame", v->path);
    return rc;
}

static int load_video(const char *path, clip *c, double *fps, kn_err *err)
{
    video v = {.path = path};
    int rc = kn_reader_open(path, &v.in, &v.stream, err);
    if (!rc) {
        v.orientation = kn_reader_orientation(v.stream);
        *fps = kn_reader_fps(v.in, v.stream);
        rc = open_decoder(&v, err);
    }
    if (!rc)
        rc = decode_all(&v, c, err);
    av_frame_free(&v.frame);
    av_packet_free(&v.packet);
    avcodec_free_context(&v.dec);
    avformat_close_input(&v.in);
    return rc;
}

static int load_webp(const char *path, clip *c, double *fps, kn_err *err)
{
    char *data = NULL;
    size_t size = 0;
    kn_webp_info info = {0};
    kn_webp_anim *anim = NULL;
    bool end = false;
    int rc = kn_file_read(path, KN_LIMIT_IMAGE_FILE_BYTES, &data, &size, err);
    if (!rc)
        rc = kn_webp_info_read(data, size, path, &info, err);
    if (!rc)
        rc = kn_webp_anim_open(data, size, path, &anim, err);
    while (!rc && !end && c->n < c->max) {
        kn_image im = {0};
        rc = kn_webp_anim_next(anim, &im, &end, err);
        if (!rc && !end)
            rc = clip_add(c, &im, path, err);
    }
    *fps = info.duration_ms ? 1000.0 * (double)info.n_frames / (double)info.duration_ms : 0.0;
    kn_webp_anim_close(anim);
    free(info.comment);
    free(data);
    return rc;
}

/* Pictures that do not move go the way of all stills, with its checks and its orientation; libav reads no animated WebP. */
typedef enum kind { STILL, WEBP_ANIMATION, OTHER } kind;

static kind look(const char *path)
{
    kn_map map = {0};
    kn_image_probe probe;
    if (kn_map_open(&map, path, NULL))
        return OTHER;
    const char *why = kn_image_probe_bytes(map.data, map.size, &probe);
    kn_map_close(&map);
    if (why || probe.format == KN_IMAGE_GIF)
        return OTHER;
    if (probe.animated)
        return probe.format == KN_IMAGE_WEBP ? WEBP_ANIMATION : OTHER;
    return STILL;
}

static int load_file(const char *path, clip *c, double *fps, kn_err *err)
{
    kind k = look(path);
    if (k == WEBP_ANIMATION)
        return load_webp(path, c, fps, err);
    if (k == OTHER)
        return load_video(path, c, fps, err);
    kn_image im = {0};
    int rc = kn_image_load(path, &im, err);
    return rc ? rc : clip_add(c, &im, path, err);
}

int kn_video_load(const char *path, int max_frames, kn_image **ret_frames, int *ret_n, double *ret_fps,
                  kn_err *err)
{
    if (max_frames < 1 || max_frames > KN_LIMIT_FRAMES)
        return kn_fail(err, KN_EINVAL, "at most %d frames of %s; 1 to %d were expected", max_frames, path,
                       KN_LIMIT_FRAMES);
    clip c = {.max = max_frames};
    double fps = 0.0;
    int rc = kn_path_is_dir(path) ? load_folder(path, &c, err) : load_file(path, &c, &fps, err);
    if (rc) {
        kn_images_free(c.frames, c.n);
        return rc;
    }
    *ret_frames = c.frames;
    *ret_n = c.n;
    if (ret_fps)
        *ret_fps = fps;
    return 0;
}
