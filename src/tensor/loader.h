/* From checkpoint to device: the one place where weights are checked, converted, merged with LoRAs and packed, or found
 * packed already (tensor/packed.h).
 *
 * A model's load function is a list of kn_load_* lines; the loader keeps the first error (a missing, misshapen or
 * extra tensor, no memory) and does nothing after it, and it owns what it loaded in a kn_weight_set. On `meta` only
 * shapes are checked and bytes counted. Each source tensor is decoded once, packed, and its pages given back. */
#ifndef KN_TENSOR_LOADER_H
#define KN_TENSOR_LOADER_H

#include "tensor/checkpoint.h"
#include "tensor/lora.h"
#include "tensor/packed.h"
#include "tensor/read_ahead.h"
#include "tensor/weight.h"

/* Everything one component holds on the device; freed at once. */
typedef struct kn_weight_set {
    kn_device *dev;
    struct kn_weight_node *weights;
    struct kn_vector_node *vectors;
    size_t bytes;
} kn_weight_set;

void kn_weight_set_init(kn_weight_set *s, kn_device *dev);
void kn_weight_set_done(kn_weight_set *s);
/* Empties it for another load, and keeps the room of small parameters. */
void kn_weight_set_clear(kn_weight_set *s);

/* Where in the files the entries lie that were asked for. */
typedef struct kn_touched {
    kn_read_range *ranges; /* heap */
    int n, max;
    bool is_noted; /* nobody need ask again */
} kn_touched;

typedef struct kn_loader {
    kn_weight_set *set;      /* borrowed: receives what is loaded */
    kn_checkpoint *ck;       /* borrowed */
    const kn_lora_set *lora; /* borrowed, may be NULL */
    kn_packed *packed; /* borrowed, may be NULL: recorded into, or loaded from without touching ck's data */
    kn_dtype dtype;    /* of linear weights: KN_F32, KN_BF16, KN_I8 */
    bool with_exact;   /* linear weights get name, exact and as_int8: several times the memory */
    char prefix[256];  /* joined before every name: "blocks.3." ; see kn_loader_prefix */
    const atomic_bool *cancel;
    kn_touched *touched; /* borrowed, NULL: what is asked for is not noted */
    kn_err err;          /* first failure */
} kn_loader;

void kn_loader_init(kn_loader *l, kn_weight_set *set, kn_checkpoint *ck, const kn_lora_set *lora,
                    kn_dtype dtype);
void kn_loader_prefix(kn_loader *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum kn_load_flags {
    KN_LOAD_NO_BIAS = 1,    /* there is none; otherwise `<name>.bias` is required */
    KN_LOAD_KEEP_FLOAT = 2, /* int8 mode: this layer stays in bf16 (first, last, modulation) */
    KN_LOAD_OPTIONAL = 4,   /* absent: returns NULL / the null tensor, no error */
    KN_LOAD_F32 = 8,        /* float32 whatever the mode (tiny layers whose rounding is felt everywhere) */
    KN_LOAD_UPSAMPLE2 = 16, /* a 1x3x3 convolution of doubled pictures: kn_weight_spec.upsample2 */
};

/* `<prefix><name>.weight` [n_out, n_in] and `.bias`. A conv-shaped source ([out, in, 1, 1(, 1)]) of the same element
 * count and order is accepted. Returns NULL after an error. */
const kn_weight *kn_load_linear(kn_loader *l, const char *name, int64_t n_in, int64_t n_out, unsigned flags);
/* `<name>.weight` [out, in, kt, kh, kw] (or [out, in, kh, kw] when kt = 1). Never int8: bf16 then. */
const kn_weight *kn_load_conv(kn_loader *l, const char *name, int64_t n_in, int64_t n_out, int kt, int kh,
                              int kw, unsigned flags);
/* Several linears with one input as one weight: rows of `names` stacked (fused q, k, v).  `names`: NULL-ended. */
const kn_weight *kn_load_linear_stack(kn_loader *l, const char *const *names, int64_t n_in,
                                      int64_t n_out_each, unsigned flags);
/* A parameter kept as plain float32 on the device, of exactly these dims (size-1 dims on disk are ignored). */
kn_tensor kn_load_vector(kn_loader *l, const char *name, int n_dims, const int64_t *dims, unsigned flags);
/* Shape of an entry (prefix applied): n_dims, or 0 if absent (no error). */
int kn_loader_shape(kn_loader *l, const char *name, int64_t dims[KN_ENTRY_MAX_DIMS]);
/* Rows of a table gathered from the map (embeddings): out f32 [n, n_cols] on the host. */
int kn_loader_gather(kn_loader *l, const char *name, int64_t n_cols, int n, const int32_t *ids, float *out);

/* After everything was loaded: KN_EFORMAT naming the first entry nobody asked for; `ignore` is a NULL-ended list of
 * name prefixes or suffixes ("*.num_batches_tracked") that are allowed to be extra. Returns the loader's first error. */
int kn_loader_finish(kn_loader *l, const char *const *ignore, kn_err *err);

#endif
