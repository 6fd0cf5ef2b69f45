#include "tensor/cpu/kernels.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/cpu/ewise_kernels.h"

/* Elements a thread takes at least: below this starting threads costs more than the work. */
enum { GRAIN_ELEMENTS = 16384 };

typedef struct ewise_task {
    const kn_ewise_args *args;
    kn_ewise_span span; /* of element 0 */
    int64_t row;        /* elements of a row; 0: no per-row parameters */
    const kn_ewise_kernels *kernels;
} ewise_task;

static size_t elem_size(bool bf16)
{
    return bf16 ? 2 : 4;
}

/* Elements [begin, end): x and y are of one shape. */
static void run_flat(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const ewise_task *t = arg;
    kn_ewise_span s = t->span;
    s.x = (char *)s.x + (size_t)begin * elem_size(s.x_bf16);
    s.y = s.y ? (const char *)s.y + (size_t)begin * elem_size(s.y_bf16) : NULL;
    s.n = end - begin;
    t->kernels->run(&s);
}

/* Rows [begin, end): y is broadcast, or the gate differs by row. */
static void run_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const ewise_task *t = arg;
    const kn_mod *gate = &t->args->gate;
    const int32_t *group = gate->row_group.data;
    for (int64_t row = begin; row < end; row++) {
        kn_ewise_span s = t->span;
        s.x = (char *)s.x + (size_t)(row * t->row) * elem_size(s.x_bf16);
        s.n = t->row;
        if (s.op == KN_EWISE_GATE_ADD) {
            s.y = (const char *)s.y + (size_t)(row * t->row) * elem_size(s.y_bf16);
            s.gate += (group ? group[row] : 0) * t->row;
        }
        t->kernels->run(&s);
    }
}

int kn_cpu_ewise(kn_device *dev, const kn_ewise_args *a, kn_err *err)
{
    (void)err;
    int64_t n = kn_numel(a->x), row = a->x.dims[a->x.n_dims - 1];
    ewise_task t = {
        .args = a,
        .span = {.op = a->op,
                 .act = a->act,
                 .x = a->x.data,
                 .y = a->y.data,
                 .gate = a->gate.table.data,
                 .a = a->a,
                 .b = a->b,
                 .x_bf16 = a->x.dtype == KN_BF16,
                 .y_bf16 = a->y.dtype == KN_BF16},
        .row = row,
        .kernels = KN_PICK_KERNELS(kn_ewise_kernels, kn_cpu_isa_of(dev)),
    };
    if (a->op == KN_EWISE_GATE_ADD && !t.span.gate) {
        t.span.op = KN_EWISE_ADD;
        t.span.a = 1.0f;
    }
    bool broadcast = a->y.data && kn_numel(a->y) != n;
    if (!broadcast && t.span.op != KN_EWISE_GATE_ADD)
        kn_parallel_for(n, GRAIN_ELEMENTS, run_flat, &t);
    else
        kn_parallel_for(n / row, GRAIN_ELEMENTS / row, run_rows, &t);
    return 0;
}

/* ---- conversion and channel means: a range of elements each ---- */

typedef struct move_task {
    kn_tensor dst, src;
    int g;
    const kn_ewise_kernels *kernels;
} move_task;

static void run_convert(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const move_task *t = arg;
    bool dst_bf16 = t->dst.dtype == KN_BF16, src_bf16 = t->src.dtype == KN_BF16;
    t->kernels->convert((char *)t->dst.data + (size_t)begin * elem_size(dst_bf16), dst_bf16,
                        (const char *)t->src.data + (size_t)begin * elem_size(src_bf16), src_bf16,
                        end - begin);
}

static void run_bytes(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const move_task *t = arg;
    memcpy((char *)t->dst.data + begin, (const char *)t->src.data + begin, (size_t)(end - begin));
}

int kn_cpu_copy(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err)
{
    move_task t = {dst, src, 1, KN_PICK_KERNELS(kn_ewise_kernels, kn_cpu_isa_of(dev))};
    if (dst.dtype == src.dtype) {
        kn_parallel_for((int64_t)kn_bytes(src), GRAIN_ELEMENTS * 4, run_bytes, &t);
        return 0;
    }
    if ((dst.dtype != KN_F32 && dst.dtype != KN_BF16) || (src.dtype != KN_F32 && src.dtype != KN_BF16))
        return kn_fail(err, KN_EUNSUPPORTED, "copy from %s to %s: only f32 and bf16 are converted",
                       kn_dtype_name(src.dtype), kn_dtype_name(dst.dtype));
    kn_parallel_for(kn_numel(src), GRAIN_ELEMENTS, run_convert, &t);
    return 0;
}

static void run_mean(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const move_task *t = arg;
    bool bf16 = t->src.dtype == KN_BF16;
    t->kernels->mean((char *)t->dst.data + (size_t)begin * elem_size(bf16),
                     (const char *)t->src.data + (size_t)(begin * t->g) * elem_size(bf16), bf16, end - begin,
                     t->g);
}

int kn_cpu_mean_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int g, kn_err *err)
{
    (void)err;
    move_task t = {dst, src, g, KN_PICK_KERNELS(kn_ewise_kernels, kn_cpu_isa_of(dev))};
    kn_parallel_for(kn_numel(dst), GRAIN_ELEMENTS / g, run_mean, &t);
    return 0;
}
