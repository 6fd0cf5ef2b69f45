/* Settings: kept, checked, all or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings.h"

static kn_queue *queue;
static char path[96];

static int make(void **state)
{
    char dir[] = "/tmp/kinora-settings-XXXXXX";
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/q.db", dir);
    kn_err err = {0};
    int rc = kn_queue_open(path, &(kn_queue_opts){0}, &queue, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.msg);
    return rc;
}

static int clear(void **state)
{
    (void)state;
    kn_queue_close(queue);
    return 0;
}

static int change(const char *json, kn_err *err)
{
    json_t *o = json_loads(json, 0, NULL);
    assert_non_null(o);
    int rc = kn_settings_change(queue, o, NULL, err);
    json_decref(o);
    return rc;
}

static json_t *value(const char *name)
{
    json_t *all = NULL;
    assert_int_equal(kn_settings_load(queue, &all, NULL), 0);
    json_t *v = json_incref(json_object_get(all, name));
    json_decref(all);
    return v;
}

static void test_kept(void **state)
{
    (void)state;
    json_t *before = value("max_queue_size");
    assert_int_equal(json_integer_value(before), 1000);
    assert_int_equal(
        change("{\"max_queue_size\": 5, \"preferred_dtype\": \"int8\", \"cleanup_enabled\": true}", NULL), 0);
    kn_queue_close(queue);
    assert_int_equal(kn_queue_open(path, &(kn_queue_opts){0}, &queue, NULL), 0);
    json_t *size = value("max_queue_size"), *dtype = value("preferred_dtype"), *other = value("max_attempts");
    assert_int_equal(json_integer_value(size), 5);
    assert_string_equal(json_string_value(dtype), "int8");
    assert_int_equal(json_integer_value(other), 3);
    json_t *all[] = {before, size, dtype, other};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_decref(all[i]);
}

static void test_refused(void **state)
{
    static const char *const rows[][2] = {
        {"{\"max_queue_size\": 0}", "max_queue_size"},
        {"{\"max_queue_size\": 10001}", "max_queue_size"},
        {"{\"max_queue_size\": 1.5}", "max_queue_size"},
        {"{\"max_queue_size\": \"7\"}", "max_queue_size"},
        {"{\"cleanup_enabled\": 1}", "cleanup_enabled"},
        {"{\"preferred_dtype\": \"int\"}", "preferred_dtype"},
        {"{\"preferred_dtype\": \"\"}", "preferred_dtype"},
        {"{\"preferred_dtype\": null}", "preferred_dtype"},
        {"{\"models_dir\": 3}", "models_dir"},
        {"{\"nothing\": 3}", "nothing"},
        {"{\"hf_endpoint\": \"file:///etc\"}", "hf_endpoint"},
        {"{\"huggingface_token\": \"a b\"}", "huggingface_token"},
        {"{\"huggingface_token\": \"a\\r\\nX: y\"}", "huggingface_token"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kn_err err = {0};
        int rc = change(rows[i][0], &err);
        if (rc != KN_EINVAL || strncmp(err.msg, rows[i][1], strlen(rows[i][1])))
            fail_msg("%s: %d %s", rows[i][0], rc, err.msg);
    }
    assert_int_equal(change("{\"max_attempts\": 9, \"nothing\": 3}", NULL), KN_EINVAL);
    json_t *v = value("max_attempts");
    assert_int_equal(json_integer_value(v), 3);
    json_decref(v);
}

#define TOKEN "hf_AbCdEfGhIjKlMnOpQrStUv"

static void is_token(const char *want)
{
    json_t *v = value("huggingface_token");
    assert_string_equal(json_string_value(v), want);
    json_decref(v);
}

static void test_secret(void **state)
{
    json_t *all = NULL;
    (void)state;
    assert_int_equal(change("{\"huggingface_token\": \"" TOKEN "\"}", NULL), 0);
    is_token(TOKEN);
    assert_int_equal(kn_settings_load(queue, &all, NULL), 0);
    json_t *o = kn_settings_to_json(all);
    char *text = json_dumps(o, 0);
    assert_null(strstr(text, TOKEN));
    assert_non_null(strstr(text, "\"hf_...StUv\""));
    free(text);
    json_decref(o);
    json_decref(all);
    assert_int_equal(change("{\"huggingface_token\": \"hf_...StUv\", \"max_attempts\": 2}", NULL),
                     0); /* a form, whole */
    is_token(TOKEN);
    assert_int_equal(change("{\"hf_endpoint\": \"\"}", NULL), 0);
    is_token(TOKEN);
    assert_int_equal(change("{\"hf_endpoint\": \"https://evil.example\"}", NULL),
                     0); /* it was not for this one */
    is_token("");
    assert_int_equal(change("{\"hf_endpoint\": \"https://b.example\", \"huggingface_token\": \"abc\"}", NULL),
                     0);
    is_token("abc");
    assert_int_equal(change("{\"hf_endpoint\": \"https://c.example\", \"huggingface_token\": \"...\"}", NULL),
                     0);
    is_token("");
}

/* A value that this version would not take is not taken from the file either. */
static void test_other_version(void **state)
{
    json_t *stored = json_pack("{s:i, s:i, s:s}", "max_queue_size", -1, "max_attempts", 4, "gone", "x");
    (void)state;
    assert_int_equal(kn_queue_value_put(queue, "settings", stored, NULL), 0);
    json_decref(stored);
    json_t *size = value("max_queue_size"), *attempts = value("max_attempts");
    assert_int_equal(json_integer_value(size), 1000);
    assert_int_equal(json_integer_value(attempts), 4);
    json_decref(size);
    json_decref(attempts);
}

static void test_table(void **state)
{
    json_t *all = NULL;
    (void)state;
    assert_int_equal(kn_settings_load(queue, &all, NULL), 0);
    json_t *o = kn_settings_to_json(all), *list = json_object_get(o, "settings"), *s;
    size_t i, n = 0;
    for (const kn_setting *k = kn_settings; k->name; k++)
        n++;
    assert_int_equal(json_array_size(list), n);
    json_array_foreach(list, i, s)
    {
        assert_non_null(json_object_get(s, "value"));
        assert_true(strlen(json_string_value(json_object_get(s, "help"))) > 5);
    }
    json_decref(o);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, make, clear),
        cmocka_unit_test_setup_teardown(test_refused, make, clear),
        cmocka_unit_test_setup_teardown(test_other_version, make, clear),
        cmocka_unit_test_setup_teardown(test_secret, make, clear),
        cmocka_unit_test_setup_teardown(test_table, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
