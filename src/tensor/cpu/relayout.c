#include "tensor/cpu/relayout.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"

/* The place of an element is a sum with one term for each of its five indices: the terms, in elements. */
typedef struct places {
    int64_t *term[5];
} places;

static int64_t term_of(const kn_md_blocks *b, int dim, int64_t index)
{
    int64_t stride = 1, place = 0;
    for (int i = b->n_blocks - 1; i >= 0; i--) {
        if (b->dims[i] == dim) {
            place += index % b->sizes[i] * stride;
            index /= b->sizes[i];
        }
        stride *= b->sizes[i];
    }
    return place + index * b->strides[dim];
}

static int places_init(places *p, const kn_md *md, const int64_t dims[5], kn_err *err)
{
    kn_md_blocks b;
    int rc = kn_dnnl_check(kn_md_query_blocks(md, &b), "weights in blocks", err);
    if (rc)
        return rc;
    for (int d = 0; d < 5; d++) {
        p->term[d] = kn_calloc((size_t)dims[d], sizeof *p->term[d]);
        if (!p->term[d])
            return kn_fail(err, KN_ENOMEM, "no memory to lay out weights");
        for (int64_t i = 0; i < dims[d]; i++)
            p->term[d][i] = term_of(&b, d, i);
    }
    return 0;
}

static void places_done(places *p)
{
    for (int d = 0; d < 5; d++)
        free(p->term[d]);
}

typedef struct task {
    const int64_t *dims;
    int elem_bytes;
    places from, to;
    const void *src;
    void *dst;
} task;

static void move_row(const task *t, int64_t from, int64_t to)
{
    const int64_t *f = t->from.term[1], *g = t->to.term[1];
    for (int64_t i = 0; i < t->dims[1]; i++) {
        if (t->elem_bytes == 2)
            ((uint16_t *)t->dst)[to + g[i]] = ((const uint16_t *)t->src)[from + f[i]];
        else
            ((uint32_t *)t->dst)[to + g[i]] = ((const uint32_t *)t->src)[from + f[i]];
    }
}

/* [begin, end) of all combinations of the output channel and the kernel's three indices. */
static void move_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const task *t = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t rest = i, from = 0, to = 0;
        for (int d = 4; d >= 0; d--) {
            if (d == 1)
                continue;
            from += t->from.term[d][rest % t->dims[d]];
            to += t->to.term[d][rest % t->dims[d]];
            rest /= t->dims[d];
        }
        move_row(t, from, to);
    }
}

int kn_relayout(const int64_t dims[5], int elem_bytes, const kn_md *from, const void *src, const kn_md *to,
                void *dst, kn_err *err)
{
    task t = {.dims = dims, .elem_bytes = elem_bytes, .src = src, .dst = dst};
    int rc = places_init(&t.from, from, dims, err);
    if (!rc)
        rc = places_init(&t.to, to, dims, err);
    if (!rc) {
        memset(dst, 0, kn_md_bytes(to)); /* padded channels are multiplied too */
        kn_parallel_for(dims[0] * dims[2] * dims[3] * dims[4], 16, move_rows, &t);
    }
    places_done(&t.from);
    places_done(&t.to);
    return rc;
}
