#include "hub/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

bool kn_hub_path_is_safe(const char *path)
{
    size_t n = strlen(path);
    if (!n || n > KN_LIMIT_HUB_PATH_BYTES || path[n - 1] == '/')
        return false;
    for (const char *p = path; *p; p++) {
        bool begins = p == path || p[-1] == '/';
        if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '\\' || (begins && (*p == '/' || *p == '.')))
            return false;
    }
    return true;
}

/* ".gitattributes", "a/.cache/b": parts of git's or of tools', never of a model. But "..", of course, is none of them. */
static bool is_hidden(const char *path)
{
    bool hidden = false;
    for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
        if (p[0] != '.')
            continue;
        if (p[1] == '/' || !p[1] || (p[1] == '.' && (p[2] == '/' || !p[2])))
            return false;
        hidden = true;
    }
    return hidden;
}

/* A number of bytes; false: it is none. */
static bool read_size(const json_t *v, uint64_t *ret)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        (uint64_t)json_integer_value(v) > KN_LIMIT_HUB_FILE_BYTES)
        return false;
    *ret = (uint64_t)json_integer_value(v);
    return true;
}

static bool take_digest(kn_hub_file *f, kn_digest_kind kind, const json_t *v)
{
    const char *hex = json_string_value(v);
    if (!kn_digest_is_valid(kind, hex))
        return false;
    f->kind = kind;
    memcpy(f->digest, hex, strlen(hex) + 1);
    return true;
}

static int read_file(const json_t *o, const char *id, kn_hub_repo *r, kn_err *err)
{
    const char *path = json_string_value(json_object_get(o, "rfilename"));
    const json_t *lfs = json_object_get(o, "lfs");
    kn_hub_file *f = &r->files[r->n_files];
    if (!path)
        return kn_fail(err, KN_EFORMAT, "%s: the hub lists a file without a name", id);
    if (is_hidden(path))
        return 0;
    if (!kn_hub_path_is_safe(path))
        return kn_fail(err, KN_EFORMAT,
                       "%s: the hub lists a file named \"%.100s\", expected a plain path inside the model",
                       id, path);
    bool ok = json_is_object(lfs) ? read_size(json_object_get(lfs, "size"), &f->size) &&
                                        take_digest(f, KN_DIGEST_SHA256, json_object_get(lfs, "sha256"))
                                  : read_size(json_object_get(o, "size"), &f->size) &&
                                        take_digest(f, KN_DIGEST_GIT_SHA1, json_object_get(o, "blobId"));
    if (!ok)
        return kn_fail(err, KN_EFORMAT, "%s: the hub lists %.200s without a size or digest that makes sense",
                       id, path);
    if (__builtin_add_overflow(r->size, f->size, &r->size))
        return kn_fail(err, KN_EFORMAT, "%s: the files are larger than any disk", id);
    if (!(f->path = kn_arena_strdup(&r->arena, path)))
        return kn_fail(err, KN_ENOMEM, "%s: no memory for a list of files", id);
    r->n_files++;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const kn_hub_file *)a)->path, ((const kn_hub_file *)b)->path);
}

static int check_twins(const kn_hub_repo *r, const char *id, kn_err *err)
{
    for (int i = 1; i < r->n_files; i++)
        if (strcmp(r->files[i - 1].path, r->files[i].path) == 0)
            return kn_fail(err, KN_EFORMAT, "%s: the hub lists %.200s twice", id, r->files[i].path);
    return 0;
}

static int read_commit(const json_t *answer, const char *id, kn_hub_repo *r, kn_err *err)
{
    const char *sha = json_string_value(json_object_get(answer, "sha"));
    if (!kn_digest_is_valid(KN_DIGEST_GIT_SHA1, sha) && !kn_digest_is_valid(KN_DIGEST_SHA256, sha))
        return kn_fail(err, KN_EFORMAT,
                       "%s: the hub names the commit \"%.80s\", expected 40 hexadecimal digits", id,
                       sha ? sha : "");
    memcpy(r->commit, sha, strlen(sha) + 1);
    return 0;
}

int kn_hub_repo_read(const json_t *answer, const char *id, kn_hub_repo *ret, kn_err *err)
{
    kn_hub_repo r = {0};
    const json_t *list = json_object_get(answer, "siblings");
    size_t n = json_array_size(list);
    int rc = json_is_array(list) ? read_commit(answer, id, &r, err)
                                 : kn_fail(err, KN_EFORMAT, "%s: the hub gives no list of files", id);
    if (!rc && n > KN_LIMIT_HUB_FILES)
        rc = kn_fail(err, KN_ELIMIT, "%s has %zu files, at most %d are looked at", id, n, KN_LIMIT_HUB_FILES);
    if (rc)
        return rc;
    kn_arena_init(&r.arena, 0);
    r.files = kn_calloc(n ? n : 1, sizeof *r.files);
    if (!r.files)
        rc = kn_fail(err, KN_ENOMEM, "%s: no memory for a list of files", id);
    for (size_t i = 0; !rc && i < n; i++)
        rc = read_file(json_array_get(list, i), id, &r, err);
    if (!rc) {
        qsort(r.files, (size_t)r.n_files, sizeof *r.files, by_path);
        rc = check_twins(&r, id, err);
    }
    if (rc)
        kn_hub_repo_done(&r);
    else
        *ret = r;
    return rc;
}

void kn_hub_repo_done(kn_hub_repo *r)
{
    free(r->files);
    kn_arena_done(&r->arena);
    *r = (kn_hub_repo){0};
}

const kn_hub_file *kn_hub_repo_find(const kn_hub_repo *r, const char *path)
{
    kn_hub_file key = {.path = path};
    return r->n_files ? bsearch(&key, r->files, (size_t)r->n_files, sizeof *r->files, by_path) : NULL;
}
