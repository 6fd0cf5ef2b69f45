#define _GNU_SOURCE
#include "engine/packed_cache.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/fingerprint.h"
#include "engine/hardware.h"

/* ---- names ---- */

static json_t *hex(uint64_t v)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_string(text);
}

/* What one file is kept for; a newer one takes its place. */
static json_t *make_slot(const kn_run *r, const kn_packed_want *w)
{
    return json_pack("{s:s, s:o?, s:o?, s:s, s:s, s:s}", "component", w->component, "place",
                     hex(kn_checkpoint_place(w->ck)), "loras",
                     hex(w->loras ? kn_lora_set_identity(w->loras) : 0), "dtype", kn_dtype_name(w->dtype),
                     "device", r->ctx->dev->name, "packing", r->ctx->dev->packing);
}

static char *text_of(json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    return text;
}

static char *make_key(const kn_run *r, const kn_packed_want *w)
{
    json_t *o = make_slot(r, w);
    if (o) {
        json_object_set_new(o, "source", hex(kn_checkpoint_identity(w->ck)));
        json_object_set_new(o, "build", hex(kn_fingerprint_path("/proc/self/exe")));
    }
    return text_of(o);
}

static char *make_path(const kn_run *r, const kn_packed_want *w, const char *folder)
{
    char *slot = text_of(make_slot(r, w));
    char *path = slot ? kn_asprintf("%s/%016" PRIx64 KN_PACKED_CACHE_SUFFIX, folder,
                                    kn_fnv1a(KN_FNV1A_BEGIN, slot, strlen(slot)))
                      : NULL;
    free(slot);
    return path;
}

/* ---- whether ---- */

static uint64_t n_elements(const kn_checkpoint *ck)
{
    uint64_t n = 0;
    for (int i = 0; i < kn_checkpoint_count(ck); i++)
        n += (uint64_t)kn_entry_numel(kn_checkpoint_at((kn_checkpoint *)(uintptr_t)ck, i));
    return n;
}

/* About, as the device keeps it. */
static uint64_t packed_bytes(const kn_run *r, const kn_packed_want *w)
{
    enum { SIDE = 1024 };
    kn_weight_spec spec = {.kind = KN_WEIGHT_LINEAR, .dims = {SIDE, SIDE, 1, 1, 1}, .dtype = w->dtype};
    const kn_device_ops *ops = r->ctx->dev->ops;
    double each = ops->weight_bytes ? (double)ops->weight_bytes(r->ctx->dev, &spec) / SIDE / SIDE : 4;
    return (uint64_t)((double)n_elements(w->ck) * each);
}

static bool is_worth(const kn_packed_want *w, uint64_t bytes)
{
    uint64_t source = kn_checkpoint_bytes(w->ck);
    if (!kn_checkpoint_identity(w->ck) || bytes > KN_LIMIT_PACKED_CACHE_BYTES)
        return false;
    return w->dtype == KN_I8 || (w->comes_and_goes && bytes <= source + source / 8);
}

bool kn_packed_cache_fits(uint64_t bytes, uint64_t disk_free, uint64_t disk_total)
{
    enum { SMALL = 100 };
    uint64_t spare = disk_total / 10;
    if (spare > KN_LIMIT_PACKED_CACHE_SPARE_BYTES)
        spare = KN_LIMIT_PACKED_CACHE_SPARE_BYTES;
    return bytes < disk_free / SMALL || (bytes < disk_free && disk_free - bytes >= spare);
}

static bool has_room(const char *folder, uint64_t bytes)
{
    kn_disk d;
    kn_disk_look(folder, &d);
    return kn_packed_cache_fits(bytes, d.free_bytes, d.total_bytes);
}

/* ---- the folder ---- */

/* Files that are being recorded count, too; where a process died, they are all that is left of it. */
static bool is_entry(const char *name)
{
    return strstr(name, KN_PACKED_CACHE_SUFFIX) != NULL;
}

static void make_room(const char *folder, uint64_t bytes)
{
    kn_dir_survey s;
    bool removed = true;
    while (removed && (s = kn_dir_look(folder, is_entry)).bytes > KN_LIMIT_PACKED_CACHE_BYTES - bytes) {
        char *path = kn_path_join(folder, s.oldest);
        removed = path && !unlink(path);
        free(path);
    }
}

static kn_packed *record(const kn_run *r, const char *folder, const char *path, const char *key,
                         uint64_t bytes)
{
    if (!has_room(folder, bytes))
        return NULL;
    if (r->ctx->dev->is_meta)
        return kn_packed_record(NULL, key);
    if (kn_dir_make(folder, NULL))
        return NULL;
    make_room(folder, bytes);
    return kn_packed_record(path, key);
}

kn_packed *kn_packed_cache_open(const kn_run *r, const kn_packed_want *w)
{
    uint64_t bytes = packed_bytes(r, w);
    kn_packed *p = NULL;
    if (!r->cache_dir || !is_worth(w, bytes))
        return NULL;
    char *folder = kn_path_join(r->cache_dir, "packed"), *key = make_key(r, w);
    char *path = folder && key ? make_path(r, w, folder) : NULL;
    if (path) {
        p = kn_packed_open(path, key);
        if (p && !r->ctx->dev->is_meta)
            (void)utimensat(AT_FDCWD, path, NULL, 0); /* used now: the last to be removed */
        if (!p)
            p = record(r, folder, path, key, bytes);
    }
    free(folder);
    free(key);
    free(path);
    return p;
}
