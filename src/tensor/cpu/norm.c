#include "tensor/cpu/kernels.h"

#include <math.h>

#include "base/parallel.h"
#include "tensor/cpu/norm_kernels.h"

/* Rows a thread takes at least: below this starting threads costs more than the work. */
enum { GRAIN_ELEMENTS = 16384 };
/* Rows of a group-norm block stay in the second-level cache between its two passes. */
enum { GROUP_BLOCK_ELEMENTS = 32768 };

static int64_t row_grain(int64_t n_channels)
{
    int64_t rows = GRAIN_ELEMENTS / n_channels;
    return rows < 1 ? 1 : rows;
}

static int64_t last_dim(kn_tensor t)
{
    return t.dims[t.n_dims - 1];
}

typedef struct row_task {
    const kn_norm_job *job;
    void (*run)(const kn_norm_job *job, int64_t begin, int64_t end);
} row_task;

static void run_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const row_task *t = arg;
    t->run(t->job, begin, end);
}

int kn_cpu_rms_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    (void)err;
    int64_t n = last_dim(a->x);
    kn_norm_job job = {.args = a, .n_channels = n};
    if (a->rope)
        job.n_rope_rows = kn_numel(a->rope->cos) / (n / a->n_heads / 2);
    row_task task = {&job, KN_PICK_KERNELS(kn_norm_kernels, kn_cpu_isa_of(dev))->rms};
    kn_parallel_for(kn_numel(a->x) / n, row_grain(n), run_rows, &task);
    return 0;
}

int kn_cpu_layer_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    (void)err;
    int64_t n = last_dim(a->x);
    kn_norm_job job = {.args = a, .n_channels = n};
    row_task task = {&job, KN_PICK_KERNELS(kn_norm_kernels, kn_cpu_isa_of(dev))->layer};
    kn_parallel_for(kn_numel(a->x) / n, row_grain(n), run_rows, &task);
    return 0;
}

/* ---- group norm ---- */

static int64_t group_block_rows(int64_t n_channels)
{
    int64_t rows = GROUP_BLOCK_ELEMENTS / n_channels;
    return rows < 1 ? 1 : rows;
}

static int64_t group_blocks(const kn_norm_args *a)
{
    int64_t n = last_dim(a->x), rows = kn_numel(a->x) / n, block = group_block_rows(n);
    return (rows + block - 1) / block;
}

size_t kn_cpu_group_norm_workspace(kn_device *dev, const kn_norm_args *a)
{
    (void)dev;
    return (size_t)(group_blocks(a) * last_dim(a->x) * 2) * sizeof(double) +
           (size_t)(2 * last_dim(a->x)) * sizeof(float);
}

typedef struct group_task {
    const kn_group_job *job;
    const kn_norm_kernels *kernels;
} group_task;

static void run_group_stats(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const group_task *t = arg;
    t->kernels->group_stats(t->job, begin, end);
}

static void run_group_apply(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const group_task *t = arg;
    t->kernels->group_apply(t->job, begin, end);
}

/* Merges the blocks' statistics (Chan, Golub, LeVeque 1979) and spreads them over channels. */
static void group_finish(const kn_group_job *job, int64_t n_blocks)
{
    const kn_norm_args *a = job->args;
    int64_t per = job->n_channels / a->n_groups;
    const float *gamma = a->gamma.data;
    for (int g = 0; g < a->n_groups; g++) {
        double count = 0, mean = 0, squares = 0;
        for (int64_t b = 0; b < n_blocks; b++) {
            int64_t left = job->n_rows - b * job->block_rows;
            double n = (double)(left < job->block_rows ? left : job->block_rows);
            for (int64_t c = g * per; c < (g + 1) * per; c++) {
                const double *s = job->stats + (b * job->n_channels + c) * 2;
                double delta = s[0] - mean;
                mean += delta * n / (count + n);
                squares += s[1] + delta * delta * count * n / (count + n);
                count += n;
            }
        }
        double r = 1.0 / sqrt(squares / count + (double)a->eps);
        for (int64_t c = g * per; c < (g + 1) * per; c++) {
            job->mean[c] = (float)mean;
            job->scale[c] = (float)(gamma ? r * (double)gamma[c] : r);
        }
    }
}

int kn_cpu_group_norm(kn_device *dev, const kn_norm_args *a, kn_err *err)
{
    (void)err;
    int64_t n = last_dim(a->x), n_blocks = group_blocks(a);
    double *stats = a->workspace;
    float *channels = (float *)(stats + n_blocks * n * 2);
    kn_group_job job = {a, kn_numel(a->x) / n, n, group_block_rows(n), stats, channels, channels + n};
    group_task task = {&job, KN_PICK_KERNELS(kn_norm_kernels, kn_cpu_isa_of(dev))};
    kn_parallel_for(n_blocks, 1, run_group_stats, &task);
    group_finish(&job, n_blocks);
    kn_parallel_for(job.n_rows, row_grain(n), run_group_apply, &task);
    return 0;
}

/* ---- rotary embedding alone ---- */

typedef struct rope_task {
    kn_tensor x;
    const kn_rope *rope;
    int n_heads;
    const kn_norm_kernels *kernels;
} rope_task;

static void run_rope(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const rope_task *t = arg;
    int64_t n = last_dim(t->x), d = n / t->n_heads, half = d / 2;
    int64_t table_rows = kn_numel(t->rope->cos) / half;
    bool bf16 = t->x.dtype == KN_BF16;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = row % table_rows * half;
        t->kernels->rope((char *)t->x.data + (size_t)(row * n) * (bf16 ? 2 : 4), bf16, t->n_heads, d,
                         (const float *)t->rope->cos.data + at, (const float *)t->rope->sin.data + at,
                         t->rope->halves);
    }
}

int kn_cpu_rope(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err)
{
    (void)err;
    int64_t n = last_dim(x);
    rope_task task = {x, rope, n_heads, KN_PICK_KERNELS(kn_norm_kernels, kn_cpu_isa_of(dev))};
    kn_parallel_for(kn_numel(x) / n, row_grain(n), run_rope, &task);
    return 0;
}
