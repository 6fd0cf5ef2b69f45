/* Tokenizers read from the files a model ships: tokenizer.json (Hugging Face) or spiece.model (SentencePiece). */
#ifndef KN_TEXT_TOKENIZER_H
#define KN_TEXT_TOKENIZER_H

#include <stdint.h>

#include "base/err.h"

typedef struct kn_tokenizer kn_tokenizer;

/* dir: a tokenizer folder (tokenizer.json preferred, then spiece.model), or one of these files. */
int kn_tokenizer_open(const char *path, kn_tokenizer **ret, kn_err *err);
/* A SentencePiece model in memory (ComfyUI's UMT5 files carry one as tensor `spiece_model`), or a tokenizer.json. */
int kn_tokenizer_open_memory(const void *data, size_t size, const char *origin, kn_tokenizer **ret, kn_err *err);
void kn_tokenizer_close(kn_tokenizer *t);

/* Ids of a UTF-8 text, post-processing (</s>) included, truncated to max_ids keeping the final </s>.
 * *ret_ids is heap, the caller's. KN_EINVAL: text is not UTF-8. */
int kn_tokenizer_encode(const kn_tokenizer *t, const char *text, int max_ids, int32_t **ret_ids, int *ret_n,
                        kn_err *err);
/* Without special tokens at the ends ("raw" in the fixtures). */
int kn_tokenizer_encode_raw(const kn_tokenizer *t, const char *text, int32_t **ret_ids, int *ret_n, kn_err *err);
int kn_tokenizer_vocab_size(const kn_tokenizer *t);
int kn_tokenizer_pad_id(const kn_tokenizer *t);
const char *kn_tokenizer_piece(const kn_tokenizer *t, int32_t id); /* NULL if out of range */

#endif
