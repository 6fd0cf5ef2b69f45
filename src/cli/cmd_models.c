/* kinora models: families, and the models of the studio */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/queue.h"
#include "hub/url.h"
#include "models/catalog.h"
#include "models/demo.h"

static json_t *family_json(const kn_model_desc *d)
{
    json_t *o = kn_catalog_family(d);
    json_object_set_new(o, "parameters", kn_catalog_parameters(d));
    return o;
}

static void print_json(const json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    free(text);
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

/* ---- what lies in the studio's models folder ---- */

/* No data folder is no error where nobody named one. */
static int open_studio(const kn_client_opts *o, kn_client **ret, kn_err *err)
{
    int rc = kn_client_open(o, ret, err);
    return rc == KN_ENOTFOUND && !o->data_dir ? 0 : rc;
}

/* Those that did not come with Kinora; *ret may be NULL: there are none. */
static int fetch_installed(const kn_client_opts *o, json_t **ret, kn_err *err)
{
    kn_client *c = NULL;
    json_t *answer = NULL, *list = json_array(), *m;
    size_t i;
    int rc = open_studio(o, &c, err);
    if (!rc && c)
        rc = kn_client_call(c, "GET", "/api/v1/models", NULL, &answer, err);
    json_array_foreach(json_object_get(answer, "models"), i, m)
    {
        if (!json_is_true(json_object_get(m, "builtin")) &&
            strcmp(kn_queue_text(m, "name"), KN_DEMO_NAME) != 0)
            json_array_append(list, m);
    }
    json_decref(answer);
    kn_client_close(c);
    *ret = list;
    return rc;
}

static void print_installed(const json_t *m)
{
    enum { NAME_CHARS = 120, ERROR_CHARS = 200 };
    char name[512], error[1024], size[32];
    size_t n_missing = json_array_size(json_object_get(m, "missing"));
    double bytes = json_number_value(json_object_get(m, "size_bytes"));
    printf("%-52s %10s  %s", kn_cli_one_line(kn_queue_text(m, "name"), NAME_CHARS, name, sizeof name),
           bytes > 0 ? kn_format_bytes(bytes, size, sizeof size) : "",
           kn_cli_one_line(kn_queue_text(m, "error"), ERROR_CHARS, error, sizeof error));
    if (n_missing)
        printf("%s%zu file%s missing", *error ? "; " : "", n_missing, n_missing == 1 ? "" : "s");
    printf("\n");
}

static int remove_model(const kn_client_opts *o, const char *name, bool json, kn_err *err)
{
    kn_client *c = NULL;
    kn_buf b;
    json_t *answer = NULL;
    kn_buf_init(&b, 8192);
    kn_buf_puts(&b, "/api/v1/models/");
    kn_url_escape(&b, name, "/");
    char *path = kn_buf_take(&b);
    int rc = path ? kn_client_open(o, &c, err) : kn_fail(err, KN_EINVAL, "--remove: the name is too long");
    if (!rc)
        rc = kn_client_call(c, "DELETE", path, NULL, &answer, err);
    if (!rc && json)
        print_json(answer);
    else if (!rc)
        printf("%s removed\n", name);
    json_decref(answer);
    free(path);
    kn_client_close(c);
    return rc;
}

/* ---- the list ---- */

static void print_families(const json_t *all)
{
    size_t i;
    const json_t *o;
    json_array_foreach((json_t *)(uintptr_t)all, i, o)
    {
        char *tasks = json_dumps(json_object_get(o, "tasks"), JSON_COMPACT);
        printf("%-10s %-44s %s\n", json_string_value(json_object_get(o, "name")),
               json_string_value(json_object_get(o, "title")), tasks ? tasks : "");
        free(tasks);
    }
}

/* A broken demo model, or a studio that cannot be asked, is an error, and hides nothing else. */
static int list_models(const kn_client_opts *o, bool json, kn_err *err)
{
    size_t i;
    json_t *m, *all = families_json(), *installed = NULL;
    kn_err why = {0};
    int rc = add_demo(all, err), rc_studio = fetch_installed(o, &installed, &why);
    if (json) {
        json_array_extend(all, installed);
        print_json(all);
    } else {
        print_families(all);
        if (json_array_size(installed))
            printf("\nin the models folder\n");
        json_array_foreach(installed, i, m) print_installed(m);
        printf("\n`kinora models NAME|DIR|FILE` describes a model.\n");
    }
    json_decref(installed);
    json_decref(all);
    return rc || !rc_studio ? rc : kn_fail(err, why.code, "%s", why.msg);
}

/* ---- one model ---- */

/* A name of the studio's list; an error of the local search stays where the studio does not know it either. */
static int find_installed(const kn_client_opts *o, const char *name, json_t **ret)
{
    json_t *installed = NULL, *m;
    size_t i;
    int rc = fetch_installed(o, &installed, NULL);
    json_array_foreach(installed, i, m)
    {
        if (!*ret && strcmp(kn_queue_text(m, "name"), name) == 0)
            *ret = json_incref(m);
    }
    json_decref(installed);
    return !rc && *ret ? 0 : KN_ENOTFOUND;
}

static int describe(const kn_client_opts *opts, const char *name, bool json, kn_err *err)
{
    json_t *o = NULL;
    int rc = kn_catalog_model(name, &o, err);
    if (rc == KN_ENOTFOUND && find_installed(opts, name, &o) == 0)
        rc = 0;
    if (rc)
        return rc;
    if (!json)
        json_object_del(o, "parameters");
    print_json(o);
    json_decref(o);
    return 0;
}

int kn_cmd_models(const kn_args *a)
{
    bool json = false, help = false;
    const char *path = NULL, *gone = NULL;
    kn_client_opts o = {0};
    const kn_switch switches[] = {
        {"remove", "NAME", "remove a model from the models folder, with all its files", NULL, &gone},
        {"json", NULL, "as JSON", &json, NULL},
        KN_CLIENT_SWITCHES(o),
        {0},
    };
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &path, 1, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"models [NAME|DIR|FILE] [OPTIONS]", switches, false,
                                    "Without NAME: the model families, and the models in the studio's models "
                                    "folder. Where its server runs, that\nis asked.",
                                    NULL});
        return 0;
    }
    if (!rc && path && gone)
        rc = kn_fail(&err, KN_EINVAL, "--remove takes the name; \"%.64s\" is one too many", path);
    else if (!rc && gone)
        rc = remove_model(&o, gone, json, &err);
    else if (!rc)
        rc = path ? describe(&o, path, json, &err) : list_models(&o, json, &err);
    return rc ? kn_cli_fail(&err) : 0;
}
