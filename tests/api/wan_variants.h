/* Every way to run a Wan fixture: the model and options beyond prompt and size.
 *
 * Relative names are made by the test: control/ and mask/ of five 64x32 pictures, control.mp4 of the same. */
#ifndef KN_TESTS_API_WAN_VARIANTS_H
#define KN_TESTS_API_WAN_VARIANTS_H

#include <stddef.h>

#ifndef FIXTURE
#define FIXTURE(path) KN_FIXTURES "/" path
#endif
#define ORIGINAL FIXTURE("wan21-original/")
#define LORA     FIXTURE("wan21-lora/")
enum { MAX_EXTRA = 16 };

typedef struct wan_variant {
    const char *name, *model;
    const char *extra[MAX_EXTRA]; /* "--name", "value", ... */
} wan_variant;

static const wan_variant wan_variants[] = {
    {"t2v", FIXTURE("wan21-t2v/model"), {"--negative-prompt", "grey"}},
    {"t2v euler", FIXTURE("wan21-t2v/model"), {"--scheduler", "euler", "--flow-shift", "2"}},
    {"t2v unguided", FIXTURE("wan21-t2v/model"), {"--guidance", "1"}},
    {"t2v tiled", FIXTURE("wan21-t2v/model"), {"--vae-tile", "32"}},
    {"i2v", FIXTURE("wan21-i2v/model"), {"--image", FIXTURE("wan21-i2v/image.png")}},
    {"flf2v",
     FIXTURE("wan21-flf2v/model"),
     {"--image", FIXTURE("wan21-flf2v/image.png"), "--last-image", FIXTURE("wan21-flf2v/last.png")}},
    {"vace text", FIXTURE("wan21-vace/model"), {0}},
    {"vace control",
     FIXTURE("wan21-vace/model"),
     {"--video", "control", "--mask", "mask", "--reference", FIXTURE("wan21-vace/ref0.png"), "--reference",
      FIXTURE("wan21-vace/ref1.png"), "--control-scale", "0.8"}},
    {"vace from mp4", FIXTURE("wan21-vace/model"), {"--video", "control.mp4"}},
    {"a14b t2v", FIXTURE("wan22-t2v-a14b/model"), {"--guidance", "4", "--guidance-2", "3"}},
    {"a14b i2v",
     FIXTURE("wan22-i2v-a14b/model"),
     {"--image", FIXTURE("wan22-i2v-a14b/image.png"), "--guidance", "3.5"}},
    {"a14b first and last",
     FIXTURE("wan22-i2v-a14b/model"),
     {"--image", FIXTURE("wan22-i2v-a14b/image.png"), "--last-image", FIXTURE("wan22-i2v-a14b/last.png")}},
    {"ti2v text", FIXTURE("wan22-ti2v-5b/model"), {0}},
    {"ti2v picture", FIXTURE("wan22-ti2v-5b/model"), {"--image", FIXTURE("wan21-i2v/image.png")}},
    {"single file",
     ORIGINAL "wan_t2v.safetensors",
     {"--vae", ORIGINAL "wan_2.1_vae.safetensors", "--text-encoder",
      ORIGINAL "models_t5_umt5_bf16.safetensors", "--config", FIXTURE("wan21-t2v/model")}},
    {"ComfyUI files",
     ORIGINAL "wan_t2v_comfy_bf16.safetensors",
     {"--vae", ORIGINAL "wan_2.1_vae.safetensors", "--text-encoder",
      ORIGINAL "umt5_fp8_e4m3fn_scaled.safetensors", "--config", FIXTURE("wan21-t2v/model")}},
    {"GGUF",
     ORIGINAL "wan_t2v-Q4_0.gguf",
     {"--vae", ORIGINAL "wan_2.1_vae.safetensors", "--text-encoder", ORIGINAL "umt5-encoder-Q8_0.gguf",
      "--config", FIXTURE("wan21-t2v/model")}},
    {"lora", FIXTURE("wan21-t2v/model"), {"--lora", LORA "peft.safetensors:0.7"}},
    {"5B files",
     FIXTURE("wan22-original/wan2.2_ti2v_5B_bf16.safetensors"),
     {"--vae", FIXTURE("wan22-original/wan2.2_vae.safetensors"), "--text-encoder",
      FIXTURE("wan22-ti2v-5b/model/text_encoder/model.safetensors"), "--config",
      FIXTURE("wan22-ti2v-5b/model")}},
    {"two experts in files",
     FIXTURE("wan22-t2v-a14b/original/high_noise.safetensors"),
     {"--transformer-2", FIXTURE("wan22-t2v-a14b/original/low_noise.safetensors"), "--vae",
      FIXTURE("wan22-t2v-a14b/model/vae"), "--text-encoder", FIXTURE("wan22-t2v-a14b/model/text_encoder"),
      "--config", FIXTURE("wan22-t2v-a14b/model")}},
    {"two loras",
     FIXTURE("wan21-t2v/model"),
     {"--lora", LORA "kohya.safetensors", "--lora", LORA "comfy.safetensors:-0.5"}},
};

#endif
