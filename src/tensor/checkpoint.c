#include "tensor/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "tensor/checkpoint_priv.h"

/* Names and metadata of every file accepted so far fit many times; a header that asks for more is hostile. */
#define ARENA_MAX_BYTES (256ull << 20)

int kn_ck_new(const char *path, kn_checkpoint **ret, kn_err *err)
{
    kn_checkpoint *ck = kn_calloc(1, sizeof *ck);
    if (!ck)
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", path);
    kn_arena_init(&ck->arena, ARENA_MAX_BYTES);
    ck->path = kn_arena_strdup(&ck->arena, path);
    if (!ck->path) {
        kn_checkpoint_close(ck);
        return kn_fail(err, KN_ENOMEM, "no memory to open %s", path);
    }
    *ret = ck;
    return 0;
}

void kn_checkpoint_close(kn_checkpoint *ck)
{
    if (!ck)
        return;
    for (kn_ck_map *m = ck->maps; m; m = m->next)
        kn_map_close(&m->map);
    free(ck->entries);
    free(ck->slots);
    kn_arena_done(&ck->arena);
    free(ck);
}

/* ---- the index: open addressing, linear probing ---- */

static uint32_t hash_name(const char *s)
{
    uint64_t h = kn_fnv1a(KN_FNV1A_BEGIN, s, strlen(s));
    return (uint32_t)(h ^ h >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t find_slot(const kn_checkpoint *ck, const char *name)
{
    uint32_t mask = ck->n_slots - 1, i = hash_name(name) & mask;
    while (ck->slots[i] && strcmp(ck->entries[ck->slots[i] - 1]->name, name) != 0)
        i = (i + 1) & mask;
    return i;
}

/* Room for at least n entries in the index, filled from the list. The first entry whose name is there already is
 * given in *ret_twice (NULL if all differ). */
static int rebuild_index(kn_checkpoint *ck, int n, const kn_entry **ret_twice, kn_err *err)
{
    uint32_t n_slots = 64;
    while (n_slots < 2u * (uint32_t)n + 2u)
        n_slots *= 2;
    int32_t *slots = kn_calloc(n_slots, sizeof *slots);
    if (!slots)
        return kn_fail(err, KN_ENOMEM, "no memory for the index of %s", ck->path);
    free(ck->slots);
    ck->slots = slots;
    ck->n_slots = n_slots;
    *ret_twice = NULL;
    for (int i = 0; i < ck->n_entries && !*ret_twice; i++) {
        uint32_t s = find_slot(ck, ck->entries[i]->name);
        if (slots[s])
            *ret_twice = ck->entries[i];
        else
            slots[s] = i + 1;
    }
    return 0;
}

static int reserve(kn_checkpoint *ck, kn_err *err)
{
    if (ck->n_entries < ck->max_entries)
        return 0;
    if (ck->n_entries >= KN_LIMIT_TENSORS)
        return kn_fail(err, KN_ELIMIT, "%s: more than %d tensors", ck->path, KN_LIMIT_TENSORS);
    int n = ck->max_entries ? ck->max_entries * 2 : 64;
    if (n > KN_LIMIT_TENSORS)
        n = KN_LIMIT_TENSORS;
    kn_entry **entries = kn_realloc_array(ck->entries, (size_t)n, sizeof(kn_entry *));
    if (!entries)
        return kn_fail(err, KN_ENOMEM, "no memory for the tensor list of %s", ck->path);
    ck->entries = entries;
    const kn_entry *twice;
    int rc = rebuild_index(ck, n, &twice, err);
    if (!rc)
        ck->max_entries = n;
    return rc;
}

/* Control characters would break the one-line messages that names appear in. */
static int check_name(const char *name, const char *file, kn_err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > KN_LIMIT_TENSOR_NAME_BYTES)
        return kn_fail(err, KN_EFORMAT, "%s: a tensor name has %zu bytes, expected 1 to %d", file, n,
                       KN_LIMIT_TENSOR_NAME_BYTES);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return kn_fail(err, KN_EFORMAT, "%s: a tensor name has the control character 0x%02x at byte %zu",
                           file, (unsigned)(unsigned char)name[i], i);
    return 0;
}

int kn_ck_add(kn_checkpoint *ck, const kn_entry *e, kn_err *err)
{
    int rc = check_name(e->name, e->file, err);
    if (!rc)
        rc = reserve(ck, err);
    if (rc)
        return rc;
    uint32_t s = find_slot(ck, e->name);
    if (ck->slots[s])
        return kn_fail(err, KN_EFORMAT, "tensor %.200s is there twice: in %s and in %s", e->name,
                       ck->entries[ck->slots[s] - 1]->file, e->file);
    kn_entry *copy = kn_arena_alloc(&ck->arena, sizeof *copy);
    char *name = kn_arena_strdup(&ck->arena, e->name);
    if (!copy || !name)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for the tensor list", e->file);
    *copy = *e;
    copy->name = name;
    ck->entries[ck->n_entries++] = copy;
    ck->slots[s] = ck->n_entries;
    return 0;
}

int kn_ck_filter(kn_checkpoint *ck, const bool *keep, kn_err *err)
{
    int n = 0;
    for (int i = 0; i < ck->n_entries; i++)
        if (keep[i])
            ck->entries[n++] = ck->entries[i];
    ck->n_entries = n;
    const kn_entry *twice;
    int rc = rebuild_index(ck, ck->max_entries, &twice, err);
    if (!rc && twice)
        rc = kn_fail(err, KN_EFORMAT, "%s: two tensors are named %.200s", ck->path, twice->name);
    return rc;
}

int kn_checkpoint_rename(kn_checkpoint *ck, kn_rename_fn fn, void *ud, kn_err *err)
{
    char name[KN_LIMIT_TENSOR_NAME_BYTES + 1];
    bool *keep = kn_calloc((size_t)ck->n_entries, sizeof *keep);
    const char **old = kn_calloc((size_t)ck->n_entries, sizeof *old);
    int rc = 0, n_old = 0, n = ck->n_entries;
    if (!keep || !old) {
        rc = kn_fail(err, KN_ENOMEM, "no memory to rename the tensors of %s", ck->path);
        goto out;
    }
    for (int i = 0; i < n && !rc; i++) {
        kn_entry *e = ck->entries[i];
        int what = fn(ud, e->name, name, sizeof name);
        keep[i] = what != 2;
        old[n_old++] = e->name;
        if (what != 0)
            continue;
        rc = check_name(name, e->file, err);
        const char *copy = rc ? NULL : kn_arena_strdup(&ck->arena, name);
        if (!rc && !copy)
            rc = kn_fail(err, KN_ENOMEM, "no memory to rename the tensors of %s", ck->path);
        if (copy)
            e->name = copy;
    }
    if (!rc)
        rc = kn_ck_filter(ck, keep, err);
    else
        for (int i = 0; i < n_old; i++)
            ck->entries[i]->name = old[i];
out:
    free(keep);
    free(old);
    return rc;
}

/* ---- metadata ---- */

int kn_ck_add_meta(kn_checkpoint *ck, const char *key, const char *value, size_t value_size, kn_err *err)
{
    kn_ck_meta *m = kn_arena_alloc(&ck->arena, sizeof *m);
    char *k = kn_arena_strdup(&ck->arena, key), *v = kn_arena_alloc(&ck->arena, value_size + 1);
    if (!m || !k || !v)
        return kn_fail(err, KN_ENOMEM, "%s: no memory for the metadata", ck->path);
    memcpy(v, value, value_size);
    *m = (kn_ck_meta){.key = k, .value = v};
    if (ck->last_meta)
        ck->last_meta->next = m;
    else
        ck->meta = m;
    ck->last_meta = m;
    return 0;
}

const char *kn_checkpoint_meta(const kn_checkpoint *ck, const char *key)
{
    for (const kn_ck_meta *m = ck->meta; m; m = m->next)
        if (!strcmp(m->key, key))
            return m->value;
    return NULL;
}

/* ---- what is inside ---- */

bool kn_checkpoint_is_random(const kn_checkpoint *ck)
{
    return ck->is_random;
}

int kn_checkpoint_count(const kn_checkpoint *ck)
{
    return ck->n_entries;
}

kn_entry *kn_checkpoint_at(kn_checkpoint *ck, int i)
{
    KN_ASSERT(i >= 0 && i < ck->n_entries);
    return ck->entries[i];
}

kn_entry *kn_checkpoint_find(kn_checkpoint *ck, const char *name)
{
    if (!ck->n_entries)
        return NULL;
    int32_t i = ck->slots[find_slot(ck, name)];
    return i ? ck->entries[i - 1] : NULL;
}

uint64_t kn_checkpoint_bytes(const kn_checkpoint *ck)
{
    uint64_t sum = 0;
    for (int i = 0; i < ck->n_entries; i++)
        sum += ck->entries[i]->bytes;
    return sum;
}

const char *kn_checkpoint_path(const kn_checkpoint *ck)
{
    return ck->path;
}

const char *kn_dims_str(int n_dims, const int64_t *dims, char *buf, size_t size)
{
    size_t at = (size_t)snprintf(buf, size, "[");
    for (int i = 0; i < n_dims && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
    if (at < size)
        snprintf(buf + at, size - at, "]");
    return buf;
}
