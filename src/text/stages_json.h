/* Reading the stages of a tokenizer.json; each names in its message what it does not know. */
#ifndef KN_TEXT_STAGES_JSON_H
#define KN_TEXT_STAGES_JSON_H

#include "base/json.h"
#include "text/pipeline.h"

int kn_normalizer_from_json(kn_normalizer *n, const json_t *spec, kn_err *err);
int kn_pretokenizer_from_json(kn_pretokenizer *p, const json_t *spec, kn_err *err);
int kn_template_from_json(kn_template *t, const json_t *spec, kn_err *err);
int kn_added_tokens_from_json(kn_added_tokens *a, const json_t *list, kn_err *err);
/* One token from an object with `content` and flags. */
int kn_added_token_from_json(kn_added_tokens *a, const json_t *spec, int64_t id, kn_err *err);

/* "type" of a stage; "" if there is none. */
const char *kn_stage_type(const json_t *spec);
bool kn_stage_flag(const json_t *spec, const char *key, bool fallback);

#endif
