/* Tensors and the context that operations run in.
 *
 * A kn_tensor is a small value: a device address, a type and a shape; contiguous, outermost dimension first,
 * channels last.  Its memory belongs to the context's pool and lives until its scope closes.
 *
 * A kn_ctx carries the device, the pool, the cancel flag and the FIRST ERROR.  After an error every operation does
 * nothing and returns the null tensor, and every operation accepts null tensors by doing nothing, so that model
 * code reads like the paper and checks c->err.code once at the end. */
#ifndef KN_TENSOR_TENSOR_H
#define KN_TENSOR_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/dtype.h"

enum { KN_MAX_DIMS = 8 };

typedef struct kn_tensor {
    void *data; /* device address; NULL = no tensor */
    kn_dtype dtype;
    int n_dims;
    int64_t dims[KN_MAX_DIMS]; /* unused entries are 1 */
} kn_tensor;

static inline bool kn_is_null(kn_tensor t)
{
    return t.data == NULL;
}

static inline int64_t kn_numel(kn_tensor t)
{
    if (kn_is_null(t))
        return 0;
    int64_t n = 1;
    for (int i = 0; i < t.n_dims; i++)
        n *= t.dims[i];
    return n;
}

/* Also without memory. */
static inline size_t kn_bytes(kn_tensor t)
{
    int64_t n = 1;
    for (int i = 0; i < t.n_dims; i++)
        n *= t.dims[i];
    return t.n_dims ? kn_dtype_bytes(t.dtype, n) : 0;
}

/* "[16, 1536] bf16" into buf, for messages; returns buf. */
const char *kn_shape_str(kn_tensor t, char *buf, size_t size);
enum { KN_SHAPE_STR = 96 };

/* ---- statistics: what a run cost, by class of work; filled on every device, exact on `meta` too ---- */
typedef enum kn_work {
    KN_WORK_LINEAR, /* matrix products with weights */
    KN_WORK_CONV,
    KN_WORK_ATTENTION,
    KN_WORK_MEMORY, /* everything bound by bytes moved */
    KN_WORK_COUNT
} kn_work;

typedef struct kn_stats {
    double flops[KN_WORK_COUNT];
    double bytes[KN_WORK_COUNT]; /* activations read + written */
    double loaded_bytes;         /* of weights that came onto the device for a single use (tensor/blocks.h) */
    double recalled_bytes;       /* of these, mapped from a packed file: nothing had to be made */
    int64_t n_ops;
} kn_stats;

typedef struct kn_device kn_device;
typedef struct kn_pool kn_pool;
struct kn_weight;
struct kn_ctx;

/* Told of every product with a linear weight, when it is done: for measurements.  x is alive, and operations may be run. */
typedef struct kn_linear_hook {
    void (*fn)(void *ud, struct kn_ctx *c, const struct kn_weight *w, kn_tensor x);
    void *ud;
} kn_linear_hook;

typedef struct kn_ctx {
    kn_device *dev;            /* borrowed */
    kn_pool *pool;             /* owned */
    const atomic_bool *cancel; /* borrowed, may be NULL; polled by every operation */
    kn_dtype act;              /* type of large activations: KN_F32 or KN_BF16 */
    int depth;                 /* scope nesting */
    kn_stats stats;
    const kn_linear_hook *on_linear; /* borrowed, NULL: nobody asks */
    struct kn_timeline *timeline;    /* borrowed, NULL: nobody looks */
    kn_err err;                      /* the first failure */
} kn_ctx;

/* pool_bytes: most the pool may ever hold; 0 = what the device allows. */
int kn_ctx_init(kn_ctx *c, kn_device *dev, kn_dtype act, size_t pool_bytes, kn_err *err);
void kn_ctx_done(kn_ctx *c);
/* True while no operation failed. */
static inline bool kn_ok(const kn_ctx *c)
{
    return c->err.code == 0;
}
/* Records a failure (the first one stays) and returns the null tensor. */
kn_tensor kn_ctx_fail(kn_ctx *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Copies the first failure to *err and returns its code; 0 if there was none. */
int kn_ctx_error(const kn_ctx *c, kn_err *err);

/* ---- memory ---- */

/* A scope: closing it frees every tensor made since it was opened, except `keep` (may be the null tensor), which
 * moves to the enclosing scope.  Close in reverse order of opening. Returns keep. */
typedef struct kn_scope {
    int depth;
} kn_scope;
kn_scope kn_scope_open(kn_ctx *c);
kn_tensor kn_scope_close(kn_ctx *c, kn_scope s, kn_tensor keep);
/* Frees one tensor before its scope ends and nulls it; views must not be used after. */
void kn_free(kn_ctx *c, kn_tensor *t);

kn_tensor kn_empty(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims);
kn_tensor kn_zeros(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims);
#define KN_DIMS(...)                                                                                         \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                             \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

/* Most bytes the pool held at once since the last kn_pool_reset_peak, and now. Includes fragmentation. */
size_t kn_pool_peak(const kn_ctx *c);
size_t kn_pool_live(const kn_ctx *c);
void kn_pool_reset_peak(kn_ctx *c);
/* Gives pages that no tensor uses back to the system (between phases). */
void kn_pool_trim(kn_ctx *c);

/* ---- views: no copy, no allocation ---- */
kn_tensor kn_reshape(kn_ctx *c, kn_tensor t, int n_dims, const int64_t *dims); /* one dim may be -1 */
kn_tensor kn_rows(kn_ctx *c, kn_tensor t, int64_t begin, int64_t n);           /* dims[0] slice */

/* ---- host <-> device; on `meta` uploads are ignored and downloads give zeros ---- */
kn_tensor kn_from_host(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims, const void *src);
/* src is float32 whatever dtype is; converted on the way. */
kn_tensor kn_from_f32(kn_ctx *c, kn_dtype dtype, int n_dims, const int64_t *dims, const float *src);
void kn_to_f32(kn_ctx *c, kn_tensor t, float *dst); /* KN_F32/KN_BF16/KN_I32; synchronises */

#endif
