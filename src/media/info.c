/* What files say of themselves, and what this build of libav can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/av.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "media/av_util.h"
#include "media/encoder.h"
#include "media/image_probe.h"
#include "media/reader.h"
#include "media/sink.h"
#include "media/webp.h"

/* The smallest that every hardware encoder takes is 256 (VCE). */
enum { PROBE_SIDE = 256 };

/* Containers that keep no count are counted, without decoding. */
static int64_t count_frames(AVFormatContext *in, const AVStream *st)
{
    AVPacket *packet = av_packet_alloc();
    int64_t n = 0;
    while (packet && av_read_frame(in, packet) >= 0) {
        n += packet->stream_index == st->index;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return n;
}

static const char *comment_of(const AVFormatContext *in, const AVStream *st)
{
    const AVDictionaryEntry *e = av_dict_get(in->metadata, "comment", NULL, 0);
    if (!e)
        e = av_dict_get(st->metadata, "comment", NULL, 0);
    return e ? e->value : NULL;
}

static int read_video(const char *path, kn_media_info *ret, kn_err *err)
{
    AVFormatContext *in = NULL;
    AVStream *st = NULL;
    int rc = kn_reader_open(path, &in, &st, err);
    if (rc)
        return rc;
    const char *comment = comment_of(in, st), *pixels = av_get_pix_fmt_name(st->codecpar->format);
    kn_media_info info = {.width = st->codecpar->width, .height = st->codecpar->height};
    info.fps = kn_reader_fps(in, st);
    info.duration_s = in->duration > 0 ? (double)in->duration / AV_TIME_BASE : 0.0;
    snprintf(info.codec, sizeof info.codec, "%s", avcodec_get_name(st->codecpar->codec_id));
    snprintf(info.pixel_format, sizeof info.pixel_format, "%s", pixels ? pixels : "unknown");
    snprintf(info.container, sizeof info.container, "%s", in->iformat->name);
    info.comment = kn_strdup(comment);
    if (comment && !info.comment)
        rc = kn_fail(err, KN_ENOMEM, "no memory for the comment of %s", path);
    info.n_frames = st->nb_frames > 0 ? st->nb_frames : count_frames(in, st);
    if (!strcmp(info.container, "gif") && info.duration_s > 0.0) /* times in 1/100 s: the mean is nearer */
        info.fps = (double)info.n_frames / info.duration_s;
    avformat_close_input(&in);
    if (!rc)
        *ret = info;
    return rc;
}

/* A folder that a PNG sink wrote: its recipe and its first frame. */
static int read_folder(const char *path, kn_media_info *ret, kn_err *err)
{
    kn_media_info info = {.container = "folder", .codec = "png", .pixel_format = "rgb24"};
    kn_image first = {0};
    char *recipe = kn_path_join(path, "kinora.json"), *frame = NULL;
    size_t size;
    int rc = recipe ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a name in %s", path);
    if (!rc && kn_path_exists(recipe))
        rc = kn_file_read(recipe, KN_LIMIT_JSON_FILE_BYTES, &info.comment, &size, err);
    for (; !rc && info.n_frames < KN_LIMIT_FRAMES; info.n_frames++) {
        free(frame);
        frame = kn_asprintf("%s/frame_%05lld.png", path, (long long)info.n_frames);
        if (!frame || !kn_path_exists(frame))
            break;
        if (!info.n_frames)
            rc = kn_image_load(frame, &first, err);
    }
    if (!rc && !info.n_frames)
        rc = kn_fail(err, KN_ENOTFOUND, "%s holds no frame_00000.png", path);
    info.width = first.width;
    info.height = first.height;
    kn_image_done(&first);
    free(frame);
    free(recipe);
    if (rc)
        free(info.comment);
    else
        *ret = info;
    return rc;
}

static int read_webp(const char *path, const kn_map *map, kn_media_info *ret, kn_err *err)
{
    kn_webp_info w = {0};
    int rc = kn_webp_info_read(map->data, map->size, path, &w, err);
    if (rc)
        return rc;
    kn_media_info info = {
        .width = w.width, .height = w.height, .n_frames = w.n_frames, .codec = "webp", .container = "webp"};
    info.duration_s = (double)w.duration_ms / 1000.0;
    info.fps = w.duration_ms ? (double)w.n_frames / info.duration_s : 0.0;
    snprintf(info.pixel_format, sizeof info.pixel_format, "%s", w.lossless ? "argb" : "yuv420p");
    info.comment = w.comment;
    *ret = info;
    return 0;
}

static bool is_webp(const kn_map *map)
{
    kn_image_probe probe;
    return !kn_image_probe_bytes(map->data, map->size, &probe) && probe.format == KN_IMAGE_WEBP;
}

int kn_media_info_read(const char *path, kn_media_info *ret, kn_err *err)
{
    kn_map map = {0};
    if (kn_path_is_dir(path))
        return read_folder(path, ret, err);
    if (!kn_map_open(&map, path, NULL) && is_webp(&map)) {
        int rc = read_webp(path, &map, ret, err);
        kn_map_close(&map);
        return rc;
    }
    kn_map_close(&map);
    return read_video(path, ret, err);
}

void kn_media_info_done(kn_media_info *info)
{
    if (!info)
        return;
    free(info->comment);
    *info = (kn_media_info){0};
}

static void list_containers(unsigned containers, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = '\0';
    for (unsigned bit = 1; bit <= KN_CONTAINER_PNG && used < size; bit <<= 1) {
        if (!(containers & bit))
            continue;
        int n = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", kn_container_name(bit));
        used += n > 0 ? (size_t)n : 0;
    }
}

void kn_media_encoders(void (*fn)(void *ud, const char *name, const char *writes, const char *why_not),
                       void *ud)
{
    kn_encoder_opts o = {.width = PROBE_SIDE, .height = PROBE_SIDE, .fps = {16, 1}, .crf = 18};
    const kn_codec *c;
    for (int i = 0; (c = kn_codec_at(i)); i++) {
        char writes[64];
        kn_err err = {0};
        list_containers(c->containers, writes, sizeof writes);
        if (!kn_av_load(&err))
            (void)kn_encoder_try(c, &o, &err);
        fn(ud, c->name, writes, err.msg);
    }
}

const char *kn_media_versions(char *buf, unsigned long size)
{
    kn_err err = {0};
    if (kn_av_load(&err)) {
        snprintf(buf, size, "%s", err.msg);
        return buf;
    }
    const struct {
        const char *name;
        unsigned v;
    } libs[] = {{"libavcodec", avcodec_version()},
                {"libavformat", avformat_version()},
                {"libswscale", swscale_version()},
                {"libavutil", avutil_version()}};
    size_t used = 0;
    if (size)
        buf[0] = '\0';
    for (int i = 0; i < 4 && used < size; i++) {
        unsigned v = libs[i].v;
        int n = snprintf(buf + used, size - used, "%s%s %u.%u.%u", i ? ", " : "", libs[i].name,
                         AV_VERSION_MAJOR(v), AV_VERSION_MINOR(v), AV_VERSION_MICRO(v));
        used += n > 0 ? (size_t)n : 0;
    }
    return buf;
}
