/* What lies on the disk: whether it is all there, where it is from, and that the list of models finds it. */
#include "hub/pull_fixture.h"

#include "hub/local.h"
#include "models/catalog.h"

#define PIECE "vae/model-00001-of-00001.safetensors"

static int make(void **state)
{
    if (fixture_make(state))
        return -1;
    stand_in *s = ((fixture *)*state)->hub;
    has_text(s, "model_index.json",
             "{\"_class_name\": \"X\", \"vae\": [\"d\", \"V\"], \"none\": [null, null]}");
    has_text(s, "vae/config.json", "{}");
    has_text(s, "vae/model.safetensors.index.json",
             "{\"weight_map\": {\"a\": \"model-00001-of-00001.safetensors\", \"b\": "
             "\"model-00001-of-00001.safetensors\"}}");
    has_weights(s, PIECE, 1000, 2);
    return 0;
}

static char *path_of(const fixture *f, const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/" HUB_ID "/%.200s", f->models, name);
    return path;
}

/* "missing" as text: "a b". */
static void check(const fixture *f, const char *missing, bool has_source)
{
    char text[1000] = "";
    size_t i;
    json_t *v, *o = json_object();
    kn_hub_local_describe(path_of(f, ""), o);
    json_array_foreach(json_object_get(o, "missing"), i, v)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", json_string_value(v));
    assert_string_equal(text, missing);
    assert_true(json_is_true(json_object_get(o, "complete")) == !*missing);
    json_t *source = json_object_get(o, "source");
    if (has_source)
        assert_string_equal(json_string_value(json_object_get(source, "repo")), HUB_ID);
    else
        assert_true(json_is_null(source));
    json_decref(o);
}

static void test_complete(void **state)
{
    fixture *f = *state;
    must_pull(f, NULL);
    check(f, "", true);
    assert_int_equal(truncate(path_of(f, PIECE), 999), 0);
    check(f, PIECE, true);
    assert_int_equal(unlink(path_of(f, PIECE)), 0);
    check(f, PIECE, true); /* that it is missed twice is said once */
    assert_int_equal(unlink(path_of(f, ".kinora-hub.json")), 0);
    check(f, PIECE, false); /* the index names it */
    assert_int_equal(unlink(path_of(f, "vae/model.safetensors.index.json")), 0);
    check(f, "", false);
    assert_int_equal(kn_dir_remove(path_of(f, "vae"), NULL), 0);
    check(f, "vae", false);
    FILE *file = fopen(path_of(f, "model_index.json"), "wb");
    fputs("{", file);
    fclose(file);
    check(f, "model_index.json", false);
}

/* A list of files that leads out of its folder is not believed. */
static void test_hostile_list(void **state)
{
    fixture *f = *state;
    must_pull(f, ONE);
    FILE *file = fopen(path_of(f, ".kinora-hub.json"), "wb");
    fputs("{\"repo\": \"a/b\", \"revision\": \"c\", \"files\": [{\"as\": \"../../../etc/passwd\", "
          "\"single\": true}]}",
          file);
    fclose(file);
    assert_null(kn_hub_local_singles(path_of(f, "")));
    check(f, "", false);
}

static void test_singles(void **state)
{
    fixture *f = *state;
    must_pull(f, ONE);
    json_t *list = kn_hub_local_singles(path_of(f, ""));
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_array_get(list, 0)), ONE);
    json_decref(list);
    unlink(path_of(f, ONE));
    list = kn_hub_local_singles(path_of(f, ""));
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    check(f, "", true); /* nothing else needs it */
}

/* The list of models has what is fetched, and never what is half there. */
static void test_catalog(void **state)
{
    fixture *f = *state;
    json_t *list = NULL, *m, *found = NULL;
    size_t i;
    misbehave(f->hub, (rule){PIECE, ANSWER, 503, NULL, 4});
    must_refuse(f, NULL, KN_EIO, "503");
    assert_int_equal(kn_catalog_list(f->models, &list, NULL), 0);
    json_array_foreach(list, i, m) assert_null(strstr(json_string_value(json_object_get(m, "name")), "tiny"));
    json_decref(list);
    must_pull(f, NULL);
    assert_int_equal(kn_catalog_list(f->models, &list, NULL), 0);
    json_array_foreach(list, i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "name")), HUB_ID) == 0)
            found = m;
    }
    assert_non_null(found);
    assert_true(json_is_true(json_object_get(found, "complete")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(found, "source"), "revision")),
                        HUB_COMMIT);
    assert_string_equal(json_string_value(json_object_get(found, "support")), "not_supported"); /* class X */
    json_decref(list);
}

/* A single file that a family knows is found as deep as it lies. */
static void test_catalog_single(void **state)
{
    static const char name[] = "split/diffusion/wan_t2v_fp16.safetensors";
    fixture *f = *state;
    char *data = NULL;
    size_t size = 0;
    json_t *list = NULL, *m;
    size_t i;
    bool found = false;
    assert_int_equal(
        kn_file_read(KN_FIXTURES "/wan21-original/wan_t2v_fp16.safetensors", 64 << 20, &data, &size, NULL),
        0);
    has_bytes(f->hub, name, data, size, true);
    free(data);
    must_pull(f, name);
    assert_int_equal(kn_catalog_list(f->models, &list, NULL), 0);
    json_array_foreach(list, i, m) found |= strcmp(json_string_value(json_object_get(m, "name")),
                                                   HUB_ID "/split/diffusion/wan_t2v_fp16.safetensors") == 0;
    assert_true(found);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, make, fixture_remove)
        T(test_complete), T(test_hostile_list), T(test_singles), T(test_catalog), T(test_catalog_single),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
