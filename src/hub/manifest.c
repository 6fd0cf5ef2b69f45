#include "hub/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static const char *digest_key(kn_digest_kind kind)
{
    return kind == KN_DIGEST_SHA256 ? "sha256" : "git_sha1";
}

json_t *kn_manifest_make(const char *id, const char *commit, const kn_choices *c)
{
    json_t *files = json_array();
    for (int i = 0; i < c->n; i++) {
        const kn_choice *x = &c->items[i];
        json_array_append_new(files,
                              json_pack("{s:s, s:s, s:I, s:s, s:b}", "path", x->file->path, "as", x->as,
                                        "size", (json_int_t)x->file->size, digest_key(x->file->kind),
                                        x->file->digest, "single", c->is_single));
    }
    return json_pack("{s:s, s:s, s:o}", "repo", id, "revision", commit, "files", files);
}

static int check_names(const json_t *manifest, const char *path, kn_err *err)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        const char *as = json_string_value(json_object_get(f, "as"));
        if (!as || !kn_hub_path_is_safe(as))
            return kn_fail(err, KN_EFORMAT, "%s: the file \"%.100s\" does not lie in its folder", path,
                           as ? as : "");
    }
    return 0;
}

int kn_manifest_load(const char *folder, json_t **ret, kn_err *err)
{
    json_t *o = NULL;
    char *path = kn_path_join(folder, KN_MANIFEST_NAME);
    int rc = path ? kn_json_load(path, &o, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (!rc && (!json_is_object(o) || !json_is_array(json_object_get(o, "files"))))
        rc = kn_fail(err, KN_EFORMAT, "%s: expected an object with files", path);
    if (!rc)
        rc = check_names(o, path, err);
    if (rc)
        json_decref(o);
    else
        *ret = o;
    free(path);
    return rc;
}

int kn_manifest_save(const char *folder, const json_t *manifest, kn_err *err)
{
    kn_atomic_file f = {0};
    char *path = kn_path_join(folder, KN_MANIFEST_NAME);
    int rc = path && manifest ? kn_atomic_open(&f, path, err)
                              : kn_fail(err, KN_ENOMEM, "no memory for a list of files");
    if (!rc && json_dumpf(manifest, f.f, JSON_INDENT(1))) {
        kn_atomic_abort(&f);
        rc = kn_fail(err, KN_EIO, "cannot write %s", path);
    }
    if (!rc)
        rc = kn_atomic_commit(&f, err);
    free(path);
    return rc;
}

const json_t *kn_manifest_find(const json_t *manifest, const char *as)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        if (strcmp(json_string_value(json_object_get(f, "as")), as) == 0)
            return f;
    }
    return NULL;
}

bool kn_manifest_has(const json_t *manifest, const kn_choice *c)
{
    const json_t *f = kn_manifest_find(manifest, c->as);
    const char *hex = json_string_value(json_object_get(f, digest_key(c->file->kind)));
    return hex && strcmp(hex, c->file->digest) == 0 &&
           json_integer_value(json_object_get(f, "size")) == (json_int_t)c->file->size;
}

int kn_manifest_add(json_t *manifest, const json_t *more, bool only_single, kn_err *err)
{
    size_t i;
    json_t *f, *files = json_object_get(manifest, "files");
    json_array_foreach(json_object_get(more, "files"), i, f)
    {
        bool is_wanted = !only_single || json_is_true(json_object_get(f, "single"));
        if (is_wanted && !kn_manifest_find(manifest, json_string_value(json_object_get(f, "as"))) &&
            json_array_append(files, f))
            return kn_fail(err, KN_ENOMEM, "no memory for a list of files");
    }
    return 0;
}
