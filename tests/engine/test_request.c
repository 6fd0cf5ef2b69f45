#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/request.h"

static void assert_message(const kn_err *err, int code, const char *a, const char *b)
{
    if (err->code != code || !strstr(err->msg, a) || !strstr(err->msg, b))
        fail_msg("got %d \"%s\", expected %d with \"%s\" and \"%s\"", err->code, err->msg, code, a, b);
}

static void refuses(const char *name, const char *value, int code, const char *expected)
{
    kn_request rq;
    kn_err err = {0};
    kn_request_init(&rq);
    assert_int_equal(kn_request_set(&rq, name, value, &err), code);
    assert_message(&err, code, name, expected);
    kn_request_done(&rq);
}

static void test_names_the_value_and_what_was_expected(void **state)
{
    (void)state;
    refuses("width", "wide", KN_EINVAL, "\"wide\" is not a whole number");
    refuses("width", "7", KN_EINVAL, "7 is outside 8..");
    refuses("width", "640x", KN_EINVAL, "\"640x\"");
    refuses("width", "", KN_EINVAL, "\"\"");
    refuses("steps", "99999999999999999999", KN_EINVAL, "not a whole number");
    refuses("seed", "-1", KN_EINVAL, "-1 is outside");
    refuses("guidance", "nan", KN_EINVAL, "not a number");
    refuses("guidance", "1e400", KN_EINVAL, "not a number");
    refuses("guidance", "-0.5", KN_EINVAL, "-0.5 is outside");
    refuses("scheduler", "unip", KN_EINVAL, "unipc|euler");
    refuses("scheduler", "", KN_EINVAL, "unipc|euler");
    refuses("scheduler", "unipc|euler", KN_EINVAL, "is not one of");
    refuses("dtype", "fp16", KN_EINVAL, "f32|bf16|int8");
    refuses("image", "", KN_EINVAL, "file name is empty");
    refuses("control_scale", "0.5,,x", KN_EINVAL, "\"x\" is not a number");
    refuses("control_scale", "11", KN_EINVAL, "11 is outside");
    refuses("lora", "", KN_EINVAL, "file name is empty");
    refuses("lora", "a:1000", KN_EINVAL, "1000 is outside");
    refuses("colour", "red", KN_EINVAL, "unknown parameter \"colour\"");
}

static void test_dashes_and_underscores_are_one(void **state)
{
    (void)state;
    assert_ptr_equal(kn_param_find("negative-prompt"), kn_param_find("negative_prompt"));
    assert_null(kn_param_find("negative"));
    assert_null(kn_param_find("negative_promptx"));
    assert_null(kn_param_find(""));
}

static void test_lora_forms(void **state)
{
    (void)state;
    kn_request rq;
    kn_err err = {0};
    kn_request_init(&rq);
    static const struct {
        const char *text, *path;
        double strength;
        kn_expert expert;
    } cases[] = {
        {"a.safetensors", "a.safetensors", 1, KN_EXPERT_BOTH},
        {"a.safetensors:0.5", "a.safetensors", 0.5, KN_EXPERT_BOTH},
        {"a.safetensors:-2:high", "a.safetensors", -2, KN_EXPERT_HIGH},
        {"a.safetensors:low", "a.safetensors", 1, KN_EXPERT_LOW},
        {"C:x.safetensors", "C:x.safetensors", 1, KN_EXPERT_BOTH},
        {"odd:name:0.25", "odd:name", 0.25, KN_EXPERT_BOTH},
    };
    int n = (int)(sizeof cases / sizeof *cases);
    for (int i = 0; i < n; i++)
        assert_int_equal(kn_request_set(&rq, "lora", cases[i].text, &err), 0);
    assert_int_equal(rq.loras.n, n);
    for (int i = 0; i < n; i++) {
        assert_string_equal(rq.loras.items[i].path, cases[i].path);
        assert_true(fabs((double)rq.loras.items[i].strength - cases[i].strength) < 1e-6);
        assert_int_equal(rq.loras.items[i].expert, cases[i].expert);
    }
    kn_request_done(&rq);
}

static json_t *parse(const char *text)
{
    json_t *j = NULL;
    kn_err err = {0};
    if (kn_json_parse(text, strlen(text), "test", &j, &err))
        fail_msg("%s", err.msg);
    return j;
}

static void json_refuses(const char *text, const char *a, const char *b)
{
    kn_request rq;
    kn_err err = {0};
    kn_request_init(&rq);
    json_t *j = parse(text);
    assert_true(kn_request_from_json(&rq, j, &err) < 0);
    assert_message(&err, err.code, a, b);
    json_decref(j);
    kn_request_done(&rq);
}

static void test_json_refuses(void **state)
{
    (void)state;
    json_refuses("{\"promt\": \"x\"}", "unknown parameter", "promt");
    json_refuses("{\"negative-prompt\": \"x\"}", "unknown parameter", "negative-prompt");
    json_refuses("{\"width\": \"640\"}", "width", "not a whole number");
    json_refuses("{\"width\": 640.5}", "width", "640.5");
    json_refuses("{\"prompt\": 1}", "prompt", "not a string");
    json_refuses("{\"reference\": \"a.png\"}", "reference", "not a list");
    json_refuses("{\"reference\": [1]}", "reference", "not a file name");
    json_refuses("{\"lora\": [{\"strength\": 1}]}", "lora", "path");
    json_refuses("{\"lora\": [{\"path\": \"a\", \"expert\": \"mid\"}]}", "lora", "mid");
    json_refuses("{\"control_scale\": [1, \"x\"]}", "control_scale", "not a number");
    json_refuses("[]", "object", "");
}

/* What goes out comes back in, whole. */
static void test_json_round_trip(void **state)
{
    (void)state;
    json_t *in = parse("{\"model\": \"m\", \"prompt\": \"a \\\"cat\\\" \\u00e9\", \"width\": 640, \"seed\": "
                       "9007199254740991,"
                       "\"guidance\": 4.5, \"scheduler\": \"euler\", \"reference\": [\"a.png\", \"b.png\"],"
                       "\"control_scale\": [1.0, 0.5], \"lora\": [{\"path\": \"l\", \"strength\": 0.5, "
                       "\"expert\": \"low\"}]}");
    kn_request rq, copy;
    kn_err err = {0};
    kn_request_init(&rq);
    assert_int_equal(kn_request_from_json(&rq, in, &err), 0);
    json_t *out = kn_request_to_json(&rq);
    assert_true(json_equal(in, out));
    assert_int_equal(kn_request_copy(&rq, &copy, &err), 0);
    json_t *again = kn_request_to_json(&copy);
    assert_true(json_equal(out, again));
    assert_true(copy.height == KN_UNSET_INT && isnan(copy.flow_shift) && !copy.image);
    json_decref(in);
    json_decref(out);
    json_decref(again);
    kn_request_done(&rq);
    kn_request_done(&copy);
}

/* File names are bytes; prompts are text. */
static void test_not_utf8(void **state)
{
    (void)state;
    kn_request rq, copy;
    kn_err err = {0};
    kn_request_init(&rq);
    assert_int_equal(kn_request_set(&rq, "prompt", "caf\xe9", &err), KN_EINVAL);
    assert_non_null(strstr(err.msg, "prompt"));
    assert_int_equal(kn_request_set(&rq, "output", "caf\xe9.mp4", &err), 0);
    assert_int_equal(kn_request_set(&rq, "lora", "caf\xe9:0.5:high", &err), 0);
    assert_int_equal(kn_request_set(&rq, "reference", "\xff.png", &err), 0);
    assert_int_equal(kn_request_copy(&rq, &copy, &err), 0);
    assert_string_equal(copy.output, "caf\xe9.mp4");
    assert_string_equal(copy.loras.items[0].path, "caf\xe9");
    assert_int_equal(copy.loras.items[0].expert, KN_EXPERT_HIGH);
    assert_string_equal(copy.references.items[0], "\xff.png");
    json_t *j = kn_request_to_json(&copy);
    assert_null(json_object_get(j, "output"));
    json_decref(j);
    kn_request_done(&rq);
    kn_request_done(&copy);
}

static void test_limits(void **state)
{
    (void)state;
    kn_request rq;
    kn_err err = {0};
    kn_request_init(&rq);
    for (int i = 0; i < KN_LIMIT_REFERENCES; i++)
        assert_int_equal(kn_request_set(&rq, "reference", "a.png", &err), 0);
    assert_int_equal(kn_request_set(&rq, "reference", "a.png", &err), KN_ELIMIT);
    for (int i = 0; i < KN_LIMIT_LORAS; i++)
        assert_int_equal(kn_request_set(&rq, "lora", "a", &err), 0);
    assert_int_equal(kn_request_set(&rq, "lora", "a", &err), KN_ELIMIT);
    char *big = malloc(KN_LIMIT_PROMPT_BYTES + 2);
    memset(big, 'x', KN_LIMIT_PROMPT_BYTES + 1);
    big[KN_LIMIT_PROMPT_BYTES + 1] = '\0';
    assert_int_equal(kn_request_set(&rq, "prompt", big, &err), KN_ELIMIT);
    assert_null(rq.prompt);
    free(big);
    kn_request_done(&rq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_the_value_and_what_was_expected),
        cmocka_unit_test(test_dashes_and_underscores_are_one),
        cmocka_unit_test(test_lora_forms),
        cmocka_unit_test(test_json_refuses),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
