#include "engine/estimate.h"

#include <stdio.h>
#include <string.h>

#include "engine/hardware.h"

static int rates_for(kn_known_rates *known, kn_device *dev, kn_dtype dtype, const char *path, kn_rates *ret,
                     kn_err *err)
{
    if (strcmp(known->device, dev->description) != 0) {
        *known = (kn_known_rates){0};
        snprintf(known->device, sizeof known->device, "%s", dev->description);
    }
    if (!known->is_known[dtype]) {
        int rc = kn_rates_measure(dev, dtype, &known->of[dtype], err);
        if (rc)
            return rc;
        known->is_known[dtype] = true;
    }
    *ret = known->of[dtype];
    if (path && kn_disk_usage(path) > dev->mem_available_bytes) /* more than the system can keep */
        ret->disk = kn_disk_read_rate(path);
    return 0;
}

int kn_estimate_make(const kn_model_desc *desc, const kn_request *given, const kn_estimate_opts *opts,
                     kn_estimate *ret, kn_err *err)
{
    kn_device *dev = NULL;
    void *model = NULL;
    kn_rates rates = {0};
    kn_estimate e = {0};
    kn_request_init(&e.request);
    int rc = kn_request_copy(given, &e.request, err);
    if (!rc)
        rc = kn_model_open(desc, opts->path, &e.request, opts->note, opts->ud, &model, err);
    bool is_open_seed = e.request.seed == KN_UNSET_INT;
    if (is_open_seed)
        e.request.seed = 0;
    kn_cpu_options cpu = {.n_threads = e.request.threads == KN_UNSET_INT ? 0 : (int)e.request.threads};
    if (!rc)
        rc = kn_device_open(e.request.device, &cpu, &dev, err);
    if (!rc)
        dev->mem_available_bytes += opts->idle_bytes;
    if (!rc)
        rc = rates_for(opts->rates, dev, kn_request_dtype(&e.request, dev), opts->path, &rates, err);
    if (!rc)
        rc = kn_plan_choose(desc, model, &e.request, dev, &rates, opts->cache_dir, &e.plan, err);
    if (is_open_seed)
        e.request.seed = KN_UNSET_INT;
    if (dev)
        snprintf(e.device, sizeof e.device, "%s", dev->description);
    desc->close(model);
    kn_device_close(dev);
    if (rc)
        kn_estimate_done(&e);
    else
        *ret = e;
    return rc;
}

void kn_estimate_done(kn_estimate *e)
{
    kn_request_done(&e->request);
}

json_t *kn_estimate_to_json(const kn_estimate *e)
{
    json_t *o = kn_plan_to_json(&e->plan);
    json_object_set_new(o, "device", json_string(e->device));
    json_object_set_new(o, "request", kn_request_to_json(&e->request));
    return o;
}
