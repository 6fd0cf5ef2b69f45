/* What the files of the CUDA device share. */
#ifndef KN_TENSOR_CUDA_CUDA_DEVICE_H
#define KN_TENSOR_CUDA_CUDA_DEVICE_H

#include <pthread.h>

#include "tensor/cuda/driver.h"
#include "tensor/cuda/kernels.h"
#include "tensor/device.h"

enum { KN_CUDA_ALIGN = 256, KN_CUDA_MARKS = 3, KN_CUDA_STAGES = 2, KN_CUDA_SLIPS = 8 };

/* A reservation of a pool: which of its pages have memory. */
typedef struct kn_cuda_range {
    struct kn_cuda_range *next;
    uintptr_t base;
    size_t n_pages;
    uint8_t *is_mapped; /* [n_pages] */
} kn_cuda_range;

/* A piece of a weight on its way onto the card. */
typedef struct kn_cuda_stage {
    void *host,
        *raw; /* as it lies in the file, on the host and on the card; STAGE_BYTES of cuda_weight.c each */
    kn_gpu_event *done; /* with both */
} kn_cuda_stage;

/* Pinned memory that a small upload passes through, so that it waits for nothing. */
typedef struct kn_cuda_slip {
    void *host;
    kn_gpu_event *done;
} kn_cuda_slip;

typedef struct kn_cuda {
    kn_device dev;
    kn_gpu *gpu;
    kn_cuda_range *ranges;
    kn_cuda_stage stages[KN_CUDA_STAGES];
    int next_stage;
    kn_cuda_slip slips[KN_CUDA_SLIPS];
    int next_slip;
    pthread_mutex_t stage_lock; /* weights may be made on any thread */
    kn_gpu_event
        *marks[KN_CUDA_MARKS]; /* of the last groups of operations, the oldest at n_marks % KN_CUDA_MARKS */
    int64_t n_marks;
    int n_since_mark;
} kn_cuda;

static inline kn_cuda *kn_cuda_of(kn_device *dev)
{
    return dev->priv;
}

static inline void *kn_cuda_stream(kn_device *dev)
{
    return kn_gpu_stream(kn_cuda_of(dev)->gpu, KN_GPU_COMPUTE);
}

static inline size_t kn_cuda_align(size_t bytes)
{
    return (bytes + KN_CUDA_ALIGN - 1) / KN_CUDA_ALIGN * KN_CUDA_ALIGN;
}

/* Elements of a row of a weight, or of what is multiplied with it; int8 products ask for whole steps of 16. */
static inline int64_t kn_cuda_row_stride(kn_dtype dtype, int64_t n)
{
    enum { INT8_STEP = 16 };
    return dtype == KN_I8 ? (n + INT8_STEP - 1) / INT8_STEP * INT8_STEP : n;
}

static inline kn_k_mod kn_cuda_mod(kn_mod m)
{
    return (kn_k_mod){m.table.data, m.row_group.data};
}

/* KN_K_F32, KN_K_BF16 or KN_K_F16. */
int kn_cuda_type(kn_dtype t);
/* After the launches of an operation: their error, and no more than a few hundred operations may be under way, so that a cancel is
 * soon obeyed. */
int kn_cuda_done(kn_device *dev, const char *what, kn_err *err);

int kn_cuda_wait(kn_device *dev, kn_err *err);
int kn_cuda_raw_matmul(kn_device *dev, kn_dtype dtype, double *ret_flops, kn_err *err);

/* ---- weights ---- */
typedef struct kn_cuda_weight {
    char *block;        /* all parts */
    void *data;         /* [out, stride] or [out, taps, in] */
    int64_t stride;     /* elements of a row of a linear weight */
    float *bias;        /* NULL without */
    void *bias_bf16;    /* the same in bf16, which products to bf16 want */
    float *col_scales;  /* int8 */
    kn_gpu_event *used; /* after the last use */
} kn_cuda_weight;

size_t kn_cuda_weight_bytes(kn_device *dev, const kn_weight_spec *spec);
int kn_cuda_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight *w,
                       kn_err *err);
void kn_cuda_weight_free(kn_device *dev, kn_weight *w);
/* Says that the operations so far are the last to use it. */
int kn_cuda_weight_used(kn_device *dev, const kn_weight *w, kn_err *err);
int kn_cuda_stages_init(kn_cuda *cuda, kn_err *err);
void kn_cuda_stages_done(kn_cuda *cuda);

/* ---- copies ---- */
int kn_cuda_slips_init(kn_cuda *cuda, kn_err *err);
void kn_cuda_slips_done(kn_cuda *cuda);
int kn_cuda_upload(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err);
int kn_cuda_download(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err);

/* ---- operations ---- */
size_t kn_cuda_linear_workspace(kn_device *dev, const kn_linear_args *a);
int kn_cuda_linear(kn_device *dev, const kn_linear_args *a, kn_err *err);
size_t kn_cuda_conv_workspace(kn_device *dev, const kn_conv_args *a);
int kn_cuda_conv(kn_device *dev, const kn_conv_args *a, kn_err *err);
int kn_cuda_attention(kn_device *dev, const kn_attention_args *a, kn_err *err);
int kn_cuda_rms_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
int kn_cuda_layer_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
size_t kn_cuda_group_norm_workspace(kn_device *dev, const kn_norm_args *a);
int kn_cuda_group_norm(kn_device *dev, const kn_norm_args *a, kn_err *err);
int kn_cuda_rope(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err);
int kn_cuda_ewise(kn_device *dev, const kn_ewise_args *a, kn_err *err);
int kn_cuda_copy(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err);
int kn_cuda_permute(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err);
int kn_cuda_concat(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs, kn_err *err);
int kn_cuda_slice(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin, kn_err *err);
int kn_cuda_repeat_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int r, kn_err *err);
int kn_cuda_mean_channels(kn_device *dev, kn_tensor dst, kn_tensor src, int g, kn_err *err);

#endif
