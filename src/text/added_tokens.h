/* Added tokens: strings that are cut out of the text before the model sees it (special tokens among them). */
#ifndef KN_TEXT_ADDED_TOKENS_H
#define KN_TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/normalizer.h"
#include "text/trie.h"

/* Gemma lists about 6,400; SentencePiece folders a few hundred. */
#define KN_LIMIT_ADDED_TOKENS 65536

typedef struct kn_added_token {
    char *content; /* heap, not empty */
    int32_t id;
    bool single_word;    /* only where no word character touches it */
    bool lstrip, rstrip; /* takes the white space on that side with it */
    bool normalized;     /* searched for in the normalised text instead of the text */
} kn_added_token;

typedef struct kn_added_tokens {
    kn_added_token *tokens;
    size_t n, capacity;
    kn_trie plain, normalized; /* values are indices of tokens */
} kn_added_tokens;

/* Copies `content`; a token without content is ignored. */
int kn_added_tokens_add(kn_added_tokens *a, const kn_added_token *token, kn_err *err);
/* Once, after the last token. */
int kn_added_tokens_finish(kn_added_tokens *a, const kn_normalizer *normalizer, kn_err *err);
void kn_added_tokens_done(kn_added_tokens *a);
const kn_added_token *kn_added_tokens_by_id(const kn_added_tokens *a, int32_t id);
const kn_added_token *kn_added_tokens_by_content(const kn_added_tokens *a, const char *content);

/* Finds the next token of `trie` at or after `from`: the leftmost, of those the longest. Returns false if none.
 * [*ret_begin, *ret_end) includes the white space it takes with it, never before `from`. */
bool kn_added_tokens_next(const kn_added_tokens *a, const kn_trie *trie, const char *s, size_t size,
                          size_t from, size_t *ret_begin, size_t *ret_end, int32_t *ret_id);

#endif
