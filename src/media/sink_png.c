/* PNG: one picture, or a folder of numbered ones.  The rules for folders are in sink.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/av.h"
#include "base/file.h"
#include "base/mem.h"
#include "media/png.h"
#include "media/sink_driver.h"

static const char RECIPE[] = "kinora.json";

enum { FRAME_NAME = 32, FIRST_DIGIT = 6 /* of frame_NNNNN.png */, MIN_DIGITS = 5, MAX_DIGITS = 9 };

typedef struct pngs {
    char *path;   /* final name, without '/' at the end */
    char *dir;    /* where frames are written: path, or path.part */
    bool renamed; /* dir is path.part */
    bool created; /* dir exists by our doing */
    kn_image rgb;
    int64_t n_written;
} pngs;

static void frame_name(char *buf, int64_t i)
{
    snprintf(buf, FRAME_NAME, "frame_%05lld.png", (long long)i);
}

/* The number of a frame file, -1 for any other name. */
static int64_t frame_number(const char *name)
{
    if (strncmp(name, "frame_", FIRST_DIGIT))
        return -1;
    int64_t v = 0;
    int n = 0;
    for (; isdigit((unsigned char)name[FIRST_DIGIT + n]) && n <= MAX_DIGITS; n++)
        v = v * 10 + (name[FIRST_DIGIT + n] - '0');
    if (n < MIN_DIGITS || n > MAX_DIGITS || strcmp(name + FIRST_DIGIT + n, ".png"))
        return -1;
    return v;
}

/* Calls fn for every frame file of a folder; stops at the first non-zero result, which is returned. */
static int each_frame(const char *dir, int (*fn)(void *ud, const char *name, int64_t number), void *ud,
                      kn_err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return kn_fail(err, KN_EIO, "cannot list %s: %s", dir, strerror(errno));
    int rc = 0;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        int64_t number = frame_number(e->d_name);
        rc = number < 0 ? 0 : fn(ud, e->d_name, number);
    }
    closedir(d);
    return rc;
}

/* ---- writing one file ---- */

static int write_png(const pngs *p, const char *path, kn_err *err)
{
    void *png = NULL;
    size_t size = 0;
    int rc = kn_png_encode(&p->rgb, &png, &size, err);
    if (rc)
        return rc;
    FILE *f = fopen(path, "wbe");
    bool ok = f && fwrite(png, 1, size, f) == size && !fflush(f) && !fsync(fileno(f));
    int e = errno;
    if (f && fclose(f) && ok) {
        ok = false;
        e = errno;
    }
    free(png);
    return ok ? 0 : kn_fail(err, KN_EIO, "cannot write %s: %s", path, strerror(e));
}

static int write_text(const char *dir, const char *name, const char *text, kn_err *err)
{
    char *path = kn_path_join(dir, name);
    kn_atomic_file file = {0};
    int rc =
        path ? kn_atomic_open(&file, path, err) : kn_fail(err, KN_ENOMEM, "no memory for a name in %s", dir);
    if (!rc) {
        fputs(text, file.f);
        rc = kn_atomic_commit(&file, err);
    }
    free(path);
    return rc;
}

static int path_in(const pngs *p, int64_t i, bool part, char **ret, kn_err *err)
{
    char name[FRAME_NAME];
    frame_name(name, i);
    char *path = kn_asprintf("%s/%s%s", p->dir, name, part ? ".part" : "");
    if (!path)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of a frame in %s", p->dir);
    *ret = path;
    return 0;
}

/* ---- folder: opening ---- */

static int found(void *ud, const char *name, int64_t number)
{
    (void)name;
    *(int64_t *)ud = number;
    return 1;
}

static int check_existing(const pngs *p, kn_err *err)
{
    int64_t number = 0;
    char *recipe = kn_path_join(p->dir, RECIPE);
    if (!recipe)
        return kn_fail(err, KN_ENOMEM, "no memory for a name in %s", p->dir);
    bool ours = kn_path_exists(recipe);
    free(recipe);
    int rc = each_frame(p->dir, found, &number, err);
    if (rc < 0)
        return rc;
    if (rc && !ours)
        return kn_fail(
            err, KN_EINVAL,
            "%s holds frame_%05lld.png but no %s, so Kinora did not write it and will not replace it; choose "
            "another folder",
            p->dir, (long long)number, RECIPE);
    if (access(p->dir, W_OK | X_OK))
        return kn_fail(err, KN_EIO, "cannot write into %s: %s", p->dir, strerror(errno));
    return 0;
}

static int drop(void *ud, const char *name, int64_t number)
{
    const pngs *p = ud;
    char *path = number >= p->n_written ? kn_path_join(p->dir, name) : NULL;
    if (path)
        unlink(path);
    free(path);
    return 0;
}

/* Removes our frames from number n_written on. */
static void drop_frames(const pngs *p)
{
    (void)each_frame(p->dir, drop, (void *)(uintptr_t)p, NULL);
}

static int make_part_dir(pngs *p, kn_err *err)
{
    /* What an interrupted run left holds nothing but frames and goes; anything else makes mkdir fail and stays. */
    if (kn_path_is_dir(p->dir)) {
        char *recipe = kn_path_join(p->dir, RECIPE);
        if (recipe)
            unlink(recipe);
        free(recipe);
        drop_frames(p);
        rmdir(p->dir);
    }
    if (mkdir(p->dir, 0777))
        return kn_fail(err, KN_EIO, "cannot create the folder %s: %s", p->dir, strerror(errno));
    p->created = true;
    return 0;
}

/* Pictures have no chain: the one encoder is there or not. */
static int find_encoder(const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    const char *why = kn_fault_reason(opts, "png");
    int rc = kn_chain_check_name(KN_CONTAINER_PNG, opts->encoder, err);
    if (rc)
        return rc;
    if (!why && !avcodec_find_encoder(AV_CODEC_ID_PNG))
        why = "this libavcodec does not have it";
    kn_attempts_add(tried, "png", why ? why : "");
    return why ? kn_fail(err, KN_EUNSUPPORTED, "PNG pictures cannot be written: %s", why) : 0;
}

static int pngs_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried, kn_err *err)
{
    pngs *p = priv;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    p->path = kn_strndup(path, n);
    p->renamed = p->path && !kn_path_exists(p->path);
    p->dir = p->path ? kn_asprintf(p->renamed ? "%s.part" : "%s", p->path) : NULL;
    if (!p->dir)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", path);
    if (!p->renamed && !kn_path_is_dir(p->path))
        return kn_fail(err, KN_EINVAL, "%s is a file; expected a folder, or a name that is free", p->path);
    int rc = find_encoder(opts, tried, err);
    if (!rc)
        rc = kn_image_new(opts->width, opts->height, &p->rgb, err);
    if (!rc)
        rc = p->renamed ? make_part_dir(p, err) : check_existing(p, err);
    return rc;
}

static int pngs_write(void *priv, const kn_frame *f, kn_err *err)
{
    pngs *p = priv;
    char *path = NULL;
    int rc = path_in(p, p->n_written, !p->renamed, &path, err);
    if (rc)
        return rc;
    p->n_written++; /* also when it fails: the file may exist */
    kn_frame_to_rgb8(f, p->rgb.rgb);
    rc = write_png(p, path, err);
    free(path);
    return rc;
}

/* ---- folder: the end ---- */

static int rename_frames(const pngs *p, kn_err *err)
{
    for (int64_t i = 0; i < p->n_written; i++) {
        char *part = NULL, *path = NULL;
        int rc = path_in(p, i, true, &part, err);
        if (!rc)
            rc = path_in(p, i, false, &path, err);
        if (!rc && rename(part, path))
            rc = kn_fail(err, KN_EIO, "cannot rename %s to %s: %s", part, path, strerror(errno));
        free(part);
        free(path);
        if (rc)
            return rc;
    }
    return 0;
}

static void sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd); /* some file systems refuse; the files themselves are safe */
    close(fd);
}

static void sync_parent(const char *path)
{
    size_t n = (size_t)(kn_path_base(path) - path);
    char *dir = n ? kn_strndup(path, n) : kn_strdup(".");
    if (dir)
        sync_dir(dir);
    free(dir);
}

static int pngs_finish(void *priv, const char *json, kn_err *err)
{
    pngs *p = priv;
    /* Frames before the recipe in an existing folder: a crash between leaves the older recipe, which still says "ours". */
    int rc = p->renamed ? 0 : rename_frames(p, err);
    if (!rc)
        rc = write_text(p->dir, RECIPE, json ? json : "{}", err);
    if (rc)
        return rc;
    sync_dir(p->dir);
    if (!p->renamed) {
        drop_frames(p);
        p->n_written = 0;
        return 0;
    }
    if (rename(p->dir, p->path))
        return kn_fail(err, KN_EIO, "cannot rename %s to %s: %s", p->dir, p->path, strerror(errno));
    p->created = false;
    p->n_written = 0;
    sync_parent(p->path);
    return 0;
}

static void pngs_close(void *priv)
{
    pngs *p = priv;
    for (int64_t i = 0; i < p->n_written; i++) {
        char *path = NULL;
        if (!path_in(p, i, !p->renamed, &path, NULL))
            unlink(path);
        free(path);
    }
    if (p->created) {
        char *recipe = kn_path_join(p->dir, RECIPE);
        if (recipe)
            unlink(recipe);
        free(recipe);
        rmdir(p->dir);
    }
    kn_image_done(&p->rgb);
    free(p->dir);
    free(p->path);
}

/* ---- one picture ---- */

typedef struct picture {
    char *path, *part;
    bool part_exists;
    pngs one; /* only its buffer and writer */
} picture;

static int picture_open(void *priv, const char *path, const kn_sink_opts *opts, kn_attempts *tried,
                        kn_err *err)
{
    picture *p = priv;
    if (opts->n_frames > 1)
        return kn_fail(err, KN_EINVAL,
                       "%s holds one picture, not %lld frames; name a folder (%s/) or an .mp4 file", path,
                       (long long)opts->n_frames, path);
    p->path = kn_strdup(path);
    p->part = kn_asprintf("%s.part", path);
    if (!p->path || !p->part)
        return kn_fail(err, KN_ENOMEM, "no memory for the name of %s", path);
    int rc = find_encoder(opts, tried, err);
    if (!rc)
        rc = kn_image_new(opts->width, opts->height, &p->one.rgb, err);
    if (rc)
        return rc;
    FILE *f = fopen(p->part, "wbe");
    if (!f)
        return kn_fail(err, KN_EIO, "cannot write %s: %s", p->part, strerror(errno));
    fclose(f);
    p->part_exists = true;
    return 0;
}

static int picture_write(void *priv, const kn_frame *f, kn_err *err)
{
    picture *p = priv;
    if (p->one.n_written++)
        return kn_fail(err, KN_EINVAL,
                       "%s holds one picture; name a folder (%s/) or an .mp4 file for more frames", p->path,
                       p->path);
    kn_frame_to_rgb8(f, p->one.rgb.rgb);
    return write_png(&p->one, p->part, err);
}

static int picture_finish(void *priv, const char *json, kn_err *err)
{
    picture *p = priv;
    (void)json; /* the file has no place that picture programs show */
    int rc = kn_commit_path(p->part, p->path, err);
    if (!rc)
        p->part_exists = false;
    return rc;
}

static void picture_close(void *priv)
{
    picture *p = priv;
    if (p->part_exists)
        unlink(p->part);
    kn_image_done(&p->one.rgb);
    free(p->part);
    free(p->path);
}

static const char *png_encoder(const void *priv)
{
    (void)priv;
    return "png";
}

const kn_sink_driver kn_sink_driver_pngs = {.priv_size = sizeof(pngs),
                                            .open = pngs_open,
                                            .write = pngs_write,
                                            .finish = pngs_finish,
                                            .close = pngs_close,
                                            .encoder = png_encoder};

const kn_sink_driver kn_sink_driver_png = {.priv_size = sizeof(picture),
                                           .open = picture_open,
                                           .write = picture_write,
                                           .finish = picture_finish,
                                           .close = picture_close,
                                           .encoder = png_encoder};
