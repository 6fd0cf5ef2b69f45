/* What a job left on the disk. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "jobs/retention.h"

static const char metadata[] = "kinora.json"; /* in a folder of frames (media/sink.h) */

static bool is_frame(const char *name)
{
    size_t n = strlen(name);
    return n > 10 && !strncmp(name, "frame_", 6) && !strcmp(name + n - 4, ".png") &&
           strspn(name + 6, "0123456789") == n - 10;
}

bool kn_job_file_is_ours(const char *name)
{
    return is_frame(name) || !strcmp(name, metadata);
}

static uint64_t bytes_of(const char *path)
{
    struct stat st;
    if (!path || lstat(path, &st))
        return 0;
    if (S_ISDIR(st.st_mode))
        return kn_dir_look(path, kn_job_file_is_ours).bytes;
    return S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

uint64_t kn_job_files_bytes(const kn_job *j)
{
    return bytes_of(j->output) + bytes_of(j->thumbnail);
}

static int remove_file(const char *path, kn_err *err)
{
    if (!unlink(path) || errno == ENOENT || errno == ENOTDIR)
        return 0;
    return kn_fail(err, KN_EIO, "cannot remove %s: %s", path, strerror(errno));
}

static int remove_frames(DIR *d, const char *path, kn_err *err)
{
    for (struct dirent *e; (e = readdir(d));)
        if (is_frame(e->d_name) && unlinkat(dirfd(d), e->d_name, 0) && errno != ENOENT)
            return kn_fail(err, KN_EIO, "cannot remove %s of %s: %s", e->d_name, path, strerror(errno));
    return 0;
}

static int remove_folder(const char *path, kn_err *err)
{
    DIR *d = opendir(path);
    if (!d)
        return kn_fail(err, KN_EIO, "cannot list %s: %s", path, strerror(errno));
    /* Without it they are someone else's. Last, so that a removal that was cut short can go on. */
    bool is_known = !faccessat(dirfd(d), metadata, F_OK, 0);
    int rc = is_known ? remove_frames(d, path, err) : 0;
    if (!rc && is_known && unlinkat(dirfd(d), metadata, 0))
        rc = kn_fail(err, KN_EIO, "cannot remove %s of %s: %s", metadata, path, strerror(errno));
    closedir(d);
    if (!rc && rmdir(path) && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
        rc = kn_fail(err, KN_EIO, "cannot remove %s: %s", path, strerror(errno));
    return rc;
}

int kn_job_files_remove(const kn_job *j, kn_err *err)
{
    struct stat st;
    int rc = 0;
    if (j->output)
        rc = !lstat(j->output, &st) && S_ISDIR(st.st_mode) ? remove_folder(j->output, err)
                                                           : remove_file(j->output, err);
    if (!rc && j->thumbnail)
        rc = remove_file(j->thumbnail, err);
    return rc;
}
