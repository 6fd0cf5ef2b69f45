#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/html_entities.h"

/* The recorded strings hold NUL characters, which kn_json_parse refuses. */
static json_t *load(const char *path)
{
    json_error_t e;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &e);
    if (!root)
        fail_msg("%s: %s", path, e.text);
    return root;
}

static void check_cases(const char *path, size_t n_min)
{
    json_t *root = load(path), *entry;
    const json_t *cases = json_object_get(root, "cases");
    size_t i;
    assert_true(json_array_size(cases) >= n_min);
    json_array_foreach((json_t *)cases, i, entry)
    {
        const json_t *text = json_object_get(entry, "text");
        char *clean = NULL;
        kn_err err = {0};
        if (kn_prompt_clean_bytes(json_string_value(text), json_string_length(text), &clean, &err))
            fail_msg("case %zu: %s", i, err.msg);
        assert_string_equal(clean, json_string_value(json_object_get(entry, "clean")));
        free(clean);
    }
    json_decref(root);
}

static void recorded_vectors(void **state)
{
    (void)state;
    check_cases(KN_FIXTURES "/text/clean.json", 350);
}

static void wan_prompts(void **state)
{
    (void)state;
    check_cases(KN_FIXTURES "/wan21-t2v/tok.json", 100);
}

/* A clean prompt is not changed by cleaning. */
static void clean_is_stable(void **state)
{
    (void)state;
    const char *prompts[] = {"A cat walks on the grass.", "caf\u00e9 \u65e5\u672c\u8a9e", ""};
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        char *clean = NULL;
        assert_int_equal(kn_prompt_clean(prompts[i], &clean, NULL), 0);
        assert_string_equal(clean, prompts[i]);
        free(clean);
    }
}

static void refuses(void **state)
{
    (void)state;
    char *untouched = "x", *clean = untouched;
    kn_err err = {0};
    assert_int_equal(kn_prompt_clean("ab\xFFz", &clean, &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "0xFF at offset 2"));
    assert_int_equal(kn_prompt_clean("\xED\xA0\x80", &clean, &err), KN_EINVAL);

    size_t size = KN_LIMIT_PROMPT_BYTES + 1;
    char *longer = kn_calloc(size + 1, 1);
    assert_non_null(longer);
    memset(longer, 'a', size);
    assert_int_equal(kn_prompt_clean(longer, &clean, &err), KN_ELIMIT);
    longer[size - 1] = '\0';
    assert_ptr_equal(clean, untouched);
    assert_int_equal(kn_prompt_clean(longer, &clean, &err), 0);
    assert_int_equal(strlen(clean), size - 1);
    free(clean);
    free(longer);
}

/* The longest prompt of text that every stage has to look at. */
static void long_mojibake(void **state)
{
    (void)state;
    size_t n = KN_LIMIT_PROMPT_BYTES / 4;
    char *text = kn_calloc(4 * n + 1, 1), *clean = NULL;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + 4 * i, "\u00C3\u00A9", 4);
    assert_int_equal(kn_prompt_clean(text, &clean, NULL), 0);
    assert_int_equal(strlen(clean), 2 * n);
    assert_memory_equal(clean, "\u00E9\u00E9", 4);
    free(clean);
    free(text);
}

static void entities_are_sorted(void **state)
{
    (void)state;
    assert_int_equal(kn_n_html_entities, 2231);
    for (size_t i = 1; i < kn_n_html_entities; i++)
        assert_true(strcmp(kn_html_entities[i - 1].name, kn_html_entities[i].name) < 0);
    for (size_t i = 0; i < kn_n_html_entities; i++) {
        const char *name = kn_html_entities[i].name;
        assert_ptr_equal(kn_html_entity_find(name, strlen(name)), &kn_html_entities[i]);
    }
    assert_null(kn_html_entity_find("amq;", 4));
    assert_null(kn_html_entity_find("am", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_vectors), cmocka_unit_test(wan_prompts),
        cmocka_unit_test(clean_is_stable),  cmocka_unit_test(refuses),
        cmocka_unit_test(long_mojibake),    cmocka_unit_test(entities_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
