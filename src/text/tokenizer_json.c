/* tokenizer.json of the Hugging Face tokenizers library. */
#include <string.h>

#include "text/stages_json.h"
#include "text/unigram.h"

static int read_unk_id(const json_t *spec, int32_t *ret, kn_err *err)
{
    const json_t *unk = json_object_get(spec, "unk_id");
    if (!unk || json_is_null(unk)) {
        *ret = -1;
        return 0;
    }
    if (!json_is_integer(unk) || json_integer_value(unk) < 0 || json_integer_value(unk) >= KN_LIMIT_VOCAB)
        return kn_fail(err, KN_EFORMAT, "\"unk_id\" is not an id in [0, %d)", KN_LIMIT_VOCAB);
    *ret = (int32_t)json_integer_value(unk);
    return 0;
}

static int add_piece(kn_unigram *m, const json_t *entry, size_t i, kn_err *err)
{
    const json_t *text = json_array_get(entry, 0), *score = json_array_get(entry, 1);
    if (!json_is_string(text) || !json_is_number(score))
        return kn_fail(err, KN_EFORMAT, "\"vocab\" entry %zu is not [piece, score]", i);
    return kn_unigram_add(m, json_string_value(text), json_string_length(text), json_number_value(score),
                          KN_PIECE_NORMAL, err);
}

static int read_unigram(const json_t *spec, kn_tok_model **ret, kn_err *err)
{
    const json_t *vocab = json_object_get(spec, "vocab"), *entry;
    kn_unigram_rules rules = {.byte_fallback = kn_stage_flag(spec, "byte_fallback", false)};
    kn_unigram *m = NULL;
    size_t i;
    if (!json_is_array(vocab))
        return kn_fail(err, KN_EFORMAT, "the Unigram model has no array \"vocab\"");
    int rc = read_unk_id(spec, &rules.unk_id, err);
    if (rc || (rc = kn_unigram_new(json_array_size(vocab), &m, err)))
        return rc;
    json_array_foreach((json_t *)vocab, i, entry)
    {
        if ((rc = add_piece(m, entry, i, err)))
            goto out;
    }
    if ((rc = kn_unigram_finish(m, rules, err)))
        goto out;
    *ret = kn_unigram_model(m);
    m = NULL;
out:
    kn_unigram_free(m);
    return rc;
}

/* Early files have no "type"; a Unigram model is the one whose vocabulary is an array. */
static int read_model(const json_t *spec, kn_tok_model **ret, kn_err *err)
{
    const char *type = kn_stage_type(spec);
    if (!json_is_object(spec))
        return kn_fail(err, KN_EFORMAT, "no object \"model\"");
    if (!strcmp(type, "Unigram") || (!*type && json_is_array(json_object_get(spec, "vocab"))))
        return read_unigram(spec, ret, err);
    return kn_fail(err, KN_EUNSUPPORTED, "model type \"%.80s\" is not supported, expected Unigram", type);
}

static int fill(kn_tokenizer *t, const json_t *root, kn_err *err)
{
    int rc;
    if ((rc = read_model(json_object_get(root, "model"), &t->model, err)) ||
        (rc = kn_normalizer_from_json(&t->normalizer, json_object_get(root, "normalizer"), err)) ||
        (rc = kn_pretokenizer_from_json(&t->pretokenizer, json_object_get(root, "pre_tokenizer"), err)) ||
        (rc = kn_template_from_json(&t->around, json_object_get(root, "post_processor"), err)) ||
        (rc = kn_added_tokens_from_json(&t->added, json_object_get(root, "added_tokens"), err)))
        return rc;
    const json_t *pad = json_object_get(json_object_get(root, "padding"), "pad_id");
    if (json_is_integer(pad) && json_integer_value(pad) >= 0 && json_integer_value(pad) < KN_LIMIT_VOCAB)
        t->pad_id = (int32_t)json_integer_value(pad);
    return 0;
}

int kn_tokenizer_from_json(const char *data, size_t size, const char *origin, kn_tokenizer_reading reading,
                           kn_tokenizer **ret, kn_err *err)
{
    json_t *root = NULL;
    int rc = kn_json_parse(data, size, origin, &root, err);
    if (rc)
        return rc;
    kn_tokenizer *t = kn_pipeline_new();
    if (!t) {
        rc = kn_fail(err, KN_ENOMEM, "%s: no memory for a tokenizer", origin);
        goto out;
    }
    if ((rc = fill(t, root, err)) ||
        (reading == KN_TOKENIZER_TRANSFORMERS5 && (rc = kn_pipeline_transformers5(t, err))) ||
        (rc = kn_pipeline_finish(t, err))) {
        kn_err_prefix(err, "%s", origin);
        goto out;
    }
    *ret = t;
    t = NULL;
out:
    kn_tokenizer_close(t);
    json_decref(root);
    return rc;
}
