/* kinora models [MODEL] */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

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

static void list_families(bool json)
{
    json_t *all = json_array();
    for (int i = 0; kn_models[i]; i++)
        json_array_append_new(all, family_json(kn_models[i]));
    if (json) {
        print_json(all);
        return;
    }
    for (int i = 0; kn_models[i]; i++) {
        char *tasks = json_dumps(json_object_get(json_array_get(all, (size_t)i), "tasks"), JSON_COMPACT);
        printf("%-10s %-44s %s\n", kn_models[i]->name, kn_models[i]->title, tasks ? tasks : "");
        free(tasks);
    }
    json_decref(all);
    printf("\n`kinora models DIR` describes a model folder or file.\n");
}

static int describe(const char *path, bool json, kn_err *err)
{
    const kn_model_desc *d = NULL;
    void *model = NULL;
    kn_request rq;
    kn_request_init(&rq);
    int rc = kn_request_set(&rq, "model", path, err);
    if (!rc)
        rc = kn_model_find(path, &d, err);
    if (!rc)
        rc = d->open(&rq, &model, err);
    if (!rc) {
        json_t *o = family_json(d);
        if (d->describe)
            d->describe(model, o);
        if (!json)
            json_object_del(o, "parameters");
        print_json(o);
        d->close(model);
    }
    kn_request_done(&rq);
    return rc;
}

int kn_cmd_models(int argc, char **argv)
{
    bool json = false, help = false;
    const char *path = NULL;
    const kn_switch switches[] = {{"json", NULL, "as JSON", &json, NULL}, {0}};
    kn_err err = {0};
    int rc = kn_args_parse(argc, argv, NULL, switches, &path, &help, &err);
    if (help)
        kn_args_help(stdout, "models [DIR|FILE]", switches, false);
    else if (!rc && path)
        rc = describe(path, json, &err);
    else if (!rc)
        list_families(json);
    return rc ? kn_cli_fail(&err) : 0;
}
