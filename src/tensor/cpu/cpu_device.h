/* The private data of a CPU device, and what its slots for weights, products and convolutions are. */
#ifndef KN_TENSOR_CPU_CPU_DEVICE_H
#define KN_TENSOR_CPU_CPU_DEVICE_H

#include "tensor/cpu/dnnl_prims.h"
#include "tensor/cpu/isa.h"
#include "tensor/device.h"

typedef struct kn_cpu {
    kn_cpu_base base; /* first: cpu/isa.h */
    kn_device dev;
    kn_prims *prims;
    bool bf16_math; /* oneDNN multiplies bf16; else bf16 weights are kept and used as f32 */
    bool int8_math; /* oneDNN multiplies int8 exactly (VNNI); else whole numbers are kept and used as f32 */
} kn_cpu;

static inline kn_cpu *kn_cpu_of(kn_device *dev)
{
    return dev->priv;
}

/* A packed matrix. */
typedef struct kn_cpu_packed {
    void *data;
    size_t bytes;
    kn_md layout; /* of data now; convolutions may change it, see conv_weights.h */
} kn_cpu_packed;

/* A weight on this device. One block of memory holds the packed matrices, the bias and the scales. */
typedef struct kn_cpu_weight {
    kn_dtype type; /* of the packed matrices, and of the activations they are multiplied with */
    int n_packed;  /* 1; 4 for a convolution of a doubled picture, see conv_doubled.c */
    kn_cpu_packed packed[4];
    float *bias;       /* [out] or NULL */
    float *col_scales; /* [out]; int8 only */
    void *block;
    size_t block_bytes;
    bool is_mapped; /* the block lies in a packed file's map, and is read only */
} kn_cpu_weight;

/* The type a weight of this spec is multiplied in on this device: KN_F32, KN_BF16 or KN_I8. */
kn_dtype kn_cpu_weight_type(kn_device *dev, const kn_weight_spec *spec);
/* What is packed: spec, or the four kernels that spec becomes on a doubled picture. */
int kn_cpu_n_packed(const kn_weight_spec *spec);
kn_weight_spec kn_cpu_packed_spec(const kn_weight_spec *spec);
/* The primitive whose weight layout each packed matrix begins in. */
kn_prim_key kn_cpu_weight_key(kn_device *dev, const kn_weight_spec *spec);

size_t kn_cpu_weight_bytes(kn_device *dev, const kn_weight_spec *spec);
int kn_cpu_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight *w,
                      kn_err *err);
void kn_cpu_weight_free(kn_device *dev, kn_weight *w);
uint64_t kn_cpu_weight_format(kn_device *dev, const kn_weight_spec *spec);
int kn_cpu_weight_save(kn_device *dev, const kn_weight *w, kn_put_fn put, void *ud);
int kn_cpu_weight_map(kn_device *dev, const kn_weight_spec *spec, const void *data, size_t bytes,
                      kn_weight *w, kn_err *err);
size_t kn_cpu_weight_packing(kn_device *dev, const kn_weight_spec *spec, kn_dtype source);

size_t kn_cpu_linear_workspace(kn_device *dev, const kn_linear_args *a);
int kn_cpu_linear(kn_device *dev, const kn_linear_args *a, kn_err *err);
size_t kn_cpu_conv_workspace(kn_device *dev, const kn_conv_args *a);
int kn_cpu_conv(kn_device *dev, const kn_conv_args *a, kn_err *err);

/* Blocks in workspaces and weights start at a cache line. */
static inline size_t kn_cpu_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static inline bool kn_cpu_cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load_explicit(cancel, memory_order_relaxed);
}

#endif
