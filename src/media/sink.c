/* The part all sinks share: choosing a driver, and a bounded queue with one encoding thread behind it, so that
 * encoding overlaps the decoding of later frames and a slow disk holds the producer back. */
#include "media/sink.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "media/av.h"
#include "media/av_util.h"
#include "media/sink_driver.h"

/* Wan's decoder hands over four frames at a time: one batch may wait while the next is computed. */
enum { QUEUE_FRAMES = 4, MAX_BESIDE = 100 };

struct kn_sink {
    const kn_sink_driver *driver;
    void *priv;
    char *path;
    char note[400];
    kn_attempts attempts;
    int width, height;
    int64_t n_put;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    kn_frame *queue[QUEUE_FRAMES];
    int head, count;
    bool ended, aborted;
    kn_err err; /* first failure of the thread */
};

/* ---- the encoding thread ---- */

static kn_frame *take(kn_sink *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->count && !s->ended)
        pthread_cond_wait(&s->changed, &s->lock);
    kn_frame *f = NULL;
    if (s->count && !s->aborted) {
        f = s->queue[s->head];
        s->head = (s->head + 1) % QUEUE_FRAMES;
        s->count--;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return f;
}

static void *encode(void *arg)
{
    kn_sink *s = arg;
    kn_err err = {0};
    for (kn_frame *f; (f = take(s));) {
        int rc = s->driver->write(s->priv, f, &err);
        kn_frame_unref(f);
        if (rc)
            break;
    }
    pthread_mutex_lock(&s->lock);
    s->err = err;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void join(kn_sink *s, bool aborted)
{
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->aborted = aborted;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

static void free_sink(kn_sink *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s->priv);
    free(s);
}

static void destroy(kn_sink *s)
{
    while (s->count) {
        kn_frame_unref(s->queue[s->head]);
        s->head = (s->head + 1) % QUEUE_FRAMES;
        s->count--;
    }
    s->driver->close(s->priv);
    free_sink(s);
}

/* ---- kinds of files ---- */

enum { N_INSTEAD = 3 };

static const struct kind {
    const char *ext, *beside; /* what stands after the name's stem where it takes another kind's place */
    const kn_sink_driver *driver;
    signed char instead[N_INSTEAD]; /* kinds that take its place, by index; 0: no more */
} KINDS[] = {
    {NULL, NULL, NULL, {0}},
    {"mp4", ".mp4", &kn_sink_driver_mp4, {3, 5}},
    {"webm", ".webm", &kn_sink_driver_webm, {1, 3, 5}},
    {"gif", ".gif", &kn_sink_driver_gif, {5}},
    {"webp", ".webp", &kn_sink_driver_webp, {3, 5}},
    {"", "_frames/", &kn_sink_driver_pngs, {0}},
    {"png", ".png", &kn_sink_driver_png, {0}},
};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS, FOLDER = 5 };

static int choose(const char *path, const struct kind **ret, kn_err *err)
{
    char ext[16];
    size_t n = strlen(path);
    kn_path_ext(path, ext, sizeof ext);
    *ret = NULL;
    if (n && (path[n - 1] == '/' || kn_path_is_dir(path)))
        *ret = &KINDS[FOLDER];
    for (int i = 1; i < N_KINDS && !*ret; i++)
        if (*ext && !strcmp(ext, KINDS[i].ext))
            *ret = &KINDS[i];
    if (*ret)
        return 0;
    return kn_fail(
        err, KN_EINVAL,
        "cannot tell what to write to %s: expected NAME.mp4, NAME.webm, NAME.gif, NAME.webp, NAME.png "
        "(one picture) or a folder (FOLDER/)",
        path);
}

/* A free name beside `path` for another kind: what lies there is someone's. */
static char *name_beside(const char *path, const struct kind *k)
{
    const char *dot = strrchr(kn_path_base(path), '.');
    int stem = (int)(dot ? dot - path : (ptrdiff_t)strlen(path));
    char number[16] = "";
    for (int i = 2; i < MAX_BESIDE; i++) {
        char *name = kn_asprintf("%.*s%s%s", stem, path, number, k->beside);
        if (!name || !kn_path_exists(name))
            return name;
        free(name);
        snprintf(number, sizeof number, "-%d", i);
    }
    return NULL;
}

/* ---- opening ---- */

static int check_opts(const kn_sink_opts *o, kn_err *err)
{
    if (o->width < 1 || o->height < 1 || o->width > KN_LIMIT_VIDEO_SIDE || o->height > KN_LIMIT_VIDEO_SIDE)
        return kn_fail(err, KN_EINVAL, "a video of %dx%d pixels; sides from 1 to %d are supported", o->width,
                       o->height, KN_LIMIT_VIDEO_SIDE);
    if (!(o->fps > 0.0 && o->fps <= 1000.0))
        return kn_fail(err, KN_EINVAL, "%g frames a second; more than 0 and at most 1000 were expected",
                       o->fps);
    if (o->n_frames < 0 || o->n_frames > KN_LIMIT_FRAMES)
        return kn_fail(err, KN_ELIMIT, "%lld frames; at most KN_LIMIT_FRAMES (%d) are supported",
                       (long long)o->n_frames, KN_LIMIT_FRAMES);
    if (o->crf < 0 || o->crf > 51)
        return kn_fail(err, KN_EINVAL, "crf %d; 0 (choose) to 51 were expected", o->crf);
    return 0;
}

/* Takes path. */
static int open_kind(kn_sink *s, const struct kind *k, char *path, const kn_sink_opts *opts, kn_err *err)
{
    free(s->path);
    s->path = path;
    s->driver = k->driver;
    s->priv = kn_calloc(1, k->driver->priv_size);
    if (!path || !s->priv)
        return kn_fail(err, KN_ENOMEM, "no memory, or no free name, for a file to write");
    int rc = k->driver->open(s->priv, path, opts, &s->attempts, err);
    if (rc) {
        k->driver->close(s->priv);
        free(s->priv);
        s->priv = NULL;
    }
    return rc;
}

/* What the user is told of what was chosen. */
static void make_note(kn_sink *s, const struct kind *asked, const struct kind *k, const kn_sink_opts *opts)
{
    char why[300];
    const char *encoder = s->driver->encoder(s->priv);
    const kn_codec *codec = kn_codec_find(encoder);
    kn_attempts_reasons(&s->attempts, 0, why, sizeof why);
    if (k == asked && k->driver == &kn_sink_driver_gif && opts->fps > KN_GIF_MAX_FPS)
        snprintf(s->note, sizeof s->note,
                 "GIF shows at most %d frames a second: it plays slower than %g; MP4, WebM and WebP do not",
                 KN_GIF_MAX_FPS, opts->fps);
    else if (k != asked)
        snprintf(s->note, sizeof s->note, "written as %s, because no encoder for .%s works: %s", s->path,
                 asked->ext, why);
    else if (codec && !codec->is_hardware && kn_attempts_software_failed(&s->attempts))
        snprintf(s->note, sizeof s->note, "encoded by %s%s, because %s", encoder, codec->warning, why);
}

static int open_any(kn_sink *s, const char *path, const kn_sink_opts *opts, kn_err *err)
{
    const struct kind *asked = NULL, *k = NULL;
    int rc = choose(path, &asked, err);
    if (rc)
        return rc;
    rc = open_kind(s, k = asked, kn_strdup(path), opts, err);
    for (int i = 0; rc == KN_EUNSUPPORTED && !opts->encoder && i < N_INSTEAD && asked->instead[i]; i++) {
        k = &KINDS[asked->instead[i]];
        rc = open_kind(s, k, name_beside(path, k), opts, err);
    }
    if (!rc && !opts->encoder)
        make_note(s, asked, k, opts);
    return rc;
}

int kn_sink_open(const char *path, const kn_sink_opts *opts, kn_sink **ret, kn_err *err)
{
    int rc = check_opts(opts, err);
    if (!rc)
        rc = kn_av_load(err);
    if (rc)
        return rc;
    kn_sink *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory to write %s", path);
    s->width = opts->width;
    s->height = opts->height;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    rc = open_any(s, path, opts, err);
    if (!rc && pthread_create(&s->thread, NULL, encode, s)) {
        rc = kn_fail(err, KN_ENOMEM, "cannot start the thread that encodes %s", path);
        s->driver->close(s->priv);
    }
    if (rc) {
        free_sink(s);
        return rc;
    }
    *ret = s;
    return 0;
}

/* ---- use ---- */

int kn_sink_put(kn_sink *s, kn_frame *f, kn_err *err)
{
    int rc = 0;
    if (f->width != s->width || f->height != s->height)
        rc = kn_fail(err, KN_EINVAL, "a frame of %dx%d pixels in a video of %dx%d", f->width, f->height,
                     s->width, s->height);
    if (!rc && s->n_put == KN_LIMIT_FRAMES)
        rc = kn_fail(err, KN_ELIMIT, "more than KN_LIMIT_FRAMES (%d) frames", KN_LIMIT_FRAMES);
    if (rc) {
        kn_frame_unref(f);
        return rc;
    }
    pthread_mutex_lock(&s->lock);
    while (s->count == QUEUE_FRAMES && !s->err.code)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->err.code) {
        rc = kn_fail(err, s->err.code, "%s", s->err.msg);
    } else {
        s->queue[(s->head + s->count) % QUEUE_FRAMES] = f;
        s->count++;
        s->n_put++;
        f = NULL;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    kn_frame_unref(f);
    return rc;
}

int kn_sink_commit(kn_sink *s, const char *metadata_json, kn_err *err)
{
    int rc = 0;
    join(s, false);
    if (s->err.code)
        rc = kn_fail(err, s->err.code, "%s", s->err.msg);
    else if (!s->n_put)
        rc = kn_fail(err, KN_EINVAL, "no frame was put into the video");
    else
        rc = s->driver->finish(s->priv, metadata_json, err);
    destroy(s);
    return rc;
}

void kn_sink_abort(kn_sink *s)
{
    if (!s)
        return;
    join(s, true);
    destroy(s);
}

const char *kn_sink_encoder(const kn_sink *s)
{
    return s->driver->encoder(s->priv);
}

const char *kn_sink_path(const kn_sink *s)
{
    return s->path;
}

const kn_sink_attempt *kn_sink_attempts(const kn_sink *s, int *ret_n)
{
    *ret_n = s->attempts.n;
    return s->attempts.items;
}

const char *kn_sink_note(const kn_sink *s)
{
    return s->note;
}
