#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/tokenizer.h"

#define MARK "\u2581"
/* Ids:        0        1       2       3        4       5      6       7       8         9 */
#define VOCAB                                                                                                \
    "[[\"<pad>\",0],[\"</s>\",0],[\"<unk>\",0],[\"" MARK "\",-2],[\"a\",-3],[\"b\",-3],[\"" MARK             \
    "a\",-3],[\"ab\",-4],[\"" MARK "ab\",-4],[\"B\",-3]]"
#define MODEL "\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"vocab\":" VOCAB "}"
#define METASPACE                                                                                            \
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\"}"

static int open_json(const char *json, kn_tokenizer **ret, kn_err *err)
{
    return kn_tokenizer_open_memory(json, strlen(json), "tokenizer.json", ret, err);
}

/* Expects ids of `text` as a list "3 4 5". */
static void check(const char *json, const char *text, const char *expected)
{
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    int32_t *ids = NULL;
    int n = 0;
    kn_buf found;
    kn_buf_init(&found, 4096);
    if (open_json(json, &t, &err) || kn_tokenizer_encode(t, text, 512, &ids, &n, &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < n; i++)
        kn_buf_printf(&found, i ? " %d" : "%d", ids[i]);
    assert_string_equal(found.data ? found.data : "", expected);
    kn_buf_done(&found);
    free(ids);
    kn_tokenizer_close(t);
}

static void refuse(const char *json, int code, const char *says)
{
    kn_tokenizer *untouched = (kn_tokenizer *)&code, *t = untouched;
    kn_err err = {0};
    int rc = open_json(json, &t, &err);
    if (rc != code || !strstr(err.msg, says))
        fail_msg("%.80s: code %d, \"%s\"; expected %d and \"%s\"", json, rc, err.msg, code, says);
    assert_ptr_equal(t, untouched);
}

static void metaspace(void **state)
{
    (void)state;
    check("{" METASPACE "," MODEL "}", "", "");
    check("{" METASPACE "," MODEL "}", "ab", "8");
    check("{" METASPACE "," MODEL "}", " ab a", "8 6");
    check("{" METASPACE "," MODEL "}", "a  b", "6 3 3 5");
    check("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"add_prefix_space\":false}," MODEL "}", "ab ab",
          "7 8");
    /* Unknown characters side by side are one token. */
    check("{" METASPACE "," MODEL "}", "zzz a", "3 2 6");
    check("{" METASPACE "," MODEL "}", "azb", "6 2 5");
    check("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
          "{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"}]}," MODEL "}",
          " \u3000ab\tab", "7 7"); /* the first word does not begin the text */
    check("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
          "{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"}]}," MODEL "}",
          "ab\tab", "8 7");
}

static void normalizers(void **state)
{
    (void)state;
    check("{\"normalizer\":{\"type\":\"Lowercase\"}," MODEL "}", "AB", "7");
    check("{\"normalizer\":{\"type\":\"NFKC\"}," MODEL "}", "\uFF41b", "7");
    check("{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"}," MODEL "}", "ab", "8");
    check("{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"}," MODEL "}", "", "");
    check("{\"normalizer\":{\"type\":\"Strip\"}," MODEL "}", " \u3000ab\n", "7");
    check("{\"normalizer\":{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}," MODEL "}", " ab ",
          "7 2");
    check("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":"
          "\"StripAccents\"},"
          "{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"a\"},"
          "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\"b\"}]}," MODEL "}",
          "\u00E4x \n", "4 7");
    check("{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"b{2,3}\"},\"content\":\"a\"}," MODEL
          "}",
          "bbbbbab", "4 4 7");
}

static void byte_fallback(void **state)
{
    (void)state;
    const char *json = "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,"
                       "\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"<0xC3>\",0],[\"<0xA9>\",0]]}}";
    check(json, "a\u00E9a", "1 2 3 1");
    check(json, "a\u00E8a", "1 0 1");
}

#define ADDED(flags) "\"added_tokens\":[{\"id\":20,\"content\":\"[T]\"," flags "}]"

static void added_tokens(void **state)
{
    (void)state;
    check("{" ADDED("\"normalized\":false") "," METASPACE "," MODEL "}", "a [T] b", "6 3 20 3 5");
    check("{" ADDED("\"normalized\":false,\"lstrip\":true,\"rstrip\":true") "," METASPACE "," MODEL "}",
          "a [T] b", "6 20 3 5");
    check("{" ADDED("\"normalized\":false,\"single_word\":true") "," METASPACE "," MODEL "}", "[T] a[T]",
          "20 6 2");
    check("{" ADDED("\"normalized\":true") ",\"normalizer\":{\"type\":\"Lowercase\"}," METASPACE "," MODEL
                                           "}",
          "a[t]", "6 20");
    check("{" ADDED("\"normalized\":false") ",\"normalizer\":{\"type\":\"Lowercase\"}," METASPACE "," MODEL
                                            "}",
          "a[t]", "6 2");
    /* The longest of those that begin first. */
    check("{\"added_tokens\":[{\"id\":20,\"content\":\"<x\",\"special\":true},{\"id\":21,\"content\":\"<xy\","
          "\"special\":true}]," METASPACE "," MODEL "}",
          "<xyz", "21 3 2");
}

static void post_processors(void **state)
{
    (void)state;
    check("{\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"</"
          "s>\",1],\"cls\":[\"<pad>\",0]}," MODEL "}",
          "ab", "0 7 1");
    check("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},"
          "{\"SpecialToken\":{\"id\":\"</s>\"}}],\"special_tokens\":{\"</s>\":{\"ids\":[1,1]}}}," MODEL "}",
          "ab", "7 1 1");
}

static void refuses_stages(void **state)
{
    (void)state;
    refuse("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", KN_EUNSUPPORTED, "WordPiece");
    refuse("{\"normalizer\":{\"type\":\"BertNormalizer\"}," MODEL "}", KN_EUNSUPPORTED, "BertNormalizer");
    refuse("{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a|b\"},\"content\":\"\"}," MODEL
           "}",
           KN_EUNSUPPORTED, "a|b");
    refuse("{\"pre_tokenizer\":{\"type\":\"Digits\"}," MODEL "}", KN_EUNSUPPORTED, "Digits");
    refuse("{\"post_processor\":{\"type\":\"Odd\"}," MODEL "}", KN_EUNSUPPORTED, "Odd");
    refuse("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," MODEL "}", KN_EFORMAT,
           "\"ab\"");
    refuse("{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"x\"}," MODEL "}", KN_EFORMAT,
           "\"x\"");
    refuse("{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}," MODEL "}",
           KN_EFORMAT, "empty");
}

static void refuses_models(void **state)
{
    (void)state;
    refuse("", KN_EFORMAT, "tokenizer.json");
    refuse("{", KN_EFORMAT, "not JSON");
    refuse("{}", KN_EFORMAT, "\"model\"");
    refuse("{\"model\":{\"type\":\"Unigram\"}}", KN_EFORMAT, "vocab");
    refuse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", KN_EFORMAT, "0 pieces");
    refuse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"b\"]]}}", KN_EFORMAT, "entry 1");
    refuse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}}", KN_EFORMAT, "");
    refuse("{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}", KN_EFORMAT,
           "unk_id is 1");
    refuse("{\"model\":{\"type\":\"Unigram\",\"unk_id\":-5,\"vocab\":[[\"a\",0]]}}", KN_EFORMAT, "unk_id");
    refuse("{\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]," MODEL "}", KN_EFORMAT, "id -1");
    refuse("{\"added_tokens\":[{\"id\":2000000000,\"content\":\"x\"}]," MODEL "}", KN_EFORMAT, "2000000000");
    refuse("{\"added_tokens\":[{\"id\":1}]," MODEL "}", KN_EFORMAT, "no string");
    refuse("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"q\"}"
           "}]}," MODEL "}",
           KN_EFORMAT, "\"q\"");
    refuse("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," MODEL "}", KN_EFORMAT,
           "sequence");
}

#define CHARSMAP(b64)                                                                                        \
    "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"" b64 "\"}," MODEL "}"

static void hostile_charsmaps(void **state)
{
    (void)state;
    refuse(CHARSMAP("AAA"), KN_EFORMAT, "multiple of 4");
    refuse(CHARSMAP("AA*A"), KN_EFORMAT, "base64");
    refuse(CHARSMAP("AAA="), KN_EFORMAT, "at least 4");
    refuse(CHARSMAP("////fw=="), KN_EFORMAT, "2147483647");
    refuse(CHARSMAP("BAAAAA=="), KN_EFORMAT, "0 follow");
    /* One unit whose offset leads far beyond the array. */
    check(CHARSMAP("BAAAAAD8//8="), "ab", "7");
    /* All units zero: every step stays where it is. */
    check(CHARSMAP("CAAAAAAAAAAAAAAA"), "ab", "7");
}

static void encoding_errors(void **state)
{
    (void)state;
    kn_tokenizer *t = NULL;
    kn_err err = {0};
    int32_t *ids = NULL;
    int n = -7;
    assert_int_equal(open_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]]}}", &t, &err), 0);
    assert_int_equal(kn_tokenizer_encode(t, "a\xC3(", 8, &ids, &n, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "0xC3 at offset 1"));
    assert_int_equal(kn_tokenizer_encode(t, "b", 8, &ids, &n, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "unknown token"));
    assert_int_equal(kn_tokenizer_encode(t, "a", 0, &ids, &n, &err), KN_EINVAL);
    assert_null(ids);
    assert_int_equal(n, -7);
    char *text = kn_calloc(KN_LIMIT_PROMPT_BYTES + 2, 1);
    assert_non_null(text);
    memset(text, 'a', KN_LIMIT_PROMPT_BYTES + 1);
    assert_int_equal(kn_tokenizer_encode(t, text, 8, &ids, &n, &err), KN_ELIMIT);
    text[KN_LIMIT_PROMPT_BYTES] = '\0';
    assert_int_equal(kn_tokenizer_encode(t, text, 8, &ids, &n, &err), 0);
    assert_int_equal(n, 8);
    free(text);
    free(ids);
    kn_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metaspace),       cmocka_unit_test(normalizers),
        cmocka_unit_test(byte_fallback),   cmocka_unit_test(added_tokens),
        cmocka_unit_test(post_processors), cmocka_unit_test(refuses_stages),
        cmocka_unit_test(refuses_models),  cmocka_unit_test(hostile_charsmaps),
        cmocka_unit_test(encoding_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
