/* From a key to a oneDNN primitive descriptor: memory descriptors, post-operations, attributes. */
#ifndef KN_TENSOR_CPU_DNNL_DESC_H
#define KN_TENSOR_CPU_DNNL_DESC_H

#include "tensor/cpu/dnnl_prims.h"

/* Rows of activations that packed weights are laid out for; any other number runs on the same layout. */
enum { KN_PRIM_TYPICAL_ROWS = 1024 };

typedef struct kn_prim_desc {
    dnnl_primitive_desc_t pd;
    kn_md src, weights, dst, scratch;
    kn_md bias;    /* not set without one */
    kn_md row;     /* f32 [1, N]: the gate */
    int gate_post; /* index of the post-operation that reads it, or -1 */
} kn_prim_desc;

/* layout: of a KN_PRIM_MATMUL's weights, else ignored. */
int kn_prim_desc_init(kn_prim_desc *d, dnnl_engine_t engine, const kn_prim_key *key, const kn_md *layout,
                      kn_err *err);
void kn_prim_desc_done(kn_prim_desc *d);

/* Row-major weights [O, C, kt, kh, kw], as they come from a checkpoint. */
dnnl_status_t kn_conv_plain_md(kn_md *ret, const int64_t weights[5], kn_dtype t);
/* Row-major weights [N, K] of a product. */
dnnl_status_t kn_matmul_plain_md(kn_md *ret, const int64_t weights[2], kn_dtype t);

#endif
