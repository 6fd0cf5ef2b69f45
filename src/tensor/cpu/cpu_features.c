#include "tensor/cpu/cpu_features.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void fallback_name(char *buf, size_t size)
{
    struct utsname u;
    snprintf(buf, size, "%s", uname(&u) == 0 ? u.machine : "CPU");
}

void kn_cpu_model_name(char *buf, size_t size)
{
    fallback_name(buf, size);
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10) != 0)
            continue;
        const char *value = strchr(line, ':');
        if (value) {
            value += strspn(value, ": \t");
            snprintf(buf, size, "%.*s", (int)strcspn(value, "\n"), value);
        }
        break;
    }
    fclose(f);
}

/* The number in a file, `most` if there is none ("max", no such file). */
static size_t read_limit(const char *path, size_t most)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return most;
    unsigned long long v;
    size_t limit = fscanf(f, "%llu", &v) == 1 && v < most ? (size_t)v : most;
    fclose(f);
    return limit;
}

/* The least limit of the group at `path` and of those above it. */
static size_t group_limit(const char *root, char *path, const char *file, size_t most)
{
    for (;;) {
        char name[1024];
        if (snprintf(name, sizeof name, "%s%s/%s", root, path, file) < (int)sizeof name)
            most = read_limit(name, most);
        char *slash = strrchr(path, '/');
        if (!slash)
            return most;
        *slash = '\0';
    }
}

size_t kn_cpu_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t most = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 30;
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return most;
    char line[768];
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        if (strcmp(path, "/") == 0)
            *path = '\0';
        if (controllers[1] == '\0')
            most = group_limit("/sys/fs/cgroup", path, "memory.max", most);
        else if (strstr(controllers + 1, "memory"))
            most = group_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", most);
    }
    fclose(f);
    return most;
}
