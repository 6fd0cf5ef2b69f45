/* Attention without the score matrix: the inner loops, one table an instruction set and type.
 *
 * Scores are kept transposed: a vector holds one key's scores for VL queries, so that the softmax needs no sum across
 * lanes and the products need one broadcast word per key (or channel).  A "word" is 32 bits: one float, or two
 * bfloat16 values that are neighbours along the summed dimension.  The layouts, in words:
 *   Q tile   [head words][queries]                       packed for each block of queries
 *   K panel  [key / P][head words][P]                    packed once a head
 *   V panel  [key block][channel / P][key words][P]      packed once a head
 * Sums run over head words in the first product, over key words in the second. */
#ifndef KN_TENSOR_CPU_ATTENTION_KERNELS_H
#define KN_TENSOR_CPU_ATTENTION_KERNELS_H

#include "tensor/cpu/dispatch.h"

/* Keys between two updates of a query's running maximum; a multiple of every panel width. */
enum { KN_ATTENTION_KEYS = 128 };

/* Shapes of one call; strides in elements. */
typedef struct kn_attention_shape {
    const kn_attention_args *args;
    int64_t nq, nk, head_size;
    int64_t head_words, v_channels; /* head size in words; rounded up to panels */
    int64_t nk_padded;              /* keys rounded up to panels */
} kn_attention_shape;

/* One thread's memory. */
typedef struct kn_attention_scratch {
    float *q, *scores, *p, *out; /* [head words][queries], twice [keys][queries], [channels][queries] */
    float *max, *sum, *rescale;  /* [queries] */
} kn_attention_scratch;

typedef struct kn_attention_kernels {
    int lanes, block_lanes; /* queries of a vector; vectors of a block */
    int panel;              /* P */
    int pair;               /* values of a word: 1, or 2 for bfloat16 */
    /* Packs key block `block` of one head. */
    void (*pack)(const kn_attention_shape *s, int64_t batch, int64_t kv_head, int64_t block, float *k,
                 float *v);
    /* n_vectors * lanes queries from q0 on (fewer at the end) of one head, all keys. */
    void (*run)(const kn_attention_shape *s, int64_t batch, int64_t head, int64_t q0, int n_vectors,
                const float *k, const float *v, const kn_attention_scratch *scratch);
} kn_attention_kernels;

KN_DECLARE_KERNELS(kn_attention_kernels, kn_attention_kernels);
#if defined __x86_64__
extern const kn_attention_kernels kn_attention_kernels_avx512bf16; /* bfloat16 inputs only */
#endif

#endif
