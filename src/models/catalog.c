#include "models/catalog.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/hardware.h"
#include "engine/model_defaults.h"
#include "hub/local.h"
#include "models/demo.h"

json_t *kn_catalog_family(const kn_model_desc *d)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", d->name, "family", d->name, "title", d->title,
                     "builtin", d->is_builtin, "tasks", kn_tasks_to_json(d->tasks));
}

static json_t *number_to_json(const kn_param *p, double v)
{
    bool is_whole = p->type == KN_PARAM_INT || p->type == KN_PARAM_BYTES;
    return is_whole ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *parameter_to_json(const kn_param *p, const char *fallback)
{
    bool is_number = p->type == KN_PARAM_INT || p->type == KN_PARAM_BYTES || p->type == KN_PARAM_REAL;
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s?, s:s, s:s?}", "name", p->name, "type",
                     kn_param_type_name(p->type), "min", is_number ? number_to_json(p, p->min) : json_null(),
                     "max", is_number ? number_to_json(p, p->max) : json_null(), "choices",
                     p->choices ? kn_choices_to_json(p->choices) : json_null(), "default", fallback, "help",
                     p->help, "metavar", p->metavar);
}

json_t *kn_catalog_parameters(const kn_model_desc *d)
{
    json_t *list = json_array();
    for (const kn_param *p = kn_params; p->name; p++)
        for (const kn_model_param *m = d->params; m->name; m++)
            if (strcmp(m->name, p->name) == 0)
                json_array_append_new(list, parameter_to_json(p, m->fallback));
    return list;
}

/* What a request that leaves everything open becomes; of a model that needs a picture, what its folder says. */
static json_t *defaults_to_json(const kn_model_desc *d, const char *name, const char *path,
                                const kn_model_defaults *folder)
{
    static const char *const users[] = {"model", "prompt", "seed"};
    kn_request rq;
    void *model = NULL;
    json_t *o = NULL;
    kn_request_init(&rq);
    if (!kn_request_set(&rq, "model", name, NULL) && !kn_request_set(&rq, "prompt", "-", NULL) &&
        !kn_model_open(d, path, &rq, NULL, NULL, &model, NULL)) {
        o = kn_request_to_json(&rq);
        for (size_t i = 0; i < sizeof users / sizeof *users; i++)
            json_object_del(o, users[i]);
        d->close(model);
    }
    kn_request_done(&rq);
    return o ? o : kn_request_to_json(&folder->request);
}

/* The model itself: open, so that what it says of itself is read from its files. */
static int describe(const kn_model_desc *d, const char *path, const char *name, json_t *o, kn_err *err)
{
    void *model = NULL;
    kn_model_defaults defaults = {0};
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_model_defaults_load(d, path ? path : name, &defaults, err);
    if (!rc)
        rc = kn_request_set(&rq, "model", path ? path : name, err);
    if (!rc)
        rc = d->open(&rq, &model, err);
    if (!rc) {
        if (d->describe)
            d->describe(model, o);
        d->close(model);
        if (defaults.title)
            json_object_set_new(o, "title", json_string(defaults.title));
        json_object_set_new(o, "defaults", defaults_to_json(d, name, path, &defaults));
    }
    kn_model_defaults_done(&defaults);
    kn_request_done(&rq);
    return rc;
}

int kn_catalog_model(const char *name, json_t **ret, kn_err *err)
{
    const kn_model_desc *d = NULL;
    char *path = NULL;
    int rc = kn_model_find(name, &d, &path, err);
    if (rc)
        return rc;
    json_t *o = kn_catalog_family(d);
    rc = describe(d, path, name, o, err);
    if (!rc) {
        json_object_set_new(o, "parameters", kn_catalog_parameters(d));
        if (path) {
            json_object_set_new(o, "path", json_string(path)); /* left out if it is not UTF-8 */
            json_object_set_new(o, "size_bytes", json_integer((json_int_t)kn_disk_usage(path)));
        }
        *ret = o;
    } else {
        json_decref(o);
    }
    free(path);
    return rc;
}

/* ---- the list ---- */

/* `find` is what the model is found by, `name` what a request calls it. */
static void add(json_t *list, const char *find, const char *name)
{
    json_t *o = NULL;
    kn_err err = {0};
    if (kn_catalog_model(find, &o, &err))
        o = json_pack("{s:s, s:s, s:s, s:[], s:b}", "title", name, "support", "not_supported", "error",
                      err.msg, "tasks", "builtin", 0);
    else
        json_object_set_new(o, "support", json_string("ready"));
    if (kn_path_exists(find))
        kn_hub_local_describe(find, o);
    json_object_set_new(o, "name", json_string(name));
    json_array_append_new(list, o);
}

static bool is_weights(const char *name)
{
    char ext[16];
    kn_path_ext(name, ext, sizeof ext);
    return strcmp(ext, "safetensors") == 0 || strcmp(ext, "gguf") == 0;
}

/* Something that is meant to be a model: a pipeline's folder or a file of weights that a family knows. */
static bool is_model(const char *path)
{
    char *index = kn_path_join(path, "model_index.json");
    bool is = index && kn_path_exists(index);
    free(index);
    for (int i = 0; !is && kn_models[i]; i++)
        is = kn_models[i]->probe(path) > 0;
    return is;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_folder(json_t *list, const char *folder, const char *prefix, int depth);

/* Single files that were fetched lie as deep as in their repository. */
static void add_singles(json_t *list, const char *folder, const char *name)
{
    size_t i;
    json_t *v, *singles = kn_hub_local_singles(folder);
    json_array_foreach(singles, i, v)
    {
        char *path = kn_path_join(folder, json_string_value(v));
        char *full = kn_asprintf("%s/%s", name, json_string_value(v));
        if (path && full && is_model(path))
            add(list, path, full);
        free(path);
        free(full);
    }
    json_decref(singles);
}

static void add_entry(json_t *list, const char *folder, const char *prefix, const char *entry, int depth)
{
    char *path = kn_path_join(folder, entry), *name = kn_asprintf("%s%s", prefix, entry);
    bool is_dir = path && kn_path_is_dir(path);
    if (path && name && (is_dir || is_weights(entry)) && is_model(path)) {
        add(list, path, name);
    } else if (is_dir && name && depth > 0) {
        char *below = kn_asprintf("%s/", name);
        if (below)
            add_folder(list, path, below, depth - 1);
        free(below);
    }
    if (is_dir && name)
        add_singles(list, path, name);
    free(path);
    free(name);
}

static void add_folder(json_t *list, const char *folder, const char *prefix, int depth)
{
    enum { MAX_ENTRIES = 1024 }; /* of a folder; nobody looks through more models */
    char *names[MAX_ENTRIES];
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && n < MAX_ENTRIES && (e = readdir(dir));)
        if (*e->d_name != '.' && (names[n] = kn_strdup(e->d_name)))
            n++;
    if (dir)
        closedir(dir);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        add_entry(list, folder, prefix, names[i], depth);
        free(names[i]);
    }
}

int kn_catalog_list(const char *folder, json_t **ret, kn_err *err)
{
    char *demo = NULL;
    json_t *list = json_array();
    if (!list)
        return kn_fail(err, KN_ENOMEM, "no memory for a list of models");
    if (kn_demo_find(&demo, NULL) == 0)
        add(list, KN_DEMO_NAME, KN_DEMO_NAME);
    free(demo);
    if (folder)
        add_folder(list, folder, "", 1);
    for (int i = 0; kn_models[i]; i++)
        if (kn_models[i]->is_builtin)
            add(list, kn_models[i]->name, kn_models[i]->name);
    *ret = list;
    return 0;
}
