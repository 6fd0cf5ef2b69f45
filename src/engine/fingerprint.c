#include "engine/fingerprint.h"

#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/parallel.h"
#include "engine/request_internal.h"
#include "tensor/device.h"

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static uint64_t add_file(uint64_t h, const char *name, const struct stat *st)
{
    int64_t facts[3] = {st->st_size, st->st_mtim.tv_sec, st->st_mtim.tv_nsec};
    h = kn_fnv1a(h, name, strlen(name) + 1);
    return kn_fnv1a(h, facts, sizeof facts);
}

/* A file, or the files of a folder in the order of their names. Links are followed: a Hugging Face cache is made of them. */
static uint64_t add_path(uint64_t h, const char *path)
{
    enum { MAX_DEPTH = 8 };
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    size_t root = strlen(path);
    FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *e; fts && (e = fts_read(fts));) {
        if (e->fts_info == FTS_F)
            h = add_file(h, e->fts_path + root, e->fts_statp);
        else if (e->fts_info == FTS_D && e->fts_level >= MAX_DEPTH)
            fts_set(fts, e, FTS_SKIP);
    }
    if (fts)
        fts_close(fts);
    return h;
}

uint64_t kn_fingerprint_path(const char *path)
{
    return add_path(KN_FNV1A_BEGIN, path);
}

static bool is_written(const kn_param *p)
{
    return strcmp(p->name, "output") == 0 || strcmp(p->name, "save_tensors") == 0;
}

uint64_t kn_fingerprint_files(const kn_request *rq, const char *model_path)
{
    uint64_t h = add_path(KN_FNV1A_BEGIN, model_path ? model_path : rq->model);
    for (const kn_param *p = kn_params; p->name; p++) {
        const void *f = kn_request_field(rq, p);
        const kn_strings *files = f;
        const kn_loras *loras = f;
        if (!kn_request_has(rq, p) || is_written(p) || strcmp(p->name, "model") == 0)
            continue;
        if (p->type == KN_PARAM_FILE)
            h = add_path(h, *(char *const *)f);
        for (int i = 0; p->type == KN_PARAM_FILES && i < files->n; i++)
            h = add_path(h, files->items[i]);
        for (int i = 0; p->type == KN_PARAM_LORAS && i < loras->n; i++)
            h = add_path(h, loras->items[i].path);
    }
    return h;
}

json_t *kn_fingerprint_machine(const char *device)
{
    char build[20], compute[64];
    snprintf(build, sizeof build, "%016llx", (unsigned long long)kn_fingerprint_path("/proc/self/exe"));
    return json_pack("{s:s, s:s, s:s, s:i}", "build", build, "compute",
                     kn_cpu_versions(compute, sizeof compute), "device", device, "threads",
                     kn_parallel_threads());
}
