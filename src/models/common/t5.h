/* The T5 and UMT5 text encoders.
 *
 * Pre-norm transformer without biases, RMS norms, bidirectional attention with a learned bias by bucketed distance
 * and no 1/sqrt(d) (Raffel et al. 2020; UMT5: Chung et al. 2023, one bias table a layer instead of one in all).
 *
 * Several sequences run as one: their rows lie one after the other, so that each weight is read once, and only
 * attention keeps them apart.  The residual stream is f32 (T5's grows beyond what half precision holds). */
#ifndef KN_MODELS_COMMON_T5_H
#define KN_MODELS_COMMON_T5_H

#include "base/json.h"
#include "models/common/trace.h"
#include "tensor/blocks.h"
#include "tensor/ops.h"

typedef struct kn_t5_config {
    int64_t d_model, d_kv, d_ff, vocab_size;
    int n_heads, n_layers, n_buckets, max_distance;
    bool gated;          /* wo(act(wi_0 x) * wi_1 x), else wo(act(wi x)) */
    bool bias_per_layer; /* UMT5 */
    kn_act act;
    float eps;
} kn_t5_config;

/* From text_encoder/config.json; `origin` names it in messages. */
int kn_t5_config_read(const json_t *obj, const char *origin, kn_t5_config *ret, kn_err *err);
/* From the shapes of a checkpoint with transformers' names (single files carry no config): max_distance 128, eps
 * 1e-6 and tanh GELU when gated are what every published T5 v1.1 and UMT5 has. */
int kn_t5_config_derive(kn_checkpoint *ck, kn_t5_config *ret, kn_err *err);

/* Renames Wan's (models_t5_*), llama.cpp's (GGUF) and ComfyUI's names to transformers'. */
int kn_t5_rename(kn_checkpoint *ck, kn_err *err);
/* What checkpoints hold beside the encoder: for kn_loader_finish. */
extern const char *const kn_t5_ignore[];

typedef struct kn_t5_block {
    kn_tensor norm1, norm2; /* [d_model] */
    kn_tensor rel_bias;     /* [n_buckets, n_heads]; null where the first block's serves */
    const kn_weight *q, *k, *v, *o, *wi_0, *wi_1, *wo; /* wi_1 NULL: not gated */
} kn_t5_block;

typedef struct kn_t5_seq {
    const int32_t *ids;
    int n;      /* tokens that are computed */
    int n_keys; /* how many of them, from the first, are attended to (attention mask); 0: all */
} kn_t5_seq;

typedef struct kn_t5_hooks {
    kn_trace trace; /* text.embed, text.blockN.out, text.out; rows of all sequences */
    void (*progress)(void *ud, int64_t done, int64_t total); /* in blocks; may be NULL */
    void *ud;
} kn_t5_hooks;

typedef struct kn_t5 {
    kn_t5_config config;
    kn_blocks *blocks; /* of kn_t5_block; owned */
    kn_tensor norm;
} kn_t5;

/* n_resident blocks stay on the device (KN_ALL_BLOCKS: for short encoders, or when it stays for many prompts), the others
 * are loaded as they are used: 0 for encoders that are used once (UMT5-XXL has 11 GB in bf16).  l->err says how it went. m
 * must not move until _done, which leaves the weights in l->set. */
void kn_t5_load(kn_t5 *m, const kn_t5_config *config, int n_resident, kn_loader *l);
void kn_t5_done(kn_t5 *m);

/* Hidden states after the final norm, f32 [sum of n, d_model].  Embedding rows are gathered from l's checkpoint, so
 * the table is never resident.  hooks may be NULL. */
kn_tensor kn_t5_forward(kn_ctx *c, const kn_t5 *m, kn_loader *l, const kn_t5_seq *seqs, int n_seqs,
                        const kn_t5_hooks *hooks);

/* The bucket of a distance (key - query), bidirectional: half of the buckets for each sign, exact up to a quarter of
 * n_buckets, then logarithmic up to max_distance. */
int kn_t5_bucket(int distance, int n_buckets, int max_distance);

#endif
