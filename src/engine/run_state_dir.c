#define _GNU_SOURCE
#include "engine/run_state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

enum { KEY_DIGITS = 16 };

static bool is_key(const char *name)
{
    return strlen(name) == KEY_DIGITS && strspn(name, "0123456789abcdef") == KEY_DIGITS;
}

/* Removes a run's folder unless a run holds it. */
static void remove_run(int runs, const char *key)
{
    int fd = openat(runs, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (!flock(fd, LOCK_EX | LOCK_NB)) {
        (void)unlinkat(fd, KN_RUN_STATE_FILE, 0);
        (void)unlinkat(fd, KN_RUN_STATE_FILE ".part", 0);
        (void)unlinkat(runs, key, AT_REMOVEDIR);
    }
    close(fd);
}

/* The run whose folder changed longest ago, and how many there are. */
static int oldest_run(int runs, char oldest[KEY_DIGITS + 1])
{
    int fd = dup(runs), n = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct timespec then = {0};
    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    rewinddir(d);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (!is_key(e->d_name) || fstatat(runs, e->d_name, &st, 0))
            continue;
        if (!n++ || st.st_mtim.tv_sec < then.tv_sec ||
            (st.st_mtim.tv_sec == then.tv_sec && st.st_mtim.tv_nsec < then.tv_nsec)) {
            then = st.st_mtim;
            memcpy(oldest, e->d_name, KEY_DIGITS + 1);
        }
    }
    closedir(d);
    return n;
}

static void prune(const char *path)
{
    char oldest[KEY_DIGITS + 1];
    int runs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n;
    if (runs < 0)
        return;
    /* one that is locked or cannot be removed ends it */
    for (int before = INT_MAX; (n = oldest_run(runs, oldest)) > KN_LIMIT_RUN_STATES && n < before; before = n)
        remove_run(runs, oldest);
    close(runs);
}

static int lock(kn_run_dir *d, kn_err *err)
{
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0)
        return kn_fail(err, KN_EIO, "cannot open %s: %s", d->path, strerror(errno));
    if (!flock(d->fd, LOCK_EX | LOCK_NB))
        return 0;
    return kn_fail(err, errno == EWOULDBLOCK ? KN_EBUSY : KN_EIO, "cannot lock %s: %s", d->path,
                   errno == EWOULDBLOCK ? "another run of this request is using it" : strerror(errno));
}

int kn_run_dir_open(const char *state_dir, uint64_t key, kn_run_dir *ret, kn_err *err)
{
    kn_run_dir d = {.fd = -1};
    char *runs = kn_path_join(state_dir, "runs");
    d.path = runs ? kn_asprintf("%s/%016llx", runs, (unsigned long long)key) : NULL;
    d.file = d.path ? kn_path_join(d.path, KN_RUN_STATE_FILE) : NULL;
    int rc = d.file ? kn_dir_make(d.path, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        rc = lock(&d, err);
    if (!rc) {
        prune(runs);
        *ret = d;
    } else {
        if (d.fd >= 0)
            close(d.fd);
        free(d.path);
        free(d.file);
    }
    free(runs);
    return rc;
}

void kn_run_dir_close(kn_run_dir *d)
{
    if (!d->path)
        return;
    (void)rmdir(d->path);
    close(d->fd);
    free(d->path);
    free(d->file);
    *d = (kn_run_dir){.fd = -1};
}
