#define _GNU_SOURCE
#include "hub/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"

enum { SLICE = 4 << 20 };

static int fail_io(const kn_part *p, const char *what, kn_err *err)
{
    return kn_fail(err, KN_EIO, "cannot %s %s: %s", what, p->part, strerror(errno));
}

/* ---- the tag under which the server knows what is there ---- */

static void write_tag(void *ud)
{
    kn_part *p = ud;
    FILE *f = fopen(p->tag, "wbe");
    if (!f)
        return; /* the digest is checked all the same */
    fwrite(p->transfer->etag, 1, strlen(p->transfer->etag), f);
    fclose(f);
}

static void read_tag(kn_part *p)
{
    FILE *f = fopen(p->tag, "rbe");
    size_t n = f ? fread(p->transfer->etag, 1, sizeof p->transfer->etag - 1, f) : 0;
    p->transfer->etag[n] = '\0';
    if (strcspn(p->transfer->etag, "\r\n") != n)
        p->transfer->etag[0] = '\0';
    if (f)
        fclose(f);
}

/* ---- the sink ---- */

static int restart(void *ud, kn_err *err)
{
    kn_part *p = ud;
    p->transfer->have = p->there_before = 0;
    if (ftruncate(p->fd, 0) || lseek(p->fd, 0, SEEK_SET))
        return fail_io(p, "empty", err);
    return kn_digest_restart(p->digest, err);
}

static int make_folder(const kn_part *p, kn_err *err)
{
    char *folder = kn_strndup(p->path, (size_t)(kn_path_base(p->path) - p->path));
    int rc = folder ? kn_dir_make(folder, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(folder);
    return rc;
}

static int open_part(kn_part *p, kn_err *err)
{
    const kn_hub_file *f = p->choice->file;
    struct stat st;
    int rc = make_folder(p, err);
    if (rc)
        return rc;
    p->fd = open(p->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (p->fd < 0 || fstat(p->fd, &st))
        return fail_io(p, "open", err);
    p->is_open = true;
    p->there_before = (uint64_t)st.st_size;
    read_tag(p);
    rc = kn_digest_new(f->kind, f->size, &p->digest, err);
    return !rc && p->there_before > f->size ? restart(p, err) : rc;
}

/* Reads what an earlier attempt has left, a slice at a time. */
static int prepare(void *ud, bool *ret_ready, kn_err *err)
{
    kn_part *p = ud;
    int rc = p->is_open ? 0 : open_part(p, err);
    uint64_t left = p->there_before - p->transfer->have;
    *ret_ready = !rc && !left;
    if (rc || !left)
        return rc;
    char *buf = malloc(SLICE);
    if (!buf)
        return kn_fail(err, KN_ENOMEM, "no memory to read %s", p->part);
    ssize_t n = read(p->fd, buf, left < SLICE ? left : SLICE);
    if (n < 0 && errno != EINTR)
        rc = fail_io(p, "read", err);
    else if (n > 0)
        rc = kn_digest_add(p->digest, buf, (size_t)n, err);
    else if (!n) /* it became shorter */
        p->there_before = p->transfer->have;
    free(buf);
    if (!rc && n > 0)
        p->transfer->have += (uint64_t)n;
    *ret_ready = !rc && p->transfer->have == p->there_before;
    return rc;
}

static int write_part(void *ud, const void *data, size_t size, kn_err *err)
{
    kn_part *p = ud;
    const char *at = data;
    for (size_t left = size; left;) {
        ssize_t n = write(p->fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_io(p, "write", err);
        at += n;
        left -= (size_t)n;
    }
    return kn_digest_add(p->digest, data, size, err);
}

static int finish(void *ud, kn_err *err)
{
    kn_part *p = ud;
    const kn_hub_file *f = p->choice->file;
    char hex[KN_DIGEST_HEX];
    int rc = kn_digest_hex(p->digest, hex, err);
    if (!rc && strcmp(hex, f->digest))
        rc = kn_fail(err, KN_EFORMAT,
                     "%.200s has the digest %.12s..., expected %.12s...: it was changed on its way", f->path,
                     hex, f->digest);
    if (rc)
        return rc;
    int fd = p->fd;
    p->fd = -1;
    if (close(fd)) /* some file systems say here only that the disk is full */
        return fail_io(p, "write", err);
    rc = kn_commit_path(p->part, p->path, err);
    if (!rc)
        unlink(p->tag);
    return rc;
}

int kn_part_init(kn_part *p, const kn_choice *choice, const char *folder, char *take_url, kn_transfer *t,
                 kn_err *err)
{
    *p = (kn_part){.choice = choice, .transfer = t, .url = take_url, .fd = -1};
    p->path = kn_path_join(folder, choice->as);
    p->part = p->path ? kn_asprintf("%s.part", p->path) : NULL;
    p->tag = p->path ? kn_asprintf("%s.part.etag", p->path) : NULL;
    if (!p->path || !p->part || !p->tag || !p->url)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    *t = (kn_transfer){.name = choice->file->path,
                       .url = p->url,
                       .size = choice->file->size,
                       .max_bytes = choice->file->size,
                       .sink = {prepare, write_part, restart, write_tag, finish, p}};
    return 0;
}

void kn_part_done(kn_part *p)
{
    if (p->fd >= 0 && p->is_open)
        close(p->fd);
    kn_digest_free(p->digest);
    free(p->path);
    free(p->part);
    free(p->tag);
    free(p->url);
    *p = (kn_part){.fd = -1};
}
