/* Pictures, clips, LoRAs, noise: each unusable one is refused by name, before anything is written. */
#include "program.h"

#include "tensor/checkpoint.h"

#define I2V  "--model", FIXTURE("wan21-i2v/model"), "--prompt", "a cat", TINY, "-o", "out.mp4"
#define T2V  "--model", FIXTURE("wan21-t2v/model"), "--prompt", "a cat", TINY, "-o", "out.mp4"
#define VACE "--model", FIXTURE("wan21-vace/model"), "--prompt", "a cat", TINY, "-o", "out.mp4"

static void nothing_left(void)
{
    assert_int_equal(count_files(".", ".mp4"), 0);
    assert_int_equal(count_files(".", ".part"), 0);
}

/* Nothing was computed for it: no phase began before the error. */
static void check_refused_early(outcome o)
{
    assert_int_not_equal(o.code, 0);
    assert_null(strstr(o.out, "\"phase\""));
    assert_non_null(strstr(o.out, "\"event\":\"error\""));
    outcome_done(&o);
}

static void test_images(void **state)
{
    (void)state;
    check_fails(run("generate", I2V), 2, "--image");
    check_fails(run("generate", I2V, "--image", "no.png"), 4, "no.png");
    shell("head -c 700 '%s' >cut.png", FIXTURE("wan21-i2v/image.png"));
    check_fails(run("generate", I2V, "--image", "cut.png"), 3, "cut.png");
    write_text("text.png", "this is no picture\n");
    check_fails(run("generate", I2V, "--image", "text.png"), 3, "text.png");
    check_refused_early(run("generate", I2V, "--image", "text.png", "--json"));
    write_text("empty.png", "");
    check_fails(run("generate", I2V, "--image", "empty.png"), 3, "empty.png");
    check_fails(run("generate", I2V, "--image", "."), 2, ". is not a regular file");
    nothing_left();
}

static void test_inputs_of_another_task(void **state)
{
    (void)state;
    const char *image = FIXTURE("wan21-i2v/image.png");
    check_fails(run("generate", T2V, "--image", image), 2, "T2V", "takes no image");
    check_fails(run("generate", I2V, "--image", image, "--last-image", image), 2, "I2V", "last image");
    check_fails(run("generate", T2V, "--reference", image), 2, "T2V", "reference");
    check_fails(run("generate", VACE, "--mask", image), 2, "--mask needs --video");
    check_fails(run("generate", VACE, "--control-scale", "1,1,1"), 2, "control_scale has 3 values");
    check_fails(run("generate", T2V, "--guidance-2", "3"), 2, "one expert", "guidance_2");
    check_fails(run("generate", T2V, "--boundary", "0.5"), 2, "one expert", "boundary");
    check_fails(run("generate", T2V, "--width", "8"), 2, "width 8 is too small", "16");
    nothing_left();
}

static void test_clips(void **state)
{
    (void)state;
    check_fails(run("generate", VACE, "--video", "no.mp4"), 4, "no.mp4");
    write_text("text.mp4", "this is no video\n");
    check_fails(run("generate", VACE, "--video", "text.mp4"), 3, "text.mp4");
    check_refused_early(run("generate", VACE, "--video", "text.mp4", "--json"));
    unlink("text.mp4");
    check_fails(run("generate", VACE, "--reference", "no.png"), 4, "no.png");
    nothing_left();
}

static void test_loras(void **state)
{
    (void)state;
    check_fails(run("generate", T2V, "--lora", "no.safetensors"), 4, "no.safetensors");
    write_text("bad.safetensors", "12345678{}");
    check_fails(run("generate", T2V, "--lora", "bad.safetensors"), 3, "bad.safetensors");
    /* A checkpoint that is no LoRA. */
    check_fails(run("generate", T2V, "--lora",
                    FIXTURE("wan21-t2v/model/transformer/diffusion_pytorch_model.safetensors")),
                3, "diffusion_pytorch_model.safetensors");
    nothing_left();
}

static void test_latents(void **state)
{
    (void)state;
    static const float zeros[1 * 8 * 2 * 4 * 8];
    kn_save_tensor t = {
        .name = "latents", .dtype = KN_F32, .n_dims = 5, .dims = {1, 8, 1, 4, 8}, .data = zeros};
    must(kn_checkpoint_save("short.safetensors", 1, &t, err));
    check_fails(run("generate", T2V, "--latents", "short.safetensors"), 2, "short.safetensors",
                "[1, 8, 1, 4, 8]", "[1, 8, 2, 4, 8]");
    t.name = "noise";
    must(kn_checkpoint_save("named.safetensors", 1, &t, err));
    check_fails(run("generate", T2V, "--latents", "named.safetensors"), 3, "named.safetensors",
                "no tensor \"latents\"");
    check_fails(run("generate", T2V, "--latents", "no.safetensors"), 4, "no.safetensors");
    check_refused_early(run("generate", T2V, "--latents", "short.safetensors", "--json"));
    nothing_left();
    t = (kn_save_tensor){
        .name = "latents", .dtype = KN_F32, .n_dims = 5, .dims = {1, 8, 2, 4, 8}, .data = zeros};
    must(kn_checkpoint_save("right.safetensors", 1, &t, err));
    check_runs(run("generate", T2V, "--latents", "right.safetensors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images),  cmocka_unit_test(test_inputs_of_another_task),
        cmocka_unit_test(test_clips),   cmocka_unit_test(test_loras),
        cmocka_unit_test(test_latents),
    };
    return cmocka_run_group_tests(tests, place_make, place_remove);
}
