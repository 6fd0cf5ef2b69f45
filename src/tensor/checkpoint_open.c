/* Finding the files behind a path: one file, a sharded index, or a component folder. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tensor/checkpoint_priv.h"

/* The largest published models have about 200 shards. */
enum { MAX_SHARDS = 4096 };

int kn_ck_read(kn_checkpoint *ck, const unsigned char *data, size_t size, const char *file, kn_err *err)
{
    if (size >= 4 && !memcmp(data, "GGUF", 4))
        return kn_gguf_read(ck, data, size, file, err);
    /* A safetensors header of 640 bytes begins like a pickle: the brace behind its length tells them apart. */
    bool has_header = size > 8 && data[8] == '{';
    if (!has_header && size >= 4 && (!memcmp(data, "PK\x03\x04", 4) || !memcmp(data, "\x80\x02", 2)))
        return kn_fail(
            err, KN_EUNSUPPORTED,
            "%s is a pickled PyTorch file, which can run code when read; expected safetensors or GGUF", file);
    return kn_safetensors_read(ck, data, size, file, err);
}

int kn_ck_read_file(kn_checkpoint *ck, const char *path, kn_err *err)
{
    kn_ck_map *m = kn_arena_alloc(&ck->arena, sizeof *m);
    char *file = kn_arena_strdup(&ck->arena, path);
    if (!m || !file)
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", path);
    int rc = kn_map_open(&m->map, path, err);
    if (rc)
        return rc;
    m->next = ck->maps;
    ck->maps = m;
    return kn_ck_read(ck, m->map.data, m->map.size, file, err);
}

/* ---- sharded: {"weight_map": {tensor: file}} ---- */

/* A shard is a plain file beside its index. */
static int check_shard_name(const char *index, const char *name, kn_err *err)
{
    if (!name || !*name || strchr(name, '/') || name[0] == '.')
        return kn_fail(err, KN_EFORMAT, "%s: weight_map names the file %.200s, expected one beside the index",
                       index, name ? name : "(not a string)");
    return 0;
}

static int read_shards(kn_checkpoint *ck, const char *index, const json_t *weight_map, kn_err *err)
{
    char *dir = kn_strndup(index, (size_t)(kn_path_base(index) - index));
    json_t *seen = json_object();
    const char *tensor;
    json_t *v;
    int rc = dir && seen ? 0 : kn_fail(err, KN_ENOMEM, "no memory to open %s", index);
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, v)
    {
        const char *name = json_string_value(v);
        if (rc || (name && json_object_get(seen, name)))
            continue;
        rc = check_shard_name(index, name, err);
        if (!rc && json_object_size(seen) >= MAX_SHARDS)
            rc = kn_fail(err, KN_ELIMIT, "%s: more than %d shards", index, MAX_SHARDS);
        char *path = rc ? NULL : kn_asprintf("%s%s", dir, name);
        if (!rc && (!path || json_object_set_new(seen, name, json_true())))
            rc = kn_fail(err, KN_ENOMEM, "no memory to open %s", index);
        if (!rc)
            rc = kn_ck_read_file(ck, path, err);
        free(path);
    }
    free(dir);
    json_decref(seen);
    return rc;
}

static int read_index(kn_checkpoint *ck, const char *path, kn_err *err)
{
    json_t *json = NULL;
    int rc = kn_json_load(path, &json, err);
    if (rc)
        return rc;
    const json_t *weight_map = json_object_get(json, "weight_map");
    if (!json_is_object(weight_map) || !json_object_size(weight_map))
        rc = kn_fail(err, KN_EFORMAT, "%s: no weight_map, expected the index of a sharded checkpoint", path);
    if (!rc)
        rc = read_shards(ck, path, weight_map, err);
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)weight_map, name, v)
    {
        if (!rc && !kn_checkpoint_find(ck, name))
            rc = kn_fail(err, KN_EFORMAT, "%s: tensor %.200s is not in %.100s", path, name,
                         json_string_value(v));
    }
    json_decref(json);
    return rc;
}

/* ---- folders ---- */

/* What diffusers and transformers name the weights of a component, most specific first; %1$s stem, %2$s variant. */
static const char *const plain_names[] = {"%s.safetensors", "%s.safetensors.index.json", NULL};
static const char *const variant_names[] = {"%s.%s.safetensors", "%s.safetensors.index.%s.json",
                                            "%s.%s.safetensors.index.json", NULL};

static char *candidate(const char *dir, const char *format, const char *stem, const char *variant)
{
    char *name = NULL, *path = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    name = variant ? kn_asprintf(format, stem, variant) : kn_asprintf(format, stem);
#pragma GCC diagnostic pop
    if (name)
        path = kn_path_join(dir, name);
    free(name);
    return path;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

/* Says what lies in the folder instead, so that a wrong variant or an unusual name is seen at once. */
static int fail_no_weights(const char *dir, const char *variant, kn_err *err)
{
    char found[256] = "";
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d)) && strlen(found) < 120;) {
        size_t n = strlen(found);
        if (ends_with(f->d_name, ".safetensors") || ends_with(f->d_name, ".gguf") ||
            ends_with(f->d_name, ".bin"))
            snprintf(found + n, sizeof found - n, "%s%.100s", n ? ", " : "", f->d_name);
    }
    if (d)
        closedir(d);
    return kn_fail(
        err, KN_ENOTFOUND,
        "%s: no weights%s%s: expected diffusion_pytorch_model%s%s.safetensors, model%s%s.safetensors or "
        "their index; found %s",
        dir, variant ? " of variant " : "", variant ? variant : "", variant ? "." : "",
        variant ? variant : "", variant ? "." : "", variant ? variant : "", *found ? found : "none");
}

static int find_in_folder(const char *dir, const char *variant, char **ret, kn_err *err)
{
    static const char *const stems[] = {"diffusion_pytorch_model", "model", NULL};
    const char *const *formats = variant ? variant_names : plain_names;
    for (int s = 0; stems[s]; s++) {
        for (int f = 0; formats[f]; f++) {
            char *path = candidate(dir, formats[f], stems[s], variant);
            if (!path)
                return kn_fail(err, KN_ENOMEM, "no memory to open %s", dir);
            if (kn_path_exists(path)) {
                *ret = path;
                return 0;
            }
            free(path);
        }
    }
    return fail_no_weights(dir, variant, err);
}

/* ---- opening ---- */

static int finish_open(kn_checkpoint *ck, int rc, kn_checkpoint **ret, kn_err *err)
{
    if (!rc)
        rc = kn_ck_link_scales(ck, err);
    if (rc)
        kn_checkpoint_close(ck);
    else
        *ret = ck;
    return rc;
}

int kn_checkpoint_open(const char *path, const char *variant, kn_checkpoint **ret, kn_err *err)
{
    char *inner = NULL;
    if (variant && !*variant)
        variant = NULL;
    int rc = kn_path_is_dir(path) ? find_in_folder(path, variant, &inner, err) : 0;
    if (rc)
        return rc;
    const char *file = inner ? inner : path;
    kn_checkpoint *ck = NULL;
    rc = kn_ck_new(file, &ck, err);
    if (!rc) {
        rc = ends_with(file, ".json") ? read_index(ck, file, err) : kn_ck_read_file(ck, file, err);
        rc = finish_open(ck, rc, ret, err);
    }
    free(inner);
    return rc;
}

int kn_checkpoint_open_memory(const void *data, size_t size, const char *origin, kn_checkpoint **ret,
                              kn_err *err)
{
    kn_checkpoint *ck;
    int rc = kn_ck_new(origin, &ck, err);
    if (rc)
        return rc;
    return finish_open(ck, kn_ck_read(ck, data, size, ck->path, err), ret, err);
}
