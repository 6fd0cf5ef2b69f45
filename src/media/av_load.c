/* Finding libav at run time; the versions are those of the headers this was compiled with. */
#define KN_AV_DEFINITIONS /* the table's own names, not calls through it */
#include "media/av.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

kn_av_table kn_av;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static kn_err once_err; /* what the one attempt ended with */

static void *open_library(const char *name, int major)
{
    char file[64];
    snprintf(file, sizeof file, "lib%s.so.%d", name, major);
    void *lib = once_err.code ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!lib && !once_err.code)
        kn_fail(&once_err, KN_EUNSUPPORTED, "cannot load FFmpeg's %s (%s); install the package lib%s%d", file,
                dlerror(), name, major);
    return lib;
}

static void *find(void *lib, const char *name)
{
    void *f = lib ? dlsym(lib, name) : NULL;
    if (!f && !once_err.code)
        kn_fail(&once_err, KN_EUNSUPPORTED,
                "FFmpeg has no function %s; install the version this was built with", name);
    return f;
}

static void load(void)
{
    kn_av_table t = {0};
    void *lib = open_library("avutil", LIBAVUTIL_VERSION_MAJOR);
#define X(f) *(void **)&t.f = find(lib, #f);
    KN_AV_UTIL(X)
    lib = open_library("swscale", LIBSWSCALE_VERSION_MAJOR);
    KN_AV_SCALE(X)
    lib = open_library("avcodec", LIBAVCODEC_VERSION_MAJOR);
    KN_AV_CODEC(X)
    KN_AV_CODEC_SIDE_DATA(X)
    lib = open_library("avformat", LIBAVFORMAT_VERSION_MAJOR);
    KN_AV_FORMAT(X)
    KN_AV_FORMAT_SIDE_DATA(X)
#undef X
    if (once_err.code)
        return;
    kn_av = t;
    kn_av.av_log_set_level(AV_LOG_QUIET);
}

int kn_av_load(kn_err *err)
{
    pthread_once(&once, load);
    return once_err.code ? kn_fail(err, once_err.code, "%s", once_err.msg) : 0;
}
