#include "tensor/loader_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/checkpoint_priv.h"
#include "tensor/checkpoint_random.h"

bool kn_loader_ready(kn_loader *l)
{
    if (!l->err.code && l->cancel && atomic_load_explicit(l->cancel, memory_order_relaxed))
        kn_fail(&l->err, KN_ECANCELLED, "cancelled while loading %.300s", kn_checkpoint_path(l->ck));
    return !l->err.code;
}

/* How alike two names are: the bytes they share at the start and at the end. */
static size_t likeness(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), least = n < m ? n : m, i = 0, j = 0;
    while (i < least && a[i] == b[i])
        i++;
    while (j < least - i && a[n - 1 - j] == b[m - 1 - j])
        j++;
    return i + j;
}

static void fail_missing(kn_loader *l, const char *name)
{
    const char *nearest = NULL;
    size_t best = 0;
    for (int i = 0; i < kn_checkpoint_count(l->ck); i++) {
        const char *other = kn_checkpoint_at(l->ck, i)->name;
        size_t alike = likeness(name, other);
        if (alike > best) {
            best = alike;
            nearest = other;
        }
    }
    kn_fail(&l->err, KN_EFORMAT, "tensor %.150s is missing in %.200s, which has %d tensors%s%.120s", name,
            kn_checkpoint_path(l->ck), kn_checkpoint_count(l->ck), nearest ? "; the nearest is " : "",
            nearest ? nearest : "");
}

bool kn_source_find(kn_loader *l, const char *name, const char *suffix, bool optional, kn_source *ret)
{
    if (!kn_loader_ready(l))
        return false;
    *ret = (kn_source){0};
    int n = snprintf(ret->name, sizeof ret->name, "%s%s%s", l->prefix, name, suffix);
    if (n < 0 || (size_t)n >= sizeof ret->name) {
        kn_fail(&l->err, KN_EINTERNAL, "the tensor name %.80s... has %d bytes, expected at most %zu",
                ret->name, n, sizeof ret->name - 1);
        return false;
    }
    ret->entry = kn_checkpoint_find(l->ck, ret->name);
    ret->is_there = ret->entry || kn_checkpoint_is_random(l->ck);
    if (!ret->is_there && !optional)
        fail_missing(l, ret->name);
    return ret->is_there;
}

void kn_loader_note(kn_loader *l, const void *data, size_t bytes)
{
    kn_touched *t = l->touched;
    if (!t)
        return;
    if (t->n == t->max) {
        int max = t->max ? 2 * t->max : 32;
        kn_read_range *ranges = kn_realloc_array(t->ranges, (size_t)max, sizeof *ranges);
        if (!ranges) {
            kn_fail(&l->err, KN_ENOMEM, "no memory for a list of %d tensors", max);
            return;
        }
        t->ranges = ranges;
        t->max = max;
    }
    t->ranges[t->n++] = (kn_read_range){data, bytes};
}

void kn_source_note(kn_loader *l, const kn_source *s)
{
    if (l->ck->maps && s->entry && s->entry->data)
        kn_loader_note(l, s->entry->data, s->entry->bytes);
}

/* ---- shapes ---- */

static int squeeze(int n, const int64_t *dims, int64_t *out)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (dims[i] != 1)
            out[m++] = dims[i];
    return m;
}

static bool same_shape(const kn_entry *e, int n_dims, const int64_t *dims)
{
    int64_t a[KN_ENTRY_MAX_DIMS], b[KN_MAX_DIMS];
    int n = squeeze(e->n_dims, e->dims, a), m = squeeze(n_dims, dims, b);
    return n == m && !memcmp(a, b, sizeof *a * (size_t)n);
}

bool kn_source_expect(kn_loader *l, kn_source *s, int n_dims, const int64_t *dims, bool fold)
{
    kn_entry *e = s->entry;
    if (!e) /* random: any shape */
        return true;
    bool same = same_shape(e, n_dims, dims);
    if (!same && fold)
        same = e->n_dims > 0 && e->dims[0] == dims[0] && kn_entry_numel(e) == kn_ck_numel(n_dims, dims);
    if (!same) {
        char found[KN_DIMS_STR], expected[KN_DIMS_STR];
        kn_fail(&l->err, KN_EFORMAT, "tensor %.150s in %.150s is %s, expected %s", s->name, e->file,
                kn_dims_str(e->n_dims, e->dims, found, sizeof found),
                kn_dims_str(n_dims, dims, expected, sizeof expected));
        return false;
    }
    e->used = true;
    return true;
}

/* ---- values ---- */

/* "…norm….weight" or "….gamma": multiplies a normalised value, so that it is near one. */
static bool is_gain(const char *name)
{
    const char *dot = strrchr(name, '.'), *last = name;
    if (!dot)
        return false;
    if (!strcmp(dot, ".gamma"))
        return true;
    for (const char *p = name; p < dot; p++)
        if (*p == '.')
            last = p + 1;
    const char *norm = strstr(last, "norm");
    return !strcmp(dot, ".weight") && norm && norm < dot;
}

kn_random_kind kn_random_kind_of(const char *name, int64_t fan_in)
{
    if (is_gain(name))
        return (kn_random_kind){1, 0.02f};
    if (fan_in > 0)
        return (kn_random_kind){0, 1 / sqrtf((float)fan_in)};
    return (kn_random_kind){0, 0.02f};
}

int kn_source_decode(kn_loader *l, const kn_source *s, int64_t n_out, int64_t n_in, kn_random_kind random,
                     float *dst)
{
    if (!s->entry)
        return kn_checkpoint_random_fill(l->ck, s->name, random.mean, random.std, KN_F32, dst, n_out * n_in,
                                         &l->err);
    int rc = kn_entry_to_f32(s->entry, dst, &l->err);
    if (!rc && l->lora && kn_lora_set_touches(l->lora, s->name))
        rc = kn_lora_set_apply(l->lora, s->name, dst, n_out, n_in, &l->err);
    return rc;
}

const void *kn_source_as_is(const kn_loader *l, const kn_source *s)
{
    const kn_entry *e = s->entry;
    if (!e || e->scale || (e->dtype != KN_F32 && e->dtype != KN_BF16 && e->dtype != KN_F16))
        return NULL;
    if ((uintptr_t)e->data % (uintptr_t)kn_dtype_block_bytes(e->dtype))
        return NULL;
    return l->lora && kn_lora_set_touches(l->lora, s->name) ? NULL : e->data;
}

void kn_source_prefetch(const kn_loader *l, const kn_source *s)
{
    if (s->entry)
        kn_ck_prefetch(l->ck, s->entry);
}

void kn_source_release(const kn_loader *l, const kn_source *s)
{
    if (s->entry)
        kn_ck_release(l->ck, s->entry);
}
