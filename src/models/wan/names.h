/* The names Wan's parts go by: diffusers' are ours; the original repository's, ComfyUI's and those in GGUF files are
 * turned into them. */
#ifndef KN_MODELS_WAN_NAMES_H
#define KN_MODELS_WAN_NAMES_H

#include "tensor/checkpoint.h"
#include "tensor/lora.h"

/* Names of the transformer's modules and tensors, with or without ".weight" and the like behind them, e.g.
 * "blocks.0.self_attn.q" <-> "blocks.0.attn1.to_q".  to_canonical also takes the prefixes "model.diffusion_model.",
 * "diffusion_model." and "transformer." away.  Returns: see kn_name_map. */
extern const kn_name_map kn_wan_names;

/* Renames a transformer checkpoint to diffusers' names; what is not known keeps its name (and is then reported as
 * extra), other components of an all-in-one file are dropped. */
int kn_wan_rename_transformer(kn_checkpoint *ck, kn_err *err);

/* Renames a VAE checkpoint (2.1 and 2.2, prefixes "vae." and "first_stage_model.").  How many residual blocks a stage
 * has, which the flat numbering of 2.1 hides, is taken from where the first upsampler stands. */
int kn_wan_rename_vae(kn_checkpoint *ck, kn_err *err);

#endif
