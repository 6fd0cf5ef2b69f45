/* The one place that knows which oneDNN this is: 2.6 (Debian 12) or 3.x.
 *
 * Memory descriptors are values in 2.x and handles in 3.x; here both are a kn_md, which kn_md_done releases (a
 * zeroed one is accepted).  Functions returning dnnl_status_t are thin; kn_dnnl_check turns a status into an error. */
#ifndef KN_TENSOR_CPU_DNNL_COMPAT_H
#define KN_TENSOR_CPU_DNNL_COMPAT_H

#include <stdbool.h>
#include <stdint.h>

#include <dnnl.h>

#include "base/err.h"
#include "tensor/cpu/isa.h"
#include "tensor/dtype.h"

typedef struct kn_md {
    dnnl_memory_desc_t d;
    bool set;
} kn_md;

/* 0, or KN_ENOMEM / KN_EDEVICE with "oneDNN: <what>: <status>". */
int kn_dnnl_check(dnnl_status_t status, const char *what, kn_err *err);
dnnl_data_type_t kn_dnnl_type(kn_dtype t);

dnnl_status_t kn_md_tag(kn_md *ret, int n_dims, const int64_t *dims, kn_dtype t, dnnl_format_tag_t tag);
dnnl_status_t kn_md_copy(kn_md *ret, const kn_md *src);
/* What a primitive chose: dnnl_query_weights_md, dnnl_query_scratchpad_md. */
dnnl_status_t kn_md_query(kn_md *ret, const_dnnl_primitive_desc_t pd, dnnl_query_t what);
void kn_md_done(kn_md *md);
size_t kn_md_bytes(const kn_md *md);
/* Of the layout: equal for equal ones. */
uint64_t kn_md_hash(const kn_md *md);
bool kn_md_equal(const kn_md *a, const kn_md *b);
dnnl_status_t kn_md_memory(const kn_md *md, dnnl_engine_t engine, void *data, dnnl_memory_t *ret);

/* How a blocked layout without padding in front lies in memory. */
typedef struct kn_md_blocks {
    dnnl_dims_t strides, padded; /* of the outer dimensions; sizes rounded up to whole blocks */
    int n_blocks;                /* inner blocks, outermost first: sizes and the dimensions they divide */
    dnnl_dims_t sizes, dims;
} kn_md_blocks;
dnnl_status_t kn_md_query_blocks(const kn_md *md, kn_md_blocks *ret);

dnnl_status_t kn_dnnl_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha);
dnnl_status_t kn_dnnl_append_binary(dnnl_post_ops_t po, dnnl_alg_kind_t alg, const kn_md *md);
dnnl_status_t kn_dnnl_append_sum(dnnl_post_ops_t po);

/* bias may be NULL; attr is borrowed. */
dnnl_status_t kn_dnnl_matmul(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                             const kn_md *dst, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret);
dnnl_status_t kn_dnnl_conv(dnnl_engine_t engine, const kn_md *src, const kn_md *weights, const kn_md *bias,
                           const kn_md *dst, const int64_t *strides, const int64_t *pad_lo,
                           const int64_t *pad_hi, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret);
dnnl_status_t kn_dnnl_reorder(dnnl_engine_t engine, const kn_md *src, const kn_md *dst,
                              dnnl_primitive_desc_t *ret);

#endif
