#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "text/stages_json.h"

const char *kn_stage_type(const json_t *spec)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    return type ? type : "";
}

bool kn_stage_flag(const json_t *spec, const char *key, bool fallback)
{
    const json_t *v = json_object_get(spec, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

static int read_content(kn_norm_step *step, const json_t *spec, const char *key, kn_err *err)
{
    const char *content = json_string_value(json_object_get(spec, key));
    if (!content)
        return kn_fail(err, KN_EFORMAT, "normalizer %s has no string \"%s\"", kn_stage_type(spec), key);
    step->content = kn_strdup(content);
    return step->content ? 0 : kn_fail(err, KN_ENOMEM, "no memory for a normalizer");
}

static int read_precompiled(kn_normalizer *n, const json_t *spec, kn_err *err)
{
    const json_t *map = json_object_get(spec, "precompiled_charsmap");
    unsigned char *blob = NULL;
    size_t size = 0;
    kn_norm_step *step;
    if (json_is_null(map) || (json_is_string(map) && !json_string_length(map)))
        return 0;
    if (!json_is_string(map))
        return kn_fail(err, KN_EFORMAT, "normalizer Precompiled has no string \"precompiled_charsmap\"");
    int rc = kn_base64_decode(json_string_value(map), json_string_length(map), &blob, &size, err);
    if (!rc && !(rc = kn_normalizer_add(n, KN_NORM_CHARSMAP, &step, err)))
        rc = kn_charsmap_init(&step->map, blob, size, err);
    free(blob);
    return rc;
}

static int read_replace(kn_normalizer *n, const json_t *spec, kn_err *err)
{
    const json_t *pattern = json_object_get(spec, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *literal = json_string_value(json_object_get(pattern, "String"));
    kn_norm_step *step;
    if (!regex && !literal)
        return kn_fail(err, KN_EFORMAT, "normalizer Replace has neither a Regex nor a String pattern");
    int rc = kn_normalizer_add(n, KN_NORM_REPLACE, &step, err);
    if (rc || (rc = read_content(step, spec, "content", err)))
        return rc;
    return regex ? kn_pattern_regex(&step->pattern, regex, err)
                 : kn_pattern_literal(&step->pattern, literal, err);
}

static int read_sequence(kn_normalizer *n, const json_t *spec, kn_err *err)
{
    const json_t *list = json_object_get(spec, "normalizers"), *entry;
    size_t i;
    if (!json_is_array(list))
        return kn_fail(err, KN_EFORMAT, "normalizer Sequence has no array \"normalizers\"");
    json_array_foreach((json_t *)list, i, entry)
    {
        int rc = kn_normalizer_from_json(n, entry, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Normalizers without parameters. */
static const struct {
    const char *type;
    kn_norm_kind kind;
} plain[] = {
    {"Lowercase", KN_NORM_LOWERCASE},
    {"StripAccents", KN_NORM_STRIP_ACCENTS},
    {"NFC", KN_NORM_NFC},
    {"NFD", KN_NORM_NFD},
    {"NFKC", KN_NORM_NFKC},
    {"NFKD", KN_NORM_NFKD},
};

int kn_normalizer_from_json(kn_normalizer *n, const json_t *spec, kn_err *err)
{
    const char *type = kn_stage_type(spec);
    kn_norm_step *step;
    int rc;
    if (!spec || json_is_null(spec))
        return 0;
    if (!strcmp(type, "Sequence"))
        return read_sequence(n, spec, err);
    if (!strcmp(type, "Precompiled"))
        return read_precompiled(n, spec, err);
    if (!strcmp(type, "Replace"))
        return read_replace(n, spec, err);
    if (!strcmp(type, "Prepend") || !strcmp(type, "Append")) {
        bool prepend = !strcmp(type, "Prepend");
        rc = kn_normalizer_add(n, prepend ? KN_NORM_PREPEND : KN_NORM_APPEND, &step, err);
        return rc ? rc : read_content(step, spec, prepend ? "prepend" : "append", err);
    }
    if (!strcmp(type, "Strip")) {
        if ((rc = kn_normalizer_add(n, KN_NORM_STRIP, &step, err)))
            return rc;
        step->left = kn_stage_flag(spec, "strip_left", true);
        step->right = kn_stage_flag(spec, "strip_right", true);
        return 0;
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (!strcmp(type, plain[i].type))
            return kn_normalizer_add(n, plain[i].kind, &step, err);
    }
    return kn_fail(err, KN_EUNSUPPORTED, "normalizer \"%.80s\" is not supported", type);
}
