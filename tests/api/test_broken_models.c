/* Model folders broken in every way: an error that names the file, what was found and what was expected; no output. */
#include "program.h"

#include "tensor/checkpoint.h"

enum { EFORMAT = 3, ENOTFOUND = 4, EUNSUPPORTED = 7 };

#define TRANSFORMER "m/transformer/diffusion_pytorch_model.safetensors"

/* A fresh copy of the text-to-video fixture in m/. */
static void fresh(void)
{
    shell("rm -rf m && cp -r '%s' m && chmod -R u+w m", FIXTURE("wan21-t2v/model"));
}

#define check_refused(code, ...)                                                                             \
    do {                                                                                                     \
        check_fails(run("generate", "--model", "m", "--prompt", "a cat", TINY, "-o", "out.mp4"), code,       \
                    __VA_ARGS__);                                                                            \
        check_fails(run("plan", "--model", "m", TINY), code, __VA_ARGS__);                                   \
        assert_int_equal(count_files(".", ".mp4"), 0);                                                       \
        assert_int_equal(count_files(".", ".part"), 0);                                                      \
    } while (0)

/* Sets a key of a JSON file; value NULL removes it. */
static void edit(const char *path, const char *key, json_t *value)
{
    json_t *j = NULL;
    must(kn_json_load(path, &j, err));
    if (value)
        json_object_set_new(j, key, value);
    else
        json_object_del(j, key);
    assert_int_equal(json_dump_file(j, path, JSON_INDENT(1)), 0);
    json_decref(j);
}

static void test_model_index(void **state)
{
    (void)state;
    fresh();
    unlink("m/model_index.json");
    check_refused(EUNSUPPORTED, "m is not a model Kinora knows", "model_index.json");
    write_text("m/model_index.json", "{\"_class_name\": ");
    check_refused(EFORMAT, "m/model_index.json", "not JSON");
    write_text("m/model_index.json", "[1]");
    check_refused(EUNSUPPORTED, "m is not a model Kinora knows");
    write_text("m/model_index.json", "{\"_class_name\": \"StableDiffusionPipeline\"}");
    check_refused(EUNSUPPORTED, "StableDiffusionPipeline", "wan");
    write_text("m/model_index.json", "{\"_class_name\": \"WanPipeline\", \"boundary_ratio\": \"high\"}");
    check_refused(EFORMAT, "model_index.json", "boundary_ratio", "\"high\"");
}

static void test_config(void **state)
{
    (void)state;
    fresh();
    write_text("m/transformer/config.json", "\xff\xfe garbage");
    check_refused(EFORMAT, "m/transformer/config.json", "not JSON");
    write_text("m/transformer/config.json", "[]");
    check_refused(EFORMAT, "transformer/config.json", "an array", "JSON object");
    unlink("m/transformer/config.json");
    check_refused(ENOTFOUND, "m/transformer/config.json");
    fresh();
    edit("m/transformer/config.json", "num_layers", json_string("two"));
    check_refused(EFORMAT, "transformer/config.json", "num_layers", "\"two\"", "integer");
    edit("m/transformer/config.json", "num_layers", json_integer(100000));
    check_refused(EFORMAT, "num_layers", "100000");
    edit("m/transformer/config.json", "num_layers", json_integer(3)); /* more than the file has */
    check_refused(EFORMAT, "blocks.2.", "missing", TRANSFORMER);
    edit("m/transformer/config.json", "num_layers", json_integer(1)); /* fewer */
    check_refused(EFORMAT, "blocks.1.", TRANSFORMER, "not part of this model");
    fresh();
    edit("m/vae/config.json", "latents_mean", NULL);
    check_refused(EFORMAT, "vae/config.json", "latents_mean");
    fresh();
    edit("m/text_encoder/config.json", "d_model", NULL);
    check_refused(EFORMAT, "text_encoder/config.json", "d_model");
    fresh();
    edit("m/scheduler/scheduler_config.json", "_class_name", json_string("FooScheduler"));
    check_refused(EUNSUPPORTED, "scheduler_config.json", "\"FooScheduler\"", "UniPCMultistepScheduler");
}

static void test_vae_of_another_model(void **state)
{
    (void)state;
    fresh();
    shell("cp '%s'/* m/vae/", FIXTURE("wan22-ti2v-5b/model/vae"));
    check_refused(EFORMAT, "latent channels", "8", "24");
}

/* ---- weights ---- */

static void test_weights_file(void **state)
{
    (void)state;
    fresh();
    shell("truncate -s -100 " TRANSFORMER);
    check_refused(EFORMAT, TRANSFORMER, "truncated");
    shell("truncate -s 5 " TRANSFORMER);
    check_refused(EFORMAT, TRANSFORMER, "5");
    shell("truncate -s 0 " TRANSFORMER);
    check_refused(EFORMAT, TRANSFORMER);
    write_text(TRANSFORMER, "this is a text file that someone renamed to .safetensors");
    check_refused(EFORMAT, TRANSFORMER, "not a safetensors file");
    unlink(TRANSFORMER);
    check_refused(ENOTFOUND, "m/transformer", "no weights", "diffusion_pytorch_model.safetensors");
    fresh();
    shell("truncate -s 1000 m/text_encoder/model.safetensors");
    check_refused(EFORMAT, "m/text_encoder/model.safetensors");
}

enum { MAX_TENSORS = 256 };

/* Writes the transformer again with tensor `name` changed. */
static void rewrite(const char *name, void (*change)(kn_save_tensor *t))
{
    kn_checkpoint *ck = NULL;
    kn_save_tensor t[MAX_TENSORS];
    int n = 0;
    fresh();
    must(kn_checkpoint_open(TRANSFORMER, NULL, &ck, err));
    for (int i = 0; i < kn_checkpoint_count(ck); i++) {
        const kn_entry *e = kn_checkpoint_at(ck, i);
        t[n] = (kn_save_tensor){.name = e->name, .dtype = e->dtype, .n_dims = e->n_dims, .data = e->data};
        memcpy(t[n].dims, e->dims, sizeof t[n].dims);
        if (strcmp(e->name, name) == 0)
            change(&t[n]);
        n += t[n].name != NULL;
    }
    must(kn_checkpoint_save("new.safetensors", n, t, err));
    kn_checkpoint_close(ck);
    assert_int_equal(rename("new.safetensors", TRANSFORMER), 0);
}

static void drop(kn_save_tensor *t)
{
    t->name = NULL;
}

static void rename_it(kn_save_tensor *t)
{
    t->name = "blocks.0.something_else.weight";
}

static void transpose(kn_save_tensor *t)
{
    int64_t d = t->dims[0];
    t->dims[0] = t->dims[1];
    t->dims[1] = d;
}

static void test_tensors(void **state)
{
    (void)state;
    rewrite("blocks.1.ffn.net.2.weight", drop);
    check_refused(EFORMAT, "blocks.1.ffn.net.2.weight is missing", TRANSFORMER);
    rewrite("blocks.0.ffn.net.0.proj.weight", transpose);
    check_refused(EFORMAT, "blocks.0.ffn.net.0.proj.weight", TRANSFORMER, "[32, 64]", "expected [64, 32]");
    rewrite("blocks.0.norm2.bias", rename_it);
    check_refused(EFORMAT, "blocks.0.norm2.bias is missing", "blocks.0.");
}

static void test_shards(void **state)
{
    (void)state;
    fresh();
    shell("mv " TRANSFORMER " m/transformer/part-1.safetensors");
    write_text("m/transformer/diffusion_pytorch_model.safetensors.index.json",
               "{\"metadata\": {}, \"weight_map\": {\"proj_out.weight\": \"part-1.safetensors\","
               " \"proj_out.bias\": \"part-2.safetensors\"}}");
    check_refused(ENOTFOUND, "part-2.safetensors");
    write_text("m/transformer/diffusion_pytorch_model.safetensors.index.json",
               "{\"weight_map\": {\"proj_out.weight\": \"../../../etc/passwd\"}}");
    check_refused(EFORMAT, "../../../etc/passwd");
    write_text("m/transformer/diffusion_pytorch_model.safetensors.index.json", "{\"weight_map\": 5}");
    check_refused(EFORMAT, "index.json", "weight_map");
}

static void test_single_file(void **state)
{
    (void)state;
    write_text("model.safetensors", "no weights");
    check_fails(run("generate", "--model", "model.safetensors", "--prompt", "x", "-o", "out.mp4"), EFORMAT,
                "model.safetensors", "not a safetensors file");
    write_text("model.gguf", "GGUF");
    check_fails(run("models", "model.gguf"), EFORMAT, "model.gguf");
    check_fails(run("generate", "--model", FIXTURE("wan21-original/wan_t2v.safetensors"), "--prompt", "x",
                    "-o", "out.mp4"),
                2, "--vae", "--text-encoder");
    check_fails(run("generate", "--model", FIXTURE("wan21-original/wan_2.1_vae.safetensors"), "--prompt", "x",
                    "-o", "out.mp4"),
                EUNSUPPORTED, "not a model Kinora knows");
}

static void test_tokenizer(void **state)
{
    (void)state;
    fresh();
    write_text("m/tokenizer/tokenizer.json", "garbage");
    check_refused(EFORMAT, "m/tokenizer/tokenizer.json");
    write_text("m/tokenizer/tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}}");
    outcome o = run("plan", "--model", "m", TINY);
    assert_int_not_equal(o.code, 0);
    must_fail(&o, o.code, (const char *const[]){"tokenizer.json", "WordPiece", NULL});
    outcome_done(&o);
    shell("rm -r m/tokenizer");
    check_refused(ENOTFOUND, "m/tokenizer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_index),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_vae_of_another_model),
        cmocka_unit_test(test_weights_file),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_single_file),
        cmocka_unit_test(test_tokenizer),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
