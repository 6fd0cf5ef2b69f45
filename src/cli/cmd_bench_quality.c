/* kinora bench --quality: what a computation type costs, layer by layer. */
#include <stdlib.h>

#include "cli/cli.h"
#include "engine/quality.h"

static void print_quality(const kn_quality *q)
{
    printf("%-10s %-6s %10s  %-14s %s\n", "error", "type", "in int8", "size", "layer");
    for (int i = 0; i < q->n; i++) {
        const kn_layer_quality *l = &q->layers[i];
        char size[32], int8[16] = "";
        snprintf(size, sizeof size, "%lld -> %lld", (long long)l->n_in, (long long)l->n_out);
        if (l->int8_error >= 0)
            snprintf(int8, sizeof int8, "%.3e", l->int8_error);
        printf("%-10.3e %-6s %10s  %-14s %s\n", l->error, kn_dtype_name(l->dtype), int8, size, l->name);
    }
    printf("\n%.3e of the first step's prediction, %.3e of the final latents, in %s against f32\n",
           q->step_error, q->latents_error, kn_dtype_name(q->dtype));
}

/* The steps of a whole video would cost minutes and change the errors little. */
static int fill(kn_request *rq, kn_err *err)
{
    static const char *const defaults[][2] = {
        {"model", "demo"}, {"prompt", "a red ball"}, {"steps", "4"}, {"seed", "1"}, {"dtype", "int8"}};
    int rc = 0;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && !rc; i++)
        if (!kn_request_has(rq, kn_param_find(defaults[i][0])))
            rc = kn_request_set(rq, defaults[i][0], defaults[i][1], err);
    return rc;
}

static void print(const kn_quality *q, const char *model, const kn_device *dev, const kn_request *rq,
                  bool json)
{
    if (!json) {
        print_quality(q);
        return;
    }
    json_t *o = kn_quality_to_json(q);
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "device", json_string(dev->description));
    json_object_set_new(o, "request", kn_request_to_json(rq));
    char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
}

int kn_bench_quality(kn_request *rq, bool json, kn_err *err)
{
    const kn_model_desc *desc = NULL;
    char *path = NULL;
    void *model = NULL;
    kn_device *dev = NULL;
    kn_quality q = {0};
    int rc = fill(rq, err);
    if (!rc)
        rc = kn_model_find(rq->model, &desc, &path, err);
    if (!rc)
        rc = kn_model_open(desc, path, rq, NULL, NULL, &model, err);
    kn_cpu_options cpu = {.n_threads = rq->threads == KN_UNSET_INT ? 0 : (int)rq->threads};
    if (!rc)
        rc = kn_device_open(rq->device, &cpu, &dev, err);
    if (!rc)
        rc = kn_quality_measure(desc, model, rq, dev, &q, err);
    if (!rc)
        print(&q, rq->model, dev, rq, json);
    kn_quality_done(&q);
    if (desc)
        desc->close(model);
    kn_device_close(dev);
    free(path);
    return rc;
}
