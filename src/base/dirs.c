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

char *kn_dir_state(void)
{
    const char *own = env_dir("KINORA_STATE_DIR", false), *xdg = env_dir("XDG_STATE_HOME", true),
               *home = env_dir("HOME", false);
    if (own)
        return kn_strdup(own);
    if (xdg)
        return kn_path_join(xdg, "kinora");
    return home ? kn_path_join(home, ".local/state/kinora") : NULL;
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
