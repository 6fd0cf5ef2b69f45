/* Files that requests name: found where they may be, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/request.h"
#include "jobs/places.h"

static kn_places places;
static char root[64];

static void touch(const char *folder, const char *name)
{
    char *path = kn_place_of(folder, name, "");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
    free(path);
}

static int make(void **state)
{
    char data[96];
    (void)state;
    snprintf(root, sizeof root, "/tmp/kinora-places-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(data, sizeof data, "%s/data", root);
    if (kn_places_open(&places, data, NULL))
        return -1;
    touch(root, "secret");
    touch(places.uploads, "upl_a.png");
    touch(places.outputs, "job_a.mp4");
    touch(places.models, "some.safetensors");
    char *link = kn_place_of(places.models, "link", "");
    int rc = symlink(root, link);
    free(link);
    return rc;
}

static int clear(void **state)
{
    (void)state;
    kn_places_close(&places);
    return 0;
}

static int resolve(const char *json, json_t **ret, kn_err *err)
{
    json_t *o = json_loads(json, 0, NULL);
    assert_non_null(o);
    int rc = kn_places_resolve(&places, o, ret, err);
    json_decref(o);
    return rc;
}

static void check_found(const char *json, const char *param, const char *end)
{
    json_t *o = NULL;
    kn_err err = {0};
    if (resolve(json, &o, &err))
        fail_msg("%s: %s", json, err.msg);
    const json_t *v = json_object_get(o, param);
    if (json_is_array(v))
        v = json_array_get(v, 0);
    if (json_is_object(v))
        v = json_object_get(v, "path");
    const char *path = json_string_value(v);
    assert_non_null(path);
    assert_true(strlen(path) >= strlen(end));
    assert_string_equal(path + strlen(path) - strlen(end), end);
    json_decref(o);
}

static void test_found(void **state)
{
    (void)state;
    check_found("{\"image\": \"upl_a.png\"}", "image", "/uploads/upl_a.png");
    check_found("{\"video\": \"job_a\"}", "video", "/outputs/job_a.mp4");
    check_found("{\"reference\": [\"upl_a.png\"]}", "reference", "/uploads/upl_a.png");
    check_found("{\"vae\": \"some.safetensors\"}", "vae", "/models/some.safetensors");
    check_found("{\"lora\": [{\"path\": \"some.safetensors\", \"strength\": 0.5}]}", "lora",
                "/models/some.safetensors");
    check_found("{\"model\": \"testsrc\"}", "model", "testsrc");
    check_found("{\"model\": \"some.safetensors\"}", "model", "/models/some.safetensors");
    check_found("{\"prompt\": \"../../x\"}", "prompt", "../../x");
}

static void test_refused(void **state)
{
    static const struct {
        const char *json;
        int code;
    } rows[] = {
        {"{\"image\": \"../../secret\"}", KN_EINVAL},
        {"{\"image\": \"/etc/passwd\"}", KN_EINVAL},
        {"{\"image\": \"upl_../../secret\"}", KN_EINVAL},
        {"{\"image\": \"upl_b.png\"}", KN_ENOTFOUND},
        {"{\"image\": \"\"}", KN_EINVAL},
        {"{\"image\": 3}", KN_EINVAL},
        {"{\"video\": \"job_b\"}", KN_ENOTFOUND},
        {"{\"reference\": \"upl_a.png\"}", KN_EINVAL},
        {"{\"reference\": [3]}", KN_EINVAL},
        {"{\"vae\": \"../studio.db\"}", KN_ENOTFOUND},
        {"{\"vae\": \"../uploads/upl_a.png\"}", KN_EINVAL},
        {"{\"vae\": \"link/secret\"}", KN_EINVAL},
        {"{\"model\": \"link\"}", KN_EINVAL},
        {"{\"model\": \"..\"}", KN_EINVAL},
        {"{\"model\": \".\"}", KN_EINVAL},
        {"{\"model\": \"/etc\"}", KN_ENOTFOUND},
        {"{\"model\": 7}", KN_EINVAL},
        {"{\"lora\": [{\"path\": \"link/secret\"}]}", KN_EINVAL},
        {"{\"lora\": [\"some.safetensors\"]}", KN_EINVAL},
        {"{\"lora\": {}}", KN_EINVAL},
        {"{\"output\": \"x.mp4\"}", KN_EINVAL},
        {"{\"save_tensors\": \"x.safetensors\"}", KN_EINVAL},
        {"{\"latents\": \"x.safetensors\"}", KN_EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *o = NULL;
        kn_err err = {0};
        int rc = resolve(rows[i].json, &o, &err);
        if (rc != rows[i].code)
            fail_msg("%s: %d %s", rows[i].json, rc, err.msg);
        assert_null(o);
    }
}

/* Also one that a later version has and nobody listed here. */
static void test_every_file_is_guarded(void **state)
{
    (void)state;
    int n = 0;
    for (const kn_param *p = kn_params; p->name; p++) {
        json_t *o = NULL;
        char text[128];
        bool is_list = p->type == KN_PARAM_FILES || p->type == KN_PARAM_LORAS;
        if (p->type != KN_PARAM_FILE && !is_list)
            continue;
        snprintf(text, sizeof text, is_list ? "{\"%s\": [\"/etc/passwd\"]}" : "{\"%s\": \"/etc/passwd\"}",
                 p->name);
        if (resolve(text, &o, NULL) == 0)
            fail_msg("%s can name any file", p->name);
        n++;
    }
    assert_true(n > 5);
}

/* What takes the id of an upload is what a client sends a file for. */
static void test_media(void **state)
{
    (void)state;
    for (const kn_param *p = kn_params; p->name; p++) {
        json_t *o = NULL;
        char text[128];
        bool is_list = p->type == KN_PARAM_FILES;
        if (!kn_place_is_media(p->name))
            continue;
        snprintf(text, sizeof text, is_list ? "{\"%s\": [\"upl_a.png\"]}" : "{\"%s\": \"upl_a.png\"}",
                 p->name);
        if (resolve(text, &o, NULL))
            fail_msg("%s does not take an upload", p->name);
        json_decref(o);
    }
    assert_true(kn_place_is_media("image") && kn_place_is_media("reference"));
    assert_false(kn_place_is_media("vae") || kn_place_is_media("output") || kn_place_is_media("prompt"));
}

static void test_removed(void **state)
{
    (void)state;
    touch(places.outputs, "job_c.mp4");
    touch(places.outputs, "job_c.mp4.part");
    touch(places.previews, "job_c.png");
    char *state_dir = kn_place_of(places.state, "job_c", "/runs/1");
    char command[256];
    snprintf(command, sizeof command, "%s/job_c", places.state);
    assert_int_equal(mkdir(command, 0700), 0);
    snprintf(command, sizeof command, "%s/job_c/runs", places.state);
    assert_int_equal(mkdir(command, 0700), 0);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    free(state_dir);
    kn_places_sweep(&places, "job_c");
    snprintf(command, sizeof command, "%s/job_c", places.state);
    assert_false(kn_path_exists(command));
    snprintf(command, sizeof command, "%s/job_c.mp4", places.outputs);
    assert_true(kn_path_exists(command));
    touch(places.thumbnails, "job_c.png");
    kn_places_drop(&places, "job_c");
    assert_true(kn_path_exists(command));
    snprintf(command, sizeof command, "%s/job_c.png", places.thumbnails);
    assert_false(kn_path_exists(command));
}

/* A job's video has the ending that its request names, or another one's. */
static void test_kinds_of_videos(void **state)
{
    static const char *const kinds[] = {"mp4", "webm", "gif", "webp"};
    char id[16], name[32], request[64], expected[64];
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(id, sizeof id, "job_k%zu", i);
        snprintf(request, sizeof request, "{\"format\": \"%s\"}", kinds[i]);
        snprintf(name, sizeof name, "%s.%s", id, kinds[i]);
        snprintf(expected, sizeof expected, "/outputs/%s", name);
        json_t *o = json_loads(i ? request : "{}", 0, NULL);
        char *wanted = kn_places_wanted(&places, id, o);
        assert_string_equal(kn_path_base(wanted), name);
        free(wanted);
        json_decref(o);
        touch(places.outputs, name);
        snprintf(request, sizeof request, "{\"video\": \"%s\"}", id);
        check_found(request, "video", expected);
        snprintf(name, sizeof name, "%s.%s.part", id, kinds[i]);
        touch(places.outputs, name);
        kn_places_sweep(&places, id);
        char *part = kn_path_join(places.outputs, name), *output = kn_places_output(&places, id);
        assert_false(kn_path_exists(part));
        assert_true(kn_path_exists(output));
        kn_places_drop_outputs(&places, id);
        assert_false(kn_path_exists(output));
        free(part);
        free(output);
    }
}

static void test_models_elsewhere(void **state)
{
    char folder[96];
    (void)state;
    snprintf(folder, sizeof folder, "%s/nowhere", root);
    assert_int_equal(kn_places_use_models(&places, folder, NULL), KN_ENOTFOUND);
    assert_int_equal(kn_places_use_models(&places, root, NULL), 0);
    check_found("{\"vae\": \"secret\"}", "vae", "/secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_every_file_is_guarded),
                                       cmocka_unit_test(test_media),
                                       cmocka_unit_test(test_removed),
                                       cmocka_unit_test(test_kinds_of_videos),
                                       cmocka_unit_test(test_models_elsewhere)};
    return cmocka_run_group_tests(tests, make, clear);
}
