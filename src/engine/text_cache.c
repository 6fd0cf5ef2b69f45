#define _GNU_SOURCE
#include "engine/text_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "engine/fingerprint.h"

static json_t *ids_json(const kn_text_cache_seq *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->n_ids; i++)
        json_array_append_new(list, json_integer(s->ids[i]));
    return list;
}

/* Heap; NULL without memory. */
static char *make_key(const kn_run *r, const kn_checkpoint *encoder, int n, const kn_text_cache_seq *seqs)
{
    char files[20];
    json_t *ids = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(ids, ids_json(&seqs[i]));
    snprintf(files, sizeof files, "%016llx",
             (unsigned long long)kn_fingerprint_path(kn_checkpoint_path(encoder)));
    json_t *o =
        json_pack("{s:s, s:o?, s:s, s:o?}", "encoder", files, "ids", ids, "dtype", kn_dtype_name(r->ctx->act),
                  "machine", kn_fingerprint_machine(r->ctx->dev->description));
    char *key = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    return key;
}

static char *folder_of(const kn_run *r)
{
    return kn_path_join(r->cache_dir, "text");
}

static char *path_of(const char *folder, const char *key)
{
    return kn_asprintf("%s/%016llx" KN_TEXT_CACHE_SUFFIX, folder,
                       (unsigned long long)kn_fnv1a(KN_FNV1A_BEGIN, key, strlen(key)));
}

static const char *rows_name(char buf[16], int i)
{
    snprintf(buf, 16, "rows%d", i);
    return buf;
}

/* An entry that holds this key and the right shapes. */
static bool is_ours(kn_checkpoint *ck, const char *key, int n, const kn_text_cache_seq *seqs, int64_t dim)
{
    const char *found = kn_checkpoint_meta(ck, "key");
    bool ok = found && strcmp(found, key) == 0;
    for (int i = 0; i < n && ok; i++) {
        char name[16];
        const kn_entry *e = kn_checkpoint_find(ck, rows_name(name, i));
        ok = e && e->dtype == KN_F32 && e->n_dims == 2 && e->dims[0] == seqs[i].n_ids && e->dims[1] == dim;
    }
    return ok;
}

bool kn_text_cache_get(kn_run *r, const kn_checkpoint *encoder, int n, const kn_text_cache_seq *seqs,
                       int64_t dim)
{
    if (!r->cache_dir)
        return false;
    if (r->ctx->dev->is_meta && r->text_is_known)
        return true;
    char *folder = folder_of(r), *key = make_key(r, encoder, n, seqs);
    char *path = folder && key ? path_of(folder, key) : NULL;
    kn_checkpoint *ck = NULL;
    bool ok = path && !kn_checkpoint_open(path, NULL, &ck, NULL) && is_ours(ck, key, n, seqs, dim);
    for (int i = 0; i < n && ok && !r->ctx->dev->is_meta; i++) {
        char name[16];
        ok = !kn_entry_to_f32(kn_checkpoint_find(ck, rows_name(name, i)), seqs[i].rows, NULL);
    }
    if (ok && !r->ctx->dev->is_meta)
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* used now: the last to be removed */
    kn_checkpoint_close(ck);
    free(path);
    free(folder);
    free(key);
    return ok;
}

static bool is_entry(const char *name)
{
    size_t n = strlen(name), suffix = strlen(KN_TEXT_CACHE_SUFFIX);
    return n > suffix && strcmp(name + n - suffix, KN_TEXT_CACHE_SUFFIX) == 0;
}

static void prune(const char *folder)
{
    kn_dir_survey s;
    bool removed = true;
    while (removed && (s = kn_dir_look(folder, is_entry)).bytes > KN_LIMIT_TEXT_CACHE_BYTES) {
        char *path = kn_path_join(folder, s.oldest);
        removed = path && !unlink(path);
        free(path);
    }
}

void kn_text_cache_put(kn_run *r, const kn_checkpoint *encoder, int n, const kn_text_cache_seq *seqs,
                       int64_t dim)
{
    enum { MAX_SEQS = 8 };
    kn_save_tensor t[MAX_SEQS] = {0};
    char names[MAX_SEQS][16];
    KN_ASSERT(n <= MAX_SEQS);
    if (!r->cache_dir || r->ctx->dev->is_meta)
        return;
    char *folder = folder_of(r), *key = make_key(r, encoder, n, seqs);
    char *path = folder && key ? path_of(folder, key) : NULL;
    json_t *meta = key ? json_pack("{s:s}", "key", key) : NULL;
    for (int i = 0; i < n; i++)
        t[i] = (kn_save_tensor){.name = rows_name(names[i], i),
                                .dtype = KN_F32,
                                .n_dims = 2,
                                .dims = {seqs[i].n_ids, dim},
                                .data = seqs[i].rows};
    if (path && meta && !kn_dir_make(folder, NULL) && !kn_checkpoint_save_with(path, n, t, meta, NULL))
        prune(folder);
    json_decref(meta);
    free(path);
    free(folder);
    free(key);
}
