/* Finding libcurl and libcrypto at run time; the versions are those of the headers this was compiled with. */
#define KN_HUB_LIBS_DEFINITIONS /* the table's own names, not calls through it */
#include "hub/libs.h"

#include <dlfcn.h>
#include <pthread.h>

#define TEXT(x)  TEXT_(x)
#define TEXT_(x) #x

kn_hub_libs kn_libs;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static kn_err once_err; /* what the one attempt ended with */

static void *open_library(const char *file, const char *package)
{
    void *lib = once_err.code ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!lib && !once_err.code)
        kn_fail(&once_err, KN_EUNSUPPORTED, "cannot load %s (%s); install the package %s", file, dlerror(),
                package);
    return lib;
}

static void *find(void *lib, const char *name)
{
    void *f = lib ? dlsym(lib, name) : NULL;
    if (!f && !once_err.code)
        kn_fail(&once_err, KN_EUNSUPPORTED,
                "the library has no function %s; install the version this was built with", name);
    return f;
}

static void load(void)
{
    kn_hub_libs t = {0};
    void *lib = open_library("libcurl.so.4", "libcurl4");
#define X(f) *(void **)&t.f = find(lib, #f);
    KN_CURL(X)
    lib = open_library("libcrypto.so." TEXT(OPENSSL_SHLIB_VERSION), "libssl3");
    KN_CRYPTO(X)
#undef X
    if (!once_err.code && t.curl_global_init(CURL_GLOBAL_DEFAULT))
        kn_fail(&once_err, KN_EUNSUPPORTED, "libcurl cannot be initialised");
    if (!once_err.code)
        kn_libs = t;
}

int kn_hub_libs_load(kn_err *err)
{
    pthread_once(&once, load);
    return once_err.code ? kn_fail(err, once_err.code, "%s", once_err.msg) : 0;
}
