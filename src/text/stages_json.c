#include "text/stages_json.h"

#include <string.h>

#include "text/utf8.h"

/* ---- pre-tokenizers ---- */

static int read_prepend(const json_t *spec, kn_prepend *ret, kn_err *err)
{
    /* Before prepend_scheme there was add_prefix_space. */
    const json_t *scheme = json_object_get(spec, "prepend_scheme");
    const char *name = json_string_value(scheme);
    if (!scheme || json_is_null(scheme)) {
        *ret = kn_stage_flag(spec, "add_prefix_space", true) ? KN_PREPEND_ALWAYS : KN_PREPEND_NEVER;
        return 0;
    }
    if (name && !strcmp(name, "always"))
        *ret = KN_PREPEND_ALWAYS;
    else if (name && !strcmp(name, "first"))
        *ret = KN_PREPEND_FIRST;
    else if (name && !strcmp(name, "never"))
        *ret = KN_PREPEND_NEVER;
    else
        return kn_fail(err, KN_EFORMAT,
                       "Metaspace prepend_scheme is \"%.40s\", expected always, first or never",
                       name ? name : "(not a string)");
    return 0;
}

static int read_metaspace(kn_pretokenizer *p, const json_t *spec, kn_err *err)
{
    const json_t *mark = json_object_get(spec, "replacement");
    const char *text = mark ? json_string_value(mark) : "\xE2\x96\x81";
    kn_pretok_step *step;
    size_t n = 0;
    if (!text || !*text || (kn_utf8_next(text, strlen(text), &n), text[n]))
        return kn_fail(err, KN_EFORMAT, "Metaspace replacement is \"%.40s\", expected one character",
                       text ? text : "(not a string)");
    int rc = kn_pretokenizer_add(p, KN_PRETOK_METASPACE, &step, err);
    if (rc)
        return rc;
    memcpy(step->replacement, text, n + 1);
    step->split = kn_stage_flag(spec, "split", true);
    return read_prepend(spec, &step->prepend, err);
}

int kn_pretokenizer_from_json(kn_pretokenizer *p, const json_t *spec, kn_err *err)
{
    const char *type = kn_stage_type(spec);
    kn_pretok_step *step;
    if (!spec || json_is_null(spec))
        return 0;
    if (!strcmp(type, "Metaspace"))
        return read_metaspace(p, spec, err);
    if (!strcmp(type, "WhitespaceSplit"))
        return kn_pretokenizer_add(p, KN_PRETOK_WHITESPACE_SPLIT, &step, err);
    if (strcmp(type, "Sequence") != 0)
        return kn_fail(err, KN_EUNSUPPORTED, "pre-tokenizer \"%.80s\" is not supported", type);
    const json_t *list = json_object_get(spec, "pretokenizers"), *entry;
    size_t i;
    if (!json_is_array(list))
        return kn_fail(err, KN_EFORMAT, "pre-tokenizer Sequence has no array \"pretokenizers\"");
    json_array_foreach((json_t *)list, i, entry)
    {
        int rc = kn_pretokenizer_from_json(p, entry, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- post-processor ---- */

static int template_push(kn_template *t, bool after, const json_t *id, kn_err *err)
{
    int *n = after ? &t->n_suffix : &t->n_prefix;
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= KN_LIMIT_VOCAB)
        return kn_fail(err, KN_EFORMAT, "a special token of the post-processor has no id in [0, %d)",
                       KN_LIMIT_VOCAB);
    if (*n >= KN_LIMIT_TEMPLATE_IDS)
        return kn_fail(err, KN_ELIMIT, "more than %d special tokens around a text", KN_LIMIT_TEMPLATE_IDS);
    (after ? t->suffix : t->prefix)[(*n)++] = (int32_t)json_integer_value(id);
    return 0;
}

static int push_special(kn_template *t, bool after, const json_t *spec, const char *name, kn_err *err)
{
    const json_t *token = json_object_get(json_object_get(spec, "special_tokens"), name);
    const json_t *ids = json_object_get(token, "ids"), *id;
    size_t i;
    if (!json_is_array(ids))
        return kn_fail(err, KN_EFORMAT, "the template uses special token \"%.80s\", which has no ids", name);
    json_array_foreach((json_t *)ids, i, id)
    {
        int rc = template_push(t, after, id, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_template(kn_template *t, const json_t *spec, kn_err *err)
{
    const json_t *single = json_object_get(spec, "single"), *item;
    size_t i;
    bool after = false;
    if (!json_is_array(single))
        return kn_fail(err, KN_EFORMAT, "TemplateProcessing has no array \"single\"");
    json_array_foreach((json_t *)single, i, item)
    {
        const char *name = json_string_value(json_object_get(json_object_get(item, "SpecialToken"), "id"));
        int rc = 0;
        if (name)
            rc = push_special(t, after, spec, name, err);
        else if (json_object_get(item, "Sequence") && !after)
            after = true;
        else
            rc = kn_fail(err, KN_EFORMAT,
                         "TemplateProcessing \"single\": entry %zu is neither a special token nor "
                         "the one sequence",
                         i);
        if (rc)
            return rc;
    }
    return after ? 0 : kn_fail(err, KN_EFORMAT, "TemplateProcessing \"single\" has no sequence");
}

int kn_template_from_json(kn_template *t, const json_t *spec, kn_err *err)
{
    const char *type = kn_stage_type(spec);
    int rc = 0;
    if (!spec || json_is_null(spec) || !strcmp(type, "ByteLevel")) /* ByteLevel only trims offsets */
        return 0;
    if (!strcmp(type, "TemplateProcessing"))
        return read_template(t, spec, err);
    if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing")) {
        rc = template_push(t, false, json_array_get(json_object_get(spec, "cls"), 1), err);
        return rc ? rc : template_push(t, true, json_array_get(json_object_get(spec, "sep"), 1), err);
    }
    if (strcmp(type, "Sequence") != 0)
        return kn_fail(err, KN_EUNSUPPORTED, "post-processor \"%.80s\" is not supported", type);
    const json_t *list = json_object_get(spec, "processors"), *entry;
    size_t i;
    json_array_foreach((json_t *)list, i, entry)
    {
        if ((rc = kn_template_from_json(t, entry, err)))
            return rc;
    }
    return 0;
}

/* ---- added tokens ---- */

int kn_added_token_from_json(kn_added_tokens *a, const json_t *spec, int64_t id, kn_err *err)
{
    const char *content = json_string_value(json_object_get(spec, "content"));
    if (!content || id < 0 || id >= KN_LIMIT_VOCAB)
        return kn_fail(err, KN_EFORMAT,
                       "added token \"%.80s\" has id %lld, expected a string and an id below %d",
                       content ? content : "(no string)", (long long)id, KN_LIMIT_VOCAB);
    kn_added_token token = {
        .content = (char *)content,
        .id = (int32_t)id,
        .single_word = kn_stage_flag(spec, "single_word", false),
        .lstrip = kn_stage_flag(spec, "lstrip", false),
        .rstrip = kn_stage_flag(spec, "rstrip", false),
        .normalized = kn_stage_flag(spec, "normalized", !kn_stage_flag(spec, "special", false)),
    };
    return kn_added_tokens_add(a, &token, err);
}

int kn_added_tokens_from_json(kn_added_tokens *a, const json_t *list, kn_err *err)
{
    const json_t *entry;
    size_t i;
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list))
        return kn_fail(err, KN_EFORMAT, "\"added_tokens\" is not an array");
    json_array_foreach((json_t *)list, i, entry)
    {
        const json_t *id = json_object_get(entry, "id");
        int rc = kn_added_token_from_json(a, entry, json_is_integer(id) ? json_integer_value(id) : -1, err);
        if (rc)
            return rc;
    }
    return 0;
}
