/* kinora models [MODEL] */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "models/catalog.h"
#include "models/demo.h"

static json_t *family_json(const kn_model_desc *d)
{
    json_t *o = kn_catalog_family(d);
    json_object_set_new(o, "parameters", kn_catalog_parameters(d));
    return o;
}

static void print_json(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
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
    rc = kn_catalog_model(KN_DEMO_NAME, &o, err);
    if (rc)
        return kn_err_prefix(err, KN_DEMO_NAME);
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
    int rc = kn_catalog_model(name, &o, err);
    if (rc)
        return rc;
    if (!json)
        json_object_del(o, "parameters");
    print_json(o);
    return 0;
}

int kn_cmd_models(const kn_args *a)
{
    bool json = false, help = false;
    const char *path = NULL;
    const kn_switch switches[] = {{"json", NULL, "as JSON", &json, NULL}, {0}};
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &path, 1, &help, &err);
    if (help)
        kn_args_help(a, &(kn_usage){"models [NAME|DIR|FILE]", switches, false, NULL, NULL});
    else if (!rc && path)
        rc = describe(path, json, &err);
    else if (!rc)
        rc = list_models(json, &err);
    return rc ? kn_cli_fail(&err) : 0;
}
