/* kinora models [MODEL] */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "engine/model_defaults.h"
#include "models/demo.h"

static json_t *family_json(const kn_model_desc *d)
{
    json_t *params = json_object();
    for (const kn_model_param *p = d->params; p->name; p++)
        json_object_set_new(params, p->name, p->fallback ? json_string(p->fallback) : json_null());
    return json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", d->name, "title", d->title, "builtin",
                     d->is_builtin, "tasks", kn_tasks_to_json(d->tasks), "parameters", params);
}

static void print_json(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
}

/* What a model is: its family, with its own tasks, title and defaults. */
static int model_json(const char *name, json_t **ret, kn_err *err)
{
    const kn_model_desc *d = NULL;
    void *model = NULL;
    char *path = NULL;
    kn_model_defaults defaults = {0};
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_model_find(name, &d, &path, err);
    if (!rc)
        rc = kn_model_defaults_load(d, path ? path : name, &defaults, err);
    if (!rc)
        rc = kn_request_set(&rq, "model", path ? path : name, err);
    if (!rc)
        rc = d->open(&rq, &model, err);
    if (!rc) {
        json_t *o = family_json(d);
        if (d->describe)
            d->describe(model, o);
        if (defaults.title)
            json_object_set_new(o, "title", json_string(defaults.title));
        json_object_set_new(o, "defaults", kn_request_to_json(&defaults.request));
        if (path)
            json_object_set_new(o, "path", json_string(path)); /* left out if it is not UTF-8 */
        d->close(model);
        *ret = o;
    }
    kn_model_defaults_done(&defaults);
    kn_request_done(&rq);
    free(path);
    return rc;
}

static json_t *families_json(void)
{
    json_t *all = json_array();
    for (int i = 0; kn_models[i]; i++)
        json_array_append_new(all, family_json(kn_models[i]));
    return all;
}

/* The demo model where it is there: a name like a family's; "family" says whose it is. */
static int add_demo(json_t *all, kn_err *err)
{
    json_t *o = NULL;
    char *dir = NULL;
    int rc = kn_demo_find(&dir, err);
    free(dir);
    if (rc)
        return rc == KN_ENOTFOUND ? 0 : rc;
    rc = model_json(KN_DEMO_NAME, &o, err);
    if (rc)
        return kn_err_prefix(err, KN_DEMO_NAME);
    json_object_set(o, "family", json_object_get(o, "name"));
    json_object_set_new(o, "name", json_string(KN_DEMO_NAME));
    json_array_append_new(all, o);
    return 0;
}

/* A broken demo model is an error, and hides nothing else. */
static int list_models(bool json, kn_err *err)
{
    size_t i;
    json_t *o, *all = families_json();
    int rc = add_demo(all, err);
    if (json) {
        print_json(all);
        return rc;
    }
    json_array_foreach(all, i, o)
    {
        char *tasks = json_dumps(json_object_get(o, "tasks"), JSON_COMPACT);
        printf("%-10s %-44s %s\n", json_string_value(json_object_get(o, "name")),
               json_string_value(json_object_get(o, "title")), tasks ? tasks : "");
        free(tasks);
    }
    json_decref(all);
    printf("\n`kinora models DIR` describes a model folder or file.\n");
    return rc;
}

static int describe(const char *name, bool json, kn_err *err)
{
    json_t *o = NULL;
    int rc = model_json(name, &o, err);
    if (rc)
        return rc;
    if (!json)
        json_object_del(o, "parameters");
    print_json(o);
    return 0;
}

int kn_cmd_models(int argc, char **argv)
{
    bool json = false, help = false;
    const char *path = NULL;
    const kn_switch switches[] = {{"json", NULL, "as JSON", &json, NULL}, {0}};
    kn_err err = {0};
    int rc = kn_args_parse(argc, argv, NULL, switches, &path, &help, &err);
    if (help)
        kn_args_help(stdout, "models [NAME|DIR|FILE]", switches, false);
    else if (!rc && path)
        rc = describe(path, json, &err);
    else if (!rc)
        rc = list_models(json, &err);
    return rc ? kn_cli_fail(&err) : 0;
}
