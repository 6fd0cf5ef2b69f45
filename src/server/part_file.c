#define _GNU_SOURCE
#include "server/part_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#define PREFIX "incoming-"
#define SUFFIX ".part"

enum { STALE_S = 60 * 60 }; /* no upload that is still going on was last written to so long ago */

static int fail_full(const char *dir, kn_err *err)
{
    return kn_fail(err, KN_ELIMIT, "no space is left for the upload in %s; free some, or send a smaller file",
                   dir);
}

static bool is_full(int e)
{
    return e == ENOSPC || e == EDQUOT;
}

int kn_part_file_open(kn_part_file *f, const char *dir, uint64_t expected, kn_err *err)
{
    struct statvfs v;
    int made = kn_path_exists(dir) ? 0 : kn_dir_make(dir, err); /* removed while the server runs */
    if (made)
        return made;
    if (statvfs(dir, &v) == 0 && expected > (uint64_t)v.f_bavail * v.f_frsize)
        return fail_full(dir, err);
    char *path = kn_path_join(dir, PREFIX "XXXXXX" SUFFIX);
    if (!path)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    int fd = mkostemps(path, sizeof SUFFIX - 1, O_CLOEXEC);
    if (fd < 0) {
        int rc = is_full(errno) ? fail_full(dir, err)
                                : kn_fail(err, KN_EIO, "cannot write in %s: %s", dir, strerror(errno));
        free(path);
        return rc;
    }
    *f = (kn_part_file){.path = path, .fd = fd};
    return 0;
}

int kn_part_file_write(kn_part_file *f, const void *data, size_t size, bool *ret_is_full, kn_err *err)
{
    const char *p = data;
    if (size > KN_LIMIT_UPLOAD_BYTES - f->size)
        return kn_fail(err, KN_ELIMIT, "the file has more than %llu bytes, the most an upload may have",
                       (unsigned long long)KN_LIMIT_UPLOAD_BYTES);
    while (size) {
        ssize_t n = write(f->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && is_full(errno)) {
            *ret_is_full = true;
            return fail_full("the upload folder", err);
        }
        if (n < 0)
            return kn_fail(err, KN_EIO, "cannot write the upload: %s", strerror(errno));
        f->size += (uint64_t)n;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int kn_part_file_close(kn_part_file *f, bool *ret_is_full, kn_err *err)
{
    int fd = f->fd;
    f->fd = -1;
    if (fd < 0 || close(fd) == 0)
        return 0;
    *ret_is_full = is_full(errno);
    return *ret_is_full ? fail_full("the upload folder", err)
                        : kn_fail(err, KN_EIO, "cannot write the upload: %s", strerror(errno));
}

void kn_part_file_done(kn_part_file *f)
{
    if (!f->path)
        return;
    if (f->fd >= 0)
        close(f->fd);
    unlink(f->path);
    free(f->path);
    *f = (kn_part_file){.fd = -1};
}

void kn_part_file_sweep(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) != 0 || n <= sizeof SUFFIX ||
            strcmp(e->d_name + n - sizeof SUFFIX + 1, SUFFIX) != 0)
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            kn_clock_unix() - st.st_mtime > STALE_S)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}
