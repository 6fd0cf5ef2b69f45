#include "engine/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/model_defaults.h"

void kn_note(const kn_notes *n, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (!n->fn)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    n->fn(n->ud, text);
}

bool kn_model_takes(const kn_model_desc *d, const char *name)
{
    for (const kn_model_param *m = d->params; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return true;
    return false;
}

int kn_model_check_params(const kn_model_desc *d, const kn_request *rq, kn_err *err)
{
    for (const kn_param *p = kn_params; p->name; p++) {
        if (!kn_request_has(rq, p) || kn_model_takes(d, p->name))
            continue;
        kn_buf list;
        kn_buf_init(&list, 4096);
        for (const kn_model_param *m = d->params; m->name; m++)
            kn_buf_printf(&list, "%s%s", m == d->params ? "" : ", ", m->name);
        int rc = kn_fail(err, KN_EINVAL, "model %s does not take %s; it takes %s", d->name, p->name,
                         list.data ? list.data : "nothing");
        kn_buf_done(&list);
        return rc;
    }
    return 0;
}

/* A family opens what rq->model says; the request keeps the name that the user said. */
static int open_at(const kn_model_desc *d, const char *path, const kn_request *rq, void **ret, kn_err *err)
{
    kn_request at = *rq; /* borrows everything */
    if (path)
        at.model = (char *)(uintptr_t)path;
    return d->open(&at, ret, err);
}

int kn_model_open(const kn_model_desc *d, const char *path, kn_request *rq, kn_note_fn note, void *ud,
                  void **ret_model, kn_err *err)
{
    kn_model_defaults defaults = {0};
    void *model = NULL;
    int rc = kn_model_check_params(d, rq, err);
    if (!rc)
        rc = open_at(d, path, rq, &model, err);
    if (!rc)
        rc = kn_model_defaults_load(d, path ? path : rq->model, &defaults, err);
    if (!rc)
        rc = kn_model_defaults_apply(&defaults, rq, err);
    if (!rc)
        rc = d->prepare(model, rq, note, ud, err);
    kn_model_defaults_done(&defaults);
    if (rc)
        d->close(model);
    else
        *ret_model = model;
    return rc;
}

json_t *kn_tasks_to_json(unsigned tasks)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{KN_TASK_T2V, "t2v"}, {KN_TASK_I2V, "i2v"}, {KN_TASK_FLF2V, "flf2v"}, {KN_TASK_V2V, "v2v"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (tasks & names[i].bit)
            json_array_append_new(list, json_string(names[i].name));
    return list;
}
