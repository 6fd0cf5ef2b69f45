/* oneDNN primitives of one device, made once per shape and shared by all weights of that shape.
 *
 * A primitive is described by plain data (the key).  Looking one up creates its descriptor, which is cheap and is all
 * the `meta` device needs (scratchpad size, weight layout); code is generated when it first runs. Thread-safe. */
#ifndef KN_TENSOR_CPU_DNNL_PRIMS_H
#define KN_TENSOR_CPU_DNNL_PRIMS_H

#include "tensor/cpu/dnnl_compat.h"
#include "tensor/device.h"

typedef enum kn_prim_kind {
    KN_PRIM_MATMUL,        /* src [M, K], weights [N, K] in the layout of KN_PRIM_MATMUL_LAYOUT, dst [M, N] */
    KN_PRIM_MATMUL_LAYOUT, /* never run: its weights have the layout that serves every M */
    KN_PRIM_CONV,          /* src [T, H, W, C], weights [O, C, kt, kh, kw] in the layout of its choice */
} kn_prim_kind;

/* After the product, in this order. */
enum kn_prim_flags {
    KN_PRIM_BIAS = 1, /* + bias[n] */
    KN_PRIM_GATE = 2, /* x gate[n], after the activation */
    KN_PRIM_SUM = 4,  /* + what dst holds */
};

/* Compared byte by byte: start from a zeroed one. */
typedef struct kn_prim_key {
    int32_t kind, flags, act;
    int32_t src_type, weights_type, dst_type; /* kn_dtype */
    int64_t src[4], weights[5];
    int64_t stride[3], pad_lo[3], pad_hi[3];
} kn_prim_key;

typedef struct kn_prim kn_prim;
typedef struct kn_prims kn_prims;

/* Buffers of one run; those that the key's flags do not mention are ignored. */
typedef struct kn_prim_data {
    const void *src, *weights;
    const float *bias, *gate;
    void *dst, *scratch;
} kn_prim_data;

int kn_prims_new(kn_prims **ret, kn_err *err);
void kn_prims_free(kn_prims *p);

/* Give back with kn_prim_put, which accepts NULL. */
int kn_prim_get(kn_prims *p, const kn_prim_key *key, kn_prim **ret, kn_err *err);
void kn_prim_put(kn_prims *p, kn_prim *prim);

size_t kn_prim_scratch_bytes(const kn_prim *prim);
const kn_md *kn_prim_weights(const kn_prim *prim);
int kn_prim_run(kn_prims *p, kn_prim *prim, const kn_prim_data *data, kn_err *err);

/* Converts between layouts or types of one shape. */
int kn_prims_reorder(kn_prims *p, const kn_md *from, const void *src, const kn_md *to, void *dst,
                     kn_err *err);

#endif
