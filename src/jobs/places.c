#define _GNU_SOURCE
#include "jobs/places.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/request.h"
#include "media/format.h"
#include "models/models.h"

static int make_in(const char *data, const char *name, char **ret, kn_err *err)
{
    *ret = kn_path_join(data, name);
    return *ret ? kn_dir_make(*ret, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
}

int kn_places_open(kn_places *p, const char *data, kn_err *err)
{
    *p = (kn_places){.cache = kn_dir_cache()};
    int rc = kn_dir_make(data, err);
    if (!rc && !(p->data = realpath(data, NULL)))
        rc = kn_fail(err, KN_EIO, "%s: %s", data, strerror(errno));
    if (!rc)
        rc = make_in(p->data, "outputs", &p->outputs, err);
    if (!rc)
        rc = make_in(p->data, "thumbnails", &p->thumbnails, err);
    if (!rc)
        rc = make_in(p->data, "previews", &p->previews, err);
    if (!rc)
        rc = make_in(p->data, "uploads", &p->uploads, err);
    if (!rc)
        rc = make_in(p->data, "state", &p->state, err);
    if (!rc)
        rc = make_in(p->data, "models", &p->models, err);
    if (rc)
        kn_places_close(p);
    return rc;
}

int kn_places_mend(const kn_places *p, kn_err *err)
{
    const char *const own[] = {p->outputs, p->thumbnails, p->previews, p->uploads, p->state};
    int rc = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own && !rc; i++)
        rc = kn_path_exists(own[i]) ? 0 : kn_dir_make(own[i], err);
    return rc;
}

int kn_places_use_models(kn_places *p, const char *models, kn_err *err)
{
    char *real = realpath(models, NULL);
    if (!real)
        return kn_fail(err, KN_ENOTFOUND, "the models folder %s: %s", models, strerror(errno));
    free(p->models);
    p->models = real;
    return 0;
}

void kn_places_close(kn_places *p)
{
    char *all[] = {p->data,    p->outputs, p->thumbnails, p->previews,
                   p->uploads, p->state,   p->models,     p->cache};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    *p = (kn_places){0};
}

char *kn_place_of(const char *folder, const char *id, const char *suffix)
{
    return kn_asprintf("%s/%s%s", folder, id, suffix);
}

bool kn_place_name_is_plain(const char *name)
{
    size_t n = strlen(name);
    return n && n < NAME_MAX && !strchr("_-.", *name) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

/* ---- files that a request names ---- */

static bool is_below(const char *path, const char *root)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && path[n] == '/';
}

/* The file `name` of a folder, which it must not leave, by links neither. */
static int find_below(const char *root, const char *name, const char *param, char **ret, kn_err *err)
{
    char *path = kn_path_join(root, name);
    if (!path)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for a path", param);
    char *real = realpath(path, NULL);
    char *real_root = realpath(root, NULL);
    int rc = 0;
    free(path);
    if (!real || !real_root)
        rc = kn_fail(err, KN_ENOTFOUND, "%s: there is no \"%.200s\"", param, name);
    else if (!is_below(real, real_root))
        rc = kn_fail(err, KN_EINVAL, "%s: \"%.200s\" leads out of the folder it should be in", param, name);
    if (!rc) {
        *ret = real;
        real = NULL;
    }
    free(real);
    free(real_root);
    return rc;
}

/* Where no encoder of the kind that is asked for works, another one takes its place (media/sink.h). */
static const char *const OUTPUTS[] = {
#define X(name, type) "." name,
    KN_VIDEO_FORMAT_LIST(X)
#undef X
        KN_FRAMES_SUFFIX};
enum { N_OUTPUTS = sizeof OUTPUTS / sizeof *OUTPUTS };

char *kn_places_wanted(const kn_places *p, const char *job_id, const json_t *request)
{
    const char *format = json_string_value(json_object_get(request, "format"));
    return kn_asprintf("%s/%s.%s", p->outputs, job_id, format ? format : KN_VIDEO_FORMAT_DEFAULT);
}

char *kn_places_output(const kn_places *p, const char *job_id)
{
    for (int i = 0; i < N_OUTPUTS; i++) {
        char *path = kn_place_of(p->outputs, job_id, OUTPUTS[i]);
        if (!path || kn_path_exists(path))
            return path;
        free(path);
    }
    return kn_place_of(p->outputs, job_id, OUTPUTS[0]);
}

static int find_media(const kn_places *p, const char *id, const char *param, char **ret, kn_err *err)
{
    if (!kn_place_name_is_plain(id) || (strncmp(id, "upl_", 4) && strncmp(id, "job_", 4)))
        return kn_fail(err, KN_EINVAL,
                       "%s: \"%.200s\", expected the id of an upload (\"upl_...\") or of a job (\"job_...\")",
                       param, id);
    if (strncmp(id, "upl_", 4) == 0)
        return find_below(p->uploads, id, param, ret, err);
    char *video = kn_places_output(p, id);
    int rc = video ? find_below(p->outputs, kn_path_base(video), param, ret, err)
                   : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(video);
    return rc;
}

/* How a file parameter is found. */
typedef enum file_kind { FILE_NOT, FILE_MEDIA, FILE_MODEL, FILE_REFUSED } file_kind;

static file_kind kind_of(const char *name)
{
    static const struct {
        const char *name;
        file_kind kind;
    } kinds[] = {
        {"image", FILE_MEDIA},          {"last_image", FILE_MEDIA},    {"video", FILE_MEDIA},
        {"mask", FILE_MEDIA},           {"reference", FILE_MEDIA},     {"vae", FILE_MODEL},
        {"text_encoder", FILE_MODEL},   {"transformer_2", FILE_MODEL}, {"config", FILE_MODEL},
        {"model", FILE_MODEL},          {"lora", FILE_MODEL},          {"output", FILE_REFUSED},
        {"save_tensors", FILE_REFUSED}, {"latents", FILE_REFUSED},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    /* a file that nobody thought of here must not be read */
    const kn_param *p = kn_param_find(name);
    bool is_file = p && (p->type == KN_PARAM_FILE || p->type == KN_PARAM_FILES || p->type == KN_PARAM_LORAS);
    return is_file ? FILE_REFUSED : FILE_NOT;
}

bool kn_place_is_media(const char *param)
{
    return kind_of(param) == FILE_MEDIA;
}

static int find_text(const kn_places *p, file_kind kind, const char *param, const json_t *value, json_t **ret,
                     kn_err *err)
{
    char *path = NULL;
    if (!json_is_string(value))
        return kn_fail(err, KN_EINVAL, "%s: expected text", param);
    int rc = kind == FILE_MEDIA ? find_media(p, json_string_value(value), param, &path, err)
                                : find_below(p->models, json_string_value(value), param, &path, err);
    if (!rc && !(*ret = json_string(path)))
        rc = kn_fail(err, KN_EINVAL, "%s: the file's name is not UTF-8", param);
    free(path);
    return rc;
}

static int find_list(const kn_places *p, const char *param, const json_t *value, json_t **ret, kn_err *err)
{
    size_t i;
    json_t *item, *all = json_array();
    int rc = json_is_array(value) ? 0 : kn_fail(err, KN_EINVAL, "%s: expected a list", param);
    json_array_foreach(value, i, item)
    {
        json_t *found = NULL;
        if (!rc)
            rc = find_text(p, FILE_MEDIA, param, item, &found, err);
        if (!rc)
            json_array_append_new(all, found);
    }
    if (rc)
        json_decref(all);
    else
        *ret = all;
    return rc;
}

/* [{"path": ..., ...}] */
static int find_loras(const kn_places *p, const json_t *value, json_t **ret, kn_err *err)
{
    size_t i;
    json_t *item, *all = json_deep_copy(value);
    int rc = json_is_array(value) ? 0 : kn_fail(err, KN_EINVAL, "lora: expected a list of objects");
    json_array_foreach(all, i, item)
    {
        json_t *found = NULL;
        if (!rc)
            rc = find_text(p, FILE_MODEL, "lora", json_is_object(item) ? json_object_get(item, "path") : NULL,
                           &found, err);
        if (!rc)
            json_object_set_new(item, "path", found);
    }
    if (rc)
        json_decref(all);
    else
        *ret = all;
    return rc;
}

static bool is_name_of_model(const char *name)
{
    char *path = NULL;
    const kn_model_desc *d = NULL;
    bool is = kn_place_name_is_plain(name) && kn_model_find(name, &d, &path, NULL) == 0 &&
              (d->is_builtin || (path && strcmp(path, name)));
    free(path);
    return is;
}

static int find_value(const kn_places *p, const char *name, const json_t *value, json_t **ret, kn_err *err)
{
    file_kind kind = kind_of(name);
    if (kind == FILE_REFUSED)
        return kn_fail(err, KN_EINVAL, "%s: cannot be set through the API", name);
    if (strcmp(name, "model") == 0 && json_is_string(value) && is_name_of_model(json_string_value(value)))
        kind = FILE_NOT;
    if (strcmp(name, "lora") == 0)
        return find_loras(p, value, ret, err);
    if (kind == FILE_NOT) {
        *ret = json_incref((json_t *)value);
        return 0;
    }
    return strcmp(name, "reference") == 0 ? find_list(p, name, value, ret, err)
                                          : find_text(p, kind, name, value, ret, err);
}

int kn_places_resolve(const kn_places *p, const json_t *request, json_t **ret, kn_err *err)
{
    const char *name;
    json_t *value, *all = json_object();
    int rc = all ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a request");
    json_object_foreach((json_t *)request, name, value)
    {
        json_t *found = NULL;
        if (!rc)
            rc = find_value(p, name, value, &found, err);
        if (!rc && json_object_set_new(all, name, found))
            rc = kn_fail(err, KN_ENOMEM, "no memory for a request");
    }
    if (rc)
        json_decref(all);
    else
        *ret = all;
    return rc;
}

/* ---- removing ---- */

static void remove_tree(const char *folder, const char *id, const char *suffix)
{
    char *path = kn_place_of(folder, id, suffix);
    if (path)
        (void)kn_dir_remove(path, NULL);
    free(path);
}

void kn_places_drop_outputs(const kn_places *p, const char *job_id)
{
    for (int i = 0; i < N_OUTPUTS; i++)
        remove_tree(p->outputs, job_id, OUTPUTS[i]);
}

static void remove_parts(const kn_places *p, const char *job_id)
{
    for (int i = 0; i < N_OUTPUTS; i++) {
        char part[16];
        snprintf(part, sizeof part, "%s.part", OUTPUTS[i]);
        remove_tree(p->outputs, job_id, part);
    }
    remove_tree(p->previews, job_id, ".png");
}

void kn_places_sweep(const kn_places *p, const char *job_id)
{
    remove_parts(p, job_id);
    remove_tree(p->state, job_id, "");
}

void kn_places_drop_files(const kn_places *p, const char *job_id)
{
    remove_parts(p, job_id);
    remove_tree(p->thumbnails, job_id, ".png");
}

void kn_places_drop(const kn_places *p, const char *job_id)
{
    kn_places_sweep(p, job_id);
    remove_tree(p->thumbnails, job_id, ".png");
}
