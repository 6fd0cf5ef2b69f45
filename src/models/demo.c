#define _GNU_SOURCE
#include "models/demo.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static bool is_model(const char *dir)
{
    char *index = kn_path_join(dir, "model_index.json");
    bool found = index && kn_path_exists(index);
    free(index);
    return found;
}

/* The folder above the program's: "/usr/local" of /usr/local/bin/kinora; "" at the root. */
static int program_prefix(char *buf, size_t size, kn_err *err)
{
    ssize_t n = readlink("/proc/self/exe", buf, size);
    if (n <= 0 || (size_t)n >= size)
        return kn_fail(err, KN_ENOTFOUND,
                       "/proc/self/exe does not say where the program is; set KINORA_DEMO_DIR");
    buf[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(buf, '/');
        *(slash ? slash : buf) = '\0';
    }
    return 0;
}

static int named_by_user(const char *dir, char **ret, kn_err *err)
{
    if (!is_model(dir))
        return kn_fail(
            err, KN_ENOTFOUND,
            "no demo model in KINORA_DEMO_DIR, \"%.300s\"; expected a folder with model_index.json", dir);
    *ret = kn_strdup(dir);
    return *ret ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a path");
}

int kn_demo_find(char **ret_dir, kn_err *err)
{
    const char *user = getenv("KINORA_DEMO_DIR");
    char prefix[4096];
    if (user && *user)
        return named_by_user(user, ret_dir, err);
    int rc = program_prefix(prefix, sizeof prefix, err);
    if (rc)
        return rc;
    static const char *const places[] = {"demo", "share/kinora/demo"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *dir = kn_path_join(*prefix ? prefix : "/", places[i]);
        if (!dir)
            return kn_fail(err, KN_ENOMEM, "no memory for a path");
        if (is_model(dir)) {
            *ret_dir = dir;
            return 0;
        }
        free(dir);
    }
    return kn_fail(
        err, KN_ENOTFOUND,
        "the demo model is neither in %.150s/demo nor in %.150s/share/kinora/demo, and KINORA_DEMO_DIR "
        "is not set%s",
        prefix, prefix, kn_path_exists(KN_DEMO_NAME) ? "; for what is called demo here say ./demo" : "");
}
