/* Pictures and clips that clients bring. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/file.h"
#include "base/limits.h"
#include "media/format.h"
#include "media/image_probe.h"
#include "server/studio.h"

const char *kn_media_type(const char *path)
{
    static const char *const types[][2] = {
#define X(name, type) {name, type},
        KN_VIDEO_FORMAT_LIST(X)
#undef X
            {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"bmp", "image/bmp"},
        {"tiff", "image/tiff"},
        {"mov", "video/quicktime"}};
    char ext[16];
    kn_path_ext(path, ext, sizeof ext);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], ext) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static bool begins(const kn_map *m, size_t at, const char *magic)
{
    size_t n = strlen(magic);
    return m->size >= at + n && memcmp(m->data + at, magic, n) == 0;
}

typedef struct found {
    const char *ext;
    int64_t width, height; /* 0: not known before it is decoded */
} found;

/* Pictures are looked at whole; clips are decoded by the worker, in its own process. */
static int examine(const char *path, found *ret, kn_err *err)
{
    static const char *const exts[KN_IMAGE_FORMAT_COUNT] = {"png", "jpg", "webp", "bmp", "tiff", "gif"};
    kn_image_probe probe;
    kn_map m = {0};
    int rc = kn_map_open(&m, path, err);
    if (rc)
        return rc;
    const char *why = kn_image_probe_bytes(m.data, m.size, &probe);
    if (!why) {
        bool turned = probe.orientation >= 5;
        *ret = (found){exts[probe.format], turned ? probe.height : probe.width,
                       turned ? probe.width : probe.height};
        if (ret->width * ret->height > KN_LIMIT_IMAGE_PIXELS)
            rc = kn_fail(err, KN_ELIMIT, "a picture of %lld x %lld, at most %lld pixels",
                         (long long)ret->width, (long long)ret->height, (long long)KN_LIMIT_IMAGE_PIXELS);
    } else if (begins(&m, 4, "ftyp")) {
        *ret = (found){.ext = begins(&m, 8, "qt") ? "mov" : "mp4"};
    } else if (begins(&m, 0, "\x1a\x45\xdf\xa3")) {
        *ret = (found){.ext = "webm"};
    } else {
        rc = kn_fail(err, KN_EFORMAT,
                     "not a picture or clip (%s); expected PNG, JPEG, WebP, GIF, BMP, TIFF, MP4, MOV or WebM",
                     why);
    }
    kn_map_close(&m);
    return rc;
}

/* "upl_", 20 letters and digits nobody can guess, and what it is. */
static int new_name(const char *ext, char *buf, size_t size, kn_err *err)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[20];
    char id[sizeof random + 1];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return kn_fail(err, KN_EIO, "the system gave no random name");
    for (size_t i = 0; i < sizeof random; i++)
        id[i] = digits[random[i] & 31];
    id[sizeof random] = '\0';
    snprintf(buf, size, "upl_%s.%s", id, ext);
    return 0;
}

int kn_studio_keep_upload(kn_studio *s, const char *path, kn_upload *ret, kn_err *err)
{
    found f = {0};
    int rc = examine(path, &f, err);
    if (!rc)
        rc = new_name(f.ext, ret->id, sizeof ret->id, err);
    if (rc)
        return rc;
    ret->width = f.width;
    ret->height = f.height;
    char *kept = kn_path_join(s->places.uploads, ret->id);
    if (!kept)
        rc = kn_fail(err, KN_ENOMEM, "no memory for a path");
    else if (rename(path, kept))
        rc = kn_fail(err, KN_EIO, "cannot keep the upload: %s", strerror(errno));
    free(kept);
    return rc;
}
