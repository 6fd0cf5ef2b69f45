#include "golden.h"

#include "models/common/t5.h"
#include "models/wan/names.h"

/* Every name of `original`, renamed, is a name of `model` with the same number of elements, and none is missing. */
static void check_same_tensors(const char *original, const char *model,
                               int (*rename)(kn_checkpoint *, kn_err *))
{
    kn_checkpoint *a = open_checkpoint(original), *b = open_checkpoint(model);
    must(rename(a, err));
    int n_known = 0;
    for (int i = 0; i < kn_checkpoint_count(a); i++) {
        const kn_entry *e = kn_checkpoint_at(a, i), *same = kn_checkpoint_find(b, e->name);
        if (!same && (strstr(e->name, "scale_weight") || !strcmp(e->name, "spiece_model") ||
                      !strcmp(e->name, "scaled_fp8")))
            continue;
        if (!same)
            fail_msg("%s: %s is no name of %s", original, e->name, model);
        if (kn_entry_numel(e) != kn_entry_numel(same))
            fail_msg("%s: %s has %lld elements, expected %lld", original, e->name,
                     (long long)kn_entry_numel(e), (long long)kn_entry_numel(same));
        n_known++;
    }
    assert_int_equal(n_known, kn_checkpoint_count(b));
    kn_checkpoint_close(a);
    kn_checkpoint_close(b);
}

static void transformers_are_renamed(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {FIXTURE("wan21-original/wan_t2v.safetensors"), FIXTURE("wan21-t2v/model/transformer")},
        {FIXTURE("wan21-original/wan_t2v_comfy_bf16.safetensors"), FIXTURE("wan21-t2v/model/transformer")},
        {FIXTURE("wan21-original/wan_t2v-Q4_0.gguf"), FIXTURE("wan21-t2v/model/transformer")},
        {FIXTURE("wan22-original/wan2.2_ti2v_5B_bf16.safetensors"),
         FIXTURE("wan22-ti2v-5b/model/transformer")},
        {FIXTURE("wan21-i2v/original/transformer.safetensors"), FIXTURE("wan21-i2v/model/transformer")},
        {FIXTURE("wan21-flf2v/original/transformer.safetensors"), FIXTURE("wan21-flf2v/model/transformer")},
        {FIXTURE("wan21-vace/original/transformer.safetensors"), FIXTURE("wan21-vace/model/transformer")},
        {FIXTURE("wan22-t2v-a14b/original/low_noise.safetensors"),
         FIXTURE("wan22-t2v-a14b/model/transformer_2")},
        {FIXTURE("wan21-vace/model/transformer"), FIXTURE("wan21-vace/model/transformer")},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        check_same_tensors(pairs[i][0], pairs[i][1], kn_wan_rename_transformer);
}

static void vaes_are_renamed(void **state)
{
    (void)state;
    check_same_tensors(FIXTURE("wan21-original/wan_2.1_vae.safetensors"), FIXTURE("wan21-t2v/model/vae"),
                       kn_wan_rename_vae);
    check_same_tensors(FIXTURE("wan22-original/wan2.2_vae.safetensors"), FIXTURE("wan22-ti2v-5b/model/vae"),
                       kn_wan_rename_vae);
    check_same_tensors(FIXTURE("wan22-ti2v-5b/model/vae"), FIXTURE("wan22-ti2v-5b/model/vae"),
                       kn_wan_rename_vae);
}

static void text_encoders_are_renamed(void **state)
{
    (void)state;
    static const char *const files[] = {
        FIXTURE("wan21-original/models_t5_umt5_bf16.safetensors"),
        FIXTURE("wan21-original/umt5_comfy_fp16.safetensors"),
        FIXTURE("wan21-original/umt5_fp8_e4m3fn_scaled.safetensors"),
        FIXTURE("wan21-original/umt5-encoder-F16.gguf"),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_same_tensors(files[i], FIXTURE("wan21-t2v/model/text_encoder"), kn_t5_rename);
}

/* LoRA files name modules in either dialect: both ways must meet. */
static void module_names_go_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"blocks.0.self_attn.q", "blocks.0.attn1.to_q"},
        {"blocks.39.self_attn.o", "blocks.39.attn1.to_out.0"},
        {"blocks.12.cross_attn.k_img", "blocks.12.attn2.add_k_proj"},
        {"blocks.3.ffn.0.bias", "blocks.3.ffn.net.0.proj.bias"},
        {"blocks.3.ffn.2", "blocks.3.ffn.net.2"},
        {"blocks.3.norm3.weight", "blocks.3.norm2.weight"},
        {"vace_blocks.7.after_proj", "vace_blocks.7.proj_out"},
        {"time_projection.1", "condition_embedder.time_proj"},
        {"text_embedding.2.weight", "condition_embedder.text_embedder.linear_2.weight"},
        {"head.head", "proj_out"},
        {"head.modulation", "scale_shift_table"},
        {"blocks.1.modulation", "blocks.1.scale_shift_table"},
    };
    char out[256];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(kn_wan_names.to_canonical(pairs[i][0], out, sizeof out), 0);
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(kn_wan_names.to_original(pairs[i][1], out, sizeof out), 0);
        assert_string_equal(out, pairs[i][0]);
        assert_int_equal(kn_wan_names.to_canonical(pairs[i][1], out, sizeof out), 1);
        assert_int_equal(kn_wan_names.to_original(pairs[i][0], out, sizeof out), 1);
    }
    assert_int_equal(kn_wan_names.to_canonical("patch_embedding.weight", out, sizeof out), 1);
    assert_int_equal(kn_wan_names.to_canonical("diffusion_model.patch_embedding", out, sizeof out), 0);
    assert_string_equal(out, "patch_embedding");
    assert_int_equal(
        kn_wan_names.to_canonical("model.diffusion_model.blocks.0.ffn.2.weight", out, sizeof out), 0);
    assert_string_equal(out, "blocks.0.ffn.net.2.weight");
    assert_int_equal(kn_wan_names.to_canonical("blocks.x.self_attn.q", out, sizeof out), 2);
    assert_int_equal(kn_wan_names.to_canonical("blocks.0.self_attn.qq", out, sizeof out), 2);
    assert_int_equal(kn_wan_names.to_canonical("lm_head.weight", out, sizeof out), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_names_go_both_ways),
        cmocka_unit_test(transformers_are_renamed),
        cmocka_unit_test(vaes_are_renamed),
        cmocka_unit_test(text_encoders_are_renamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
