#define _GNU_SOURCE
#include "engine/run_state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
static bool remove_run(const char *runs, const char *key)
{
    char *path = kn_path_join(runs, key);
    int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool removed = false;
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
        (void)unlinkat(fd, KN_RUN_STATE_FILE, 0);
        (void)unlinkat(fd, KN_RUN_STATE_FILE ".part", 0);
        removed = !rmdir(path);
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return removed;
}

/* One that is in use or cannot be removed ends it. */
static void prune(const char *runs)
{
    kn_dir_survey s;
    bool removed = true;
    while (removed && (s = kn_dir_look(runs, is_key)).n > KN_LIMIT_RUN_STATES)
        removed = remove_run(runs, s.oldest);
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
