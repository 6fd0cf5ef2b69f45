/* NVIDIA's GPUs by NVML, whose library comes with the driver: found at run time, never linked.
 * Names, signatures and constants: the NVML API reference. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "engine/hardware.h"

typedef void *nvml_device;

typedef struct nvml_memory {
    unsigned long long total, free, used;
} nvml_memory;

typedef struct nvml_utilization {
    unsigned gpu, memory;
} nvml_utilization;

enum { NVML_TEMPERATURE_GPU = 0 };

/* Those that may be missing in old drivers are looked up apart. */
typedef struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error)(int);
    int (*count)(unsigned *);
    int (*handle)(unsigned, nvml_device *);
    int (*name)(nvml_device, char *, unsigned);
    int (*memory)(nvml_device, nvml_memory *);
    int (*driver)(char *, unsigned);
    int (*utilization)(nvml_device, nvml_utilization *);
    int (*temperature)(nvml_device, int, unsigned *);
    int (*power)(nvml_device, unsigned *); /* milliwatts */
    int (*capability)(nvml_device, int *, int *);
} nvml;

static void *find(const nvml *n, const char *name)
{
    return dlsym(n->library, name);
}

static bool nvml_open(nvml *n, const char *library)
{
    *n = (nvml){.library = dlopen(library, RTLD_NOW | RTLD_LOCAL)};
    if (!n->library)
        return false;
    const struct {
        const char *name;
        void *slot;
        bool needed;
    } symbols[] = {
        {"nvmlInit_v2", &n->init, true},
        {"nvmlShutdown", &n->shutdown, true},
        {"nvmlErrorString", &n->error, true},
        {"nvmlDeviceGetCount_v2", &n->count, true},
        {"nvmlDeviceGetHandleByIndex_v2", &n->handle, true},
        {"nvmlDeviceGetName", &n->name, true},
        {"nvmlDeviceGetMemoryInfo", &n->memory, true},
        {"nvmlSystemGetDriverVersion", &n->driver, false},
        {"nvmlDeviceGetUtilizationRates", &n->utilization, false},
        {"nvmlDeviceGetTemperature", &n->temperature, false},
        {"nvmlDeviceGetPowerUsage", &n->power, false},
        {"nvmlDeviceGetCudaComputeCapability", &n->capability, false},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *p = find(n, symbols[i].name);
        if (!p && symbols[i].needed) {
            dlclose(n->library);
            return false;
        }
        memcpy(symbols[i].slot, &p, sizeof p); /* C has no cast from an object to a function */
    }
    return true;
}

static void describe(const nvml *n, unsigned index, kn_gpu *ret)
{
    nvml_device dev;
    nvml_memory memory;
    nvml_utilization use;
    unsigned v;
    kn_gpu g = {.vendor = "nvidia", .busy_percent = -1, .celsius = -1, .watts = -1};
    snprintf(g.id, sizeof g.id, "%u", index);
    snprintf(g.name, sizeof g.name, "GPU %u", index);
    if (n->driver)
        (void)n->driver(g.driver, sizeof g.driver);
    if (!n->handle(index, &dev)) {
        (void)n->name(dev, g.name, sizeof g.name);
        if (!n->memory(dev, &memory)) {
            g.total_bytes = memory.total;
            g.free_bytes = memory.free;
        }
        if (n->utilization && !n->utilization(dev, &use))
            g.busy_percent = (int)use.gpu;
        if (n->temperature && !n->temperature(dev, NVML_TEMPERATURE_GPU, &v))
            g.celsius = (int)v;
        if (n->power && !n->power(dev, &v))
            g.watts = v / 1000.0;
        if (n->capability)
            (void)n->capability(dev, &g.compute_major, &g.compute_minor);
    }
    *ret = g;
}

void kn_gpus_find_nvidia(const char *library, kn_gpus *ret)
{
    nvml n;
    unsigned count = 0;
    if (!nvml_open(&n, library ? library : "libnvidia-ml.so.1"))
        return;
    int rc = n.init();
    if (!rc) {
        rc = n.count(&count);
        for (unsigned i = 0; !rc && i < count && ret->n < KN_MAX_GPUS; i++)
            describe(&n, i, &ret->items[ret->n++]);
        (void)n.shutdown();
    }
    if (rc)
        snprintf(ret->note, sizeof ret->note, "NVIDIA's driver does not answer: %.100s", n.error(rc));
    dlclose(n.library);
}
