/* Which files a model needs, and lists of files that must not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "hub/choose.h"
#include "hub/weights_name.h"

#define SHA1   "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- making repositories ---- */

static kn_hub_repo repo_of(const char *const *paths)
{
    kn_hub_repo r = {0};
    kn_err err = {0};
    json_t *list = json_array();
    for (; *paths; paths++)
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:s}", "rfilename", *paths, "size", 10, "blobId", SHA1));
    json_t *o = json_pack("{s:s, s:o}", "sha", SHA1, "siblings", list);
    if (kn_hub_repo_read(o, "a/b", &r, &err))
        fail_msg("%s", err.msg);
    json_decref(o);
    return r;
}

/* index: the parts, "vae|tokenizer"; NULL: no pipeline. want: "path=as path", in any order. */
static void choose(const char *const *paths, const char *parts, const char *file, const char *variant,
                   const char *want)
{
    kn_hub_repo r = repo_of(paths);
    kn_choices c = {0};
    kn_err err = {0};
    json_t *index =
        parts ? json_pack("{s:s, s:[n, n]}", "_class_name", "WanPipeline", "gone", NULL, NULL) : NULL;
    for (const char *p = parts; p && *p; p += strcspn(p, "|"), p += *p == '|') {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "|"), p);
        json_object_set_new(index, name, json_pack("[s, s]", "diffusers", "X"));
    }
    if (kn_choose(&r, &(kn_wish){"a/b", file, variant, index}, &c, &err))
        fail_msg("%s", err.msg);
    int n = 0;
    for (const char *p = want; *p; p += strcspn(p, " "), p += strspn(p, " "), n++) {
        char path[200], as[200];
        bool found = false;
        snprintf(path, sizeof path, "%.*s", (int)strcspn(p, "= "), p);
        size_t at = strcspn(p, "= ");
        snprintf(as, sizeof as, "%.*s", (int)strcspn(p[at] == '=' ? p + at + 1 : p, " "),
                 p[at] == '=' ? p + at + 1 : p);
        for (int i = 0; i < c.n; i++)
            found |= strcmp(c.items[i].file->path, path) == 0 && strcmp(c.items[i].as, as) == 0;
        if (!found)
            fail_msg("%s as %s was not chosen", path, as);
    }
    assert_int_equal(c.n, n);
    assert_int_equal(c.size, 10 * n);
    assert_true(c.is_single == !parts);
    kn_choices_done(&c);
    kn_hub_repo_done(&r);
    json_decref(index);
}

static void refuse(const char *const *paths, const char *index_text, const char *file, const char *variant,
                   int code, const char *says)
{
    kn_hub_repo r = repo_of(paths);
    kn_choices c = {0};
    kn_err err = {0};
    json_t *index = index_text ? json_loads(index_text, 0, NULL) : NULL;
    int rc = kn_choose(&r, &(kn_wish){"a/b", file, variant, index}, &c, &err);
    if (rc != code || !strstr(err.msg, says))
        fail_msg("%d \"%s\", expected %d \"%s\"", rc, err.msg, code, says);
    kn_hub_repo_done(&r);
    json_decref(index);
}

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- pipelines ---- */

static void test_pipeline(void **state)
{
    (void)state;
    choose(PATHS(".gitattributes", "README.md", "LICENSE.txt", "model_index.json", "assets/x.mp4",
                 "other.safetensors", "scheduler/scheduler_config.json", "tokenizer/spiece.model",
                 "tokenizer/tokenizer.json", "tokenizer/merges.txt", "transformer/config.json",
                 "transformer/diffusion_pytorch_model.safetensors", "transformer/diffusion_pytorch_model.bin",
                 "transformer/deep/x.json", "gone/config.json", "vae/config.json",
                 "vae/diffusion_pytorch_model.safetensors", "vae/flax_model.msgpack"),
           "scheduler|tokenizer|transformer|vae", NULL, NULL,
           "README.md LICENSE.txt model_index.json scheduler/scheduler_config.json tokenizer/spiece.model "
           "tokenizer/tokenizer.json tokenizer/merges.txt transformer/config.json "
           "transformer/diffusion_pytorch_model.safetensors vae/config.json "
           "vae/diffusion_pytorch_model.safetensors");
}

static void test_variants(void **state)
{
    const char *const *both =
        PATHS("vae/model.safetensors", "vae/model.fp16.safetensors", "vae/model.non_ema.safetensors");
    (void)state;
    choose(both, "vae", NULL, NULL, "vae/model.safetensors");
    choose(both, "vae", NULL, "fp16", "vae/model.fp16.safetensors=vae/model.safetensors");
    choose(PATHS("vae/model.bf16.safetensors", "vae/model.fp16.safetensors"), "vae", NULL, NULL,
           "vae/model.fp16.safetensors=vae/model.safetensors");
    /* a part without the variant has its plain weights */
    choose(PATHS("te/model.safetensors", "vae/model.fp16.safetensors", "vae/model.safetensors"), "vae|te",
           NULL, "fp16", "te/model.safetensors vae/model.fp16.safetensors=vae/model.safetensors");
    refuse(both, "{\"vae\": [\"d\", \"V\"]}", NULL, "fp8", KN_ENOTFOUND, "[\"fp16\",\"non_ema\"]");
    /* what is looked for first is chosen first */
    choose(PATHS("t/model.safetensors", "t/diffusion_pytorch_model.safetensors", "t/adapter.safetensors"),
           "t", NULL, NULL, "t/diffusion_pytorch_model.safetensors");
}

static void test_pieces(void **state)
{
    (void)state;
    choose(PATHS("t/model-00001-of-00002.safetensors", "t/model-00002-of-00002.safetensors",
                 "t/model.safetensors.index.json", "t/config.json"),
           "t", NULL, NULL,
           "t/model-00001-of-00002.safetensors t/model-00002-of-00002.safetensors "
           "t/model.safetensors.index.json "
           "t/config.json");
    /* the index of a variant has the plain name; its pieces keep theirs, for the index names them */
    choose(PATHS("t/model.fp16-00001-of-00001.safetensors", "t/model.safetensors.index.fp16.json",
                 "t/model-00001-of-00001.safetensors", "t/model.safetensors.index.json"),
           "t", NULL, "fp16",
           "t/model.fp16-00001-of-00001.safetensors "
           "t/model.safetensors.index.fp16.json=t/model.safetensors.index.json");
    choose(PATHS("t/model-00001-of-00001.fp16.safetensors", "t/model.fp16.safetensors.index.json"), "t", NULL,
           "fp16",
           "t/model-00001-of-00001.fp16.safetensors "
           "t/model.fp16.safetensors.index.json=t/model.safetensors.index.json");
    /* whole and in pieces: one of the two */
    choose(
        PATHS("t/model.safetensors", "t/model-00001-of-00001.safetensors", "t/model.safetensors.index.json"),
        "t", NULL, NULL, "t/model.safetensors");
    refuse(PATHS("t/model-00001-of-00002.safetensors", "t/model.safetensors.index.json"),
           "{\"t\": [\"a\", \"b\"]}", NULL, NULL, KN_EFORMAT, "1 pieces of 2");
    refuse(PATHS("t/model-00001-of-00001.safetensors"), "{\"t\": [\"a\", \"b\"]}", NULL, NULL, KN_EFORMAT,
           "no index");
}

static void test_refused(void **state)
{
    (void)state;
    refuse(PATHS("t/config.json", "t/model.bin"), "{\"t\": [\"a\", \"b\"]}", NULL, NULL, KN_EUNSUPPORTED,
           "pickled");
    refuse(PATHS("t/config.json"), "{\"v\": [\"a\", \"b\"]}", NULL, NULL, KN_EFORMAT, "part v");
    refuse(PATHS("t/config.json"), "{\"../t\": [\"a\", \"b\"]}", NULL, NULL, KN_EFORMAT, "../t");
    refuse(PATHS("t/config.json"), "{\"t/u\": [\"a\", \"b\"]}", NULL, NULL, KN_EFORMAT, "t/u");
}

static void test_single(void **state)
{
    const char *const *many = PATHS("a/x.safetensors", "y.gguf", "z.ckpt");
    (void)state;
    choose(many, NULL, "a/x.safetensors", NULL, "a/x.safetensors");
    choose(PATHS("README.md", "only.safetensors"), NULL, NULL, NULL, "only.safetensors");
    refuse(many, NULL, NULL, NULL, KN_EINVAL, "a/x.safetensors, y.gguf");
    refuse(many, NULL, "b.safetensors", NULL, KN_ENOTFOUND, "b.safetensors");
    refuse(many, NULL, "z.ckpt", NULL, KN_EUNSUPPORTED, "pickled");
    refuse(many, NULL, "../x.safetensors", NULL, KN_ENOTFOUND, "../x");
    refuse(PATHS("z.ckpt"), NULL, NULL, NULL, KN_EUNSUPPORTED, "no safetensors");
}

static void test_names(void **state)
{
    kn_weights_name w;
    (void)state;
    assert_true(kn_weights_name_read("diffusion_pytorch_model.fp16-00003-of-00012.safetensors", &w));
    assert_string_equal(w.stem, "diffusion_pytorch_model");
    assert_string_equal(w.variant, "fp16");
    assert_int_equal(w.piece, 3);
    assert_int_equal(w.n_pieces, 12);
    assert_false(kn_weights_name_read("model-00003-of-00002.safetensors", &w));
    assert_false(kn_weights_name_read("model.safetensors.json", &w));
    assert_false(kn_weights_name_read("config.json", &w));
    assert_false(kn_weights_name_read(".safetensors", &w));
    assert_true(kn_weights_name_read("a-b-00001-of-00002x.safetensors", &w));
    assert_string_equal(w.stem, "a-bx");
}

/* ---- lists that lie ---- */

static void read_list(const char *siblings, int code)
{
    kn_hub_repo r = {0};
    kn_err err = {0};
    char text[4096];
    snprintf(text, sizeof text, "{\"sha\": \"" SHA1 "\", \"siblings\": %s}", siblings);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    int rc = kn_hub_repo_read(o, "a/b", &r, &err);
    if (rc != code)
        fail_msg("%s: %d %s", siblings, rc, err.msg);
    if (!rc)
        kn_hub_repo_done(&r);
    json_decref(o);
}

#define ROW(name) "[{\"rfilename\": \"" name "\", \"size\": 1, \"blobId\": \"" SHA1 "\"}]"

static void test_lists(void **state)
{
    static const char *const names[] = {ROW("../x"),  ROW("/etc/x"), ROW("a/../x"), ROW("a//x"),
                                        ROW("a/"),    ROW("a\\\\x"), ROW("a\\nx"),  ROW(""),
                                        ROW("a/./x"), ROW(".."),     ROW("x/..")};
    static const char *const wrong[] = {
        "{}",
        "null",
        "[1]",
        "[{}]",
        "[{\"rfilename\": 3}]",
        "[{\"rfilename\": \"a\", \"size\": 1}]",
        "[{\"rfilename\": \"a\", \"size\": -1, \"blobId\": \"" SHA1 "\"}]",
        "[{\"rfilename\": \"a\", \"size\": 1.5, \"blobId\": \"" SHA1 "\"}]",
        "[{\"rfilename\": \"a\", \"size\": 9223372036854775807, \"blobId\": \"" SHA1 "\"}]",
        "[{\"rfilename\": \"a\", \"size\": 1, \"blobId\": \"" SHA256 "\"}]",
        "[{\"rfilename\": \"a\", \"size\": 1, \"lfs\": {\"size\": 1, \"sha256\": \"" SHA1 "\"}}]",
        "[{\"rfilename\": \"a\", \"size\": 1, \"lfs\": {\"sha256\": \"" SHA256 "\"}}]",
        "[{\"rfilename\": \"a\", \"size\": 1, \"blobId\": \"" SHA1
        "\"}, {\"rfilename\": \"a\", \"size\": 1, \"blobId\": "
        "\"" SHA1 "\"}]"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        read_list(names[i], KN_EFORMAT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        read_list(wrong[i], KN_EFORMAT);
    read_list("[]", 0);
    read_list(ROW("a b/\\u00e4.json"), 0);
    read_list(ROW(".gitattributes"), 0);
}

static void test_many(void **state)
{
    kn_hub_repo r = {0};
    json_t *list = json_array();
    (void)state;
    for (int i = 0; i <= KN_LIMIT_HUB_FILES; i++)
        json_array_append_new(list, json_object());
    json_t *o = json_pack("{s:s, s:o}", "sha", SHA1, "siblings", list);
    assert_int_equal(kn_hub_repo_read(o, "a/b", &r, NULL), KN_ELIMIT);
    json_object_set_new(o, "siblings", json_array());
    json_object_set_new(o, "sha", json_string("../../x"));
    assert_int_equal(kn_hub_repo_read(o, "a/b", &r, NULL), KN_EFORMAT);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline), cmocka_unit_test(test_variants), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_single),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_lists),    cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
