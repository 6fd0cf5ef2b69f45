#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer.h"

/* The recorded strings hold NUL characters, which kn_json_parse refuses. */
static json_t *load(const char *path)
{
    json_error_t e;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &e);
    if (!root)
        fail_msg("%s: %s", path, e.text);
    return root;
}

static kn_tokenizer *open_or_fail(const char *path, kn_tokenizer_reading reading)
{
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    if (kn_tokenizer_open_reading(path, reading, &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

static bool same_ids(const json_t *expected, const int32_t *ids, int n)
{
    if (json_array_size(expected) != (size_t)n)
        return false;
    for (int i = 0; i < n; i++) {
        if (json_integer_value(json_array_get(expected, (size_t)i)) != ids[i])
            return false;
    }
    return true;
}

/* Ids with </s> (1) behind them, as kn_tokenizer_encode gives them, are the raw ids and a 1. */
static json_t *without_eos(const json_t *ids)
{
    json_t *raw = json_deep_copy(ids);
    json_array_remove(raw, json_array_size(raw) - 1);
    return raw;
}

static int count_wrong(const kn_tokenizer *t, const json_t *entries, const char *column, bool eos)
{
    size_t i;
    json_t *entry;
    int wrong = 0;
    json_array_foreach((json_t *)entries, i, entry)
    {
        const json_t *text = json_object_get(entry, "text");
        json_t *expected = json_object_get(entry, column);
        int32_t *ids = NULL;
        int n = 0;
        kn_err err = {0};
        assert_non_null(expected);
        expected = eos ? without_eos(expected) : json_incref(expected);
        if (kn_tokenizer_encode_raw_bytes(t, json_string_value(text), json_string_length(text), &ids, &n,
                                          &err))
            fail_msg("%s", err.msg);
        if (!same_ids(expected, ids, n)) {
            wrong++;
            print_message("%s: \"%s\": %d ids, expected %zu\n", column, json_string_value(text), n,
                          json_array_size(expected));
        }
        json_decref(expected);
        free(ids);
    }
    return wrong;
}

/* Every string of a column of `tok` in `fixture`, through the tokenizer at `path` there. */
static void check_column(const char *fixture, const char *path, kn_tokenizer_reading reading, const char *tok,
                         const char *column, bool eos)
{
    char *tok_path = kn_asprintf("%s/%s/%s", KN_FIXTURES, fixture, tok);
    char *model_path = kn_asprintf("%s/%s/model/%s", KN_FIXTURES, fixture, path);
    if (!kn_path_exists(model_path)) {
        print_message("%s is not among the fixtures\n", model_path);
        free(tok_path);
        free(model_path);
        skip();
    }
    json_t *root = load(tok_path);
    kn_tokenizer *t = open_or_fail(model_path, reading);
    const json_t *entries = json_object_get(root, "entries");
    entries = entries ? entries : json_object_get(root, "cases");
    assert_true(json_array_size(entries) > 100);
    assert_int_equal(count_wrong(t, entries, column, eos), 0);
    kn_tokenizer_close(t);
    json_decref(root);
    free(tok_path);
    free(model_path);
}

static void wan_as_written(void **state)
{
    (void)state;
    check_column("wan21-t2v", "tokenizer", KN_TOKENIZER_AS_WRITTEN, "tok.json", "raw_ids", false);
}

static void wan_transformers5(void **state)
{
    (void)state;
    check_column("wan21-t2v", "tokenizer", KN_TOKENIZER_TRANSFORMERS5, "tok.json", "ref_ids", true);
}

static void umt5_as_written(void **state)
{
    (void)state;
    check_column("text-umt5", "tokenizer", KN_TOKENIZER_AS_WRITTEN, "tok.json", "file", false);
}

static void umt5_transformers5(void **state)
{
    (void)state;
    check_column("text-umt5", "tokenizer", KN_TOKENIZER_TRANSFORMERS5, "tok.json", "raw", false);
}

static void umt5_sentencepiece(void **state)
{
    (void)state;
    check_column("text-umt5", "tokenizer/spiece.model", KN_TOKENIZER_AS_WRITTEN, "tok.json", "spm", false);
}

static void t5_sentencepiece(void **state)
{
    (void)state;
    check_column("text-t5", "tokenizer/spiece.model", KN_TOKENIZER_AS_WRITTEN, "tok.json", "spm", false);
}

static void t5_folder_transformers5(void **state)
{
    (void)state;
    check_column("text-t5", "tokenizer", KN_TOKENIZER_TRANSFORMERS5, "tok.json", "raw", false);
}

static void t5_as_written(void **state)
{
    (void)state;
    check_column("text-t5", "tokenizer_2", KN_TOKENIZER_AS_WRITTEN, "tok_2.json", "file", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wan_as_written),          cmocka_unit_test(wan_transformers5),
        cmocka_unit_test(umt5_as_written),         cmocka_unit_test(umt5_transformers5),
        cmocka_unit_test(umt5_sentencepiece),      cmocka_unit_test(t5_sentencepiece),
        cmocka_unit_test(t5_folder_transformers5), cmocka_unit_test(t5_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
