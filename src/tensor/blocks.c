#include "tensor/blocks.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tensor/device.h"
#include "tensor/loader_source.h"
#include "tensor/read_ahead.h"

enum { MAX_VISITORS = 2 };

/* A block that comes and goes. */
typedef struct visitor {
    kn_weight_set set;
    int index; /* -1: none */
} visitor;

struct kn_blocks {
    kn_blocks_spec spec;
    kn_loader loader; /* of blocks that come and go */
    kn_device *meta;  /* what they are checked on; NULL when all stay */
    visitor visitors[MAX_VISITORS];
    int n_visitors;
    int newest;          /* of the visitors */
    char *items;         /* the blocks that stay, then the visitors, then one that is only tried */
    kn_touched *touched; /* [n]: what each block that comes and goes is read from */
    kn_read_ahead *ahead;
    int in_use; /* for the timeline; -1: none */
    double used_since_s;
};

static int n_resident(const kn_blocks *b)
{
    return b->spec.n_resident < b->spec.n ? b->spec.n_resident : b->spec.n;
}

bool kn_blocks_all_stay(const kn_blocks *b)
{
    return n_resident(b) == b->spec.n;
}

static void *item(const kn_blocks *b, int slot)
{
    return b->items + (size_t)slot * b->spec.block_bytes;
}

/* Loading onto `meta` is the check, and says what a block is read from (touched, may be NULL). */
static int try_block(kn_blocks *b, int i, kn_touched *touched, kn_err *err)
{
    kn_weight_set set;
    kn_loader check = b->loader;
    kn_weight_set_init(&set, b->meta);
    check.set = &set;
    check.touched = touched;
    b->spec.load(&check, b->spec.config, i, item(b, n_resident(b) + b->n_visitors));
    kn_weight_set_done(&set);
    return check.err.code ? kn_fail(err, check.err.code, "%s", check.err.msg) : 0;
}

static void check_others(kn_blocks *b, kn_loader *l)
{
    if (kn_meta_device_open(l->set->dev, &b->meta, &l->err))
        return;
    for (int i = n_resident(b); i < b->spec.n && !l->err.code; i++)
        try_block(b, i, NULL, &l->err);
}

/* Loads block i in the place of the visitor that came first. */
static void replace_visitor(kn_blocks *b, int i)
{
    b->newest = (b->newest + 1) % b->n_visitors;
    visitor *v = &b->visitors[b->newest];
    v->index = -1;
    kn_weight_set_clear(&v->set);
    b->loader.set = &v->set;
    b->spec.load(&b->loader, b->spec.config, i, item(b, n_resident(b) + b->newest));
    if (!b->loader.err.code)
        v->index = i;
}

static void dismiss_visitors(kn_blocks *b)
{
    for (int i = 0; i < b->n_visitors; i++) {
        kn_weight_set_done(&b->visitors[i].set);
        b->visitors[i].index = -1;
    }
}

/* A packed file holds every block: those that do not stay are made once for it. */
static void record_others(kn_blocks *b, kn_loader *l)
{
    for (int i = n_resident(b); i < b->spec.n && !l->err.code && kn_packed_is_recording(l->packed); i++) {
        replace_visitor(b, i);
        l->err = b->loader.err;
    }
    dismiss_visitors(b);
}

static bool alloc(kn_blocks *b, kn_loader *l)
{
    b->items = kn_calloc((size_t)n_resident(b) + MAX_VISITORS + 1, b->spec.block_bytes);
    b->touched = kn_calloc((size_t)b->spec.n + 1, sizeof *b->touched);
    if (!b->items || !b->touched)
        kn_fail(&l->err, KN_ENOMEM, "no memory for %d blocks", b->spec.n);
    return !l->err.code;
}

kn_blocks *kn_blocks_new(kn_loader *l, const kn_blocks_spec *spec)
{
    KN_ASSERT(spec->n >= 0 && spec->n_resident >= 0);
    if (!kn_loader_ready(l))
        return NULL;
    kn_blocks *b = kn_calloc(1, sizeof *b);
    if (!b) {
        kn_fail(&l->err, KN_ENOMEM, "no memory for %d blocks", spec->n);
        return NULL;
    }
    b->spec = *spec;
    b->in_use = -1;
    b->n_visitors = l->set->dev->n_visitors > 1 ? MAX_VISITORS : 1;
    b->loader = *l;
    for (int i = 0; i < b->n_visitors; i++) {
        kn_weight_set_init(&b->visitors[i].set, l->set->dev);
        b->visitors[i].index = -1;
    }
    if (alloc(b, l) && !kn_blocks_all_stay(b))
        check_others(b, l);
    record_others(b, l);
    for (int i = 0; i < n_resident(b) && kn_loader_ready(l); i++)
        spec->load(l, spec->config, i, item(b, i));
    if (l->err.code) {
        kn_blocks_free(b);
        return NULL;
    }
    if (!kn_blocks_all_stay(b) && !l->set->dev->is_meta)
        b->ahead = kn_read_ahead_new();
    return b;
}

void kn_blocks_free(kn_blocks *b)
{
    if (!b)
        return;
    kn_read_ahead_free(b->ahead);
    dismiss_visitors(b);
    for (int i = 0; b->touched && i < b->spec.n; i++)
        free(b->touched[i].ranges);
    kn_device_close(b->meta);
    free(b->touched);
    free(b->items);
    free(b);
}

/* Asked for when it is needed: then a packed file that was recorded beside the load is there to be read from. */
static const kn_touched *touched_by(kn_blocks *b, int i)
{
    kn_touched *t = &b->touched[i];
    if (!t->is_noted && try_block(b, i, t, NULL))
        t->n = 0;
    t->is_noted = true;
    return t;
}

static const visitor *find_visitor(const kn_blocks *b, int i)
{
    for (int k = 0; k < b->n_visitors; k++)
        if (b->visitors[k].index == i)
            return &b->visitors[k];
    return NULL;
}

static void read_next(kn_ctx *c, kn_blocks *b, int i)
{
    int next = i + 1 < b->spec.n ? i + 1 : n_resident(b);
    if (!b->ahead || next < n_resident(b) || find_visitor(b, next))
        return;
    const kn_touched *t = touched_by(b, next);
    kn_read_ahead_want(b->ahead, t->ranges, t->n, next, c->timeline);
}

static void visit(kn_ctx *c, kn_blocks *b, int i)
{
    double begin = kn_clock_s();
    replace_visitor(b, i);
    const visitor *v = &b->visitors[b->newest];
    kn_timeline_add(c->timeline, KN_TRACK_BLOCKS, "load", i, begin, kn_clock_s(), (double)v->set.bytes);
    c->stats.loaded_bytes += (double)v->set.bytes;
    if (kn_packed_is_ready(b->loader.packed))
        c->stats.recalled_bytes += (double)v->set.bytes;
    if (b->loader.err.code)
        kn_ctx_fail(c, b->loader.err.code, "%s", b->loader.err.msg);
}

void kn_blocks_rest(kn_ctx *c, kn_blocks *b)
{
    if (!b || b->in_use < 0)
        return;
    kn_timeline_add(c->timeline, KN_TRACK_BLOCKS, "block", b->in_use, b->used_since_s, kn_clock_s(), 0);
    b->in_use = -1;
}

const void *kn_blocks_use(kn_ctx *c, kn_blocks *b, int i)
{
    KN_ASSERT(i >= 0 && i < b->spec.n);
    if (!kn_ok(c))
        return NULL;
    kn_blocks_rest(c, b);
    bool stays = i < n_resident(b);
    if (!stays && !find_visitor(b, i))
        visit(c, b, i);
    read_next(c, b, i);
    if (!kn_ok(c))
        return NULL;
    b->in_use = i;
    b->used_since_s = kn_clock_s();
    return item(b, stays ? i : n_resident(b) + (int)(find_visitor(b, i) - b->visitors));
}
