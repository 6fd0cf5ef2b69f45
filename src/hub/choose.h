/* Which of a repository's files a model needs: of a pipeline in diffusers layout its settings, tokenizers and one set of weights for
 * each part, or one single file. Pickled weights never. */
#ifndef KN_HUB_CHOOSE_H
#define KN_HUB_CHOOSE_H

#include "hub/repo.h"

typedef struct kn_choice {
    const kn_hub_file *file;
    /* Its path in the model's folder: that in the repository, but weights of a variant have the plain name under which they
     * are looked for ("model.fp16.safetensors" becomes "model.safetensors"). */
    const char *as;
} kn_choice;

typedef struct kn_choices {
    kn_choice *items;
    int n;
    uint64_t size;
    bool is_single; /* a file of its own, not a pipeline */
    kn_arena arena;
} kn_choices;

typedef struct kn_wish {
    const char *id;      /* for messages */
    const char *file;    /* NULL: the pipeline */
    const char *variant; /* NULL: none, or the one there is */
    const json_t *index; /* model_index.json; NULL: there is none */
} kn_wish;

/* KN_ENOTFOUND: no such file or variant. KN_EUNSUPPORTED: pickled weights only. KN_EINVAL: no pipeline, and several files that
 * could be meant: the message names some. KN_EFORMAT: parts are missing. */
int kn_choose(const kn_hub_repo *r, const kn_wish *w, kn_choices *ret, kn_err *err);
void kn_choices_done(kn_choices *c);
/* Variants of weights in a repository's parts, without the plain one: ["bf16", "fp16"]. NULL without memory. */
json_t *kn_hub_variants(const kn_hub_repo *r);

#endif
