/* Which device a name means.  Cards are behind a library of their own, so that the program needs none of a vendor's. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensor/cuda_open.h"
#include "tensor/device.h"

static const char library[] = "libkinora-cuda.so";

typedef int (*open_fn)(int index, kn_device **ret, kn_err *err);

/* Beside the program, or where `make install` puts it. */
static void *load(void)
{
    static const char *const places[] = {"", "../lib/kinora/"};
    const char *given = getenv("KINORA_CUDA_LIBRARY");
    char program[PATH_MAX], path[PATH_MAX + 64];
    if (given && *given)
        return dlopen(given, RTLD_NOW | RTLD_LOCAL);
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s%s", program, places[i], library);
        void *lib = access(path, F_OK) == 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (lib)
            return lib;
    }
    return NULL;
}

/* The library stays: it keeps threads and memory of the vendor's. */
static int find_open(open_fn *ret, kn_err *err)
{
    dlerror();
    void *lib = load();
    if (!lib) {
        const char *why = dlerror();
        return kn_fail(
            err, KN_EDEVICE,
            "no CUDA device: %s; expected %s beside the program (build it with `cmake --preset cuda`)",
            why ? why : "its library is not there", library);
    }
    const char *abi = dlsym(lib, "kn_cuda_abi");
    void *symbol = dlsym(lib, "kn_cuda_device_open");
    if (!abi || !symbol || strcmp(abi, KN_CUDA_ABI) != 0)
        return kn_fail(err, KN_EDEVICE, "%s is of Kinora %s, expected %s; build both anew", library,
                       abi ? abi : "of an unknown version", KN_CUDA_ABI);
    memcpy(ret, &symbol, sizeof *ret); /* ISO C has no cast from an object's pointer to a function's */
    return 0;
}

static int open_card(int index, kn_device **ret, kn_err *err)
{
    open_fn open = NULL;
    int rc = find_open(&open, err);
    return rc ? rc : open(index, ret, err);
}

int kn_device_open(const char *name, const kn_cpu_options *cpu, kn_device **ret, kn_err *err)
{
    const char *index = name && strncmp(name, "cuda:", 5) == 0 ? name + 5 : NULL;
    if (name && strcmp(name, "cpu") == 0)
        return kn_cpu_device_open(cpu, ret, err);
    if (name && strcmp(name, "cuda") == 0)
        return open_card(0, ret, err);
    if (index && *index >= '0' && *index <= '9' && !index[1])
        return open_card(*index - '0', ret, err);
    if (name && strcmp(name, "auto") != 0)
        return kn_fail(err, KN_EINVAL, "device \"%s\"; expected auto, cpu, cuda or cuda:0 to cuda:9", name);
    return open_card(0, ret, NULL) ? kn_cpu_device_open(cpu, ret, err) : 0;
}
