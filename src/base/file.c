#define _GNU_SOURCE
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int open_fail(kn_err *err, const char *path)
{
    int code = errno == ENOENT || errno == ENOTDIR ? KN_ENOTFOUND : KN_EIO;
    return kn_fail(err, code, "cannot open %s: %s", path, strerror(errno));
}

static int open_regular(const char *path, struct stat *st, kn_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return open_fail(err, path);
    if (fstat(fd, st) || !S_ISREG(st->st_mode)) {
        close(fd);
        return kn_fail(err, KN_EINVAL, "%s is not a regular file", path);
    }
    return fd;
}

int kn_file_read(const char *path, size_t max_bytes, char **ret_data, size_t *ret_size, kn_err *err)
{
    struct stat st;
    int fd = open_regular(path, &st, err);
    if (fd < 0)
        return fd;
    int rc = 0;
    char *data = NULL;
    size_t size = (size_t)st.st_size, got = 0;
    if (size > max_bytes) {
        rc = kn_fail(err, KN_ELIMIT, "%s has %zu bytes, more than the limit of %zu", path, size, max_bytes);
        goto out;
    }
    data = malloc(size + 1);
    if (!data) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for the %zu bytes of %s", size, path);
        goto out;
    }
    while (got < size) {
        ssize_t n = read(fd, data + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc =
                kn_fail(err, KN_EIO, "cannot read %s: %s", path, n ? strerror(errno) : "file became shorter");
            goto out;
        }
        got += (size_t)n;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    data = NULL;
out:
    free(data);
    close(fd);
    return rc;
}

static kn_file_id id_of(const struct stat *st)
{
    return (kn_file_id){.size = st->st_size,
                        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                        .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
                        .inode = st->st_ino};
}

static int map_file(kn_map *m, int fd, const struct stat *st, const char *path, kn_err *err)
{
    kn_map map = {.size = (size_t)st->st_size, .id = id_of(st)};
    if (map.size) {
        void *p = mmap(NULL, map.size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            return kn_fail(err, KN_EIO, "cannot map %s: %s", path, strerror(errno));
        map.data = p;
    }
    *m = map;
    return 0;
}

int kn_map_open(kn_map *m, const char *path, kn_err *err)
{
    struct stat st;
    int fd = open_regular(path, &st, err);
    if (fd < 0)
        return fd;
    int rc = map_file(m, fd, &st, path, err);
    close(fd);
    return rc;
}

int kn_map_open_fd(kn_map *m, int fd, const char *path, kn_err *err)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return kn_fail(err, KN_EINVAL, "%s is not a regular file", path);
    return map_file(m, fd, &st, path, err);
}

void kn_map_close(kn_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (kn_map){0};
}

static void advise(const void *p, size_t size, int advice, bool inside)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p, end = begin + size;
    begin = inside ? (begin + page - 1) & ~(page - 1) : begin & ~(page - 1);
    if (inside)
        end &= ~(page - 1);
    if (end > begin)
        (void)madvise((void *)begin, end - begin, advice);
}

void kn_map_release(const void *p, size_t size)
{
    advise(p, size, MADV_DONTNEED, true);
}

void kn_map_prefetch(const void *p, size_t size)
{
    advise(p, size, MADV_WILLNEED, false);
}

size_t kn_map_missing(const void *p, size_t size)
{
    enum { PAGES = 4096 };
    unsigned char in_memory[PAGES];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)p + size;
    size_t missing = 0;
    for (uintptr_t at = (uintptr_t)p & ~(page - 1); at < end; at += PAGES * page) {
        size_t n = (end - at + page - 1) / page < PAGES ? (end - at + page - 1) / page : PAGES;
        if (mincore((void *)at, n * page, in_memory))
            return missing;
        for (size_t i = 0; i < n; i++)
            missing += in_memory[i] & 1 ? 0 : page;
    }
    return missing;
}

bool kn_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool kn_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *kn_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return kn_asprintf(n && dir[n - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

const char *kn_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void kn_path_ext(const char *path, char *buf, size_t size)
{
    const char *dot = strrchr(kn_path_base(path), '.');
    size_t i = 0;
    if (dot)
        for (dot++; dot[i] && i + 1 < size; i++)
            buf[i] = (char)tolower((unsigned char)dot[i]);
    buf[i] = '\0';
}

int kn_atomic_open(kn_atomic_file *a, const char *path, kn_err *err)
{
    kn_atomic_file file = {.path = kn_strdup(path), .part = kn_asprintf("%s.part", path)};
    int rc = 0;
    if (!file.path || !file.part) {
        rc = kn_fail(err, KN_ENOMEM, "no memory for the name of %s", path);
        goto out;
    }
    file.f = fopen(file.part, "wbe");
    if (!file.f) {
        rc = kn_fail(err, KN_EIO, "cannot write %s: %s", file.part, strerror(errno));
        goto out;
    }
    *a = file;
    return 0;
out:
    free(file.path);
    free(file.part);
    return rc;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd), e = errno;
    close(fd);
    errno = e;
    return rc;
}

int kn_commit_path(const char *part, const char *path, kn_err *err)
{
    if (sync_path(part, O_RDWR))
        return kn_fail(err, KN_EIO, "cannot write %s to disk: %s", part, strerror(errno));
    if (rename(part, path))
        return kn_fail(err, KN_EIO, "cannot rename %s to %s: %s", part, path, strerror(errno));
    size_t n = (size_t)(kn_path_base(path) - path);
    char *dir = n ? kn_strndup(path, n) : kn_strdup(".");
    if (dir)
        (void)sync_path(dir, O_RDONLY | O_DIRECTORY); /* some file systems refuse; the data itself is safe */
    free(dir);
    return 0;
}

int kn_atomic_commit(kn_atomic_file *a, kn_err *err)
{
    int rc = 0;
    bool write_error = ferror(a->f) || fflush(a->f);
    int e = errno;
    if (fclose(a->f) && !write_error) {
        write_error = true;
        e = errno;
    }
    a->f = NULL;
    if (write_error)
        rc = kn_fail(err, KN_EIO, "cannot write %s: %s", a->part, strerror(e));
    else
        rc = kn_commit_path(a->part, a->path, err);
    kn_atomic_abort(a);
    return rc;
}

void kn_atomic_abort(kn_atomic_file *a)
{
    if (a->f)
        fclose(a->f);
    if (a->part)
        unlink(a->part);
    free(a->path);
    free(a->part);
    *a = (kn_atomic_file){0};
}
