/* The card: its memory, copies, the order of work, and matrix products.  Everything of the vendor's is behind this.
 *
 * driver_cuda.c and driver_gemm.c are the CUDA one; tests/cuda/driver_host.c computes the same on the host, where the device's code
 * and the kernels are tested without a card.  Two queues of work: what is put into one runs in order, beside the other. */
#ifndef KN_TENSOR_CUDA_DRIVER_H
#define KN_TENSOR_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/dtype.h"

typedef struct kn_gpu kn_gpu;
typedef struct kn_gpu_event kn_gpu_event;
typedef enum kn_gpu_queue { KN_GPU_COMPUTE, KN_GPU_COPY, KN_GPU_QUEUES } kn_gpu_queue;

typedef struct kn_gpu_info {
    char name[96];     /* "NVIDIA GeForce RTX 4080" */
    char versions[96]; /* "CUDA 13.0, driver 13.0, cuBLAS 13.1" */
    int major, minor;  /* compute capability */
    size_t mem_total_bytes;
} kn_gpu_info;

/* Card `index` of those that are visible.  KN_EDEVICE: there is none, or no code for it was built (the message names the card
 * and the build option). */
int kn_gpu_open(int index, kn_gpu **ret, kn_gpu_info *ret_info, kn_err *err);
void kn_gpu_close(kn_gpu *g);
size_t kn_gpu_available(kn_gpu *g); /* free bytes now */

/* ---- memory ---- */
size_t kn_gpu_page_bytes(const kn_gpu *g);
void *kn_gpu_reserve(kn_gpu *g, size_t bytes); /* addresses without memory, in whole pages; NULL on failure */
void kn_gpu_unreserve(kn_gpu *g, void *p, size_t bytes);
int kn_gpu_map(kn_gpu *g, void *page, kn_err *err); /* memory behind one reserved page. KN_ENOMEM. */
void kn_gpu_unmap(kn_gpu *g, void *page);           /* nothing that uses it may be under way */
int kn_gpu_alloc(kn_gpu *g, size_t bytes, void **ret, kn_err *err);
void kn_gpu_free(kn_gpu *g, void *p); /* nothing that uses it may be under way */
void kn_gpu_trim(kn_gpu *g);          /* freed memory goes back to the card */
void *kn_gpu_host_alloc(kn_gpu *g,
                        size_t bytes); /* host memory that copies reach at full speed; NULL on failure */
void kn_gpu_host_free(kn_gpu *g, void *p);

/* ---- copies: from and to host memory of kn_gpu_host_alloc they do not wait ---- */
int kn_gpu_upload(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err);
int kn_gpu_download(kn_gpu *g, kn_gpu_queue q, void *dst, const void *src, size_t bytes, kn_err *err);
int kn_gpu_zero(kn_gpu *g, kn_gpu_queue q, void *dst, size_t bytes, kn_err *err);
/* `height` rows of `width` bytes, `pitch` bytes from one to the next. */
int kn_gpu_copy_rows(kn_gpu *g, kn_gpu_queue q, void *dst, size_t dst_pitch, const void *src,
                     size_t src_pitch, size_t width, size_t height, kn_err *err);

/* ---- order ---- */
kn_gpu_event *kn_gpu_event_new(kn_gpu *g); /* NULL on failure */
void kn_gpu_event_free(kn_gpu *g, kn_gpu_event *e);
int kn_gpu_event_record(kn_gpu *g, kn_gpu_queue q, kn_gpu_event *e,
                        kn_err *err);                           /* after all that is in the queue */
int kn_gpu_event_wait(kn_gpu *g, kn_gpu_event *e, kn_err *err); /* the host waits; never recorded: no wait */
int kn_gpu_wait(kn_gpu *g, kn_gpu_queue q, kn_err *err);        /* until the queue is empty */
void *kn_gpu_stream(kn_gpu *g, kn_gpu_queue q);                 /* for kernels.h */
int kn_gpu_launched(kn_gpu *g, const char *what, kn_err *err);  /* KN_EDEVICE: the last launch failed */

/* ---- matrix products: out [rows, n] = x [rows, k] w [n, k]^T ---- */
typedef struct kn_gpu_gemm {
    int64_t rows, n, k;
    kn_dtype type;     /* of x and w: KN_F32 (computed in f32), KN_BF16, KN_I8 */
    kn_dtype out_type; /* KN_F32 or KN_BF16; KN_I32 with KN_I8 */
    const void *x, *w;
    int64_t stride; /* elements from row to row of x and of w; with KN_I8 a multiple of 16 */
    void *out;
    const void *bias; /* NULL or [n] of out_type; not with KN_I8 */
    bool gelu_tanh;   /* of the sum and the bias; KN_BF16 out */
    bool accumulate;  /* out += ; KN_F32 out */
} kn_gpu_gemm;

int kn_gpu_gemm_run(kn_gpu *g, const kn_gpu_gemm *a, kn_err *err);

#endif
