/* Convolutions: oneDNN on channels-last activations, straight from x to out where the types are its own. */
#include <string.h>

#include "tensor/cpu/conv_parts.h"
#include "tensor/cpu/kernels.h"

/* One step: output frames [first, first + n), and the frames and padding they need. */
typedef struct step {
    int64_t first, n;
    int64_t in_first;
    kn_prim_key key;
} step;

static bool is_direct(kn_device *dev, const kn_conv_args *a)
{
    kn_dtype type = kn_cpu_weight_type(dev, &a->w->spec);
    return a->x.dtype == type && !a->opts.upsample2 && (type == KN_BF16 || a->out.dtype == KN_F32);
}

/* Output frames of a step. */
static int64_t step_frames(const kn_conv_args *a)
{
    const int64_t *k = a->w->spec.dims, *y = a->out.dims;
    double flops = 2.0 * (double)(y[1] * y[2] * y[3]) * (double)(k[1] * k[2] * k[3] * k[4]);
    /* a step's padding must leave it at least one real frame */
    if (a->opts.pad_lo[0] >= k[2] || a->opts.pad_hi[0] >= k[2] || flops * (double)y[0] <= KN_CONV_STEP_FLOPS)
        return y[0];
    int64_t n = (int64_t)(KN_CONV_STEP_FLOPS / flops);
    return n < 1 ? 1 : n;
}

static step make_step(const kn_conv_args *a, int64_t first)
{
    const kn_conv_opts *o = &a->opts;
    int64_t n = step_frames(a), n_in = a->x.dims[0];
    step s = {.first = first, .n = a->out.dims[0] - first < n ? a->out.dims[0] - first : n};
    int64_t lo = first * o->stride[0] - o->pad_lo[0];
    int64_t hi = (first + s.n - 1) * o->stride[0] - o->pad_lo[0] + a->w->spec.dims[2];
    int64_t begin = lo < 0 ? 0 : lo, end = hi > n_in ? n_in : hi;
    s.in_first = begin;
    s.key = (kn_prim_key){
        .kind = KN_PRIM_CONV, .src_type = a->x.dtype, .weights_type = a->x.dtype, .dst_type = a->out.dtype};
    s.key.flags = (a->w->spec.bias ? KN_PRIM_BIAS : 0) | (kn_is_null(o->add) ? 0 : KN_PRIM_SUM);
    memcpy(s.key.src, a->x.dims, sizeof s.key.src);
    s.key.src[0] = end - begin;
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

/* Bytes to turn weights over, and of scratch.  Steps differ in their padding, so all are asked. */
static int direct_sizes(kn_device *dev, const kn_conv_args *a, size_t *ret_room, size_t *ret_scratch,
                        kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    int64_t n = step_frames(a);
    *ret_room = *ret_scratch = 0;
    for (int64_t first = 0; first < a->out.dims[0]; first += n) {
        step s = make_step(a, first);
        kn_prim *prim = NULL;
        int rc = kn_prim_get(prims, &s.key, &prim, err);
        if (rc)
            return rc;
        if (kn_prim_scratch_bytes(prim) > *ret_scratch)
            *ret_scratch = kn_prim_scratch_bytes(prim);
        if (kn_conv_room(prim) > *ret_room)
            *ret_room = kn_conv_room(prim);
        kn_prim_put(prims, prim);
    }
    return 0;
}

static size_t direct_workspace(kn_device *dev, const kn_conv_args *a)
{
    size_t room, scratch;
    /* a failure comes again, with its message, when it runs */
    return direct_sizes(dev, a, &room, &scratch, NULL) ? 0 : room + scratch;
}

static kn_tensor frames_of(kn_tensor t, int64_t first, int64_t n)
{
    kn_tensor r = t;
    r.data = (char *)t.data + kn_dtype_bytes(t.dtype, first * t.dims[1] * t.dims[2] * t.dims[3]);
    r.dims[0] = n;
    return r;
}

static int run_step(kn_device *dev, const kn_conv_args *a, const step *s, char *room, char *scratch,
                    kn_err *err)
{
    kn_prims *prims = kn_cpu_of(dev)->prims;
    kn_tensor out = frames_of(a->out, s->first, s->n);
    kn_prim_data d = {.src = frames_of(a->x, s->in_first, 1).data,
                      .bias = ((const kn_cpu_weight *)a->w->priv)->bias,
                      .dst = out.data,
                      .scratch = scratch};
    kn_prim *prim = NULL;
    int rc = kn_prim_get(prims, &s->key, &prim, err);
    if (!rc)
        rc = kn_conv_weights(a->w, 0, prim, room, &d.weights, err);
    if (!rc && !kn_is_null(a->opts.add))
        rc = kn_cpu_copy(dev, out, frames_of(a->opts.add, s->first, s->n), err);
    if (!rc)
        rc = kn_prim_run(prims, prim, &d, err);
    kn_prim_put(prims, prim);
    return rc;
}

static int run_direct(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    size_t room, scratch;
    int rc = direct_sizes(dev, a, &room, &scratch, err);
    char *workspace = a->workspace;
    for (int64_t first = 0, n = step_frames(a); !rc && first < a->out.dims[0]; first += n) {
        step s = make_step(a, first);
        rc = kn_cpu_cancelled(a->cancel) ? kn_fail(err, KN_ECANCELLED, "cancelled")
                                         : run_step(dev, a, &s, workspace, workspace + room, err);
    }
    return rc;
}

size_t kn_cpu_conv_workspace(kn_device *dev, const kn_conv_args *a)
{
    if (a->w->spec.upsample2)
        return kn_conv_doubled_workspace(dev, a);
    return is_direct(dev, a) ? direct_workspace(dev, a) : kn_conv_gathered_workspace(dev, a);
}

int kn_cpu_conv(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    if (a->w->spec.upsample2)
        return kn_conv_doubled(dev, a, err);
    return is_direct(dev, a) ? run_direct(dev, a, err) : kn_conv_gathered(dev, a, err);
}
