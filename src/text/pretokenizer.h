/* Pre-tokenizers: cut normalised text into the words a model sees one at a time. */
#ifndef KN_TEXT_PRETOKENIZER_H
#define KN_TEXT_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define KN_LIMIT_PRETOKENIZER_STEPS 16

typedef enum kn_pretok_kind {
    KN_PRETOK_METASPACE,
    KN_PRETOK_WHITESPACE_SPLIT,
} kn_pretok_kind;

typedef enum kn_prepend {
    KN_PREPEND_ALWAYS,
    KN_PREPEND_FIRST, /* only at the beginning of the whole text */
    KN_PREPEND_NEVER,
} kn_prepend;

typedef struct kn_pretok_step {
    kn_pretok_kind kind;
    /* METASPACE */
    char replacement[5];
    kn_prepend prepend;
    bool split;
} kn_pretok_step;

typedef struct kn_pretokenizer {
    kn_pretok_step steps[KN_LIMIT_PRETOKENIZER_STEPS];
    int n_steps;
} kn_pretokenizer;

typedef struct kn_word {
    size_t begin, size;
    bool at_start; /* begins where the whole text begins */
} kn_word;

typedef struct kn_words {
    kn_buf text;
    kn_word *words;
    size_t n, capacity;
} kn_words;

int kn_pretokenizer_add(kn_pretokenizer *p, kn_pretok_kind kind, kn_pretok_step **ret, kn_err *err);
/* at_start: `text` begins the whole text. *ret is filled on success; kn_words_done it. */
int kn_pretokenizer_apply(const kn_pretokenizer *p, const char *text, size_t size, bool at_start,
                          kn_words *ret, kn_err *err);
void kn_words_done(kn_words *w);

#endif
