/* Matrix products with weights: oneDNN for the product, bias, activation, gate and addition where it fuses them;
 * otherwise chunks of rows that stay in the cache between their steps. */
#include <string.h>

#include "tensor/cpu/cpu_device.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/quant.h"

/* Most work of one call of oneDNN: a cancel is seen between two, well within a second also at 100 GFLOP/s. */
#define CHUNK_FLOPS 60e9
/* Most bytes of a chunk that passes through the workspace: a part of the last-level cache. */
enum { CHUNK_BYTES = 8 << 20, CHUNK_ROWS = 64 };

/* How one product runs: a function of shapes and types only. */
typedef struct plan {
    int64_t rows, n, k;
    int64_t chunk;     /* rows of a step; only the last may have fewer */
    kn_dtype type;     /* multiplied in */
    kn_dtype acc_type; /* of the result of a step when `direct` is false */
    bool quantized;
    bool convert;                    /* x goes through the workspace */
    bool direct;                     /* oneDNN writes out itself */
    size_t in, scales, acc, scratch; /* bytes of the workspace's parts */
} plan;

static bool one_gate(const kn_linear_args *a)
{
    return kn_is_null(a->gate.row_group) || a->gate.table.dims[0] == 1;
}

static bool direct_output(const kn_linear_args *a, kn_dtype type)
{
    if (a->accumulate && !one_gate(a))
        return false;
    return type == KN_BF16 || (type == KN_F32 && a->out.dtype == KN_F32);
}

static int64_t round_up(int64_t n, int64_t grain)
{
    return (n + grain - 1) / grain * grain;
}

/* Chunks of about equal size, so that all but the last are one primitive. */
static int64_t chunk_rows(const plan *p)
{
    double per_row = 2.0 * (double)p->n * (double)p->k;
    int64_t most = per_row * (double)p->rows > CHUNK_FLOPS ? (int64_t)(CHUNK_FLOPS / per_row) : p->rows;
    size_t row_bytes = (p->convert ? kn_dtype_bytes(p->type, p->k) : 0) +
                       (p->direct ? 0 : kn_dtype_bytes(p->acc_type, p->n));
    if (row_bytes && most > (int64_t)(CHUNK_BYTES / row_bytes))
        most = (int64_t)(CHUNK_BYTES / row_bytes);
    most = most < CHUNK_ROWS ? CHUNK_ROWS : most / CHUNK_ROWS * CHUNK_ROWS;
    if (most >= p->rows)
        return p->rows;
    int64_t n_chunks = (p->rows + most - 1) / most;
    return round_up((p->rows + n_chunks - 1) / n_chunks, CHUNK_ROWS);
}

static plan make_plan(kn_device *dev, const kn_linear_args *a)
{
    const kn_weight_spec *spec = &a->w->spec;
    plan p = {.rows = a->x.dims[0], .n = spec->dims[0], .k = spec->dims[1]};
    p.type = kn_cpu_weight_type(dev, spec);
    p.quantized = spec->dtype == KN_I8;
    p.convert = p.quantized || a->x.dtype != p.type;
    p.direct = !p.quantized && direct_output(a, p.type);
    p.acc_type = p.type == KN_I8 ? KN_I32 : KN_F32;
    p.chunk = chunk_rows(&p);
    p.in = p.convert ? kn_cpu_align(kn_dtype_bytes(p.type, p.chunk * p.k)) : 0;
    p.scales = p.quantized ? kn_cpu_align((size_t)p.chunk * sizeof(float)) : 0;
    p.acc = p.direct ? 0 : kn_cpu_align(kn_dtype_bytes(p.acc_type, p.chunk * p.n));
    return p;
}

static kn_prim_key step_key(const plan *p, const kn_linear_args *a, int64_t rows)
{
    kn_prim_key key = {.kind = KN_PRIM_MATMUL,
                       .src_type = p->type,
                       .weights_type = p->type,
                       .dst_type = p->direct ? a->out.dtype : p->acc_type};
    key.src[0] = rows;
    key.src[1] = p->k;
    key.weights[0] = p->n;
    key.weights[1] = p->k;
    if (!p->quantized) {
        key.act = a->act;
        key.flags |= a->w->spec.bias ? KN_PRIM_BIAS : 0;
    }
    if (p->direct && a->accumulate)
        key.flags |= KN_PRIM_SUM | (kn_is_null(a->gate.table) ? 0 : KN_PRIM_GATE);
    return key;
}

/* Primitives of the whole chunks and of the last one (NULL if it is whole too). */
static int step_prims(kn_device *dev, plan *p, const kn_linear_args *a, kn_prim *prims[2], kn_err *err)
{
    int64_t last = p->rows % p->chunk;
    kn_prim_key key = step_key(p, a, p->chunk);
    int rc = kn_prim_get(kn_cpu_of(dev)->prims, &key, &prims[0], err);
    if (!rc && last) {
        key = step_key(p, a, last);
        rc = kn_prim_get(kn_cpu_of(dev)->prims, &key, &prims[1], err);
    }
    for (int i = 0; !rc && i < 2; i++)
        if (prims[i] && kn_prim_scratch_bytes(prims[i]) > p->scratch)
            p->scratch = kn_prim_scratch_bytes(prims[i]);
    return rc;
}

static void put_prims(kn_device *dev, kn_prim *prims[2])
{
    kn_prim_put(kn_cpu_of(dev)->prims, prims[0]);
    kn_prim_put(kn_cpu_of(dev)->prims, prims[1]);
}

size_t kn_cpu_linear_workspace(kn_device *dev, const kn_linear_args *a)
{
    plan p = make_plan(dev, a);
    kn_prim *prims[2] = {NULL, NULL};
    int rc = step_prims(dev, &p, a, prims, NULL); /* a failure comes again, with its message, when it runs */
    put_prims(dev, prims);
    return rc ? 0 : p.in + p.scales + p.acc + p.scratch;
}

/* ---- running ---- */

static kn_tensor row_range(kn_tensor t, int64_t first, int64_t rows)
{
    kn_tensor r = t;
    r.data = t.data ? (char *)t.data + kn_dtype_bytes(t.dtype, first * t.dims[1]) : NULL;
    r.dims[0] = rows;
    return r;
}

static kn_tensor matrix(void *data, kn_dtype type, int64_t rows, int64_t cols)
{
    return (kn_tensor){.data = data, .dtype = type, .n_dims = 2, .dims = {rows, cols, 1, 1, 1, 1, 1, 1}};
}

typedef struct buffers {
    char *in;
    float *scales;
    char *acc, *scratch;
} buffers;

static buffers lay_out(const plan *p, void *workspace)
{
    char *at = workspace;
    return (buffers){at, (float *)(void *)(at + p->in), at + p->in + p->scales,
                     at + p->in + p->scales + p->acc};
}

static int load_rows(kn_device *dev, const plan *p, const buffers *b, kn_tensor x, kn_err *err)
{
    if (p->quantized) {
        kn_cpu_quantize(dev, x, b->in, p->type, b->scales);
        return 0;
    }
    return kn_cpu_copy(dev, matrix(b->in, p->type, x.dims[0], p->k), x, err);
}

/* What oneDNN did not do to the rows in b->acc. */
static int store_rows(kn_device *dev, const plan *p, const buffers *b, const kn_linear_args *a, int64_t first,
                      int64_t rows, kn_err *err)
{
    const kn_cpu_weight *w = a->w->priv;
    kn_tensor acc = matrix(b->acc, p->acc_type, rows, p->n), out = row_range(a->out, first, rows);
    if (p->quantized) {
        kn_cpu_dequantize(dev, a, first, acc, b->scales, w->col_scales, w->bias);
        return 0;
    }
    if (!a->accumulate)
        return kn_cpu_copy(dev, out, acc, err);
    kn_ewise_args e = {.op = KN_EWISE_GATE_ADD, .x = out, .y = acc, .gate = a->gate};
    if (!kn_is_null(e.gate.row_group)) {
        e.gate.row_group.data = (int32_t *)e.gate.row_group.data + first;
        e.gate.row_group.dims[0] = rows;
    }
    return kn_cpu_ewise(dev, &e, err);
}

static int run_step(kn_device *dev, const plan *p, const buffers *b, const kn_linear_args *a, kn_prim *prim,
                    int64_t first, int64_t rows, kn_err *err)
{
    const kn_cpu_weight *w = a->w->priv;
    kn_tensor x = row_range(a->x, first, rows), out = row_range(a->out, first, rows);
    int rc = p->convert ? load_rows(dev, p, b, x, err) : 0;
    if (rc)
        return rc;
    kn_prim_data d = {.src = p->convert ? b->in : x.data,
                      .weights = w->packed[0].data,
                      .bias = w->bias,
                      .gate = a->gate.table.data,
                      .dst = p->direct ? out.data : b->acc,
                      .scratch = b->scratch};
    rc = kn_prim_run(kn_cpu_of(dev)->prims, prim, &d, err);
    if (!rc && !p->direct)
        rc = store_rows(dev, p, b, a, first, rows, err);
    return rc;
}

int kn_cpu_linear(kn_device *dev, const kn_linear_args *a, kn_err *err)
{
    plan p = make_plan(dev, a);
    kn_prim *prims[2] = {NULL, NULL};
    int rc = step_prims(dev, &p, a, prims, err);
    buffers b = lay_out(&p, a->workspace);
    for (int64_t first = 0; !rc && first < p.rows; first += p.chunk) {
        int64_t rows = p.rows - first < p.chunk ? p.rows - first : p.chunk;
        if (kn_cpu_cancelled(a->cancel))
            rc = kn_fail(err, KN_ECANCELLED, "cancelled");
        else
            rc = run_step(dev, &p, &b, a, prims[rows < p.chunk], first, rows, err);
    }
    put_prims(dev, prims);
    return rc;
}
