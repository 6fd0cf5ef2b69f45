/* Convolutions: oneDNN on channels-last activations with blocked weights.
 *
 * The layout oneDNN likes for the weights depends a little on the picture.  They are packed for a typical one; when
 * another is wanted they are turned over in place, once, through the workspace: a model calls one convolution with one
 * size of picture again and again.  (A device runs one operation at a time, see tensor/device.h.) */
#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/cpu_device.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/relayout.h"

/* Most work of one call of oneDNN, if there are frames to divide: see linear.c. */
#define CHUNK_FLOPS 60e9

typedef struct plan {
    kn_dtype type; /* multiplied in */
    bool convert, direct;
    int64_t in[4]; /* picture oneDNN sees, upsampled */
    int64_t out[4];
    int64_t chunk;                                            /* output frames of a step */
    size_t in_bytes, acc_bytes, weights_bytes, scratch_bytes; /* of the workspace's parts */
} plan;

static plan make_plan(kn_device *dev, const kn_conv_args *a)
{
    const kn_weight_spec *spec = &a->w->spec;
    plan p = {.type = kn_cpu_weight_type(dev, spec)};
    int up = a->opts.upsample2 ? 2 : 1;
    const int64_t in[4] = {a->x.dims[0], a->x.dims[1] * up, a->x.dims[2] * up, a->x.dims[3]};
    memcpy(p.in, in, sizeof in);
    memcpy(p.out, a->out.dims, sizeof p.out);
    p.convert = a->x.dtype != p.type || a->opts.upsample2;
    p.direct = p.type == KN_BF16 || a->out.dtype == KN_F32;
    double flops = 2.0 * (double)(p.out[1] * p.out[2] * p.out[3]) *
                   (double)(spec->dims[1] * spec->dims[2] * spec->dims[3] * spec->dims[4]);
    p.chunk = flops * (double)p.out[0] > CHUNK_FLOPS ? (int64_t)(CHUNK_FLOPS / flops) : p.out[0];
    if (p.chunk < 1)
        p.chunk = 1;
    /* a step's padding must leave it at least one real frame */
    if (a->opts.pad_lo[0] >= spec->dims[2] || a->opts.pad_hi[0] >= spec->dims[2])
        p.chunk = p.out[0];
    return p;
}

/* One step: output frames [first, first + n), and the frames and padding they need. */
typedef struct step {
    int64_t first, n;
    int64_t in_first;
    kn_prim_key key;
} step;

static step make_step(const plan *p, const kn_conv_args *a, int64_t first)
{
    const kn_conv_opts *o = &a->opts;
    step s = {.first = first, .n = p->out[0] - first < p->chunk ? p->out[0] - first : p->chunk};
    int64_t lo = first * o->stride[0] - o->pad_lo[0];
    int64_t hi = (first + s.n - 1) * o->stride[0] - o->pad_lo[0] + a->w->spec.dims[2];
    int64_t begin = lo < 0 ? 0 : lo, end = hi > p->in[0] ? p->in[0] : hi;
    s.in_first = begin;
    s.key = (kn_prim_key){.kind = KN_PRIM_CONV,
                          .src_type = p->type,
                          .weights_type = p->type,
                          .dst_type = p->direct ? a->out.dtype : KN_F32};
    s.key.flags = (a->w->spec.bias ? KN_PRIM_BIAS : 0) | (kn_is_null(o->add) ? 0 : KN_PRIM_SUM);
    const int64_t src[4] = {end - begin, p->in[1], p->in[2], p->in[3]};
    memcpy(s.key.src, src, sizeof src);
    memcpy(s.key.weights, a->w->spec.dims, sizeof s.key.weights);
    for (int i = 0; i < 3; i++) {
        s.key.stride[i] = o->stride[i];
        s.key.pad_lo[i] = o->pad_lo[i];
        s.key.pad_hi[i] = o->pad_hi[i];
    }
    s.key.pad_lo[0] = begin - lo;
    s.key.pad_hi[0] = hi - end;
    return s;
}

/* Room for what the steps need; they differ in their padding, so all are asked. */
static int size_plan(kn_device *dev, plan *p, const kn_conv_args *a, kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    kn_prim_key packed_key = kn_cpu_weight_key(dev, &a->w->spec);
    kn_prim *packed = NULL;
    int rc = kn_prim_get(prims, &packed_key, &packed, err);
    for (int64_t first = 0; !rc && first < p->out[0]; first += p->chunk) {
        step s = make_step(p, a, first);
        kn_prim *prim = NULL;
        rc = kn_prim_get(prims, &s.key, &prim, err);
        if (rc)
            break;
        const kn_md *wants = kn_prim_weights(prim);
        if (kn_prim_scratch_bytes(prim) > p->scratch_bytes)
            p->scratch_bytes = kn_prim_scratch_bytes(prim);
        if (!kn_md_equal(wants, kn_prim_weights(packed)) && kn_md_bytes(wants) > p->weights_bytes)
            p->weights_bytes = kn_md_bytes(wants);
        kn_prim_put(prims, prim);
    }
    /* a weight that was turned over before may have to be turned back */
    if (!rc && !p->weights_bytes)
        p->weights_bytes = kn_md_bytes(kn_prim_weights(packed));
    p->weights_bytes = kn_cpu_align(p->weights_bytes);
    kn_prim_put(prims, packed);
    p->in_bytes =
        p->convert ? kn_cpu_align(kn_dtype_bytes(p->type, p->in[0] * p->in[1] * p->in[2] * p->in[3])) : 0;
    p->acc_bytes =
        p->direct ? 0 : kn_cpu_align(kn_dtype_bytes(KN_F32, p->chunk * p->out[1] * p->out[2] * p->out[3]));
    return rc;
}

size_t kn_cpu_conv_workspace(kn_device *dev, const kn_conv_args *a)
{
    plan p = make_plan(dev, a);
    int rc = size_plan(dev, &p, a, NULL); /* a failure comes again, with its message, when it runs */
    return rc ? 0 : p.in_bytes + p.acc_bytes + p.weights_bytes + p.scratch_bytes;
}

/* ---- nearest-neighbour doubling into the workspace ---- */

typedef struct upsample_task {
    const char *src;
    char *dst;
    int64_t width; /* of src */
    size_t pixel_bytes;
} upsample_task;

/* Rows [begin, end) of src, each becoming two. */
static void upsample_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const upsample_task *t = arg;
    size_t row = (size_t)t->width * t->pixel_bytes;
    for (int64_t y = begin; y < end; y++) {
        const char *src = t->src + (size_t)y * row;
        char *dst = t->dst + (size_t)y * 4 * row;
        for (int64_t x = 0; x < t->width; x++) {
            memcpy(dst + (size_t)(2 * x) * t->pixel_bytes, src + (size_t)x * t->pixel_bytes, t->pixel_bytes);
            memcpy(dst + (size_t)(2 * x + 1) * t->pixel_bytes, src + (size_t)x * t->pixel_bytes,
                   t->pixel_bytes);
        }
        memcpy(dst + 2 * row, dst, 2 * row);
    }
}

/* x in p->type (and twice as large, where asked) in `dst`.  A smaller picture that also changes its type is converted
 * into the end of dst first; the doubling then never overtakes what it reads. */
static int load_picture(kn_device *dev, const plan *p, const kn_conv_args *a, char *dst, kn_err *err)
{
    kn_tensor x = a->x;
    if (x.dtype != p->type) {
        x.dtype = p->type;
        x.data = dst + (a->opts.upsample2 ? 3 * kn_bytes(x) : 0);
        int rc = kn_cpu_copy(dev, x, a->x, err);
        if (rc || !a->opts.upsample2)
            return rc;
    }
    upsample_task t = {
        .src = x.data, .dst = dst, .width = x.dims[2], .pixel_bytes = kn_dtype_bytes(p->type, x.dims[3])};
    if (x.data == a->x.data)
        kn_parallel_for(x.dims[0] * x.dims[1], 1, upsample_rows, &t);
    else
        upsample_rows(&t, 0, x.dims[0] * x.dims[1], 0); /* in place: in order */
    return 0;
}

/* ---- running ---- */

/* The weights in the layout `wants`, at *ret: those packed, or turned over in `room` and, if they fit, put back. */
static int weights_as(const kn_weight *weight, const kn_md *wants, void *room, const void **ret, kn_err *err)
{
    kn_cpu_weight *w = weight->priv;
    *ret = w->packed;
    if (kn_md_equal(&w->layout, wants))
        return 0;
    *ret = room;
    int elem = (int)kn_dtype_bytes(w->type, 1);
    int rc = kn_relayout(weight->spec.dims, elem, &w->layout, w->packed, wants, room, err);
    kn_md layout = {0};
    if (rc || kn_md_bytes(wants) > w->packed_bytes)
        return rc;
    rc = kn_dnnl_check(kn_md_copy(&layout, wants), "weight layout", err);
    if (rc)
        return rc;
    memcpy(w->packed, room, kn_md_bytes(wants));
    kn_md_done(&w->layout);
    w->layout = layout;
    *ret = w->packed;
    return 0;
}

typedef struct buffers {
    const char *in;
    char *acc, *weights, *scratch;
} buffers;

static kn_tensor frames(kn_tensor t, int64_t first, int64_t n)
{
    kn_tensor r = t;
    r.data = (char *)t.data + kn_dtype_bytes(t.dtype, first * t.dims[1] * t.dims[2] * t.dims[3]);
    r.dims[0] = n;
    return r;
}

static int run_step(kn_device *dev, const plan *p, const buffers *b, const kn_conv_args *a, const step *s,
                    kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    const kn_cpu_weight *w = a->w->priv;
    kn_tensor out = frames(a->out, s->first, s->n), dst = out;
    if (!p->direct) {
        dst.data = b->acc;
        dst.dtype = KN_F32;
    }
    kn_prim *prim = NULL;
    kn_prim_data d = {.bias = w->bias, .dst = dst.data, .scratch = b->scratch};
    d.src = b->in + kn_dtype_bytes(p->type, s->in_first * p->in[1] * p->in[2] * p->in[3]);
    int rc = kn_prim_get(prims, &s->key, &prim, err);
    if (!rc)
        rc = weights_as(a->w, kn_prim_weights(prim), b->weights, &d.weights, err);
    if (!rc && !kn_is_null(a->opts.add))
        rc = kn_cpu_copy(dev, dst, frames(a->opts.add, s->first, s->n), err);
    if (!rc)
        rc = kn_prim_run(prims, prim, &d, err);
    if (!rc && !p->direct)
        rc = kn_cpu_copy(dev, out, dst, err);
    kn_prim_put(prims, prim);
    return rc;
}

int kn_cpu_conv(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    plan p = make_plan(dev, a);
    int rc = size_plan(dev, &p, a, err);
    if (rc)
        return rc;
    char *at = a->workspace;
    buffers b = {.in = p.convert ? at : a->x.data,
                 .acc = at + p.in_bytes,
                 .weights = at + p.in_bytes + p.acc_bytes,
                 .scratch = at + p.in_bytes + p.acc_bytes + p.weights_bytes};
    if (p.convert)
        rc = load_picture(dev, &p, a, at, err);
    for (int64_t first = 0; !rc && first < p.out[0]; first += p.chunk) {
        step s = make_step(&p, a, first);
        rc = kn_cpu_cancelled(a->cancel) ? kn_fail(err, KN_ECANCELLED, "cancelled")
                                         : run_step(dev, &p, &b, a, &s, err);
    }
    return rc;
}
