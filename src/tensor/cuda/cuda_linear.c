/* Matrix products with weights: cuBLASLt for the product, bias and GELU; gates, other activations and scales by a kernel, a chunk
 * of rows at a time, so that what lies between the two stays in the card's cache. */
#include "tensor/cuda/cuda_device.h"

/* Result of a chunk: about half of the second-level cache of an H100, and still several waves of tiles. */
enum { CHUNK_BYTES = 24 << 20, CHUNK_ROWS = 256 };

typedef struct plan {
    int64_t rows, n, k, stride;
    int64_t chunk; /* rows of a step */
    kn_dtype type, acc_type;
    bool convert;           /* x goes through the workspace */
    bool direct;            /* the product writes out itself */
    bool act_after;         /* a kernel applies the activation to out */
    size_t in, scales, acc; /* bytes of the workspace's parts */
} plan;

static int64_t chunk_rows(const plan *p)
{
    size_t row = p->direct ? kn_dtype_bytes(p->type, p->stride) : kn_dtype_bytes(p->acc_type, p->n);
    int64_t rows = (int64_t)(CHUNK_BYTES / row) / CHUNK_ROWS * CHUNK_ROWS;
    if (p->direct && !p->convert)
        return p->rows;
    rows = rows < CHUNK_ROWS ? CHUNK_ROWS : rows;
    return rows < p->rows ? rows : p->rows;
}

static plan make_plan(const kn_linear_args *a)
{
    const kn_weight_spec *spec = &a->w->spec;
    plan p = {.rows = a->x.dims[0], .n = spec->dims[0], .k = spec->dims[1], .type = spec->dtype};
    bool is_int8 = p.type == KN_I8;
    p.stride = kn_cuda_row_stride(p.type, p.k);
    p.convert = a->x.dtype != p.type;
    p.direct = !is_int8 && (!a->accumulate || (kn_is_null(a->gate.table) && a->act == KN_ACT_NONE));
    bool fused =
        a->act == KN_ACT_NONE || (a->act == KN_ACT_GELU_TANH && p.type == KN_BF16 && a->out.dtype == KN_BF16);
    p.act_after = p.direct && !fused;
    p.acc_type = is_int8 ? KN_I32 : p.type;
    p.chunk = chunk_rows(&p);
    p.in = p.convert ? kn_cuda_align(kn_dtype_bytes(p.type, p.chunk * p.stride)) : 0;
    p.scales = is_int8 ? kn_cuda_align((size_t)p.chunk * sizeof(float)) : 0;
    p.acc = p.direct ? 0 : kn_cuda_align(kn_dtype_bytes(p.acc_type, p.chunk * p.n));
    return p;
}

size_t kn_cuda_linear_workspace(kn_device *dev, const kn_linear_args *a)
{
    (void)dev;
    plan p = make_plan(a);
    return p.in + p.scales + p.acc;
}

static void *row_of(kn_tensor t, int64_t row)
{
    return (char *)t.data + kn_dtype_bytes(t.dtype, row * t.dims[1]);
}

/* x's rows as the product wants them. */
static const void *load_rows(kn_device *dev, const plan *p, const kn_linear_args *a, int64_t first,
                             int64_t rows)
{
    const void *x = row_of(a->x, first);
    char *in = a->workspace;
    if (!p->convert)
        return x;
    if (p->type == KN_I8)
        kn_k_quantize(x, kn_cuda_type(a->x.dtype), rows, (int)p->k, (int8_t *)in, p->stride,
                      (float *)(void *)(in + p->in), kn_cuda_stream(dev));
    else
        kn_k_convert(in, p->type == KN_BF16, x, kn_cuda_type(a->x.dtype), rows * p->k, kn_cuda_stream(dev));
    return in;
}

static void finish_rows(kn_device *dev, const plan *p, const kn_linear_args *a, int64_t first, int64_t rows)
{
    const kn_cuda_weight *w = a->w->priv;
    const char *scales = (char *)a->workspace + p->in, *acc = scales + p->scales;
    bool is_int8 = p->type == KN_I8;
    kn_k_finish f = {.acc = acc,
                     .acc_type = is_int8 ? KN_K_I32 : kn_cuda_type(p->acc_type),
                     .out = row_of(a->out, first),
                     .out_bf16 = a->out.dtype == KN_BF16,
                     .accumulate = a->accumulate,
                     .rows = rows,
                     .n = (int)p->n,
                     .row_scale = is_int8 ? (const float *)(const void *)scales : NULL,
                     .col_scale = w->col_scales,
                     .bias = w->bias,
                     .act = a->act,
                     .gate = kn_cuda_mod(a->gate)};
    if (f.gate.group)
        f.gate.group += first;
    kn_k_finish_run(&f, kn_cuda_stream(dev));
}

static int run_rows(kn_device *dev, const plan *p, const kn_linear_args *a, int64_t first, int64_t rows,
                    kn_err *err)
{
    const kn_cuda_weight *w = a->w->priv;
    kn_gpu_gemm g = {.rows = rows, .n = p->n, .k = p->k, .stride = p->stride, .type = p->type, .w = w->data};
    g.x = load_rows(dev, p, a, first, rows);
    g.out = p->direct ? row_of(a->out, first) : (char *)a->workspace + p->in + p->scales;
    g.out_type = p->direct ? a->out.dtype : p->acc_type;
    if (p->direct) {
        g.bias = g.out_type == KN_BF16 ? w->bias_bf16 : w->bias;
        g.gelu_tanh = a->act == KN_ACT_GELU_TANH && !p->act_after;
        g.accumulate = a->accumulate;
    }
    int rc = kn_gpu_gemm_run(kn_cuda_of(dev)->gpu, &g, err);
    if (!rc && !p->direct)
        finish_rows(dev, p, a, first, rows);
    return rc;
}

int kn_cuda_linear(kn_device *dev, const kn_linear_args *a, kn_err *err)
{
    plan p = make_plan(a);
    for (int64_t first = 0; first < p.rows; first += p.chunk) {
        int64_t rows = p.rows - first < p.chunk ? p.rows - first : p.chunk;
        int rc = run_rows(dev, &p, a, first, rows, err);
        if (rc)
            return rc;
    }
    if (p.act_after) {
        kn_k_ewise e = {.op = KN_K_ACT,
                        .x = a->out.data,
                        .x_bf16 = a->out.dtype == KN_BF16,
                        .n = p.rows * p.n,
                        .row = p.n,
                        .act = a->act};
        kn_k_ewise_run(&e, kn_cuda_stream(dev));
    }
    int rc = kn_cuda_weight_used(dev, a->w, err);
    return rc ? rc : kn_cuda_done(dev, "linear", err);
}
