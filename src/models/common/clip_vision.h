/* The CLIP vision transformer (Radford et al. 2021) as transformers' CLIPVisionModel: pictures to patch states. */
#ifndef KN_MODELS_COMMON_CLIP_VISION_H
#define KN_MODELS_COMMON_CLIP_VISION_H

#include "base/json.h"
#include "models/common/trace.h"
#include "tensor/loader.h"
#include "tensor/ops.h"

typedef struct kn_clip_vision_config {
    int64_t hidden, intermediate;
    int n_heads, n_layers, image_size, patch_size;
    kn_act act; /* hidden_act: "gelu" is the erf form, "quick_gelu" x * sigmoid(1.702 x) */
    float eps;
} kn_clip_vision_config;

/* From image_encoder/config.json (also with the vision part nested under "vision_config"). */
int kn_clip_vision_config_read(const json_t *obj, const char *origin, kn_clip_vision_config *ret,
                               kn_err *err);

typedef struct kn_clip_layer {
    kn_tensor norm1_w, norm1_b, norm2_w, norm2_b;
    const kn_weight *q, *k, *v, *out, *fc1, *fc2;
} kn_clip_layer;

typedef struct kn_clip_vision {
    kn_clip_vision_config config;
    const kn_weight *patch;           /* convolution, stride = kernel, no bias */
    kn_tensor class_embed, pos_embed; /* [1, hidden], [1 + patches, hidden] */
    kn_tensor pre_w, pre_b;           /* layer norm before the first layer */
    kn_clip_layer *layers;            /* heap: all but the last, which hidden_states[-2] does not need */
    char last_layer[96];              /* prefix of what is left unread */
    const char *ignore[8];            /* for kn_loader_finish */
} kn_clip_vision;

/* l->err says how it went. _done frees host memory only. */
void kn_clip_vision_load(kn_clip_vision *m, const kn_clip_vision_config *config, kn_loader *l);
void kn_clip_vision_done(kn_clip_vision *m);

/* pixels f32 [3, S, S] (CLIPImageProcessor's output, S = image_size) -> hidden_states[-2], f32 [1 + patches, hidden].
 * trace (may be NULL): image.hidden0 (after the pre-norm), image.hidden1, ... */
kn_tensor kn_clip_vision_forward(kn_ctx *c, const kn_clip_vision *m, kn_tensor pixels, const kn_trace *trace);

#endif
