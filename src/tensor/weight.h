/* Weights on a device: packed once, in the type the device computes with, and freed with their component. */
#ifndef KN_TENSOR_WEIGHT_H
#define KN_TENSOR_WEIGHT_H

#include "tensor/tensor.h"

typedef enum kn_weight_kind {
    KN_WEIGHT_LINEAR, /* dims: out, in */
    KN_WEIGHT_CONV,   /* dims: out, in, kt, kh, kw (2-D kernels have kt = 1) */
} kn_weight_kind;

typedef struct kn_weight_spec {
    kn_weight_kind kind;
    int64_t dims[5];
    kn_dtype dtype; /* KN_F32, KN_BF16; KN_I8 for linear: per-output-channel scales */
    bool bias;
    bool
        upsample2; /* a 1x3x3 convolution that always runs with kn_conv_opts.upsample2, padding 1, stride 1: packed
                     * for that (a device may need less than half the work then) */
} kn_weight_spec;

typedef struct kn_weight {
    kn_weight_spec spec;
    size_t bytes; /* device memory it takes, bias and scales included */
    void *priv;   /* the device's own: packed buffer, scales, cached primitives */
    /* For measurements, from a loader that was asked for them (kn_loader.with_exact); else NULL. */
    char *name;                      /* of its first tensor; owned */
    const struct kn_weight *exact;   /* the same in float32 */
    const struct kn_weight *as_int8; /* the same in int8, where int8 mode keeps floats */
} kn_weight;

/* Takes the next bytes of something; 0, or a negative code, after which no more comes. */
typedef int (*kn_put_fn)(void *ud, const void *data, size_t bytes);
enum { KN_SAVE_PIECE = 1 << 20 };

/* Where a weight comes from: row-major in host memory, as it lies on disk or decoded. */
typedef struct kn_weight_src {
    const void *data;  /* out x in [x kt x kh x kw]; ignored on `meta` */
    kn_dtype dtype;    /* KN_F32, KN_BF16 or KN_F16 */
    const float *bias; /* [out] or NULL */
} kn_weight_src;

/* Packs for the device. KN_ENOMEM, KN_EUNSUPPORTED (int8 convolution). */
int kn_weight_new(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight **ret,
                  kn_err *err);
void kn_weight_free(kn_device *dev, kn_weight *w);

/* ---- packed weights that outlive the process: the slots of tensor/device.h, with their checks ---- */

/* 0: the device keeps no such weights. */
uint64_t kn_weight_format(kn_device *dev, const kn_weight_spec *spec);
int kn_weight_save(kn_device *dev, const kn_weight *w, kn_put_fn put, void *ud);
/* From what was saved, of a weight of this spec and format; data must outlive the weight. KN_EFORMAT: another size. */
int kn_weight_map(kn_device *dev, const kn_weight_spec *spec, const void *data, size_t bytes, kn_weight **ret,
                  kn_err *err);

#endif
