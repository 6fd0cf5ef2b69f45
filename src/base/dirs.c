#include "base/dirs.h"

#include <errno.h>
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
