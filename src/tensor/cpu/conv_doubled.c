/* A 3x3 convolution of a picture doubled by repeating pixels, without making that picture.
 *
 * Three taps on the doubled picture fall on two pixels of the picture, so each of the four parities of output pixels is
 * a 2x2 convolution of the picture, by kernels whose coinciding taps were added up when the weight was packed: 16
 * products a pixel instead of 36.  Strips of the picture pass through the workspace with a border of one pixel, so that
 * all parities and strips are one primitive; its four results are then interleaved.  A result has a column too many,
 * at its end (even columns) or at its beginning (odd columns). */
#include "base/parallel.h"
#include <string.h>

#include "tensor/cpu/conv_parts.h"
#include "tensor/cpu/ewise_kernels.h"

/* About what a strip's four results take: they should stay in the cache until they are interleaved. */
enum { STRIP_BYTES = 8 << 20, MIN_ROWS = 4 };

typedef struct plan {
    kn_dtype type, part_type; /* multiplied in; of the four results */
    int64_t width;            /* of the picture */
    int64_t rows;             /* of the picture, in a step */
    kn_prim_key key;
    size_t in_bytes, part_bytes, room, scratch;
} plan;

static plan make_plan(kn_device *dev, const kn_conv_args *a)
{
    const int64_t *x = a->x.dims;
    kn_weight_spec part = kn_cpu_packed_spec(&a->w->spec);
    plan p = {.type = kn_cpu_weight_type(dev, &a->w->spec), .width = x[2]};
    p.part_type = p.type == KN_BF16 ? a->out.dtype : KN_F32;
    size_t part_row = kn_dtype_bytes(p.part_type, (x[2] + 1) * part.dims[0]);
    int64_t most = (int64_t)(STRIP_BYTES / (4 * part_row));
    p.rows = kn_conv_part(x[1], most < MIN_ROWS ? MIN_ROWS : most);
    p.key = (kn_prim_key){.kind = KN_PRIM_CONV,
                          .src_type = p.type,
                          .weights_type = p.type,
                          .dst_type = p.part_type,
                          .flags = a->w->spec.bias ? KN_PRIM_BIAS : 0,
                          .src = {1, p.rows + 1, x[2] + 2, x[3]},
                          .stride = {1, 1, 1}};
    memcpy(p.key.weights, part.dims, sizeof p.key.weights);
    p.in_bytes = kn_cpu_align(kn_dtype_bytes(p.type, (p.rows + 2) * (x[2] + 2) * x[3]));
    p.part_bytes = kn_cpu_align((size_t)p.rows * part_row);
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

size_t kn_conv_doubled_workspace(kn_device *dev, const kn_conv_args *a)
{
    plan p = make_plan(dev, a);
    kn_prim *prim = NULL;
    int rc = plan_prim(dev, &p, &prim, NULL); /* a failure comes again, with its message, when it runs */
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return rc ? 0 : p.in_bytes + 4 * p.part_bytes + p.room + p.scratch;
}

/* ---- interleaving ---- */

typedef struct weave_task {
    const plan *plan;
    const kn_conv_args *args;
    const char *parts;
    int64_t first; /* row of out that the strip begins at, counted over all frames */
    const kn_ewise_kernels *kernels;
} weave_task;

/* Rows [begin, end) of the strip's output. */
static void weave_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const weave_task *t = arg;
    const plan *p = t->plan;
    kn_tensor out = t->args->out, add = t->args->opts.add;
    int64_t c = out.dims[3], row = out.dims[2] * c;
    size_t pixel = kn_dtype_bytes(out.dtype, c), part_pixel = kn_dtype_bytes(p->part_type, c);
    bool bf16 = out.dtype == KN_BF16, part_bf16 = p->part_type == KN_BF16;
    for (int64_t y = begin; y < end; y++) {
        const char *parts = t->parts + (size_t)(y % 2) * 2 * p->part_bytes;
        const char *even = parts + (size_t)(y / 2 * (p->width + 1)) * part_pixel;
        const char *odd = even + p->part_bytes + part_pixel;
        char *dst = (char *)out.data + kn_dtype_bytes(out.dtype, (t->first + y) * row);
        for (int64_t x = 0; x < p->width; x++) {
            t->kernels->convert(dst + (size_t)(2 * x) * pixel, bf16, even + (size_t)x * part_pixel, part_bf16,
                                c);
            t->kernels->convert(dst + (size_t)(2 * x + 1) * pixel, bf16, odd + (size_t)x * part_pixel,
                                part_bf16, c);
        }
        if (kn_is_null(add))
            continue;
        kn_ewise_span s = {
            .op = KN_EWISE_ADD, .x_bf16 = bf16, .y_bf16 = add.dtype == KN_BF16, .a = 1, .n = row};
        s.x = dst;
        s.y = (const char *)add.data + kn_dtype_bytes(add.dtype, (t->first + y) * row);
        t->kernels->run(&s);
    }
}

/* ---- running ---- */

static int run_strip(kn_device *dev, const plan *p, const kn_conv_args *a, kn_prim *prim, int64_t frame,
                     int64_t row, kn_err *err)
{
    char *in = a->workspace, *parts = in + p->in_bytes, *room = parts + 4 * p->part_bytes;
    kn_gather g = {.x = a->x,
                   .type = p->type,
                   .first = {frame, row - 1, -1},
                   .size = {1, p->rows + 2, p->width + 2},
                   .dst = in};
    kn_conv_gather(dev, &g);
    kn_prim_data d = {.bias = ((const kn_cpu_weight *)a->w->priv)->bias, .scratch = room + p->room};
    int rc = 0;
    for (int i = 0; i < 4 && !rc; i++) {
        d.src = in + (i < 2 ? 0 : kn_dtype_bytes(p->type, (p->width + 2) * a->x.dims[3]));
        d.dst = parts + (size_t)i * p->part_bytes;
        rc = kn_conv_weights(a->w, i, prim, room, &d.weights, err);
        if (!rc)
            rc = kn_prim_run(kn_cpu_of(dev)->prims, prim, &d, err);
    }
    if (rc)
        return rc;
    weave_task t = {.plan = p,
                    .args = a,
                    .parts = parts,
                    .first = frame * a->out.dims[1] + 2 * row,
                    .kernels = KN_PICK_KERNELS(kn_ewise_kernels, kn_cpu_isa_of(dev))};
    kn_parallel_for(2 * p->rows, 1, weave_rows, &t);
    return 0;
}

int kn_conv_doubled(kn_device *dev, const kn_conv_args *a, kn_err *err)
{
    plan p = make_plan(dev, a);
    kn_prim *prim = NULL;
    int rc = plan_prim(dev, &p, &prim, err);
    const int64_t *x = a->x.dims;
    for (int64_t frame = 0; !rc && frame < x[0]; frame++)
        for (int64_t r = 0; !rc && r < x[1]; r += p.rows) {
            int64_t row = r + p.rows > x[1] ? x[1] - p.rows : r;
            rc = kn_cpu_cancelled(a->cancel) ? kn_fail(err, KN_ECANCELLED, "cancelled")
                                             : run_strip(dev, &p, a, prim, frame, row, err);
        }
    kn_prim_put(kn_cpu_of(dev)->prims, prim);
    return rc;
}
