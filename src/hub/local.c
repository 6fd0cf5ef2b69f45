#include "hub/local.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "hub/manifest.h"
#include "hub/weights_name.h"

enum { MOST_MISSING = 20 };

static bool is_there(const char *folder, const char *name, json_int_t size)
{
    struct stat st;
    char *path = kn_path_join(folder, name);
    bool is = path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (size < 0 || st.st_size == size);
    free(path);
    return is;
}

static void miss(json_t *missing, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(missing, i, v)
    {
        if (strcmp(json_string_value(v), name) == 0)
            return;
    }
    if (json_array_size(missing) < MOST_MISSING)
        json_array_append_new(missing, kn_json_text(name));
}

static void check_manifest(const char *folder, const json_t *manifest, json_t *missing)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        const char *as = json_string_value(json_object_get(f, "as"));
        bool is_single = json_is_true(json_object_get(f, "single")); /* nothing else needs it */
        if (!is_single && !is_there(folder, as, json_integer_value(json_object_get(f, "size"))))
            miss(missing, as);
    }
}

/* The pieces that an index names. */
static void check_index(const char *folder, const char *part, const char *name, json_t *missing)
{
    const char *tensor;
    json_t *index = NULL, *v;
    char *as = kn_asprintf("%s/%s", part, name), *path = as ? kn_path_join(folder, as) : NULL;
    const char *last = "";
    if (!path || kn_json_load(path, &index, NULL))
        miss(missing, as ? as : name);
    json_object_foreach(json_object_get(index, "weight_map"), tensor, v)
    {
        const char *piece = json_string_value(v) ? json_string_value(v) : "";
        char *it = strcmp(piece, last) ? kn_asprintf("%s/%s", part, piece) : NULL;
        if (it && (strchr(piece, '/') || !is_there(folder, it, -1)))
            miss(missing, it);
        free(it);
        last = piece;
    }
    json_decref(index);
    free(as);
    free(path);
}

/* A part that model_index.json names: a folder with something in it, and every piece of its weights. */
static void check_part(const char *folder, const char *part, json_t *missing)
{
    int n = 0;
    char *path = kn_path_join(folder, part);
    DIR *dir = path ? opendir(path) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        kn_weights_name w;
        n += *e->d_name != '.';
        if (kn_weights_name_read(e->d_name, &w) && w.is_index)
            check_index(folder, part, e->d_name, missing);
    }
    if (dir)
        closedir(dir);
    if (!n)
        miss(missing, part);
    free(path);
}

static void check_pipeline(const char *folder, json_t *missing)
{
    const char *part;
    json_t *index = NULL, *v;
    char *path = kn_path_join(folder, "model_index.json");
    if (path && kn_path_exists(path) && kn_json_load(path, &index, NULL))
        miss(missing, "model_index.json");
    json_object_foreach(index, part, v)
    {
        if (*part != '_' && json_is_string(json_array_get(v, 1)) && kn_hub_path_is_safe(part))
            check_part(folder, part, missing);
    }
    json_decref(index);
    free(path);
}

void kn_hub_local_describe(const char *folder, json_t *o)
{
    json_t *manifest = NULL, *missing = json_array();
    if (kn_path_is_dir(folder)) {
        if (kn_manifest_load(folder, &manifest, NULL) == 0)
            check_manifest(folder, manifest, missing);
        check_pipeline(folder, missing);
    }
    json_object_set_new(o, "complete", json_boolean(json_array_size(missing) == 0));
    json_object_set_new(o, "missing", missing);
    json_object_set_new(o, "source",
                        manifest ? json_pack("{s:O?, s:O?}", "repo", json_object_get(manifest, "repo"),
                                             "revision", json_object_get(manifest, "revision"))
                                 : json_null());
    json_decref(manifest);
}

json_t *kn_hub_local_singles(const char *folder)
{
    size_t i;
    json_t *f, *manifest = NULL, *list = NULL;
    if (kn_manifest_load(folder, &manifest, NULL) == 0)
        list = json_array();
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        const char *as = json_string_value(json_object_get(f, "as"));
        if (json_is_true(json_object_get(f, "single")) &&
            is_there(folder, as, json_integer_value(json_object_get(f, "size"))))
            json_array_append(list, json_object_get(f, "as"));
    }
    json_decref(manifest);
    return list;
}
