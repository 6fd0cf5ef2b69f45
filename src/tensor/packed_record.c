/* Recording a packed file: beside the load that makes its items, under a name of its own until it is whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/limits.h"
#include "tensor/packed_priv.h"
#include "tensor/weight.h"

static void stop(kn_packed *p, kn_packed_state state)
{
    if (p->fd >= 0) {
        if (state == KN_PACKED_OFF)
            (void)unlink(p->part);
        close(p->fd);
    }
    p->fd = -1;
    p->state = state;
}

/* The part file, ours alone. A process that died while recording left one without its lock, which is taken over; one that
 * finished between our open and our lock has renamed what we hold. */
static int open_part(const char *part)
{
    struct stat held, there;
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &held) && !stat(part, &there) &&
        held.st_ino == there.st_ino && held.st_dev == there.st_dev && S_ISREG(held.st_mode) &&
        !ftruncate(fd, 0))
        return fd;
    close(fd);
    return -1;
}

kn_packed *kn_packed_record(const char *path, const char *key)
{
    kn_packed *p = kn_packed_alloc(path, key);
    if (!p)
        return NULL;
    p->part = path ? kn_asprintf("%s.part", path) : NULL;
    if (p->part)
        p->fd = open_part(p->part);
    if (path && p->fd < 0) {
        kn_packed_close(p);
        return NULL;
    }
    p->end = KN_PACKED_ALIGN;
    p->state = KN_PACKED_RECORDING;
    return p;
}

void kn_packed_close(kn_packed *p)
{
    if (!p)
        return;
    stop(p, KN_PACKED_OFF);
    kn_map_close(&p->map);
    kn_arena_done(&p->arena);
    free(p->entries);
    free(p->path);
    free(p->part);
    free(p->key);
    free(p);
}

static int write_at(int fd, uint64_t at, const void *data, size_t bytes)
{
    const char *from = data;
    while (bytes) {
        ssize_t n = pwrite(fd, from, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return KN_EIO;
        from += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

void kn_packed_begin(kn_packed *p, const kn_packed_item *item)
{
    if (!kn_packed_is_recording(p))
        return;
    p->end = (p->end + KN_PACKED_ALIGN - 1) / KN_PACKED_ALIGN * KN_PACKED_ALIGN;
    p->put = 0;
    kn_packed_entry e = {.name = item->name,
                         .what = item->what,
                         .format = item->format,
                         .begin = p->end,
                         .bytes = item->bytes,
                         .sum = KN_FNV1A_BEGIN,
                         .is_checked = true};
    if (kn_packed_add(p, &e))
        stop(p, KN_PACKED_OFF);
}

int kn_packed_put(void *ud, const void *data, size_t bytes)
{
    kn_packed *p = ud;
    if (!kn_packed_is_recording(p))
        return KN_EIO;
    kn_packed_entry *e = &p->entries[p->n_entries - 1];
    KN_ASSERT(p->put % KN_SAVE_PIECE == 0 && bytes <= e->bytes - p->put);
    if (p->fd >= 0) {
        e->sum = kn_packed_sum(e->sum, data, bytes);
        if (write_at(p->fd, p->end, data, bytes)) {
            stop(p, KN_PACKED_OFF);
            return KN_EIO;
        }
    }
    p->put += bytes;
    p->end += bytes;
    return 0;
}

void kn_packed_end(kn_packed *p)
{
    if (kn_packed_is_recording(p) && p->put != p->entries[p->n_entries - 1].bytes)
        stop(p, KN_PACKED_OFF);
}

static int write_index(kn_packed *p)
{
    char *index = kn_packed_index(p);
    if (!index)
        return KN_ENOMEM;
    kn_packed_header h = {.magic = KN_PACKED_MAGIC, .index_begin = p->end, .index_bytes = strlen(index)};
    h.file_bytes = h.index_begin + h.index_bytes;
    h.index_sum = kn_hash_bulk(index, h.index_bytes);
    h.sum = kn_hash_bulk(&h, offsetof(kn_packed_header, sum));
    int rc = write_at(p->fd, h.index_begin, index, h.index_bytes);
    if (!rc)
        rc = write_at(p->fd, 0, &h, sizeof h);
    free(index);
    return rc;
}

/* Not flushed to the disk, which could take as long as the run: a file that a crash of the system tears has a wrong sum. */
void kn_packed_commit(kn_packed *p)
{
    if (!kn_packed_is_recording(p))
        return;
    if (p->fd < 0) {
        p->state = KN_PACKED_REHEARSED;
        return;
    }
    bool kept =
        !write_index(p) && !kn_map_open_fd(&p->map, p->fd, p->part, NULL) && !rename(p->part, p->path);
    stop(p, kept ? KN_PACKED_READING : KN_PACKED_OFF);
}
