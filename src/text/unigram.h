/* The Unigram model: of all ways to cut a word into pieces, the one with the largest sum of log-probabilities. */
#ifndef KN_TEXT_UNIGRAM_H
#define KN_TEXT_UNIGRAM_H

#include <stdbool.h>

#include "text/model.h"
#include "text/trie.h"

typedef enum kn_piece_kind { /* sentencepiece_model.proto, SentencePiece.Type */
                             KN_PIECE_NORMAL = 1,
                             KN_PIECE_UNKNOWN = 2,
                             KN_PIECE_CONTROL = 3,
                             KN_PIECE_USER_DEFINED = 4,
                             KN_PIECE_UNUSED = 5,
                             KN_PIECE_BYTE = 6,
} kn_piece_kind;

typedef struct kn_unigram kn_unigram;

/* How the two programs differ: tokenizer.json (tokenizers library) matches every piece, computes in double and looks
 * a run of unknown characters up as a whole; SentencePiece matches normal pieces only, keeps sums in float, and
 * prefers user-defined symbols. */
typedef struct kn_unigram_rules {
    bool sentencepiece;
    bool byte_fallback;
    int32_t unk_id; /* -1: none */
} kn_unigram_rules;

/* Pieces are added in the order of their ids, then the model is finished; it may be used only after that. */
int kn_unigram_new(size_t n_pieces, kn_unigram **ret, kn_err *err);
/* KN_EFORMAT: the score is not finite. KN_ELIMIT: longer than KN_LIMIT_PIECE_BYTES. The text is copied. */
int kn_unigram_add(kn_unigram *m, const char *text, size_t size, double score, kn_piece_kind kind,
                   kn_err *err);
/* KN_EFORMAT: unk_id is not an id. */
int kn_unigram_finish(kn_unigram *m, kn_unigram_rules rules, kn_err *err);
kn_tok_model *kn_unigram_model(kn_unigram *m);
/* The user-defined pieces as keys of a trie; *ret is heap, its texts belong to the model. */
int kn_unigram_user_defined(const kn_unigram *m, kn_trie_key **ret, size_t *ret_n, kn_err *err);
/* Makes another id the unknown one. KN_EINVAL: the model is no Unigram, or has no such id. */
int kn_unigram_set_unknown(kn_tok_model *m, int32_t unk_id, kn_err *err);
void kn_unigram_free(kn_unigram *m);

#endif
