#include "tensor/cpu/quant.h"

#include "base/parallel.h"
#include "tensor/cpu/quant_kernels.h"

/* Elements a thread takes at least: below this starting threads costs more than the work. */
enum { GRAIN_ELEMENTS = 16384 };

typedef struct quant_task {
    const kn_quant_kernels *kernels;
    kn_tensor x;
    void *q;
    kn_dtype q_type;
    float *scales;
} quant_task;

static void *row_of(kn_tensor t, int64_t row)
{
    return (char *)t.data + kn_dtype_bytes(t.dtype, row * t.dims[1]);
}

static void quantize_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const quant_task *t = arg;
    int64_t n = t->x.dims[1];
    for (int64_t row = begin; row < end; row++) {
        void *q = (char *)t->q + kn_dtype_bytes(t->q_type, row * n);
        t->scales[row] =
            t->kernels->quantize(row_of(t->x, row), t->x.dtype == KN_BF16, n, q, t->q_type == KN_F32);
    }
}

void kn_cpu_quantize(kn_device *dev, kn_tensor x, void *q, kn_dtype q_type, float *scales)
{
    quant_task t = {KN_PICK_KERNELS(kn_quant_kernels, kn_cpu_isa_of(dev)), x, q, q_type, scales};
    kn_parallel_for(x.dims[0], GRAIN_ELEMENTS / x.dims[1], quantize_rows, &t);
}

typedef struct dequant_task {
    const kn_quant_kernels *kernels;
    const kn_linear_args *args;
    int64_t first_row;
    kn_tensor acc;
    const float *row_scales, *col_scales, *bias;
} dequant_task;

static void dequantize_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const dequant_task *t = arg;
    const kn_linear_args *a = t->args;
    const int32_t *group = a->gate.row_group.data;
    int64_t n = t->acc.dims[1];
    kn_dequant_row r = {.acc_f32 = t->acc.dtype == KN_F32,
                        .n = n,
                        .col_scale = t->col_scales,
                        .bias = t->bias,
                        .act = a->act,
                        .out_bf16 = a->out.dtype == KN_BF16,
                        .accumulate = a->accumulate};
    for (int64_t row = begin; row < end; row++) {
        int64_t to = t->first_row + row;
        r.acc = row_of(t->acc, row);
        r.row_scale = t->row_scales[row];
        r.out = row_of(a->out, to);
        if (a->gate.table.data)
            r.gate = (const float *)a->gate.table.data + (group ? group[to] : 0) * n;
        t->kernels->dequantize(&r);
    }
}

void kn_cpu_dequantize(kn_device *dev, const kn_linear_args *a, int64_t first_row, kn_tensor acc,
                       const float *row_scales, const float *col_scales, const float *bias)
{
    dequant_task t = {.kernels = KN_PICK_KERNELS(kn_quant_kernels, kn_cpu_isa_of(dev)),
                      .args = a,
                      .first_row = first_row,
                      .acc = acc,
                      .row_scales = row_scales,
                      .col_scales = col_scales,
                      .bias = bias};
    kn_parallel_for(acc.dims[0], GRAIN_ELEMENTS / acc.dims[1], dequantize_rows, &t);
}
