/* LoRA files of every dialect, merged into the transformer's weights. */
#include "wan_dit.h"

static const kn_dtype dtypes[2] = {KN_F32, KN_BF16};

static void loras_equal_the_reference(void **state)
{
    static const char *const names[] = {"peft", "peft_meta", "comfy", "kohya", "comfy_ab", "comfy_diffb"};
    kn_checkpoint *g = open_checkpoint(FIXTURE("wan21-lora/golden.safetensors"));
    for (int i = 0; i < 2; i++)
        for (size_t f = 0; f < sizeof names / sizeof *names; f++)
            for (int s = 0; s < 2; s++) {
                char path[512], out[64], label[64];
                const char *files[1] = {path};
                float strength = s ? 0.6f : 1.0f;
                snprintf(path, sizeof path, KN_FIXTURES "/wan21-lora/%s.safetensors", names[f]);
                snprintf(out, sizeof out, "dit.out.%s_%s", names[f], s ? "0.6" : "1");
                snprintf(label, sizeof label, "wan21-lora %s", kn_dtype_name(dtypes[i]));
                dit d;
                kn_lora_set *loras;
                dit_open_lora(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
                              FIXTURE("wan21-t2v/model/transformer/config.json"), dtypes[i], files, &strength,
                              1, &loras);
                check_run(&d, g, "dit", out, 0, false, label, tolerance_of(dtypes[i]), false);
                dit_close(&d);
                kn_lora_set_free(loras);
            }
    const char *both[2] = {FIXTURE("wan21-lora/comfy.safetensors"), FIXTURE("wan21-lora/peft.safetensors")};
    dit d;
    kn_lora_set *loras;
    dit_open_lora(&d, *state, FIXTURE("wan21-t2v/model/transformer"),
                  FIXTURE("wan21-t2v/model/transformer/config.json"), KN_F32, both,
                  (const float[]){0.6f, -0.3f}, 2, &loras);
    check_run(&d, g, "dit", "dit.out.comfy_0.6_peft_-0.3", 0, false, "wan21-lora f32", 1e-4, false);
    dit_close(&d);
    kn_lora_set_free(loras);
    kn_checkpoint_close(g);
}

static int open_device(void **state)
{
    *state = open_cpu();
    return 0;
}

static int close_device(void **state)
{
    kn_device_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loras_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
