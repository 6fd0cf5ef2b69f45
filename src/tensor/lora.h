/* LoRA files of every dialect people share, merged into weights before they are packed.
 *
 * Dialects: PEFT/diffusers (`transformer.X.lora_A.weight`, lora_alpha in the metadata), kohya
 * (`lora_unet_X_with_underscores.lora_down.weight`, `.alpha`), ComfyUI/original (`diffusion_model.X.lora_down...` or
 * lora_A/lora_B), `diff` / `diff_b` (whole differences of a weight or bias), and LyCORIS LoHa and LoKr. The scale is
 * alpha / rank: alpha from `.alpha` tensors, else from the `lora_adapter_metadata` of diffusers or PEFT's
 * adapter_config.json beside the file (lora_alpha, alpha_pattern, use_rslora), else the rank. */
#ifndef KN_TENSOR_LORA_H
#define KN_TENSOR_LORA_H

#include "tensor/checkpoint.h"

/* How a family's own names relate to the canonical (diffusers) ones. Both return 0 when they wrote `out`,
 * 1 when the name is already right, 2 when it is not known. */
typedef struct kn_name_map {
    int (*to_canonical)(const char *name, char *out, size_t size);
    int (*to_original)(const char *name, char *out, size_t size);
} kn_name_map;

typedef struct kn_lora_set kn_lora_set;

int kn_lora_set_new(kn_lora_set **ret, kn_err *err);
void kn_lora_set_free(kn_lora_set *s);
/* Adds a file with its strength. `target` (canonical names) decides which modules exist: a key that names no module
 * of it is KN_EFORMAT and named, as is one that does not fit its module's shape; DoRA, OFT and Tucker-decomposed
 * convolutions are KN_EUNSUPPORTED. target may be a random checkpoint: then nothing can be added. The target is not
 * kept. A failed addition leaves the set as it was. */
int kn_lora_set_add(kn_lora_set *s, const char *path, float strength, kn_checkpoint *target,
                    const kn_name_map *map, kn_err *err);
/* A hash of the files and of what of them is added with which strength. */
uint64_t kn_lora_set_identity(const kn_lora_set *s);
int kn_lora_set_count(const kn_lora_set *s);
/* True if a file of the set changes the tensor (e.g. "blocks.0.attn1.to_q.weight"). */
bool kn_lora_set_touches(const kn_lora_set *s, const char *tensor);
/* w += sum of strength * scale * up x down for the tensor, in the order of addition; w row-major float32 [n_out, n_in]
 * (or a bias [n_out]), of as many elements as in the target. */
int kn_lora_set_apply(const kn_lora_set *s, const char *tensor, float *w, int64_t n_out, int64_t n_in,
                      kn_err *err);

#endif
