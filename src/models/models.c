#include "models/models.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "models/demo.h"
#include "tensor/checkpoint.h"

extern const kn_model_desc kn_model_testsrc, kn_model_wan;

const kn_model_desc *const kn_models[] = {&kn_model_testsrc, &kn_model_wan, NULL};

/* Why no family knows a model: it cannot be read, or it can and is something else. */
static int unknown(const char *model, kn_err *err)
{
    json_t *index = NULL;
    kn_checkpoint *ck = NULL;
    int rc = 0;
    if (kn_path_is_dir(model)) {
        char *path = kn_path_join(model, "model_index.json");
        if (path && kn_path_exists(path))
            rc = kn_json_load(path, &index, err);
        free(path);
    } else {
        rc = kn_checkpoint_open(model, NULL, &ck, err);
    }
    const char *class = json_string_value(json_object_get(index, "_class_name"));
    if (!rc && class)
        rc = kn_fail(err, KN_EUNSUPPORTED, "%.200s is a %.64s, which Kinora does not run; it runs: wan",
                     model, class);
    else if (!rc)
        rc =
            kn_fail(err, KN_EUNSUPPORTED,
                    "%.200s is not a model Kinora knows; expected a diffusers folder (with model_index.json) "
                    "or weights of: wan",
                    model);
    json_decref(index);
    kn_checkpoint_close(ck);
    return rc;
}

/* The surest family for a file or folder. */
static int probe_all(const char *path, const kn_model_desc **ret, kn_err *err)
{
    const kn_model_desc *best = NULL;
    int best_score = 0;
    for (int i = 0; kn_models[i]; i++) {
        int score = kn_models[i]->probe(path);
        if (score > best_score) {
            best_score = score;
            best = kn_models[i];
        }
    }
    if (!best)
        return unknown(path, err);
    *ret = best;
    return 0;
}

static const kn_model_desc *builtin(const char *name)
{
    for (int i = 0; kn_models[i]; i++)
        if (kn_models[i]->is_builtin && strcmp(kn_models[i]->name, name) == 0)
            return kn_models[i];
    return NULL;
}

static int locate(const char *model, char **ret_path, kn_err *err)
{
    if (strcmp(model, KN_DEMO_NAME) == 0)
        return kn_demo_find(ret_path, err);
    if (!kn_path_exists(model))
        return kn_fail(
            err, KN_ENOTFOUND,
            "model \"%.200s\" is neither a file or folder nor a name that Kinora knows (demo, testsrc)",
            model);
    *ret_path = kn_strdup(model);
    return *ret_path ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
}

int kn_model_find(const char *model, const kn_model_desc **ret, char **ret_path, kn_err *err)
{
    char *path = NULL;
    if (!model)
        return kn_fail(err, KN_EINVAL, "no model given; say --model NAME|DIR|FILE");
    const kn_model_desc *d = builtin(model);
    int rc = d ? 0 : locate(model, &path, err);
    if (!rc && !d)
        rc = probe_all(path, &d, err);
    if (!rc)
        *ret = d;
    if (!rc && ret_path)
        *ret_path = path;
    else
        free(path);
    return rc;
}
