/* Convolutions whose input changes its type or is doubled on the way: in strips of rows that pass through the
 * workspace with their padding above and below, so that all strips are one primitive. */
#include "base/parallel.h"
#include <string.h>

#include "tensor/cpu/conv_parts.h"
#include "tensor/cpu/ewise_kernels.h"
#include "tensor/cpu/kernels.h"

/* About what the strips of input and output take; fewer rows than MIN_ROWS compute too much twice. */
enum { STRIP_BYTES = 32 << 20, MIN_ROWS = 16 };

/* ---- copying a part of a picture ---- */

typedef struct gather_task {
    const kn_gather *g;
    void (*convert)(void *dst, bool dst_bf16, const void *src, bool src_bf16, int64_t n);
} gather_task;

static void gather_row(const gather_task *t, const char *src, char *dst)
{
    const kn_gather *g = t->g;
    int64_t c = g->x.dims[3], width = g->x.dims[2] * (g->doubled ? 2 : 1);
    int64_t begin = g->first[2] < 0 ? 0 : g->first[2], end = g->first[2] + g->size[2];
    end = end > width ? width : end;
    size_t out = kn_dtype_bytes(g->type, c), in = kn_dtype_bytes(g->x.dtype, c);
    bool to_bf16 = g->type == KN_BF16, from_bf16 = g->x.dtype == KN_BF16;
    memset(dst, 0, (size_t)(begin - g->first[2]) * out);
    memset(dst + (size_t)(end - g->first[2]) * out, 0, (size_t)(g->first[2] + g->size[2] - end) * out);
    dst += (size_t)(begin - g->first[2]) * out;
    if (!g->doubled) {
        t->convert(dst, to_bf16, src + (size_t)begin * in, from_bf16, (end - begin) * c);
        return;
    }
    for (int64_t x = begin; x < end; x++, dst += out)
        t->convert(dst, to_bf16, src + (size_t)(x / 2) * in, from_bf16, c);
}

static void gather_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const gather_task *t = arg;
    const kn_gather *g = t->g;
    const int64_t *d = g->x.dims;
    int up = g->doubled ? 2 : 1;
    size_t out = kn_dtype_bytes(g->type, g->size[2] * d[3]), in = kn_dtype_bytes(g->x.dtype, d[2] * d[3]);
    for (int64_t i = begin; i < end; i++) {
        int64_t frame = g->first[0] + i / g->size[1], row = g->first[1] + i % g->size[1];
        char *dst = (char *)g->dst + (size_t)i * out;
        if (frame < 0 || frame >= d[0] || row < 0 || row >= d[1] * up)
            memset(dst, 0, out);
        else
            gather_row(t, (const char *)g->x.data + (size_t)(frame * d[1] + row / up) * in, dst);
    }
}

void kn_conv_gather(kn_device *dev, const kn_gather *g)
{
    gather_task t = {g, KN_PICK_KERNELS(kn_ewise_kernels, kn_cpu_isa_of(dev))->convert};
    kn_parallel_for(g->size[0] * g->size[1], 1, gather_rows, &t);
}

/* ---- the convolution ---- */

typedef struct plan {
    kn_dtype type;        /* multiplied in */
    kn_dtype acc_type;    /* of what oneDNN writes */
    int64_t frames, rows; /* of the result, in a step */
    int64_t in[3];        /* frames, rows, columns of the input of a step */
    bool direct;          /* oneDNN writes into out */
    kn_prim_key key;
    size_t in_bytes, acc_bytes, room, scratch;
} plan;

static int64_t span(int64_t n, int64_t stride, int64_t kernel)
{
    return (n - 1) * stride + kernel;
}

static size_t strip_bytes(const plan *p, const kn_conv_args *a, int64_t frames, int64_t rows)
{
    const kn_conv_opts *o = &a->opts;
    const int64_t *k = a->w->spec.dims, *y = a->out.dims;
    int64_t in = span(frames, o->stride[0], k[2]) * span(rows, o->stride[1], k[3]) * p->in[2] * k[1];
    return kn_dtype_bytes(p->type, in) + kn_dtype_bytes(p->acc_type, frames * rows * y[2] * y[3]);
}

static void choose_strips(plan *p, const kn_conv_args *a)
{
    const int64_t *k = a->w->spec.dims, *y = a->out.dims;
    double row_flops = 2.0 * (double)(y[2] * y[3] * k[1] * k[2] * k[3] * k[4]);
    int64_t frames = y[0], rows = y[1], least = y[1] < MIN_ROWS ? y[1] : MIN_ROWS;
    while (frames > 1 && (strip_bytes(p, a, frames, least) > STRIP_BYTES ||
                          row_flops * (double)(frames * least) > KN_CONV_STEP_FLOPS))
        frames = (frames + 1) / 2;
    while (rows > least && (strip_bytes(p, a, frames, rows) > STRIP_BYTES ||
                            row_flops * (double)(frames * rows) > KN_CONV_STEP_FLOPS))
        rows = (rows + 1) / 2;
    p->frames = kn_conv_part(y[0], frames);
    p->rows = kn_conv_part(y[1], rows);
}

static void make_key(plan *p, const kn_conv_args *a)
{
    const kn_conv_opts *o = &a->opts;
    p->key = (kn_prim_key){
        .kind = KN_PRIM_CONV, .src_type = p->type, .weights_type = p->type, .dst_type = p->acc_type};
    p->key.flags = (a->w->spec.bias ? KN_PRIM_BIAS : 0) | (kn_is_null(o->add) ? 0 : KN_PRIM_SUM);
    memcpy(p->key.src, p->in, sizeof p->in);
    p->key.src[3] = a->x.dims[3];
    memcpy(p->key.weights, a->w->spec.dims, sizeof p->key.weights);
    for (int i = 0; i < 3; i++)
        p->key.stride[i] = o->stride[i];
    p->key.pad_lo[2] = o->pad_lo[2];
    p->key.pad_hi[2] = o->pad_hi[2];
}

static plan make_plan(kn_device *dev, const kn_conv_args *a)
{
    const int64_t *k = a->w->spec.dims, *y = a->out.dims;
    plan p = {.type = kn_cpu_weight_type(dev, &a->w->spec)};
    p.acc_type = p.type == KN_BF16 ? a->out.dtype : KN_F32;
    p.in[2] = a->x.dims[2] * (a->opts.upsample2 ? 2 : 1);
    choose_strips(&p, a);
    p.in[0] = span(p.frames, a->opts.stride[0], k[2]);
    p.in[1] = span(p.rows, a->opts.stride[1], k[3]);
    p.direct = p.acc_type == a->out.dtype && (p.frames == 1 || p.rows == y[1]);
    make_key(&p, a);
    p.in_bytes = kn_cpu_align(kn_dtype_bytes(p.type, p.in[0] * p.in[1] * p.in[2] * a->x.dims[3]));
    p.acc_bytes = p.direct ? 0 : kn_cpu_align(kn_dtype_bytes(p.acc_type, p.frames * p.rows * y[2] * y[3]));
    return p;
}

static int plan_prim(kn_device *dev, plan *p, kn_prim **ret, kn_err *err)
{
    int rc = kn_prim_get(kn_cpu_of(dev)->prims, &p->key, ret, err);
    if (rc)
        return rc;
    p->room = kn_conv_room(*ret);
    p->scratch = kn_prim_scratch_bytes(*ret);
    return 0;
}

size_t kn_conv_gathered_workspace(kn_device *dev, const kn_conv_args *a)
{
    plan p = make_plan(dev, a);
    kn_prim *prim = NULL;
    int rc = plan_prim(dev, &p, &prim, NULL); /* a failure comes again, with its message, when it runs */
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return rc ? 0 : p.in_bytes + p.acc_bytes + p.room + p.scratch;
}

/* Rows [row, row + rows) of frame `frame` as a tensor. */
static kn_tensor rows_of(kn_tensor t, int64_t frame, int64_t row, int64_t rows)
{
    kn_tensor r = t;
    r.data = (char *)t.data + kn_dtype_bytes(t.dtype, (frame * t.dims[1] + row) * t.dims[2] * t.dims[3]);
    r.dims[0] = 1;
    r.dims[1] = rows;
    return r;
}

/* Result frames and rows from (frame, row) on; weights and buffers are in d. */
static int run_step(kn_device *dev, const plan *p, const kn_conv_args *a, kn_prim *prim, kn_prim_data *d,
                    char *in, char *acc_data, int64_t frame, int64_t row, kn_err *err)
{
    const kn_conv_opts *o = &a->opts;
    kn_gather g = {.x = a->x, .doubled = o->upsample2, .type = p->type, .dst = in};
    g.first[0] = frame * o->stride[0] - o->pad_lo[0];
    g.first[1] = row * o->stride[1] - o->pad_lo[1];
    memcpy(g.size, p->in, sizeof g.size);
    kn_conv_gather(dev, &g);
    kn_tensor acc = a->out;
    acc.dtype = p->acc_type;
    acc.dims[0] = p->frames;
    acc.dims[1] = p->rows;
    acc.data = p->direct ? rows_of(a->out, frame, row, p->rows).data : acc_data;
    int rc = 0;
    for (int64_t i = 0; i < p->frames && !rc && !kn_is_null(o->add); i++)
        rc = kn_cpu_copy(dev, rows_of(acc, i, 0, p->rows), rows_of(o->add, frame + i, row, p->rows), err);
    d->src = in;
    d->dst = acc.data;
    if (!rc)
        rc = kn_prim_run(kn_cpu_of(dev)->prims, prim, d, err);
    for (int64_t i = 0; i < p->frames && !rc && !p->direct; i++)
        rc = kn_cpu_copy(dev, rows_of(a->out, frame + i, row, p->rows), rows_of(acc, i, 0, p->rows), err);
    return rc;
}

int kn_conv_gathered(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    plan p = make_plan(dev, a);
    kn_prim *prim = NULL;
    int rc = plan_prim(dev, &p, &prim, err);
    char *in = a->workspace, *acc = in + p.in_bytes, *room = acc + p.acc_bytes;
    kn_prim_data d = {.bias = ((const kn_cpu_weight *)a->w->priv)->bias, .scratch = room + p.room};
    if (!rc)
        rc = kn_conv_weights(a->w, 0, prim, room, &d.weights, err);
    const int64_t *y = a->out.dims;
    for (int64_t f = 0; !rc && f < y[0]; f += p.frames)
        for (int64_t r = 0; !rc && r < y[1]; r += p.rows) {
            int64_t frame = f + p.frames > y[0] ? y[0] - p.frames : f;
            int64_t row = r + p.rows > y[1] ? y[1] - p.rows : r;
            rc = kn_cpu_cancelled(a->cancel) ? kn_fail(err, KN_ECANCELLED, "cancelled")
                                             : run_step(dev, &p, a, prim, &d, in, acc, frame, row, err);
        }
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return rc;
}
