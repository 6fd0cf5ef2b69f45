#include "tensor/lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tensor/lora_priv.h"
#include "tensor/lora_read.h"

int kn_lora_set_new(kn_lora_set **ret, kn_err *err)
{
    kn_lora_set *s = kn_calloc(1, sizeof *s);
    if (!s)
        return kn_fail(err, KN_ENOMEM, "no memory for a set of LoRAs");
    kn_arena_init(&s->arena, 256u << 20);
    *ret = s;
    return 0;
}

void kn_lora_set_free(kn_lora_set *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_files; i++)
        kn_checkpoint_close(s->files[i]);
    kn_arena_done(&s->arena);
    free(s);
}

uint64_t kn_lora_set_identity(const kn_lora_set *s)
{
    uint64_t h = KN_FNV1A_BEGIN;
    for (int i = 0; i < s->n_files; i++) {
        uint64_t file = kn_checkpoint_identity(s->files[i]);
        h = kn_fnv1a(h, &file, sizeof file);
    }
    for (int i = 0; i < KN_LORA_BUCKETS; i++)
        for (const kn_delta *d = s->buckets[i]; d; d = d->next) {
            h = kn_fnv1a(h, d->tensor, strlen(d->tensor) + 1);
            h = kn_fnv1a(h, &d->scale, sizeof d->scale);
        }
    return h;
}

int kn_lora_set_count(const kn_lora_set *s)
{
    return s->n_files;
}

static size_t bucket_of(const char *tensor)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *tensor; tensor++)
        h = (h ^ (unsigned char)*tensor) * 16777619u;
    return (h ^ h >> 16) % KN_LORA_BUCKETS;
}

int kn_lora_put(kn_lora_set *s, const kn_delta *d, kn_err *err)
{
    kn_delta *copy = kn_arena_alloc(&s->arena, sizeof *copy);
    char *name = kn_arena_strdup(&s->arena, d->tensor);
    if (!copy || !name)
        return kn_fail(err, KN_ENOMEM, "no memory for the LoRA of %.200s", d->tensor);
    *copy = *d;
    copy->tensor = name;
    copy->next = NULL;
    kn_delta **at = &s->buckets[bucket_of(name)];
    while (*at)
        at = &(*at)->next;
    *at = copy;
    return 0;
}

static const kn_delta *same_tensor(const kn_delta *d, const char *tensor)
{
    while (d && strcmp(d->tensor, tensor) != 0)
        d = d->next;
    return d;
}

const kn_delta *kn_lora_first(const kn_lora_set *s, const char *tensor)
{
    return same_tensor(s->buckets[bucket_of(tensor)], tensor);
}

const kn_delta *kn_lora_next(const kn_delta *d)
{
    return same_tensor(d->next, d->tensor);
}

bool kn_lora_set_touches(const kn_lora_set *s, const char *tensor)
{
    return kn_lora_first(s, tensor) != NULL;
}

/* Takes the deltas of the file that is being added out again. */
static void forget(kn_lora_set *s, kn_delta *const *tails)
{
    for (int i = 0; i < KN_LORA_BUCKETS; i++) {
        if (tails[i])
            tails[i]->next = NULL;
        else
            s->buckets[i] = NULL;
    }
}

static kn_delta **remember(const kn_lora_set *s)
{
    kn_delta **tails = kn_calloc(KN_LORA_BUCKETS, sizeof(kn_delta *));
    for (int i = 0; tails && i < KN_LORA_BUCKETS; i++) {
        tails[i] = s->buckets[i];
        while (tails[i] && tails[i]->next)
            tails[i] = tails[i]->next;
    }
    return tails;
}

int kn_lora_set_add(kn_lora_set *s, const char *path, float strength, kn_checkpoint *target,
                    const kn_name_map *map, kn_err *err)
{
    if (!isfinite(strength))
        return kn_fail(err, KN_EINVAL, "%.200s: the strength is %g, expected a finite number", path,
                       (double)strength);
    if (kn_checkpoint_is_random(target))
        return kn_fail(err, KN_EINVAL, "%.200s: a LoRA has no meaning for random weights", path);
    if (s->n_files >= KN_LIMIT_LORAS)
        return kn_fail(err, KN_ELIMIT, "%.200s: more than %d LoRAs", path, KN_LIMIT_LORAS);
    kn_checkpoint *file = NULL;
    kn_lora_modules modules = {0};
    kn_delta **before = remember(s);
    int rc = before ? 0 : kn_fail(err, KN_ENOMEM, "no memory to add %.200s", path);
    if (!rc)
        rc = kn_checkpoint_open(path, NULL, &file, err);
    if (!rc)
        rc = kn_lora_modules_init(&modules, target, map, err);
    if (!rc)
        rc = kn_lora_read(s, file, strength, &modules, err);
    if (rc) {
        if (before)
            forget(s, before);
        kn_checkpoint_close(file);
    } else {
        s->files[s->n_files++] = file;
    }
    kn_lora_modules_done(&modules);
    free(before);
    return rc;
}
