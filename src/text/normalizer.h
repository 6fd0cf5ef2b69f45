/* Text normalisation: a list of steps applied one after the other. tokenizer.json's nested Sequence is flattened;
 * a SentencePiece model is a single step. */
#ifndef KN_TEXT_NORMALIZER_H
#define KN_TEXT_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/trie.h"

/* U+FDFA becomes 18 characters; templates and prefixes add a few bytes. Reached only by a hostile map. */
#define KN_LIMIT_NORMALIZED_BYTES (4u << 20)
#define KN_LIMIT_NORMALIZER_STEPS 32

typedef enum kn_norm_kind {
    KN_NORM_CHARSMAP, /* Precompiled */
    KN_NORM_SPM,      /* SentencePiece's own normaliser */
    KN_NORM_REPLACE,
    KN_NORM_STRIP,
    KN_NORM_PREPEND,
    KN_NORM_APPEND,
    KN_NORM_LOWERCASE,
    KN_NORM_STRIP_ACCENTS,
    KN_NORM_NFC,
    KN_NORM_NFD,
    KN_NORM_NFKC,
    KN_NORM_NFKD,
} kn_norm_kind;

/* sentencepiece_model.proto: NormalizerSpec, and treat_whitespace_as_suffix of TrainerSpec. */
typedef struct kn_spm_normalizer {
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces, whitespace_as_suffix;
    kn_trie user_defined; /* symbols that are not normalised */
} kn_spm_normalizer;

typedef struct kn_norm_step {
    kn_norm_kind kind;
    bool left, right;      /* STRIP */
    kn_pattern pattern;    /* REPLACE */
    char *content;         /* REPLACE, PREPEND, APPEND; heap */
    kn_charsmap map;       /* CHARSMAP, SPM */
    kn_spm_normalizer spm; /* SPM */
} kn_norm_step;

typedef struct kn_normalizer {
    kn_norm_step *steps;
    int n_steps;
} kn_normalizer;

/* Adds a zeroed step. KN_ELIMIT, KN_ENOMEM. */
int kn_normalizer_add(kn_normalizer *n, kn_norm_kind kind, kn_norm_step **ret, kn_err *err);
void kn_normalizer_done(kn_normalizer *n);
/* *ret is heap, NUL-terminated beyond *ret_size. */
int kn_normalizer_apply(const kn_normalizer *n, const char *text, size_t size, char **ret, size_t *ret_size,
                        kn_err *err);

/* One step of kind KN_NORM_SPM (spm_normalize.c). */
void kn_spm_normalize(const kn_norm_step *step, const char *text, size_t size, kn_buf *out);

#endif
