/* MP4 and WebM: yuv420p, BT.709 16..235, JSON in the comment tag.
 *
 * yuv420p has even sides: an odd side is extended by repeating its last row or column. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/av.h"
#include "base/mem.h"
#include "media/mux.h"
#include "media/sink_driver.h"
#include "media/yuv.h"

typedef struct video {
    kn_mux mux;
    float *work; /* of kn_frame_to_yuv420 */
} video;

static int open_video(video *v, kn_container container, const char *path, const kn_sink_opts *opts,
                      kn_attempts *tried, kn_err *err)
{
    int rc = kn_mux_open(&v->mux, container, path, opts, kn_mux_fps(opts->fps), tried, err);
    if (rc)
        return rc;
    v->work = kn_calloc((size_t)v->mux.enc.ctx->width, 2 * sizeof *v->work);
    return v->work ? 0
                   : kn_fail(err, KN_ENOMEM, "no memory to encode frames of %dx%d pixels", opts->width,
                             opts->height);
}

static int mp4_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    return open_video(priv, KN_CONTAINER_MP4, path, opts, tried, err);
}

static int webm_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    return open_video(priv, KN_CONTAINER_WEBM, path, opts, tried, err);
}

static int video_write(void *priv, const kn_frame *f, kn_err *err)
{
    video *v = priv;
    AVFrame *yuv = NULL;
    int rc = kn_encoder_frame(&v->mux.enc, &yuv, err);
    if (rc)
        return rc;
    kn_frame_to_yuv420(f, yuv, v->work);
    return kn_mux_write(&v->mux, yuv, err);
}

/* The part file as a whole one with a comment, in its place. */
static int rewrite(video *v, const char *format, const char *json, kn_err *err)
{
    char *whole = kn_asprintf("%s.whole.part", v->mux.path);
    if (!whole)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", v->mux.path);
    int rc = kn_mux_copy(v->mux.part, whole, format, json, err);
    if (!rc && rename(whole, v->mux.part))
        rc = kn_fail(err, KN_EIO, "cannot rename %s: %s", whole, strerror(errno));
    if (rc)
        unlink(whole);
    free(whole);
    return rc;
}

static int mp4_finish(void *priv, const char *json, kn_err *err)
{
    video *v = priv;
    int rc = kn_mux_end(&v->mux, json, err);
    if (!rc && v->mux.is_growing)
        (void)rewrite(v, "mp4", json,
                      NULL); /* no room for both: the fragments are a whole video, too, without the tag */
    return rc ? rc : kn_mux_commit(&v->mux, err);
}

/* Matroska has its tags in front, where they are found without reading the file; ours are known only now. */
static int webm_finish(void *priv, const char *json, kn_err *err)
{
    video *v = priv;
    int rc = kn_mux_end(&v->mux, NULL, err);
    if (!rc && json)
        rc = rewrite(v, "webm", json, err);
    return rc ? rc : kn_mux_commit(&v->mux, err);
}

static void video_close(void *priv)
{
    video *v = priv;
    kn_mux_close(&v->mux);
    free(v->work);
}

static const char *video_encoder(const void *priv)
{
    const video *v = priv;
    return v->mux.enc.codec->name;
}

const kn_sink_driver kn_sink_driver_mp4 = {.priv_size = sizeof(video),
                                           .open = mp4_open,
                                           .write = video_write,
                                           .finish = mp4_finish,
                                           .close = video_close,
                                           .encoder = video_encoder};

const kn_sink_driver kn_sink_driver_webm = {.priv_size = sizeof(video),
                                            .open = webm_open,
                                            .write = video_write,
                                            .finish = webm_finish,
                                            .close = video_close,
                                            .encoder = video_encoder};
