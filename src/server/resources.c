#define _GNU_SOURCE
#include "server/resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/ram.h"
#include "base/ticker.h"
#include "engine/hardware.h"

enum { PERIOD_S = 2 };

struct kn_resources {
    kn_feed *feed;
    kn_cpu_times times;
    kn_ticker *ticker;
};

static void read_cpu(kn_cpu_times *t)
{
    unsigned long long v[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
                    &v[5], &v[6], &v[7]) == 8) {
        t->all = 0;
        for (int i = 0; i < 8; i++)
            t->all += v[i];
        t->busy = t->all - v[3] - v[4]; /* idle, waiting for disks */
    }
    if (f)
        fclose(f);
}

static json_t *known_or_null(double v)
{
    return v < 0 ? json_null() : json_real(v);
}

static json_t *gpus_to_json(void)
{
    kn_gpus gpus;
    json_t *list = json_array();
    kn_gpus_find(NULL, NULL, &gpus);
    for (int i = 0; i < gpus.n; i++) {
        const kn_gpu *g = &gpus.items[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:I, s:I, s:o, s:o}", "name", g->name,
                                        "utilization_percent", known_or_null(g->busy_percent),
                                        "memory_used_bytes", (json_int_t)(g->total_bytes - g->free_bytes),
                                        "memory_total_bytes", (json_int_t)g->total_bytes, "temperature_c",
                                        known_or_null(g->celsius), "power_w", known_or_null(g->watts)));
    }
    return list;
}

json_t *kn_resources_sample(kn_cpu_times *times)
{
    kn_cpu_times now = *times;
    read_cpu(&now);
    bool is_known = times->all > 0 && now.all > times->all;
    double percent =
        is_known ? 100.0 * (double)(now.busy - times->busy) / (double)(now.all - times->all) : -1;
    *times = now;
    size_t total = kn_ram_total(), available = kn_ram_available();
    return json_pack("{s:s, s:I, s:o, s:i, s:{s:I, s:I, s:I}, s:o}", "type", "resources", "time",
                     (json_int_t)kn_clock_unix(), "cpu_percent", known_or_null(percent), "n_cores",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "ram", "total_bytes", (json_int_t)total,
                     "used_bytes", (json_int_t)(total > available ? total - available : 0), "process_bytes",
                     (json_int_t)kn_ram_resident(), "gpus", gpus_to_json());
}

static void publish(void *ud)
{
    kn_resources *r = ud;
    if (!kn_feed_n_listeners(r->feed))
        return;
    json_t *sample = kn_resources_sample(&r->times);
    char *text = sample ? json_dumps(sample, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (text)
        kn_feed_publish(r->feed, 0, "resources", text);
    free(text);
    json_decref(sample);
}

int kn_resources_start(kn_feed *feed, kn_resources **ret, kn_err *err)
{
    kn_resources *r = kn_calloc(1, sizeof *r);
    if (!r)
        return kn_fail(err, KN_ENOMEM, "no memory for the resource monitor");
    r->feed = feed;
    int rc = kn_ticker_start(PERIOD_S, publish, r, "the resource monitor", &r->ticker, err);
    if (rc)
        free(r);
    else
        *ret = r;
    return rc;
}

void kn_resources_stop(kn_resources *r)
{
    if (!r)
        return;
    kn_ticker_stop(r->ticker);
    free(r);
}
