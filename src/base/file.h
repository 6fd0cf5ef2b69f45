/* Files: read whole with a maximum, map read-only, and write so that a name only ever holds a whole file. */
#ifndef KN_BASE_FILE_H
#define KN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* Reads a whole file; *ret_data is NUL-terminated (not counted in *ret_size) and freed by the caller.
 * KN_ENOTFOUND, KN_EIO, KN_ELIMIT (larger than max_bytes), KN_ENOMEM. */
int kn_file_read(const char *path, size_t max_bytes, char **ret_data, size_t *ret_size, kn_err *err);

/* Which file was mapped, and in which state: whatever writes to a file, or puts another one at its name, changes one of
 * these. A program can set mtime back, but not ctime. */
typedef struct kn_file_id {
    int64_t size, mtime_ns, ctime_ns;
    uint64_t inode;
} kn_file_id;

/* A read-only map.  An empty file maps to size 0 and data NULL. */
typedef struct kn_map {
    const unsigned char *data;
    size_t size;
    kn_file_id id;
} kn_map;

int kn_map_open(kn_map *m, const char *path, kn_err *err);
/* Of an open file, whatever is at its name by now. `path` is for messages. */
int kn_map_open_fd(kn_map *m, int fd, const char *path, kn_err *err);
void kn_map_close(kn_map *m);
/* Tells the kernel that the bytes [p, p + size) of a map are not needed again soon (their RSS is given back). */
void kn_map_release(const void *p, size_t size);
/* Asks the kernel to start reading the bytes [p, p + size) of a map. */
void kn_map_prefetch(const void *p, size_t size);
/* How many of these bytes, by whole pages, would have to be read from the disk. */
size_t kn_map_missing(const void *p, size_t size);

bool kn_path_exists(const char *path);
bool kn_path_is_dir(const char *path);
/* "dir/name", heap; NULL without memory. */
char *kn_path_join(const char *dir, const char *name);
/* The part after the last '/', never NULL. */
const char *kn_path_base(const char *path);
/* "mp4" of "a/b.MP4" in lower case into buf; "" if there is none. */
void kn_path_ext(const char *path, char *buf, size_t size);

/* Atomic writing: write to `part` (path + ".part"), then commit (fsync, rename, fsync of the folder) or abort. */
typedef struct kn_atomic_file {
    char *path, *part;
    FILE *f;
} kn_atomic_file;

int kn_atomic_open(kn_atomic_file *a, const char *path, kn_err *err);
int kn_atomic_commit(kn_atomic_file *a, kn_err *err); /* consumes a, also on failure */
void kn_atomic_abort(kn_atomic_file *a);              /* removes the part file; accepts a zeroed struct */
/* For files that a library writes by name: fsync `part` and rename it to `path`. */
int kn_commit_path(const char *part, const char *path, kn_err *err);

#endif
