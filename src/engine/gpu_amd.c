/* AMD's GPUs by the files of the amdgpu kernel driver: no library of the vendor's is needed. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hardware.h"

#define AMD_VENDOR_ID 0x1002

/* The first line of dir/name; false if there is none. */
static bool read_line(const char *dir, const char *name, char *buf, size_t size)
{
    char path[512];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return false;
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(buf, (int)size, f);
    if (f)
        fclose(f);
    if (ok)
        buf[strcspn(buf, "\n")] = '\0';
    return ok;
}

/* Base 0: "0x1002", "8573157376". */
static double read_number(const char *dir, const char *name, double fallback)
{
    char buf[64], *end;
    if (!read_line(dir, name, buf, sizeof buf))
        return fallback;
    unsigned long long v = strtoull(buf, &end, 0);
    return end == buf ? fallback : (double)v;
}

/* "hwmon/hwmon3/<name>": the number in between is the kernel's choice. */
static double read_sensor(const char *device, const char *name, double fallback)
{
    char dir[400], path[512];
    snprintf(dir, sizeof dir, "%s/hwmon", device);
    DIR *d = opendir(dir);
    double v = fallback;
    for (struct dirent *e; d && v == fallback && (e = readdir(d));)
        if (strncmp(e->d_name, "hwmon", 5) == 0 &&
            snprintf(path, sizeof path, "%s/%.60s", dir, e->d_name) < (int)sizeof path)
            v = read_number(path, name, fallback);
    if (d)
        closedir(d);
    return v;
}

static bool describe(const char *drm, const char *card, kn_gpu *ret)
{
    char device[384];
    if (snprintf(device, sizeof device, "%s/%s/device", drm, card) >= (int)sizeof device ||
        read_number(device, "vendor", 0) != AMD_VENDOR_ID)
        return false;
    kn_gpu g = {.vendor = "amd", .driver = "amdgpu"};
    snprintf(g.id, sizeof g.id, "%.31s", card);
    if (!read_line(device, "product_name", g.name, sizeof g.name) || !*g.name)
        snprintf(g.name, sizeof g.name, "AMD GPU %04x", (unsigned)read_number(device, "device", 0));
    double used = read_number(device, "mem_info_vram_used", 0);
    g.total_bytes = (uint64_t)read_number(device, "mem_info_vram_total", 0);
    g.free_bytes = g.total_bytes - ((uint64_t)used < g.total_bytes ? (uint64_t)used : g.total_bytes);
    g.busy_percent = (int)read_number(device, "gpu_busy_percent", -1);
    double millidegrees = read_sensor(device, "temp1_input", -1),
           microwatts = read_sensor(device, "power1_average", -1);
    g.celsius = millidegrees < 0 ? -1 : (int)(millidegrees / 1000);
    g.watts = microwatts < 0 ? -1 : microwatts / 1e6;
    *ret = g;
    return true;
}

/* "card0", not "card0-HDMI-A-1". */
static int is_card(const struct dirent *e)
{
    return strncmp(e->d_name, "card", 4) == 0 && e->d_name[4] &&
           strspn(e->d_name + 4, "0123456789") == strlen(e->d_name + 4);
}

void kn_gpus_find_amd(const char *drm, kn_gpus *ret)
{
    struct dirent **cards = NULL;
    const char *root = drm ? drm : "/sys/class/drm";
    int n = scandir(root, &cards, is_card, versionsort);
    for (int i = 0; i < n; i++) {
        if (ret->n < KN_MAX_GPUS && describe(root, cards[i]->d_name, &ret->items[ret->n]))
            ret->n++;
        free(cards[i]);
    }
    free(cards);
}
