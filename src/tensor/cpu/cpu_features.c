#include "tensor/cpu/cpu_features.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

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
