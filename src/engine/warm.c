#include "engine/warm.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ram.h"

/* Components of several models, experts and decoders; more than any memory holds. */
enum { MAX_PARTS = 32 };

struct kn_warm {
    kn_device *dev;
    int n_threads;
    char device[16];               /* as it was asked for */
    kn_warm_part parts[MAX_PARTS]; /* the least recently used first */
    int n;
};

kn_warm *kn_warm_new(void)
{
    return kn_calloc(1, sizeof(kn_warm));
}

static void drop(kn_warm *w, int i, kn_warm_part *ret)
{
    *ret = w->parts[i];
    memmove(w->parts + i, w->parts + i + 1, (size_t)(w->n - i - 1) * sizeof *w->parts);
    w->n--;
    w->dev->mem_idle_bytes -= ret->bytes;
    kn_device_account(w->dev, (int64_t)ret->bytes, 0);
}

static void drop_oldest(kn_warm *w)
{
    kn_warm_part p;
    drop(w, 0, &p);
    p.free(p.what);
}

size_t kn_warm_bytes(const kn_warm *w)
{
    return w->dev ? w->dev->mem_idle_bytes : 0;
}

void kn_warm_shrink(kn_warm *w, size_t bytes)
{
    bool had = w->n > 0;
    while (w->n && kn_warm_bytes(w) > bytes)
        drop_oldest(w);
    if (had && !w->n)
        malloc_trim(0); /* so that others see the memory */
}

void kn_warm_free(kn_warm *w)
{
    if (!w)
        return;
    kn_warm_shrink(w, 0);
    kn_device_close(w->dev);
    free(w);
}

/* Idle memory is as good as free, but what is mapped is free already. */
static size_t available(const kn_warm *w)
{
    size_t bytes = w->dev->ops->available(w->dev);
    for (int i = 0; i < w->n; i++)
        bytes += w->parts[i].is_mapped ? 0 : w->parts[i].bytes;
    return bytes;
}

int kn_warm_device(kn_warm *w, const char *name, const kn_cpu_options *opts, kn_device **ret, kn_err *err)
{
    KN_ASSERT(!opts->pin && !opts->isa);
    if (!name)
        name = "auto";
    if (!w->dev || w->n_threads != opts->n_threads || strcmp(name, w->device) != 0) {
        kn_warm_shrink(w, 0);
        kn_device_close(w->dev);
        w->dev = NULL;
        int rc = kn_device_open(name, opts, &w->dev, err);
        if (rc)
            return rc;
        snprintf(w->device, sizeof w->device, "%s", name);
        w->n_threads = opts->n_threads;
    }
    w->dev->mem_available_bytes = available(w);
    *ret = w->dev;
    return 0;
}

void *kn_warm_take(kn_warm *w, uint64_t key)
{
    kn_warm_part p;
    for (int i = 0; i < w->n; i++)
        if (key && w->parts[i].key == key) {
            drop(w, i, &p);
            return p.what;
        }
    return NULL;
}

void kn_warm_put(kn_warm *w, const kn_warm_part *part)
{
    void *older = kn_warm_take(w, part->key); /* two of a kind: one was loaded while the other was in use */
    if (older)
        part->free(older);
    if (w->n == MAX_PARTS)
        drop_oldest(w);
    kn_device_account(w->dev, -(int64_t)part->bytes, 0);
    w->dev->mem_idle_bytes += part->bytes;
    w->parts[w->n++] = *part;
}

void kn_warm_make_room(kn_warm *w, const kn_plan *p, kn_phase phase)
{
    size_t peak = 0;
    for (int i = 0; i < p->n_spans; i++)
        if (p->spans[i].phase == phase && p->spans[i].peak_bytes > peak)
            peak = p->spans[i].peak_bytes;
    size_t need = (peak ? peak : p->peak_bytes) + (p->need_bytes - p->peak_bytes);
    kn_warm_shrink(w, p->budget_bytes > need ? p->budget_bytes - need : 0);
}

json_t *kn_warm_to_json(const kn_warm *w)
{
    json_t *all = json_array();
    for (int i = w->n - 1; i >= 0; i--)
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:b}", "name", w->parts[i].name, "model",
                                             w->parts[i].model, "bytes", (json_int_t)w->parts[i].bytes,
                                             "is_mapped", w->parts[i].is_mapped));
    return all;
}

void *kn_run_recall(kn_run *r, uint64_t key, kn_phase phase)
{
    void *what = r->warm ? kn_warm_take(r->warm, key) : NULL;
    if (r->warm)
        kn_warm_make_room(r->warm, r->plan, phase);
    return what;
}

void kn_run_keep(kn_run *r, const kn_warm_part *part)
{
    if (r->warm && part->key)
        kn_warm_put(r->warm, part);
    else
        part->free(part->what);
}
