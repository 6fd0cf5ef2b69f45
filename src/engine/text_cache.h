/* Text states of prompts that were encoded before, on disk: a repeated prompt never loads the text encoder.
 *
 * What was computed together is kept together, with everything that decides its bits in the key (the encoder's files, the
 * tokens, computation type, processor, threads): states from the cache are those that the encoder would give. */
#ifndef KN_ENGINE_TEXT_CACHE_H
#define KN_ENGINE_TEXT_CACHE_H

#include "engine/run.h"
#include "tensor/checkpoint.h"

#define KN_TEXT_CACHE_SUFFIX ".safetensors" /* of the entries */

typedef struct kn_text_cache_seq {
    const int32_t *ids;
    int n_ids;
    float *rows; /* [n_ids, dim] */
} kn_text_cache_seq;

/* Fills the rows of all sequences and returns true if the cache of the run has them. On `meta`, whether it has; rows are
 * left alone. A run without a cache has nothing. */
bool kn_text_cache_get(kn_run *r, const kn_checkpoint *encoder, int n, const kn_text_cache_seq *seqs,
                       int64_t dim);
/* Keeps the rows; removes the entries that were not used for longest when there are too many bytes. A failure costs
 * nothing but the next run's time, and is not reported. */
void kn_text_cache_put(kn_run *r, const kn_checkpoint *encoder, int n, const kn_text_cache_seq *seqs,
                       int64_t dim);

#endif
