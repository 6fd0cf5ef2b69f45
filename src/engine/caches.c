#define _GNU_SOURCE
#include "engine/caches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/packed_cache.h"
#include "engine/text_cache.h"

typedef struct cache {
    const char *name, *folder, *suffix;
} cache;

static const cache caches[] = {
    {"text states", "text", KN_TEXT_CACHE_SUFFIX},
    {"packed weights", "packed", KN_PACKED_CACHE_SUFFIX},
};

/* A finished entry, or one that is being written: 16 digits of a hash, and the ending. */
static bool is_entry(const cache *c, const char *name, bool *ret_is_part)
{
    enum { DIGITS = 16 };
    size_t n = strspn(name, "0123456789abcdef"), k = strlen(c->suffix);
    if (n != DIGITS || strncmp(name + n, c->suffix, k) != 0)
        return false;
    *ret_is_part = strcmp(name + n + k, ".part") == 0;
    return *ret_is_part || !name[n + k];
}

/* Whoever writes to it holds its lock; the file of a process that died has none. */
static bool is_being_written(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    return is;
}

static int clear(const cache *c, const char *path, bool dry_run, json_t *list, kn_err *err)
{
    int n = 0, rc = 0;
    uint64_t bytes = 0;
    DIR *d = opendir(path); /* not there: nothing was kept */
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        bool is_part;
        if (!is_entry(c, e->d_name, &is_part) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(st.st_mode) || (is_part && is_being_written(dirfd(d), e->d_name)))
            continue;
        if (!dry_run && unlinkat(dirfd(d), e->d_name, 0)) {
            rc = kn_fail(err, KN_EIO, "cannot remove %s/%s: %s", path, e->d_name, strerror(errno));
            continue;
        }
        n++;
        bytes += (uint64_t)st.st_size;
    }
    if (d)
        closedir(d);
    json_array_append_new(list, json_pack("{s:s, s:o, s:i, s:I}", "name", c->name, "path", kn_json_text(path),
                                          "files", n, "size_bytes", (json_int_t)bytes));
    return rc;
}

int kn_caches_clear(const char *cache_dir, bool dry_run, json_t **ret, kn_err *err)
{
    json_t *list = json_array();
    int rc = list ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a list of caches");
    for (size_t i = 0; !rc && i < sizeof caches / sizeof *caches; i++) {
        char *path = kn_path_join(cache_dir, caches[i].folder);
        rc = path ? clear(&caches[i], path, dry_run, list, err)
                  : kn_fail(err, KN_ENOMEM, "no memory for a path");
        free(path);
    }
    if (rc)
        json_decref(list);
    else
        *ret = list;
    return rc;
}
