/* Front of attention. */
#include "tensor/op.h"

#include <math.h>

/* [n, c] as [1, n, c]. */
static kn_tensor batched(kn_tensor t)
{
    if (t.n_dims == 3)
        return t;
    kn_tensor r = {
        .data = t.data, .dtype = t.dtype, .n_dims = 3, .dims = {1, t.dims[0], t.dims[1], 1, 1, 1, 1, 1}};
    return r;
}

static bool check_shapes(kn_ctx *c, kn_tensor q, kn_tensor k, kn_tensor v, int n_heads, int n_kv_heads)
{
    char sq[KN_SHAPE_STR], sk[KN_SHAPE_STR], sv[KN_SHAPE_STR];
    bool ok = (q.n_dims == 2 || q.n_dims == 3) && k.n_dims == q.n_dims && kn_op_same_dims(k, v);
    ok = ok && q.dtype == k.dtype && q.dtype == v.dtype && n_heads > 0 && n_kv_heads > 0 &&
         n_heads % n_kv_heads == 0;
    ok = ok && kn_op_last(q) % n_heads == 0 && kn_op_last(k) == kn_op_last(q) / n_heads * n_kv_heads;
    ok = ok && (q.n_dims == 2 || q.dims[0] == k.dims[0]);
    if (!ok)
        kn_ctx_fail(
            c, KN_EINTERNAL,
            "attention: q %s, k %s, v %s, expected one type, [nq, %d * d] and twice [nk, %d * d], or these "
            "with a batch in front",
            kn_shape_str(q, sq, sizeof sq), kn_shape_str(k, sk, sizeof sk), kn_shape_str(v, sv, sizeof sv),
            n_heads, n_kv_heads);
    return ok && kn_op_float(c, "attention", "q", q);
}

static bool check_biases(kn_ctx *c, const kn_attention_opts *o, int n_heads, int64_t nq, int64_t nk)
{
    const kn_tensor b = o->bias, r = o->rel_bias;
    char shape[KN_SHAPE_STR];
    if (!kn_is_null(b)) {
        bool by_key = b.n_dims == 3 && b.dims[1] == 1, for_all = b.n_dims == 3 && b.dims[0] == 1;
        if (!kn_op_is(c, "attention", "bias", b, KN_F32, KN_DIMS(for_all ? 1 : n_heads, by_key ? 1 : nq, nk)))
            return false;
    }
    if (!kn_is_null(r) &&
        (r.dtype != KN_F32 || r.n_dims != 2 || r.dims[0] != n_heads || r.dims[1] % 2 != 1)) {
        kn_ctx_fail(c, KN_EINTERNAL, "attention: relative bias is %s, expected [%d, 2R + 1] f32",
                    kn_shape_str(r, shape, sizeof shape), n_heads);
        return false;
    }
    if (o->causal && nk < nq)
        kn_ctx_fail(c, KN_EINTERNAL,
                    "attention: causal with %lld queries and %lld keys, expected at least as many keys",
                    (long long)nq, (long long)nk);
    return kn_ok(c);
}

static void count(kn_ctx *c, const kn_attention_args *a)
{
    double width = (double)kn_op_last(a->q), nq = (double)a->q.dims[1], nk = (double)a->k.dims[1];
    double flops = 4 * (double)a->q.dims[0] * nq * nk * width;
    kn_op_count(c, KN_WORK_ATTENTION, a->opts.causal ? flops / 2 : flops,
                (double)(kn_bytes(a->q) + kn_bytes(a->k) + kn_bytes(a->v) + kn_bytes(a->out)));
}

kn_tensor kn_attention(kn_ctx *c, kn_tensor q, kn_tensor k, kn_tensor v, int n_heads, int n_kv_heads,
                       const kn_attention_opts *opts, kn_dtype out)
{
    if (!kn_op_ready(c) || kn_is_null(q) || kn_is_null(k) || kn_is_null(v))
        return (kn_tensor){0};
    if (!check_shapes(c, q, k, v, n_heads, n_kv_heads) || !kn_op_out(c, "attention", out))
        return (kn_tensor){0};
    kn_attention_args a = {.q = batched(q),
                           .k = batched(k),
                           .v = batched(v),
                           .n_heads = n_heads,
                           .n_kv_heads = n_kv_heads,
                           .cancel = c->cancel};
    if (opts)
        a.opts = *opts;
    if (a.opts.scale == 0)
        a.opts.scale = (float)(1 / sqrt((double)(kn_op_last(q) / n_heads)));
    if (!check_biases(c, &a.opts, n_heads, a.q.dims[1], a.k.dims[1]))
        return (kn_tensor){0};
    kn_tensor y = kn_op_like(c, q, 0, out);
    if (kn_is_null(y))
        return y;
    a.out = batched(y);
    count(c, &a);
    const kn_device_ops *ops = c->dev->ops;
    if (!kn_op_workspace(c, ops->attention_workspace ? ops->attention_workspace(c->dev, &a) : 0,
                         &a.workspace))
        return (kn_tensor){0};
    KN_OP_CALL(c, "attention", attention, &a);
    kn_op_workspace_done(c, a.workspace);
    return kn_ok(c) ? y : (kn_tensor){0};
}
