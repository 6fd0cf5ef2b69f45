#define _GNU_SOURCE
#include "hub/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "hub/hub.h"

/* "OWNER--NAME": no part of an id has two dashes. */
static char *key_of(const char *id)
{
    const char *slash = strchr(id, '/');
    return kn_asprintf("%.*s--%s", (int)(slash - id), id, slash + 1);
}

/* ---- opening ---- */

static int lock(kn_hub_place *p, const char *partials, const char *key, const char *id, kn_err *err)
{
    char *path = kn_asprintf("%s/%s.lock", partials, key);
    int rc = path ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && (p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        rc = kn_fail(err, KN_EIO, "cannot write %s: %s", path, strerror(errno));
    if (!rc && flock(p->lock_fd, LOCK_EX | LOCK_NB))
        rc = kn_fail(err, KN_EBUSY, "%s is being fetched already", id);
    free(path);
    return rc;
}

static int name_paths(kn_hub_place *p, const char *models_dir, const char *partials, const char *key,
                      const char *id, const char *file, kn_err *err)
{
    if (file)
        p->partial = kn_asprintf("%s/%s--%016llx", partials, key,
                                 (unsigned long long)kn_fnv1a(KN_FNV1A_BEGIN, file, strlen(file)));
    else
        p->partial = kn_path_join(partials, key);
    p->old = kn_asprintf("%s/%s--old", partials, key);
    p->target = kn_path_join(models_dir, id);
    return p->partial && p->old && p->target ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
}

/* A machine that went down between two renames. */
static int recover(const kn_hub_place *p, kn_err *err)
{
    if (!kn_path_exists(p->old))
        return 0;
    if (kn_path_exists(p->target))
        return kn_dir_remove(p->old, err);
    return rename(p->old, p->target) ? kn_fail(err, KN_EIO, "cannot rename %s: %s", p->old, strerror(errno))
                                     : 0;
}

static int look_at_target(kn_hub_place *p, kn_err *err)
{
    kn_err why = {0};
    (void)rmdir(p->target); /* an empty folder is in nobody's way */
    if (!kn_path_exists(p->target))
        return 0;
    int rc = kn_manifest_load(p->target, &p->installed, &why);
    if (rc == KN_ENOTFOUND)
        return kn_fail(err, KN_EBUSY, "%.300s is there and was not fetched by Kinora; move it away first",
                       p->target);
    return rc ? kn_fail(err, rc, "%s", why.msg) : 0;
}

int kn_hub_place_open(kn_hub_place *p, const char *models_dir, const char *id, const char *file, kn_err *err)
{
    *p = (kn_hub_place){.lock_fd = -1};
    char *partials = kn_path_join(models_dir, ".partial"), *key = key_of(id);
    int rc = partials && key ? kn_dir_make(partials, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        rc = name_paths(p, models_dir, partials, key, id, file, err);
    if (!rc)
        rc = lock(p, partials, key, id, err);
    if (!rc)
        rc = recover(p, err);
    if (!rc)
        rc = look_at_target(p, err);
    free(partials);
    free(key);
    if (rc)
        kn_hub_place_close(p);
    return rc;
}

void kn_hub_place_close(kn_hub_place *p)
{
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    free(p->partial);
    free(p->old);
    free(p->target);
    json_decref(p->installed);
    *p = (kn_hub_place){.lock_fd = -1};
}

/* ---- what is there ---- */

static bool has_size(const char *folder, const char *as, uint64_t size)
{
    struct stat st;
    char *path = kn_path_join(folder, as);
    bool has = path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
    free(path);
    return has;
}

bool kn_hub_place_has_all(const kn_hub_place *p, const kn_choices *c)
{
    for (int i = 0; i < c->n; i++)
        if (!kn_manifest_has(p->installed, &c->items[i]) ||
            !has_size(p->target, c->items[i].as, c->items[i].file->size))
            return false;
    return p->installed != NULL;
}

static const kn_choice *find(const kn_choices *c, const char *as)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->items[i].as, as) == 0)
            return &c->items[i];
    return NULL;
}

static void remove_file(const char *folder, const char *as)
{
    static const char *const endings[] = {"", ".part", ".part.etag"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *path = kn_asprintf("%s/%s%s", folder, as, endings[i]);
        if (path)
            unlink(path);
        free(path);
    }
}

/* Of an earlier download only what is wanted now, with the same content. */
static void keep_wanted(const kn_hub_place *p, const json_t *before, const kn_choices *c)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(before, "files"), i, f)
    {
        const char *as = json_string_value(json_object_get(f, "as"));
        const kn_choice *x = find(c, as);
        if (!x || !kn_manifest_has(before, x))
            remove_file(p->partial, as);
    }
}

static int link_file(const kn_hub_place *p, const kn_choice *c, kn_err *err)
{
    char *from = kn_path_join(p->target, c->as), *to = kn_path_join(p->partial, c->as);
    char *folder = to ? kn_strndup(to, (size_t)(kn_path_base(to) - to)) : NULL;
    int rc = from && folder ? kn_dir_make(folder, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc)
        (void)link(from, to); /* where that cannot be, it is fetched */
    free(from);
    free(to);
    free(folder);
    return rc;
}

int kn_hub_place_prepare(kn_hub_place *p, const char *id, const char *commit, const kn_choices *c,
                         kn_err *err)
{
    json_t *before = NULL, *now = kn_manifest_make(id, commit, c);
    int rc = now ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a list of files");
    if (!rc && kn_manifest_load(p->partial, &before, NULL) == 0)
        keep_wanted(p, before, c);
    else if (!rc)
        rc = kn_dir_remove(p->partial, err);
    if (!rc)
        rc = kn_dir_make(p->partial, err);
    if (!rc)
        rc = kn_manifest_save(p->partial, now, err);
    for (int i = 0; !rc && i < c->n; i++)
        if (kn_manifest_has(p->installed, &c->items[i]) &&
            has_size(p->target, c->items[i].as, c->items[i].file->size))
            rc = link_file(p, &c->items[i], err);
    json_decref(before);
    json_decref(now);
    return rc;
}

bool kn_hub_place_is_whole(const kn_hub_place *p, const kn_choice *c, uint64_t *ret_there)
{
    struct stat st;
    char *part = kn_asprintf("%s/%s.part", p->partial, c->as);
    bool is = has_size(p->partial, c->as, c->file->size);
    *ret_there = is ? c->file->size : part && lstat(part, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (*ret_there > c->file->size)
        *ret_there = 0;
    free(part);
    return is;
}

int kn_hub_place_check_space(const kn_hub_place *p, uint64_t bytes, kn_err *err)
{
    struct statvfs v;
    if (statvfs(p->partial, &v))
        return kn_fail(err, KN_EIO, "%s: %s", p->partial, strerror(errno));
    uint64_t is_free = (uint64_t)v.f_bavail * v.f_frsize;
    if (bytes && (is_free < KN_LIMIT_HUB_SPARE_BYTES || is_free - KN_LIMIT_HUB_SPARE_BYTES < bytes))
        return kn_fail(err, KN_EIO,
                       "%.200s: %.2f GB are to be fetched, %.2f GB are free, of which %.2f GB are left alone",
                       p->partial, (double)bytes / 1e9, (double)is_free / 1e9,
                       (double)KN_LIMIT_HUB_SPARE_BYTES / 1e9);
    return 0;
}

/* ---- the end ---- */

static void sync_folder_of(const char *path)
{
    char *folder = kn_strndup(path, (size_t)(kn_path_base(path) - path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse; the files themselves are safe */
        close(fd);
    }
    free(folder);
}

static int move(const char *from, const char *to, kn_err *err)
{
    char *folder = kn_strndup(to, (size_t)(kn_path_base(to) - to));
    int rc = folder ? kn_dir_make(folder, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && rename(from, to))
        rc = kn_fail(err, KN_EIO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    if (!rc)
        sync_folder_of(to);
    free(folder);
    return rc;
}

static int move_file(const char *from, const char *to, const char *as, kn_err *err)
{
    char *a = kn_path_join(from, as), *b = kn_path_join(to, as);
    int rc = a && b ? move(a, b, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(a);
    free(b);
    return rc;
}

/* A single file joins what is there. */
static int install_file(kn_hub_place *p, json_t *manifest, const kn_choices *c, kn_err *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < c->n; i++)
        rc = move_file(p->partial, p->target, c->items[i].as, err);
    if (!rc)
        rc = kn_manifest_add(manifest, p->installed, false, err);
    if (!rc)
        rc = kn_manifest_save(p->target, manifest, err);
    return rc ? rc : kn_dir_remove(p->partial, err);
}

/* A pipeline takes the place of the one that is there; single files stay. */
static int replace(kn_hub_place *p, json_t *manifest, kn_err *err)
{
    size_t i;
    json_t *f;
    int rc = kn_manifest_add(manifest, p->installed, true, err);
    json_t *fresh = NULL;
    if (!rc)
        rc = kn_manifest_load(p->partial, &fresh, err);
    if (!rc)
        rc = move(p->target, p->old, err);
    if (!rc)
        rc = move(p->partial, p->target, err);
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        const char *as = json_string_value(json_object_get(f, "as"));
        if (!rc && !kn_manifest_find(fresh, as))
            rc = move_file(p->old, p->target, as, err);
    }
    if (!rc)
        rc = kn_manifest_save(p->target, manifest, err);
    json_decref(fresh);
    return rc ? rc : kn_dir_remove(p->old, err);
}

int kn_hub_place_install(kn_hub_place *p, const char *id, const char *commit, const kn_choices *c,
                         kn_err *err)
{
    if (!p->installed)
        return move(p->partial, p->target, err);
    json_t *manifest = kn_manifest_make(id, commit, c);
    int rc = manifest ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a list of files");
    if (!rc)
        rc = c->is_single ? install_file(p, manifest, c, err) : replace(p, manifest, err);
    json_decref(manifest);
    return rc;
}

/* ---- forgetting ---- */

int kn_hub_forget(const char *models_dir, const char *id, kn_err *err)
{
    kn_hub_place p = {.lock_fd = -1};
    int rc = kn_hub_check_id(id, err);
    char *partials = kn_path_join(models_dir, ".partial"), *key = rc ? NULL : key_of(id);
    if (!rc && (!partials || !key))
        rc = kn_fail(err, KN_ENOMEM, "no memory for a path");
    DIR *dir = rc ? NULL : opendir(partials);
    if (dir)
        rc = lock(&p, partials, key, id, err);
    for (struct dirent *e; !rc && dir && (e = readdir(dir));) {
        size_t n = strlen(key);
        bool is_ours =
            strncmp(e->d_name, key, n) == 0 &&
            (!e->d_name[n] || (strncmp(e->d_name + n, "--", 2) == 0 && strcmp(e->d_name + n, "--old")));
        char *path = is_ours ? kn_path_join(partials, e->d_name) : NULL;
        if (path)
            rc = kn_dir_remove(path, err);
        free(path);
    }
    if (dir)
        closedir(dir);
    free(partials);
    free(key);
    kn_hub_place_close(&p);
    return rc;
}
