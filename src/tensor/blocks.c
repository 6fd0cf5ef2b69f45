#include "tensor/blocks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tensor/device.h"
#include "tensor/loader_source.h"
#include "tensor/read_ahead.h"

struct kn_blocks {
    kn_blocks_spec spec;
    kn_loader loader;       /* of blocks that come and go: into `visiting` */
    kn_device *meta;        /* what they are checked on; NULL when all stay */
    kn_weight_set visiting; /* the weights of block `visitor` */
    int visitor;            /* -1: none */
    char *items;            /* the blocks that stay, then the visitor, then one that is only tried */
    kn_touched *touched;    /* [n]: what each block that comes and goes is read from */
    kn_read_ahead *ahead;
};

static int n_resident(const kn_blocks *b)
{
    return b->spec.n_resident < b->spec.n ? b->spec.n_resident : b->spec.n;
}

bool kn_blocks_all_stay(const kn_blocks *b)
{
    return n_resident(b) == b->spec.n;
}

static void *item(const kn_blocks *b, int i)
{
    int slot = i < n_resident(b) ? i : n_resident(b);
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
    b->spec.load(&check, b->spec.config, i, (char *)item(b, b->spec.n) + b->spec.block_bytes);
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

/* A packed file holds every block: those that do not stay are made once for it. */
static void record_others(kn_blocks *b, kn_loader *l)
{
    for (int i = n_resident(b); i < b->spec.n && !l->err.code && kn_packed_is_recording(l->packed); i++) {
        b->spec.load(&b->loader, b->spec.config, i, item(b, i));
        kn_weight_set_done(&b->visiting);
        l->err = b->loader.err;
    }
}

static bool alloc(kn_blocks *b, kn_loader *l)
{
    b->items = kn_calloc((size_t)n_resident(b) + 2, b->spec.block_bytes);
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
    b->visitor = -1;
    b->loader = *l;
    b->loader.set = &b->visiting;
    kn_weight_set_init(&b->visiting, l->set->dev);
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
    kn_weight_set_done(&b->visiting);
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

static void read_next(kn_blocks *b, int i)
{
    int next = i + 1 < b->spec.n ? i + 1 : n_resident(b);
    if (!b->ahead || next < n_resident(b) || next == b->visitor)
        return;
    const kn_touched *t = touched_by(b, next);
    kn_read_ahead_want(b->ahead, t->ranges, t->n);
}

static void visit(kn_ctx *c, kn_blocks *b, int i)
{
    b->visitor = -1;
    kn_weight_set_done(&b->visiting);
    b->spec.load(&b->loader, b->spec.config, i, item(b, i));
    c->stats.loaded_bytes += (double)b->visiting.bytes;
    if (kn_packed_is_ready(b->loader.packed))
        c->stats.recalled_bytes += (double)b->visiting.bytes;
    if (b->loader.err.code)
        kn_ctx_fail(c, b->loader.err.code, "%s", b->loader.err.msg);
    else
        b->visitor = i;
}

const void *kn_blocks_use(kn_ctx *c, kn_blocks *b, int i)
{
    KN_ASSERT(i >= 0 && i < b->spec.n);
    if (!kn_ok(c))
        return NULL;
    if (i >= n_resident(b) && i != b->visitor)
        visit(c, b, i);
    read_next(b, i);
    return kn_ok(c) ? item(b, i) : NULL;
}
