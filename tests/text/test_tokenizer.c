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

/* text-t5 is too large to be kept here: KN_ALL_FIXTURES may name a folder with every fixture. */
static const char *fixtures_root(const char *fixture)
{
    const char *all = getenv("KN_ALL_FIXTURES");
    return !strcmp(fixture, "text-t5") ? all : KN_FIXTURES;
}

/* Every string of a column of `tok` in `fixture`, through the tokenizer at `path` there. */
static void check_column(const char *fixture, const char *path, kn_tokenizer_reading reading, const char *tok,
                         const char *column, bool eos)
{
    const char *root_dir = fixtures_root(fixture);
    if (!root_dir)
        skip();
    char *tok_path = kn_asprintf("%s/%s/%s", root_dir, fixture, tok);
    char *model_path = kn_asprintf("%s/%s/model/%s", root_dir, fixture, path);
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

/* The whole call of the pipeline: clean text, </s>, cut to max_ids. */
static void wan_truncated(void **state)
{
    (void)state;
    json_t *root = load(KN_FIXTURES "/wan21-t2v/tok.json"), *entry;
    kn_tokenizer *t = open_or_fail(KN_FIXTURES "/wan21-t2v/model/tokenizer", KN_TOKENIZER_AS_WRITTEN);
    size_t i;
    json_array_foreach(json_object_get(root, "padded"), i, entry)
    {
        int32_t *ids = NULL;
        int n = 0, max = (int)json_integer_value(json_object_get(entry, "max_length"));
        const char *text = json_string_value(json_object_get(entry, "text"));
        assert_int_equal(kn_tokenizer_encode(t, text, max, &ids, &n, NULL), 0);
        assert_true(n <= max);
        assert_int_equal(ids[n - 1], 1);
        json_t *expected = json_object_get(entry, "ids");
        for (int k = n; k < max; k++)
            assert_int_equal(json_integer_value(json_array_get(expected, (size_t)k)), kn_tokenizer_pad_id(t));
        for (int k = 0; k < n; k++)
            assert_int_equal(json_integer_value(json_array_get(expected, (size_t)k)), ids[k]);
        free(ids);
    }
    assert_true(i > 3);
    kn_tokenizer_close(t);
    json_decref(root);
}

/* The model that ComfyUI's files carry in a tensor gives the same ids as the file. */
static void from_memory(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size;
    kn_tokenizer *t = NULL;
    int32_t *ids = NULL;
    int n = 0;
    assert_int_equal(
        kn_file_read(KN_FIXTURES "/wan21-t2v/model/tokenizer/spiece.model", 1 << 20, &data, &size, NULL), 0);
    assert_int_equal(kn_tokenizer_open_memory(data, size, "spiece_model", &t, NULL), 0);
    free(data);
    assert_int_equal(kn_tokenizer_pad_id(t), 0);
    assert_int_equal(kn_tokenizer_vocab_size(t), 800);
    assert_string_equal(kn_tokenizer_piece(t, 1), "</s>");
    assert_null(kn_tokenizer_piece(t, 800));
    assert_null(kn_tokenizer_piece(t, -1));
    /* An unknown character becomes its bytes. */
    assert_int_equal(kn_tokenizer_encode(t, "\xF0\x9F\x98\x80", 512, &ids, &n, NULL), 0);
    assert_int_equal(n, 6);
    assert_string_equal(kn_tokenizer_piece(t, ids[1]), "<0xF0>");
    assert_string_equal(kn_tokenizer_piece(t, ids[4]), "<0x80>");
    assert_int_equal(ids[5], 1);
    free(ids);
    kn_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wan_as_written),          cmocka_unit_test(wan_transformers5),
        cmocka_unit_test(umt5_as_written),         cmocka_unit_test(umt5_transformers5),
        cmocka_unit_test(umt5_sentencepiece),      cmocka_unit_test(t5_sentencepiece),
        cmocka_unit_test(t5_folder_transformers5), cmocka_unit_test(t5_as_written),
        cmocka_unit_test(wan_truncated),           cmocka_unit_test(from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
