#define _GNU_SOURCE
#include "engine/hardware.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/ram.h"

void kn_gpus_find(const char *library, const char *drm, kn_gpus *ret)
{
    *ret = (kn_gpus){0};
    kn_gpus_find_nvidia(library, ret);
    kn_gpus_find_amd(drm, ret);
}

static void set_number(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, v < 0 ? json_null() : json_real(v));
}

static json_t *gpu_to_json(const kn_gpu *g)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "vendor", g->vendor, "id", g->id, "name", g->name,
                          "driver", g->driver, "total_bytes", (json_int_t)g->total_bytes, "free_bytes",
                          (json_int_t)g->free_bytes);
    set_number(o, "busy_percent", g->busy_percent);
    set_number(o, "celsius", g->celsius);
    set_number(o, "watts", g->watts);
    if (g->compute_major > 0)
        json_object_set_new(o, "compute_capability",
                            json_sprintf("%d.%d", g->compute_major, g->compute_minor));
    return o;
}

static void add_disk(json_t *list, const char *use, char *path)
{
    kn_disk d;
    if (!path)
        return;
    kn_disk_look(path, &d);
    json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "use", use, "kind", d.kind, "total_bytes",
                          (json_int_t)d.total_bytes, "free_bytes", (json_int_t)d.free_bytes);
    json_object_set_new(o, "path", json_string(path)); /* left out if it is not UTF-8 */
    json_array_append_new(list, o);
    free(path);
}

json_t *kn_gpus_why_idle(const kn_gpus *gpus, const kn_device *dev)
{
    kn_device *card = NULL;
    kn_err err = {0};
    if (gpus->n == 0 || dev->has_own_memory)
        return NULL;
    bool opens = kn_device_open("cuda", NULL, &card, &err) == 0;
    kn_device_close(card);
    return json_sprintf("the processor computes, the GPU does not: %s (docs/cuda.md)",
                        opens ? "it was not asked for" : err.msg);
}

json_t *kn_hardware_to_json(const char *processor, const kn_gpus *gpus)
{
    json_t *list = json_array(), *disks = json_array();
    for (int i = 0; i < gpus->n; i++)
        json_array_append_new(list, gpu_to_json(&gpus->items[i]));
    add_disk(disks, "state", kn_dir_state());
    add_disk(disks, "cache", kn_dir_cache());
    cpu_set_t allowed;
    int n_allowed = sched_getaffinity(0, sizeof allowed, &allowed) ? 0 : CPU_COUNT(&allowed);
    return json_pack("{s:{s:s, s:i, s:i}, s:{s:I, s:I}, s:o, s:s, s:o}", "processor", "description",
                     processor, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "cores_allowed", n_allowed,
                     "memory", "total_bytes", (json_int_t)kn_ram_total(), "available_bytes",
                     (json_int_t)kn_ram_available(), "gpus", list, "gpus_note", gpus->note, "disks", disks);
}
