#define _GNU_SOURCE
#include "engine/run_state_dir.h"

#include <dirent.h>
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

static bool is_state(const char *name)
{
    return strncmp(name, "state", 5) == 0 && strstr(name, ".safetensors");
}

/* Also what was left half-written. */
static void remove_states(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* closedir closes it; the lock stays with fd */
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (d)
        rewinddir(d);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_state(e->d_name))
            (void)unlinkat(fd, e->d_name, 0);
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
}

/* Removes a run's folder unless a run holds it. */
static bool remove_run(const char *runs, const char *key)
{
    char *path = kn_path_join(runs, key);
    int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool removed = false;
    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
        remove_states(fd);
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
    int rc = d.path ? kn_dir_make(d.path, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        rc = lock(&d, err);
    if (!rc) {
        prune(runs);
        *ret = d;
    } else {
        if (d.fd >= 0)
            close(d.fd);
        free(d.path);
    }
    free(runs);
    return rc;
}

char *kn_run_dir_file(const kn_run_dir *d, int segment)
{
    return segment ? kn_asprintf("%s/state-%05d.safetensors", d->path, segment)
                   : kn_asprintf("%s/state.safetensors", d->path);
}

void kn_run_dir_clear(const kn_run_dir *d)
{
    remove_states(d->fd);
}

void kn_run_dir_close(kn_run_dir *d)
{
    if (!d->path)
        return;
    (void)rmdir(d->path);
    close(d->fd);
    free(d->path);
    *d = (kn_run_dir){.fd = -1};
}
