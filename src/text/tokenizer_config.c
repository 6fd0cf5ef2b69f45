/* tokenizer_config.json and added_tokens.json, the files beside a tokenizer. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "text/stages_json.h"
#include "text/unigram.h"

/* Integers are read as reals: transformers writes model_max_length as int(1e30), which no integer type holds. */
static int parse(const char *path, json_t **ret, kn_err *err)
{
    char *text;
    size_t size;
    int rc = kn_file_read(path, KN_LIMIT_JSON_FILE_BYTES, &text, &size, err);
    if (rc)
        return rc;
    json_error_t e;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &e);
    free(text);
    if (!root)
        return kn_fail(err, KN_EFORMAT, "%s: not JSON: line %d, column %d: %s", path, e.line, e.column,
                       e.text);
    *ret = root;
    return 0;
}

/* *ret stays NULL where there is no such file. */
static int load(const char *dir, const char *name, json_t **ret, kn_err *err)
{
    char *path = kn_path_join(dir, name);
    int rc = 0;
    if (!path)
        return kn_fail(err, KN_ENOMEM, "no memory for a path");
    if (kn_path_exists(path))
        rc = parse(path, ret, err);
    free(path);
    return rc;
}

int kn_tokenizer_config_pad(kn_tokenizer *t, const char *dir, kn_err *err)
{
    json_t *config = NULL;
    int rc = load(dir, "tokenizer_config.json", &config, err);
    if (rc)
        return rc;
    const json_t *pad = json_object_get(config, "pad_token");
    const char *name = json_string_value(json_is_object(pad) ? json_object_get(pad, "content") : pad);
    int32_t id = name ? kn_pipeline_find(t, name) : -1;
    if (id >= 0)
        t->pad_id = id;
    json_decref(config);
    return 0;
}

/* "id" -> {content, flags} */
static int read_decoder(kn_tokenizer *t, json_t *decoder, kn_err *err)
{
    const char *key;
    json_t *spec;
    json_object_foreach(decoder, key, spec)
    {
        char *end;
        long id = strtol(key, &end, 10);
        int rc = kn_added_token_from_json(&t->added, spec, *key && !*end ? id : -1, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* "content" -> id */
static int read_list(kn_tokenizer *t, json_t *list, kn_err *err)
{
    const char *key;
    json_t *id;
    json_object_foreach(list, key, id)
    {
        double value = json_is_number(id) ? json_number_value(id) : -1;
        if (!(value >= 0 && value < KN_LIMIT_VOCAB))
            return kn_fail(err, KN_EFORMAT, "added_tokens.json: \"%.80s\" has no id in [0, %d)", key,
                           KN_LIMIT_VOCAB);
        kn_added_token token = {.content = (char *)key, .id = (int32_t)value};
        int rc = kn_added_tokens_add(&t->added, &token, err);
        if (rc)
            return rc;
    }
    return 0;
}

int kn_tokenizer_config_added(kn_tokenizer *t, const char *dir, kn_err *err)
{
    json_t *config = NULL, *list = NULL;
    int rc = load(dir, "tokenizer_config.json", &config, err);
    if (rc)
        return rc;
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    if (json_is_object(decoder))
        rc = read_decoder(t, decoder, err);
    else if (!(rc = load(dir, "added_tokens.json", &list, err)))
        rc = read_list(t, list, err);
    json_decref(list);
    json_decref(config);
    return rc;
}

int kn_pipeline_transformers5(kn_tokenizer *t, kn_err *err)
{
    kn_pretok_step *step;
    t->pretokenizer.n_steps = 0;
    int rc = kn_unigram_set_unknown(t->model, 2, err);
    if (rc || (rc = kn_pretokenizer_add(&t->pretokenizer, KN_PRETOK_WHITESPACE_SPLIT, &step, err)) ||
        (rc = kn_pretokenizer_add(&t->pretokenizer, KN_PRETOK_METASPACE, &step, err)))
        return rc;
    memcpy(step->replacement, "\xE2\x96\x81", 4);
    step->prepend = KN_PREPEND_ALWAYS;
    step->split = true;
    return 0;
}
