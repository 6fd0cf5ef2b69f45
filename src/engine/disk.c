/* The disk under a folder: what kind it is, how much is free, how fast it reads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/hardware.h"

/* Numbers of statfs(2), which no header names all. */
enum {
    FS_TMPFS = 0x01021994,
    FS_RAMFS = 0x858458f6,
    FS_NFS = 0x6969,
    FS_SMB = 0x517b,
    FS_SMB2 = 0xfe534d42,
    FS_CIFS = 0xff534d42,
    FS_9P = 0x01021997,
    FS_CEPH = 0x00c36400,
};

static const char *kind_by_file_system(const char *path)
{
    struct statfs s;
    if (statfs(path, &s))
        return NULL;
    switch ((unsigned)s.f_type) {
    case FS_TMPFS:
    case (unsigned)FS_RAMFS:
        return "memory";
    case FS_NFS:
    case FS_SMB:
    case (unsigned)FS_SMB2:
    case (unsigned)FS_CIFS:
    case FS_9P:
    case FS_CEPH:
        return "network";
    default:
        return NULL;
    }
}

/* /sys/dev/block/8:1 is a link into .../block/sda/sda1: a partition's queue is that of the disk above it. */
static const char *kind_by_device(dev_t dev)
{
    char link[64], real[PATH_MAX], file[PATH_MAX + 32];
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    if (!realpath(link, real))
        return NULL;
    if (strstr(real, "/nvme"))
        return "nvme";
    if (strstr(real, "/virtio")) /* what is below says nothing true of the disk of the host */
        return "virtual";
    for (int up = 0; up < 2; up++) {
        snprintf(file, sizeof file, "%s/queue/rotational", real);
        FILE *f = fopen(file, "re");
        int c = f ? fgetc(f) : EOF;
        if (f)
            fclose(f);
        if (c == '0' || c == '1')
            return c == '1' ? "hdd" : "ssd";
        char *slash = strrchr(real, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return NULL;
}

/* Cuts names off the end until something exists; "" means the present folder. */
static void nearest(char *path)
{
    while (*path && access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash)
            *path = '\0';
        else
            slash[slash == path] = '\0';
        if (strcmp(path, "/") == 0)
            return;
    }
}

void kn_disk_look(const char *path, kn_disk *ret)
{
    char buf[PATH_MAX];
    struct statvfs v;
    struct stat st;
    *ret = (kn_disk){.kind = "unknown"};
    snprintf(buf, sizeof buf, "%s", path);
    nearest(buf);
    const char *at = *buf ? buf : ".";
    const char *kind = kind_by_file_system(at);
    if (!kind && stat(at, &st) == 0)
        kind = kind_by_device(st.st_dev);
    if (kind)
        ret->kind = kind;
    if (statvfs(at, &v) == 0) {
        ret->total_bytes = (uint64_t)v.f_blocks * v.f_frsize;
        ret->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    }
}

/* ---- files ---- */

typedef struct survey {
    uint64_t bytes, largest;
    char file[PATH_MAX];
} survey;

static void look_below(const char *path, survey *ret)
{
    enum { MAX_DEPTH = 8 };
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    *ret = (survey){0};
    FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *e; fts && (e = fts_read(fts));) {
        if (e->fts_info == FTS_D && e->fts_level >= MAX_DEPTH)
            fts_set(fts, e, FTS_SKIP);
        if (e->fts_info != FTS_F)
            continue;
        uint64_t size = (uint64_t)e->fts_statp->st_size;
        ret->bytes += size;
        if (size >= ret->largest) {
            ret->largest = size;
            snprintf(ret->file, sizeof ret->file, "%s", e->fts_path);
        }
    }
    if (fts)
        fts_close(fts);
}

uint64_t kn_disk_usage(const char *path)
{
    survey s;
    look_below(path, &s);
    return s.bytes;
}

double kn_disk_read_rate(const char *path)
{
    enum { PIECE = 4 << 20, PIECES = 16, ALIGN = 4096 };
    survey s;
    look_below(path, &s);
    int fd = open(s.file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *buf = fd >= 0 ? aligned_alloc(ALIGN, PIECE) : NULL;
    double bytes = 0, begin = kn_clock_s();
    for (int i = 0; buf && i < PIECES; i++) {
        ssize_t n = pread(fd, buf, PIECE, (off_t)i * PIECE);
        if (n > 0)
            bytes += (double)n;
        if (n < PIECE || kn_clock_s() - begin > 0.5)
            break;
    }
    double seconds = kn_clock_s() - begin;
    free(buf);
    if (fd >= 0)
        close(fd);
    return bytes > 0 && seconds > 0 ? bytes / seconds : 0;
}
