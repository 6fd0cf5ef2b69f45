#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model_defaults.h"
#include "models/models.h"

static char folder[] = "/tmp/kinora-defaults-XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/kinora.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text, size_t size)
{
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static const kn_model_desc *family(const char *name)
{
    int i = 0;
    while (kn_models[i] && strcmp(kn_models[i]->name, name) != 0)
        i++;
    assert_non_null(kn_models[i]);
    return kn_models[i];
}

static int load(const char *text, kn_model_defaults *ret, kn_err *err)
{
    write_file(text, strlen(text));
    return kn_model_defaults_load(family("wan"), folder, ret, err);
}

static void loads(const char *text, kn_model_defaults *ret)
{
    kn_err err = {0};
    if (load(text, ret, &err))
        fail_msg("%s", err.msg);
}

/* The message names the file and has each text. */
static void refuses(const char *text, const char *a, const char *b)
{
    kn_model_defaults d;
    kn_err err = {0};
    assert_int_equal(load(text, &d, &err), KN_EFORMAT);
    if (!strstr(err.msg, file) || !strstr(err.msg, a) || !strstr(err.msg, b))
        fail_msg("\"%s\" has not all of \"%s\", \"%s\", \"%s\"", err.msg, file, a, b);
}

#define GOOD                                                                                                 \
    "{\"title\": \"Small \\u00e9\", \"defaults\": {\"width\": 96, \"height\": 64, \"fps\": 12, \"steps\": "  \
    "30, "                                                                                                   \
    "\"guidance\": 4.5, \"negative_prompt\": \"grey\", \"scheduler\": \"euler\", \"control_scale\": [0.5, "  \
    "1], "                                                                                                   \
    "\"frames\": null}}"

static void test_fills_what_is_open(void **state)
{
    (void)state;
    kn_model_defaults d;
    kn_request rq;
    kn_err err = {0};
    loads(GOOD, &d);
    assert_string_equal(d.title, "Small \xC3\xA9");
    kn_request_init(&rq);
    assert_int_equal(kn_request_set(&rq, "steps", "5", &err), 0);
    assert_int_equal(kn_request_set(&rq, "guidance", "0", &err), 0);
    assert_int_equal(kn_request_set(&rq, "prompt", "a cat", &err), 0);
    assert_int_equal(kn_model_defaults_apply(&d, &rq, &err), 0);
    assert_int_equal(rq.steps, 5);
    assert_true(rq.guidance == 0);
    assert_string_equal(rq.prompt, "a cat");
    assert_int_equal(rq.width, 96);
    assert_int_equal(rq.height, 64);
    assert_true(rq.fps == 12);
    assert_string_equal(rq.negative_prompt, "grey");
    assert_string_equal(rq.scheduler, "euler");
    assert_int_equal(rq.control_scale.n, 2);
    assert_true(rq.frames == KN_UNSET_INT && rq.seed == KN_UNSET_INT && isnan(rq.flow_shift) && !rq.image);
    assert_true(rq.size_is_default);
    kn_request_done(&rq);
    kn_model_defaults_done(&d);
}

/* One side is enough to make the size the user's. */
static void test_size_of_the_user(void **state)
{
    (void)state;
    kn_model_defaults d;
    kn_request rq;
    kn_err err = {0};
    loads(GOOD, &d);
    kn_request_init(&rq);
    assert_int_equal(kn_request_set(&rq, "width", "128", &err), 0);
    assert_int_equal(kn_model_defaults_apply(&d, &rq, &err), 0);
    assert_int_equal(rq.width, 128);
    assert_int_equal(rq.height, 64);
    assert_false(rq.size_is_default);
    kn_request_done(&rq);
    kn_model_defaults_done(&d);
}

static void sets_nothing(const kn_model_desc *desc, const char *path)
{
    kn_model_defaults d;
    kn_request rq;
    kn_err err = {0};
    if (kn_model_defaults_load(desc, path, &d, &err))
        fail_msg("%s: %s", path, err.msg);
    assert_null(d.title);
    kn_request_init(&rq);
    assert_int_equal(kn_model_defaults_apply(&d, &rq, &err), 0);
    for (const kn_param *p = kn_params; p->name; p++)
        assert_false(kn_request_has(&rq, p));
    assert_false(rq.size_is_default);
    kn_request_done(&rq);
    kn_model_defaults_done(&d);
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    kn_model_defaults d;
    unlink(file);
    sets_nothing(family("wan"), folder);
    sets_nothing(family("wan"), "/dev/null");
    loads("{}", &d);
    kn_model_defaults_done(&d);
    sets_nothing(family("wan"), folder);
    loads(GOOD, &d);
    kn_model_defaults_done(&d);
    sets_nothing(family("testsrc"), folder); /* needs no files, so it reads none */
}

static void test_refuses_values(void **state)
{
    (void)state;
    refuses("{\"defaults\": {\"width\": \"96\", \"height\": 96}}", "width: \"96\"", "whole number");
    refuses("{\"defaults\": {\"steps\": 2.5}}", "steps: 2.5", "whole number");
    refuses("{\"defaults\": {\"steps\": 0}}", "steps: 0 is outside", "1..");
    refuses("{\"defaults\": {\"frames\": 1000000}}", "frames: 1000000 is outside", "1..");
    refuses("{\"defaults\": {\"guidance\": -1}}", "guidance: -1 is outside", "0..100");
    refuses("{\"defaults\": {\"guidance\": true}}", "guidance: true", "number");
    refuses("{\"defaults\": {\"scheduler\": \"ddim\"}}", "\"ddim\"", "unipc|euler");
    refuses("{\"defaults\": {\"control_scale\": 1}}", "control_scale: 1", "list");
    refuses("{\"defaults\": {\"width\": 96}}", "width alone", "width and height");
    refuses("{\"defaults\": {\"height\": 96}}", "height alone", "width and height");
    refuses("{\"defaults\": []}", "\"defaults\" is []", "object");
    refuses("{\"title\": 5}", "\"title\" is 5", "one line");
    refuses("{\"title\": \"\"}", "\"title\" is \"\"", "one line");
    refuses("{\"title\": \"a\\nb\"}", "\"title\"", "one line");
    refuses("{\"title\": \"\\u001b[2J\"}", "\"title\"", "one line");
    refuses("{\"title\": \"\\u009b2J\"}", "\"title\"", "one line");
}

static void test_refuses_names(void **state)
{
    (void)state;
    static const char *const users[] = {"model",  "image",        "last_image",    "video",   "mask",
                                        "vae",    "text_encoder", "transformer_2", "config",  "latents",
                                        "output", "save_tensors", "device",        "threads", "pin",
                                        "prompt", "seed"};
    char text[128], quoted[32];
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        snprintf(text, sizeof text, "{\"defaults\": {\"%s\": \"/etc/passwd\"}}", users[i]);
        snprintf(quoted, sizeof quoted, "\"%s\"", users[i]);
        refuses(text, quoted, "/etc/passwd");
    }
    refuses("{\"defaults\": {\"reference\": [\"a.png\"]}}", "\"reference\" is [\"a.png\"]",
            "only negative_prompt");
    refuses("{\"defaults\": {\"lora\": [\"a\"]}}", "\"lora\"", "only negative_prompt");
    refuses("{\"defaults\": {\"colour\": 1}}", "\"colour\" is 1", "only negative_prompt");
    refuses("{\"defaults\": {\"flow-shift\": 1}}", "\"flow-shift\" is 1", "flow_shift");
    refuses("{\"default\": {}}", "\"default\" is {}", "title and defaults");
}

static void test_refuses_files(void **state)
{
    (void)state;
    kn_model_defaults d;
    kn_err err = {0};
    refuses("[]", "is []", "object");
    refuses("5", "is 5", "object");
    refuses("", "not JSON", "");
    refuses("{\"title\": \"a\", \"title\": \"b\"}", "not JSON", "duplicate");
    refuses("{\"title\": \"caf\xe9\"}", "not JSON", "0xe9"); /* not UTF-8 */
    size_t size = KN_LIMIT_MODEL_DEFAULTS_BYTES + 1;
    char *big = malloc(size);
    assert_non_null(big);
    memset(big, ' ', size);
    write_file(big, size);
    free(big);
    assert_int_equal(kn_model_defaults_load(family("wan"), folder, &d, &err), KN_ELIMIT);
    assert_non_null(strstr(err.msg, file));
    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(kn_model_defaults_load(family("wan"), folder, &d, &err), KN_EINVAL);
    assert_int_equal(rmdir(file), 0);
}

/* A family says what it takes. */
static void test_refuses_what_the_family_lacks(void **state)
{
    (void)state;
    static const kn_model_param params[] = {{"steps", "4"}, {0}};
    static const kn_model_desc few = {.name = "few", .params = params};
    kn_model_defaults d;
    kn_err err = {0};
    loads("{\"defaults\": {\"steps\": 3, \"guidance\": 2}}", &d);
    kn_model_defaults_done(&d);
    assert_int_equal(kn_model_defaults_load(&few, folder, &d, &err), KN_EFORMAT);
    assert_non_null(strstr(err.msg, file));
    assert_non_null(strstr(err.msg, "few does not take guidance"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills_what_is_open),
        cmocka_unit_test(test_size_of_the_user),
        cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_refuses_values),
        cmocka_unit_test(test_refuses_names),
        cmocka_unit_test(test_refuses_files),
        cmocka_unit_test(test_refuses_what_the_family_lacks),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
