/* A device: a vtable of operations on already checked arguments, and the memory they use.
 *
 * tensor/ops.c is the only caller of the compute slots: it has checked shapes and types, counted work and allocated
 * the output and workspace, so a device computes and does nothing else.  `meta` fills no compute slot at all. */
#ifndef KN_TENSOR_DEVICE_H
#define KN_TENSOR_DEVICE_H

#include "tensor/ops.h"

typedef struct kn_linear_args {
    kn_tensor x, out; /* [rows, n_in], [rows, n_out] */
    const kn_weight *w;
    kn_act act;
    bool accumulate; /* out (f32) += result * gate */
    kn_mod gate;
    const atomic_bool *cancel; /* may be NULL; polled between chunks of a long product */
    void *workspace;
} kn_linear_args;

typedef struct kn_conv_args {
    kn_tensor x, out; /* [T, H, W, C], [T', H', W', C'] */
    const kn_weight *w;
    kn_conv_opts opts;         /* strides are never 0 here */
    const atomic_bool *cancel; /* may be NULL */
    void *workspace;
} kn_conv_args;

typedef struct kn_attention_args {
    kn_tensor q, k, v, out; /* [b, n, heads * d] */
    int n_heads, n_kv_heads;
    kn_attention_opts opts; /* scale is never 0 here */
    const atomic_bool *cancel;
    void *workspace;
} kn_attention_args;

typedef struct kn_norm_args {
    kn_tensor x, out; /* same dims */
    kn_tensor gamma, beta;
    float eps;
    kn_act act;
    kn_mod shift, scale; /* layer norm */
    const kn_rope *rope; /* RMS norm; NULL */
    int n_heads;
    int n_groups; /* group norm */
    void *workspace;
} kn_norm_args;

typedef enum kn_ewise {
    KN_EWISE_ADD,      /* x += a * y */
    KN_EWISE_MUL,      /* x *= y */
    KN_EWISE_AFFINE,   /* x = x * a + b */
    KN_EWISE_CLAMP,    /* x = min(max(x, a), b) */
    KN_EWISE_ACT,      /* x = act(x) */
    KN_EWISE_GATE_ADD, /* x += y * gate */
} kn_ewise;

typedef struct kn_ewise_args {
    kn_ewise op;
    kn_tensor x, y; /* y: x's shape, or [C] broadcast over rows */
    float a, b;
    kn_act act;
    kn_mod gate;
} kn_ewise_args;

typedef struct kn_device_ops {
    /* memory */
    void *(*reserve)(kn_device *dev, size_t bytes); /* address space for a pool; NULL on failure */
    void (*unreserve)(kn_device *dev, void *p, size_t bytes);
    /* Sees to memory behind a part of it before its first use; NULL: it is there when it is touched. KN_ENOMEM. */
    int (*commit)(kn_device *dev, void *p, size_t bytes, kn_err *err);
    void (*trim)(kn_device *dev, void *p, size_t bytes); /* give pages back; content is lost */
    size_t (*available)(kn_device *dev);                 /* bytes free now; NULL on `meta` */
    /* Operations and these run in order; only a download waits for them, and so it tells of their failures. */
    int (*upload)(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err);
    int (*download)(kn_device *dev, void *dst, const void *src, size_t bytes, kn_err *err);
    int (*fill_zero)(kn_device *dev, void *dst, size_t bytes, kn_err *err);
    int (*wait)(kn_device *dev, kn_err *err); /* until all that was asked for is done; NULL: it always is */
    /* The vendor library's own matrix product, 4096 x 1536 x 8960, nothing of ours around it: flop per second of the
     * median of several runs.  What speeds are compared with. */
    int (*raw_matmul)(kn_device *dev, kn_dtype dtype, double *ret_flops, kn_err *err);

    /* weights */
    size_t (*weight_bytes)(kn_device *dev, const kn_weight_spec *spec);
    int (*weight_new)(kn_device *dev, const kn_weight_spec *spec, const kn_weight_src *src, kn_weight *w,
                      kn_err *err); /* fills w->priv */
    void (*weight_free)(kn_device *dev, kn_weight *w);
    /* Packed weights that outlive the process (tensor/packed.h); NULL: this device has none.  weight_format: a hash of how
     * a weight of this spec is laid out; what was saved is read only where it is the same.  weight_save: the bytes that make
     * the weight again, weight_bytes of them, before its first use; all pieces but the last are multiples of KN_SAVE_PIECE.
     * weight_map: fills w->priv from these bytes, which stay where they are until w is freed. */
    uint64_t (*weight_format)(kn_device *dev, const kn_weight_spec *spec);
    int (*weight_save)(kn_device *dev, const kn_weight *w, kn_put_fn put, void *ud);
    int (*weight_map)(kn_device *dev, const kn_weight_spec *spec, const void *data, size_t bytes,
                      kn_weight *w, kn_err *err);
    /* Host memory that weight_new needs for the time of the call, when its data has this type; NULL: none. */
    size_t (*weight_packing)(kn_device *dev, const kn_weight_spec *spec, kn_dtype source);

    /* workspace an operation will need, a pure function of shapes and types; NULL slots mean 0.
     * Called with data pointers that must not be read. */
    size_t (*linear_workspace)(kn_device *dev, const kn_linear_args *a);
    size_t (*conv_workspace)(kn_device *dev, const kn_conv_args *a);
    size_t (*attention_workspace)(kn_device *dev, const kn_attention_args *a);
    size_t (*group_norm_workspace)(kn_device *dev, const kn_norm_args *a);

    /* compute; 0 or a negative code with err filled.  All NULL on `meta`. */
    int (*linear)(kn_device *dev, const kn_linear_args *a, kn_err *err);
    int (*conv)(kn_device *dev, const kn_conv_args *a, kn_err *err);
    int (*attention)(kn_device *dev, const kn_attention_args *a, kn_err *err);
    int (*rms_norm)(kn_device *dev, const kn_norm_args *a, kn_err *err);
    int (*layer_norm)(kn_device *dev, const kn_norm_args *a, kn_err *err);
    int (*group_norm)(kn_device *dev, const kn_norm_args *a, kn_err *err);
    int (*rope)(kn_device *dev, kn_tensor x, const kn_rope *rope, int n_heads, kn_err *err);
    int (*ewise)(kn_device *dev, const kn_ewise_args *a, kn_err *err);
    int (*copy)(kn_device *dev, kn_tensor dst, kn_tensor src, kn_err *err); /* converts f32/bf16 */
    int (*permute)(kn_device *dev, kn_tensor dst, kn_tensor src, const int *perm, kn_err *err);
    int (*concat)(kn_device *dev, kn_tensor dst, int axis, int n, const kn_tensor *xs, kn_err *err);
    int (*slice)(kn_device *dev, kn_tensor dst, kn_tensor src, int axis, int64_t begin, kn_err *err);
    int (*repeat_channels)(kn_device *dev, kn_tensor dst, kn_tensor src, int r, kn_err *err);
    int (*mean_channels)(kn_device *dev, kn_tensor dst, kn_tensor src, int g, kn_err *err);

    void (*close)(kn_device *dev); /* frees dev too */
} kn_device_ops;

struct kn_device {
    const kn_device_ops *ops;
    char name[64];         /* "cpu" */
    char description[160]; /* "AMD EPYC, 2 cores, AVX-512 BF16 VNNI" */
    bool is_meta;
    bool has_bf16, has_int8; /* computed natively, i.e. worth choosing */
    bool has_own_memory;     /* what the host holds takes none of it */
    int n_visitors; /* blocks of streamed weights at a time (tensor/blocks.h): 2 where one arrives during the other's
                                work; 0 counts as 1 */
    char packing[96]; /* what else decides how weights are packed: instruction set, library */
    size_t mem_total_bytes;
    size_t mem_available_bytes; /* of it, free when the device was opened */
    size_t mem_weights_bytes;   /* live weights now */
    size_t
        mem_idle_bytes; /* weights that no run uses and that go when one needs their room; not in the above */
    size_t mem_pool_bytes;      /* sum of the pools' extents now */
    size_t mem_host_bytes;      /* large host buffers now, where the device computes in host memory */
    size_t mem_peak_bytes;      /* most of their sum since the last kn_device_reset_peak */
    int64_t n_weights_made;     /* converted and packed since the device was opened; 0 on `meta` */
    int64_t n_weights_recalled; /* of a packed file instead */
    int64_t n_waits;            /* how often the host waited until the device had nothing more to do */
    void *priv;
};

typedef struct kn_cpu_options {
    int n_threads; /* 0 = all allowed cores */
    bool pin;
    const char *isa; /* NULL = best; "c", "avx2", "avx512", "avx512_bf16": the most our own kernels may use */
} kn_cpu_options;

/* "cpu"; "cuda" or "cuda:0" to "cuda:9", a card of NVIDIA's; "auto" or NULL: a card where one works, else the processor.
 * KN_EINVAL, KN_EDEVICE. */
int kn_device_open(const char *name, const kn_cpu_options *cpu, kn_device **ret, kn_err *err);
int kn_cpu_device_open(const kn_cpu_options *opts, kn_device **ret, kn_err *err);
/* "oneDNN 2.6.3" into buf; returns buf. */
const char *kn_cpu_versions(char *buf, size_t size);
int kn_cpu_raw_matmul(kn_device *dev, kn_dtype dtype, double *ret_flops, kn_err *err);
/* A device that computes nothing and costs what `like` would cost; `like` must outlive it. */
int kn_meta_device_open(kn_device *like, kn_device **ret, kn_err *err);
void kn_device_close(kn_device *dev);

/* Called by pools and weights as they grow and shrink. */
void kn_device_account(kn_device *dev, int64_t d_weights, int64_t d_pool);
void kn_device_reset_peak(kn_device *dev);
/* Called around host buffers that are large enough to matter to a plan, on `meta` as if they were there. */
void kn_device_account_host(kn_device *dev, int64_t delta);

#endif
