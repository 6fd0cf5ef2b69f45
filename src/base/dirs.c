#define _GNU_SOURCE
#include "base/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"

/* An environment variable that names a folder; the XDG specification has relative ones ignored. */
static const char *env_dir(const char *name, bool absolute)
{
    const char *v = getenv(name);
    return v && *v && (!absolute || *v == '/') ? v : NULL;
}

static char *find_dir(const char *own_name, const char *xdg_name, const char *below_home)
{
    const char *own = env_dir(own_name, false), *xdg = env_dir(xdg_name, true),
               *home = env_dir("HOME", false);
    if (own)
        return kn_strdup(own);
    if (xdg)
        return kn_path_join(xdg, "kinora");
    return home ? kn_path_join(home, below_home) : NULL;
}

char *kn_dir_state(void)
{
    return find_dir("KINORA_STATE_DIR", "XDG_STATE_HOME", ".local/state/kinora");
}

char *kn_dir_data(void)
{
    return find_dir("KINORA_DATA_DIR", "XDG_DATA_HOME", ".local/share/kinora");
}

char *kn_dir_cache(void)
{
    return find_dir("KINORA_CACHE_DIR", "XDG_CACHE_HOME", ".cache/kinora");
}

int kn_dir_make(const char *path, kn_err *err)
{
    char *p = kn_strdup(path);
    int rc = p ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
    for (char *slash = p; slash && !rc;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(p, 0700) && errno != EEXIST)
            rc = kn_fail(err, KN_EIO, "cannot make the folder %s: %s", p, strerror(errno));
        if (slash)
            *slash = '/';
    }
    if (!rc && !kn_path_is_dir(path))
        rc = kn_fail(err, KN_EIO, "%s is not a folder", path);
    free(p);
    return rc;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    remove(path);
    return 0;
}

int kn_dir_remove(const char *path, kn_err *err)
{
    enum { OPEN_FOLDERS = 8 };
    struct stat st;
    nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    return lstat(path, &st) ? 0 : kn_fail(err, KN_EIO, "cannot remove %s", path);
}

static bool is_earlier(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

kn_dir_survey kn_dir_look(const char *path, bool (*is_wanted)(const char *name))
{
    kn_dir_survey all = {0};
    struct timespec then = {0};
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (!is_wanted(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (!all.n++ || is_earlier(st.st_mtim, then)) {
            then = st.st_mtim;
            snprintf(all.oldest, sizeof all.oldest, "%s", e->d_name);
        }
        if (S_ISREG(st.st_mode))
            all.bytes += (uint64_t)st.st_size;
    }
    if (d)
        closedir(d);
    return all;
}
