/* What the hub has, in our words. */
#include "hub/pull_fixture.h"

static const char ANSWER_TEXT[] =
    "[{\"id\": \"Wan-AI/Wan2.1\", \"downloads\": 5, \"likes\": 3, \"lastModified\": "
    "\"2025-03-01T00:00:00.000Z\", "
    "\"pipeline_tag\": \"text-to-video\", \"library_name\": \"diffusers\", \"gated\": \"auto\", "
    "\"tags\": [\"diffusers\", \"diffusers:WanPipeline\", 3]}, {\"id\": \"../evil\"}, 7, {\"id\": \"a/b\", "
    "\"downloads\": -5, \"likes\": \"many\", \"gated\": false}]";

static int search(fixture *f, kn_hub_query q, json_t **ret)
{
    return kn_hub_search(&f->config, &q, NULL, ret, &f->err);
}

static void test_search(void **state)
{
    fixture *f = *state;
    json_t *o = NULL;
    f->hub->api = ANSWER_TEXT;
    misbehave(f->hub,
              (rule){"/api/", HEADERS, 0,
                     "Link: <https://hub.example/api/models?limit=2&cursor=abc%3D>; rel=\"next\"\r\n", 1});
    assert_int_equal(search(f, (kn_hub_query){"wan & video", "t2v", "updated", "x=y", 2}, &o), 0);
    asked q;
    assert_true(nth_asked(f->hub, "/api/models?", 0, &q));
    assert_non_null(strstr(q.path,
                           "limit=2&search=wan%20%26%20video&pipeline_tag=text-to-video&sort=lastModified"
                           "&direction=-1&cursor=x%3Dy&expand%5B%5D=downloads"));
    json_t *models = json_object_get(o, "models"), *m = json_array_get(models, 0);
    assert_int_equal(json_array_size(models), 2); /* what is no model is left out */
    assert_string_equal(json_string_value(json_object_get(m, "id")), "Wan-AI/Wan2.1");
    assert_string_equal(json_string_value(json_object_get(m, "author")), "Wan-AI");
    assert_string_equal(json_string_value(json_object_get(m, "class")), "WanPipeline");
    assert_true(json_is_true(json_object_get(m, "gated")));
    assert_int_equal(json_integer_value(json_object_get(m, "downloads")), 5);
    assert_int_equal(json_array_size(json_object_get(m, "tags")), 2);
    m = json_array_get(models, 1);
    assert_true(json_is_null(json_object_get(m, "downloads")));
    assert_true(json_is_null(json_object_get(m, "likes")));
    assert_true(json_is_false(json_object_get(m, "gated")));
    assert_string_equal(json_string_value(json_object_get(o, "next")), "abc=");
    json_decref(o);
    assert_int_equal(search(f, (kn_hub_query){.limit = 1}, &o), 0);
    assert_true(json_is_null(json_object_get(o, "next")));
    json_decref(o);
}

static void test_refused(void **state)
{
    fixture *f = *state;
    json_t *o = NULL;
    assert_int_equal(search(f, (kn_hub_query){.limit = 0}, &o), KN_EINVAL);
    assert_int_equal(search(f, (kn_hub_query){.limit = 101}, &o), KN_EINVAL);
    assert_int_equal(search(f, (kn_hub_query){.limit = 1, .sort = "size"}, &o), KN_EINVAL);
    assert_int_equal(count_asked(f->hub, "/"), 0);
    f->hub->api = "{}";
    assert_int_equal(search(f, (kn_hub_query){.limit = 1}, &o), KN_EFORMAT);
    f->hub->api = "<html>";
    assert_int_equal(search(f, (kn_hub_query){.limit = 1}, &o), KN_EFORMAT);
    misbehave(f->hub, (rule){"/api/", CUT, 3, NULL, 0});
    assert_int_equal(search(f, (kn_hub_query){.limit = 1}, &o), KN_EIO);
}

/* An answer that was cut is asked for again from its beginning. */
static void test_cut(void **state)
{
    fixture *f = *state;
    json_t *o = NULL;
    asked q;
    f->hub->api = ANSWER_TEXT;
    misbehave(f->hub, (rule){"/api/", CUT, 30, NULL, 1});
    assert_int_equal(search(f, (kn_hub_query){.limit = 5}, &o), 0);
    assert_int_equal(json_array_size(json_object_get(o, "models")), 2);
    assert_true(nth_asked(f->hub, "/api/", 1, &q));
    assert_string_equal(q.range, "");
    json_decref(o);
}

static void test_model(void **state)
{
    fixture *f = *state;
    json_t *o = NULL;
    has_text(f->hub, "model_index.json", "{\"_class_name\": \"LTXPipeline\", \"vae\": [\"d\", \"V\"]}");
    has_weights(f->hub, "vae/model.fp16.safetensors", 1000, 2);
    has_weights(f->hub, "vae/model.safetensors", 2000, 2);
    assert_int_equal(kn_hub_model(&f->config, HUB_ID, NULL, NULL, NULL, &o, &f->err), 0);
    assert_string_equal(json_string_value(json_object_get(o, "revision")), HUB_COMMIT);
    assert_string_equal(json_string_value(json_object_get(o, "class")), "LTXPipeline");
    json_t *pull_ = json_object_get(o, "pull");
    assert_int_equal(json_integer_value(json_object_get(pull_, "files")), 2);
    assert_int_equal(json_integer_value(json_object_get(pull_, "size_bytes")),
                     2000 + json_integer_value(json_object_get(json_array_get(json_object_get(o, "files"), 0),
                                                               "size_bytes")));
    assert_true(json_is_null(json_object_get(o, "why_not")));
    assert_int_equal(json_array_size(json_object_get(o, "files")), 4);
    assert_string_equal(json_string_value(json_array_get(json_object_get(o, "variants"), 0)), "fp16");
    json_decref(o);
}

/* A model that cannot be fetched is described all the same. */
static void test_model_why_not(void **state)
{
    fixture *f = *state;
    json_t *o = NULL;
    has_weights(f->hub, "two.safetensors", 10, 3);
    assert_int_equal(kn_hub_model(&f->config, HUB_ID, NULL, NULL, NULL, &o, &f->err), 0);
    assert_true(json_is_null(json_object_get(o, "pull")));
    assert_non_null(strstr(json_string_value(json_object_get(o, "why_not")), "no pipeline"));
    json_decref(o);
    assert_int_equal(kn_hub_model(&f->config, "a", NULL, NULL, NULL, &o, &f->err), KN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
        T(test_search), T(test_refused), T(test_cut), T(test_model), T(test_model_why_not),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
