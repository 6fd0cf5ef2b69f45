#include "base/ram.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- numbers in files of the kernel ---- */

/* The number in a file, `fallback` if there is none ("max", no such file). */
static size_t read_number(const char *path, size_t fallback)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return fallback;
    unsigned long long v;
    size_t n = fscanf(f, "%llu", &v) == 1 ? (size_t)v : fallback;
    fclose(f);
    return n;
}

/* The number behind a key at the start of a line ("VmRSS:   123 kB"), times unit; 0 if there is none. */
static size_t read_key(const char *path, const char *key, size_t unit)
{
    char line[256];
    unsigned long long v = 0;
    size_t n = strlen(key);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0 && (line[n] == ':' || line[n] == ' ')) {
            v = strtoull(line + n + 1, NULL, 10);
            break;
        }
    if (f)
        fclose(f);
    return (size_t)v * unit;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* ---- limits ---- */

/* Memory within one limit: all of it, and what is left. */
typedef struct room {
    size_t total, left;
} room;

static room narrow(room r, size_t limit, size_t used)
{
    return (room){least(r.total, limit), least(r.left, minus(limit, used))};
}

/* The names that the two versions of control groups have for the same things. */
typedef struct group_files {
    const char *root, *limit, *usage, *cache; /* cache: a key of memory.stat, of what can be dropped */
} group_files;

static const group_files version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                      "memory.usage_in_bytes", "total_cache"};
static const group_files version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "file"};

static size_t read_group(const group_files *g, const char *path, const char *file, const char *key)
{
    char name[1024];
    int n = snprintf(name, sizeof name, "%s%s/%s", g->root, path, file);
    if (n < 0 || n >= (int)sizeof name)
        return key ? 0 : SIZE_MAX;
    return key ? read_key(name, key, 1) : read_number(name, SIZE_MAX);
}

/* The limits of the group at `path`, which is used up, and of those above it. */
static room narrow_by_group(room r, const group_files *g, char *path)
{
    for (;;) {
        size_t limit = read_group(g, path, g->limit, NULL);
        if (limit != SIZE_MAX) {
            size_t usage = read_group(g, path, g->usage, NULL);
            size_t cache = read_group(g, path, "memory.stat", g->cache);
            r = narrow(r, limit, usage == SIZE_MAX ? 0 : minus(usage, cache));
        }
        char *slash = strrchr(path, '/');
        if (!slash)
            return r;
        *slash = '\0';
    }
}

/* Lines are "4:memory:/path" (version 1) and "0::/path" (version 2). */
static room narrow_by_groups(room r)
{
    char line[768];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        if (strcmp(path, "/") == 0)
            *path = '\0';
        if (controllers[1] == '\0')
            r = narrow_by_group(r, &version_2, path);
        else if (strstr(controllers + 1, "memory"))
            r = narrow_by_group(r, &version_1, path);
    }
    if (f)
        fclose(f);
    return r;
}

static room narrow_by_process(room r)
{
    static const struct {
        int resource;
        const char *used;
    } limits[] = {{RLIMIT_AS, "VmSize"}, {RLIMIT_DATA, "VmData"}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit l;
        if (getrlimit(limits[i].resource, &l) == 0 && l.rlim_cur != RLIM_INFINITY)
            r = narrow(r, (size_t)l.rlim_cur, read_key("/proc/self/status", limits[i].used, 1024));
    }
    return r;
}

static room look(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t total = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 30;
    size_t available = read_key("/proc/meminfo", "MemAvailable", 1024);
    room r = {total, available ? least(available, total) : total};
    return narrow_by_process(narrow_by_groups(r));
}

size_t kn_ram_total(void)
{
    return look().total;
}

size_t kn_ram_available(void)
{
    return look().left;
}

/* ---- what is used ---- */

size_t kn_ram_resident(void)
{
    return read_key("/proc/self/status", "VmRSS", 1024);
}

size_t kn_ram_resident_peak(void)
{
    return read_key("/proc/self/status", "VmHWM", 1024);
}

void kn_ram_reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}
