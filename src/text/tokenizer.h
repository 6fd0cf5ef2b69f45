/* Tokenizers read from the files a model ships: tokenizer.json (Hugging Face) or spiece.model (SentencePiece).
 *
 * Which behaviour is "the" behaviour, where programs disagree:
 *  - A tokenizer.json is applied as it is written (what the tokenizers library and transformers 4 do). For UMT5 that
 *    means: no byte fallback, a run of unknown characters is one <unk>, a space before a special token is a piece.
 *  - A spiece.model gives SentencePiece's own ids (byte fallback where the model asks for it); in a folder, the added
 *    tokens of tokenizer_config.json or added_tokens.json are cut out of the text first.
 *  - transformers 5 rebuilds every T5/UMT5 tokenizer: it splits at white space first and calls id 2 unknown, whatever
 *    the file says. KN_TOKENIZER_TRANSFORMERS5 reads either file that way, to compare with its results; on text
 *    without unknown characters, and without a space in front of a special token, the readings agree. */
#ifndef KN_TEXT_TOKENIZER_H
#define KN_TEXT_TOKENIZER_H

#include <stdint.h>

#include "base/err.h"

typedef struct kn_tokenizer kn_tokenizer;

typedef enum kn_tokenizer_reading {
    KN_TOKENIZER_AS_WRITTEN,
    KN_TOKENIZER_TRANSFORMERS5, /* T5/UMT5 Unigram files only */
} kn_tokenizer_reading;

/* dir: a tokenizer folder (tokenizer.json preferred, then spiece.model), or one of these files.
 * KN_ENOTFOUND: neither is there; KN_EFORMAT: malformed; KN_EUNSUPPORTED: names the model type, normalizer or
 * pre-tokenizer that is not known; KN_ELIMIT: more pieces or bytes than any real vocabulary. */
int kn_tokenizer_open(const char *path, kn_tokenizer **ret, kn_err *err);
int kn_tokenizer_open_reading(const char *path, kn_tokenizer_reading reading, kn_tokenizer **ret,
                              kn_err *err);
/* A SentencePiece model in memory (ComfyUI's UMT5 files carry one as tensor `spiece_model`), or a tokenizer.json.
 * The data is copied. */
int kn_tokenizer_open_memory(const void *data, size_t size, const char *origin, kn_tokenizer **ret,
                             kn_err *err);
void kn_tokenizer_close(kn_tokenizer *t);

/* Ids of a UTF-8 text, post-processing (</s>) included, truncated to max_ids keeping the final </s>.
 * *ret_ids is heap, the caller's. KN_EINVAL: text is not UTF-8, or max_ids holds not even the special tokens;
 * KN_ELIMIT: longer than KN_LIMIT_PROMPT_BYTES. */
int kn_tokenizer_encode(const kn_tokenizer *t, const char *text, int max_ids, int32_t **ret_ids, int *ret_n,
                        kn_err *err);
/* Without special tokens at the ends ("raw" in the fixtures). */
int kn_tokenizer_encode_raw(const kn_tokenizer *t, const char *text, int32_t **ret_ids, int *ret_n,
                            kn_err *err);
/* The same for a text that may hold NUL bytes. */
int kn_tokenizer_encode_raw_bytes(const kn_tokenizer *t, const char *text, size_t size, int32_t **ret_ids,
                                  int *ret_n, kn_err *err);
int kn_tokenizer_vocab_size(const kn_tokenizer *t);                /* largest id + 1 */
int kn_tokenizer_pad_id(const kn_tokenizer *t);                    /* -1: the files name no padding token */
const char *kn_tokenizer_piece(const kn_tokenizer *t, int32_t id); /* NULL if out of range */

#endif
