#define _GNU_SOURCE
#include "server/zip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

enum {
    NAME_BYTES = 512, /* the folder's and a file's */
    LOCAL = 30,
    CENTRAL = 46,
    CENTRAL_EXTRA = 12, /* where a file begins, if that is far */
    END = 22,
    END_64 = 56 + 20,
    VERSION = 20,
    VERSION_64 = 45,
    MODE = 0100644,
    UTF8 = 1 << 11,
    READ_BYTES = 256 << 10,
};

/* From here on a number of the old format means: look into the new one. */
static const uint64_t FAR = 0xffffffff, MANY = 0xffff;

typedef struct entry {
    char *name; /* in the folder */
    uint64_t size, begin;
    uint32_t crc;
    uint16_t date, time;
} entry;

struct kn_zip {
    int dir_fd, fd; /* fd: of the file that is being read, -1: none */
    char *prefix;   /* "job_..._frames/" */
    entry *entries;
    size_t n, capacity;
    uint64_t central_begin, central_size, size;
    size_t next; /* what is made next: files, then their entries in the index, then the end */
    uint64_t file_left;
    unsigned char head[NAME_BYTES + 128]; /* made, and not yet read */
    size_t head_at, head_size;
    unsigned char *buf;
};

uint32_t kn_zip_crc(uint32_t crc, const void *data, size_t size)
{
    /* four bits at a time: the table of the polynomial 0xEDB88320 */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *p = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ p[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ p[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

/* ---- numbers ---- */

static void put(kn_zip *z, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8)
        z->head[z->head_size++] = (unsigned char)v;
}

static void put_text(kn_zip *z, const char *text)
{
    size_t n = strlen(text);
    memcpy(z->head + z->head_size, text, n);
    z->head_size += n;
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
    return v < most ? v : most;
}

static bool is_far(const entry *e)
{
    return e->begin >= FAR;
}

static bool is_large(const kn_zip *z)
{
    return z->n >= MANY || z->central_begin >= FAR || z->central_size >= FAR;
}

/* ---- the parts ---- */

/* From the version to the sizes: the same in both places. */
static void put_common(kn_zip *z, const entry *e, int version)
{
    put(z, (uint64_t)version, 2);
    put(z, UTF8, 2);
    put(z, 0, 2); /* stored */
    put(z, e->time, 2);
    put(z, e->date, 2);
    put(z, e->crc, 4);
    put(z, e->size, 4);
    put(z, e->size, 4);
    put(z, strlen(z->prefix) + strlen(e->name), 2);
}

static void make_local(kn_zip *z, const entry *e)
{
    put(z, 0x04034b50, 4);
    put_common(z, e, VERSION);
    put(z, 0, 2);
    put_text(z, z->prefix);
    put_text(z, e->name);
}

static void make_central(kn_zip *z, const entry *e)
{
    int version = is_far(e) ? VERSION_64 : VERSION;
    put(z, 0x02014b50, 4);
    put(z, 3 << 8 | (uint64_t)version, 2); /* from Unix */
    put_common(z, e, version);
    put(z, is_far(e) ? CENTRAL_EXTRA : 0, 2);
    put(z, 0, 2); /* comment */
    put(z, 0, 2); /* disk */
    put(z, 0, 2);
    put(z, (uint64_t)MODE << 16, 4);
    put(z, at_most(e->begin, FAR), 4);
    put_text(z, z->prefix);
    put_text(z, e->name);
    if (is_far(e)) {
        put(z, 1, 2);
        put(z, 8, 2);
        put(z, e->begin, 8);
    }
}

static void make_end_64(kn_zip *z)
{
    put(z, 0x06064b50, 4);
    put(z, 56 - 12, 8);
    put(z, 3 << 8 | VERSION_64, 2);
    put(z, VERSION_64, 2);
    put(z, 0, 8); /* disks */
    put(z, z->n, 8);
    put(z, z->n, 8);
    put(z, z->central_size, 8);
    put(z, z->central_begin, 8);
    put(z, 0x07064b50, 4);
    put(z, 0, 4);
    put(z, z->central_begin + z->central_size, 8);
    put(z, 1, 4);
}

static void make_end(kn_zip *z)
{
    if (is_large(z))
        make_end_64(z);
    put(z, 0x06054b50, 4);
    put(z, 0, 4); /* disks */
    put(z, at_most(z->n, MANY), 2);
    put(z, at_most(z->n, MANY), 2);
    put(z, at_most(z->central_size, FAR), 4);
    put(z, at_most(z->central_begin, FAR), 4);
    put(z, 0, 2);
}

/* ---- files ---- */

static int changed(const entry *e, kn_err *err)
{
    return kn_fail(err, KN_EIO, "%s is not what it was when its ZIP was begun", e->name);
}

/* Its digest stands before it, so it is read twice; the second time it comes out of memory. */
static int open_file(kn_zip *z, entry *e, kn_err *err)
{
    struct stat st;
    uint64_t seen = 0;
    ssize_t n;
    z->fd = openat(z->dir_fd, e->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (z->fd < 0 || fstat(z->fd, &st) || !S_ISREG(st.st_mode))
        return changed(e, err);
    e->crc = 0;
    while ((n = read(z->fd, z->buf, READ_BYTES)) > 0) {
        e->crc = kn_zip_crc(e->crc, z->buf, (size_t)n);
        seen += (uint64_t)n;
    }
    if (n < 0 || seen != e->size || lseek(z->fd, 0, SEEK_SET))
        return changed(e, err);
    z->file_left = e->size;
    return 0;
}

static void close_file(kn_zip *z)
{
    if (z->fd >= 0)
        close(z->fd);
    z->fd = -1;
}

static int make_next(kn_zip *z, kn_err *err)
{
    int rc = 0;
    z->head_at = z->head_size = 0;
    if (z->next < z->n) {
        rc = open_file(z, &z->entries[z->next], err);
        if (!rc)
            make_local(z, &z->entries[z->next]);
    } else if (z->next < 2 * z->n) {
        make_central(z, &z->entries[z->next - z->n]);
    } else {
        make_end(z);
    }
    z->next++;
    return rc;
}

int kn_zip_read(kn_zip *z, void *buf, size_t n, size_t *ret_n, kn_err *err)
{
    *ret_n = 0;
    while (!*ret_n && n) {
        if (z->head_at < z->head_size) {
            size_t take = z->head_size - z->head_at < n ? z->head_size - z->head_at : n;
            memcpy(buf, z->head + z->head_at, take);
            z->head_at += take;
            *ret_n = take;
        } else if (z->file_left) {
            ssize_t got = read(z->fd, buf, at_most(z->file_left, n));
            if (got <= 0)
                return changed(&z->entries[z->next - 1], err);
            z->file_left -= (uint64_t)got;
            *ret_n = (size_t)got;
        } else {
            close_file(z);
            if (z->next > 2 * z->n)
                return 0;
            int rc = make_next(z, err);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* ---- opening ---- */

static void set_time(entry *e, time_t t)
{
    struct tm tm = {0};
    if (!gmtime_r(&t, &tm) || tm.tm_year < 80 || tm.tm_year > 207) /* what it can hold */
        tm = (struct tm){.tm_year = 80, .tm_mday = 1};
    e->date = (uint16_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday);
    e->time = (uint16_t)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2);
}

static int add(kn_zip *z, const char *name, kn_err *err)
{
    struct stat st;
    if (fstatat(z->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
        return 0;
    if ((uint64_t)st.st_size >= FAR || z->n == KN_LIMIT_ZIP_FILES ||
        strlen(z->prefix) + strlen(name) > NAME_BYTES)
        return kn_fail(err, KN_ELIMIT, "%.100s is too much for a ZIP: at most %d files, each below 4 GiB",
                       name, KN_LIMIT_ZIP_FILES);
    if (z->n == z->capacity) {
        entry *grown = kn_realloc_array(z->entries, z->capacity * 2 + 64, sizeof *grown);
        if (!grown)
            return kn_fail(err, KN_ENOMEM, "no memory for the list of a ZIP");
        z->entries = grown;
        z->capacity = z->capacity * 2 + 64;
    }
    entry *e = &z->entries[z->n];
    *e = (entry){.name = kn_strdup(name), .size = (uint64_t)st.st_size};
    set_time(e, st.st_mtime);
    if (!e->name)
        return kn_fail(err, KN_ENOMEM, "no memory for the list of a ZIP");
    z->n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static int list(kn_zip *z, const char *folder, bool (*is_wanted)(const char *name), kn_err *err)
{
    int rc = 0;
    DIR *d = opendir(folder);
    if (!d)
        return kn_fail(err, KN_ENOTFOUND, "the folder is not there any more");
    z->dir_fd = fcntl(dirfd(d), F_DUPFD_CLOEXEC, 0);
    if (z->dir_fd < 0)
        rc = kn_fail(err, KN_EIO, "cannot keep a folder open: %s", strerror(errno));
    for (struct dirent *e; !rc && (e = readdir(d));)
        if (is_wanted(e->d_name))
            rc = add(z, e->d_name, err);
    closedir(d);
    if (!rc && !z->n)
        rc = kn_fail(err, KN_ENOTFOUND, "the folder has none of the files any more");
    return rc;
}

/* Where everything will be. */
static void lay_out(kn_zip *z)
{
    uint64_t at = 0;
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 0; i < z->n; i++) {
        entry *e = &z->entries[i];
        size_t name = strlen(z->prefix) + strlen(e->name);
        e->begin = at;
        at += LOCAL + name + e->size;
        z->central_size += CENTRAL + name + (is_far(e) ? CENTRAL_EXTRA : 0);
    }
    z->central_begin = at;
    z->size = at + z->central_size + (is_large(z) ? END_64 : 0) + END;
}

int kn_zip_open(const char *folder, bool (*is_wanted)(const char *name), kn_zip **ret, kn_err *err)
{
    kn_zip *z = kn_calloc(1, sizeof *z);
    if (!z)
        return kn_fail(err, KN_ENOMEM, "no memory for a ZIP");
    z->dir_fd = z->fd = -1;
    z->prefix = kn_asprintf("%s/", kn_path_base(folder));
    z->buf = kn_calloc(READ_BYTES, 1);
    int rc = z->prefix && z->buf ? list(z, folder, is_wanted, err)
                                 : kn_fail(err, KN_ENOMEM, "no memory for a ZIP");
    if (rc) {
        kn_zip_close(z);
        return rc;
    }
    lay_out(z);
    *ret = z;
    return 0;
}

void kn_zip_close(kn_zip *z)
{
    if (!z)
        return;
    close_file(z);
    if (z->dir_fd >= 0)
        close(z->dir_fd);
    for (size_t i = 0; i < z->n; i++)
        free(z->entries[i].name);
    free(z->entries);
    free(z->prefix);
    free(z->buf);
    free(z);
}

uint64_t kn_zip_size(const kn_zip *z)
{
    return z->size;
}
