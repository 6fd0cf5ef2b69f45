/* Norms and rotary embedding: the inner loops, one table an instruction set. */
#ifndef KN_TENSOR_CPU_NORM_KERNELS_H
#define KN_TENSOR_CPU_NORM_KERNELS_H

#include "tensor/cpu/dispatch.h"

/* Heads up to this size are rotated in float before they are stored. */
enum { KN_NORM_HEAD_MAX = 512 };

/* One pass over rows [begin, end) of a row-wise norm. */
typedef struct kn_norm_job {
    const kn_norm_args *args;
    int64_t n_channels;
    int64_t n_rope_rows; /* row r uses table row r % n_rope_rows */
} kn_norm_job;

/* Group norm works on fixed blocks of rows whose statistics are merged in a fixed order. */
typedef struct kn_group_job {
    const kn_norm_args *args;
    int64_t n_rows, n_channels, block_rows;
    double *stats;       /* [blocks, channels, 2]: mean and sum of squared deviations */
    float *mean, *scale; /* [channels] */
} kn_group_job;

typedef struct kn_norm_kernels {
    void (*rms)(const kn_norm_job *job, int64_t begin, int64_t end);
    void (*layer)(const kn_norm_job *job, int64_t begin, int64_t end);
    void (*group_stats)(const kn_group_job *job, int64_t begin_block, int64_t end_block);
    void (*group_apply)(const kn_group_job *job, int64_t begin_row, int64_t end_row);
    /* Rotates n_heads heads of head_size at row, in place; cos, sin [head_size / 2]. */
    void (*rope)(void *row, bool bf16, int n_heads, int64_t head_size, const float *cos, const float *sin,
                 bool halves);
} kn_norm_kernels;

KN_DECLARE_KERNELS(kn_norm_kernels, kn_norm_kernels);

#endif
