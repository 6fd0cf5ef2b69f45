/* A tokenizer's model: turns one word into ids. Each kind (Unigram, BPE ...) is one file that fills this in. */
#ifndef KN_TEXT_MODEL_H
#define KN_TEXT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/ids.h"

/* Ids are below this, so that tables by id stay small; the largest vocabulary in use has 262,208 (Gemma 3). */
#define KN_LIMIT_VOCAB (1 << 20)

typedef struct kn_tok_model kn_tok_model;

typedef struct kn_tok_model_ops {
    const char *name;
    int (*encode)(const kn_tok_model *m, const char *word, size_t size, kn_ids *out, kn_err *err);
    const char *(*piece)(const kn_tok_model *m, int32_t id);                /* NULL if out of range */
    int32_t (*find)(const kn_tok_model *m, const char *piece, size_t size); /* -1 if absent */
    int (*size)(const kn_tok_model *m);                                     /* largest id + 1 */
    void (*free)(kn_tok_model *m);
} kn_tok_model_ops;

/* The first member of every model. */
struct kn_tok_model {
    const kn_tok_model_ops *ops;
};

#endif
