/* Enhancement adds, never replaces, and says nothing twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "engine/enhance.h"

static void check(const char *prompt, unsigned styles, const char *expected)
{
    kn_enhanced e = {0};
    assert_int_equal(kn_enhance(prompt, styles, &e, NULL), 0);
    assert_string_equal(e.prompt, expected);
    kn_enhanced_done(&e);
}

static void test_added(void **state)
{
    (void)state;
    check("a cat on a roof.", 0,
          "a cat on a roof, highly detailed, sharp focus, natural lighting, smooth motion");
    check("a cat, Detailed fur, at NIGHT", KN_ENHANCE_QUALITY,
          "a cat, Detailed fur, at NIGHT, sharp focus, smooth motion");
    check("eine Katze \xc3\xbc"
          "ber D\xc3\xa4"
          "chern ",
          KN_ENHANCE_AESTHETIC,
          "eine Katze \xc3\xbc"
          "ber D\xc3\xa4"
          "chern, balanced composition, harmonious colours, coherent subject throughout");
    check(
        "a delightful cat", KN_ENHANCE_QUALITY,
        "a delightful cat, highly detailed, sharp focus, natural lighting, smooth motion"); /* no light in it */
}

/* What was enhanced once has nothing to gain. */
static void test_twice(void **state)
{
    kn_enhanced once = {0}, twice = {0};
    unsigned all = KN_ENHANCE_QUALITY | KN_ENHANCE_CINEMATIC | KN_ENHANCE_AESTHETIC;
    (void)state;
    assert_int_equal(kn_enhance("a cat", all, &once, NULL), 0);
    assert_int_equal(kn_enhance(once.prompt, all, &twice, NULL), 0);
    assert_string_equal(once.prompt, twice.prompt);
    assert_int_equal(json_array_size(twice.added), 0);
    assert_true(json_array_size(once.added) > 8);
    kn_enhanced_done(&once);
    kn_enhanced_done(&twice);
}

static void test_detected(void **state)
{
    kn_enhanced e = {0};
    (void)state;
    assert_int_equal(kn_enhance("a film noir scene, VACE style", 0, &e, NULL), 0);
    assert_true(e.has_vace);
    assert_true(e.has_cinema);
    assert_int_equal(e.styles, KN_ENHANCE_QUALITY | KN_ENHANCE_CINEMATIC | KN_ENHANCE_AESTHETIC);
    json_t *o = kn_enhanced_to_json(&e);
    assert_int_equal(json_array_size(json_object_get(o, "styles")), 3);
    json_decref(o);
    kn_enhanced_done(&e);
    assert_int_equal(kn_enhance("a cat", 0, &e, NULL), 0);
    assert_false(e.has_vace || e.has_cinema);
    kn_enhanced_done(&e);
}

static void test_refused(void **state)
{
    kn_enhanced e = {0};
    unsigned style = 0;
    (void)state;
    assert_int_equal(kn_enhance("", 0, &e, NULL), KN_EINVAL);
    assert_int_equal(kn_enhance(" . ", 0, &e, NULL), KN_EINVAL);
    char *text = malloc(KN_LIMIT_PROMPT_BYTES);
    memset(text, 'x', KN_LIMIT_PROMPT_BYTES - 1);
    text[KN_LIMIT_PROMPT_BYTES - 1] = '\0';
    assert_int_equal(kn_enhance(text, 0, &e, NULL), KN_ELIMIT);
    assert_null(e.prompt);
    free(text);
    assert_int_equal(kn_enhance_style_parse("cinematic", &style, NULL), 0);
    assert_int_equal(style, KN_ENHANCE_CINEMATIC);
    assert_int_equal(kn_enhance_style_parse("pretty", &style, NULL), KN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_added), cmocka_unit_test(test_twice),
                                       cmocka_unit_test(test_detected), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
