/* The inside of a kn_tokenizer: a line of stages that the file readers fill in.
 *
 *   text -> added tokens cut out -> normalizer -> normalised added tokens cut out -> pre-tokenizer -> model -> ids
 *
 * A new kind of tokenizer is a new model (model.h) and a reader that builds this line. */
#ifndef KN_TEXT_PIPELINE_H
#define KN_TEXT_PIPELINE_H

#include "text/added_tokens.h"
#include "text/ids.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

/* Templates in use put at most a handful of special tokens around a text. */
#define KN_LIMIT_TEMPLATE_IDS 64

typedef struct kn_template {
    int32_t prefix[KN_LIMIT_TEMPLATE_IDS], suffix[KN_LIMIT_TEMPLATE_IDS];
    int n_prefix, n_suffix;
} kn_template;

struct kn_tokenizer {
    kn_added_tokens added;
    kn_normalizer normalizer;
    kn_pretokenizer pretokenizer;
    kn_tok_model *model;
    kn_template around;
    int32_t pad_id;
};

kn_tokenizer *kn_pipeline_new(void); /* NULL without memory */
/* The last step of every reader: builds the tables for added tokens. */
int kn_pipeline_finish(kn_tokenizer *t, kn_err *err);
int32_t kn_pipeline_find(const kn_tokenizer *t, const char *token); /* -1 if neither added nor a piece */

/* The readers. Each fills *ret with a finished tokenizer. */
int kn_tokenizer_from_json(const char *data, size_t size, const char *origin, kn_tokenizer_reading reading,
                           kn_tokenizer **ret, kn_err *err);
/* config_dir: where tokenizer_config.json and added_tokens.json may lie, or NULL. */
int kn_tokenizer_from_spm(const void *data, size_t size, const char *origin, const char *config_dir,
                          kn_tokenizer_reading reading, kn_tokenizer **ret, kn_err *err);
/* pad_token of dir/tokenizer_config.json, where there is one. */
int kn_tokenizer_config_pad(kn_tokenizer *t, const char *dir, kn_err *err);
/* added_tokens_decoder of dir/tokenizer_config.json, else dir/added_tokens.json, where there is one. */
int kn_tokenizer_config_added(kn_tokenizer *t, const char *dir, kn_err *err);
/* Puts transformers 5's idea of T5 in place of the file's: split at white space, Metaspace, id 2 is unknown. */
int kn_pipeline_transformers5(kn_tokenizer *t, kn_err *err);

#endif
