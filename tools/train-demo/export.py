"""Writes the trained model as a Hugging Face folder in bf16: export.py WORK_DIR OUT_DIR [CHECKPOINT...]

With earlier copies of WORK_DIR/transformer.pt, the mean of their averaged weights and its own.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

import train_vae

VERSION = "0.35.0"  # of diffusers, whose layout this is
FLOW_SHIFT = 3.0
SCHEDULER = dict(_class_name="UniPCMultistepScheduler", _diffusers_version=VERSION, beta_start=0.0001, beta_end=0.02,
                 beta_schedule="linear", disable_corrector=[], dynamic_thresholding_ratio=0.995, final_sigmas_type="zero",
                 flow_shift=FLOW_SHIFT, lower_order_final=True, num_train_timesteps=1000, predict_x0=True,
                 prediction_type="flow_prediction", sample_max_value=1.0, solver_order=2, solver_type="bh2",
                 steps_offset=0, thresholding=False, timestep_spacing="linspace", use_flow_sigmas=True,
                 use_beta_sigmas=False, use_exponential_sigmas=False, use_karras_sigmas=False)
INDEX = dict(_class_name="WanPipeline", _diffusers_version=VERSION, boundary_ratio=None, expand_timesteps=True,
             scheduler=["diffusers", "UniPCMultistepScheduler"], text_encoder=["transformers", "UMT5EncoderModel"],
             tokenizer=["transformers", "PreTrainedTokenizerFast"], transformer=["diffusers", "WanTransformer3DModel"],
             transformer_2=[None, None], vae=["diffusers", "AutoencoderKLWan"])
TOKENIZER = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="</s>", pad_token="<pad>",
                 unk_token="<unk>", model_max_length=512, clean_up_tokenization_spaces=False)


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def write_weights(path, state):
    save_file({k: v.to(torch.bfloat16).contiguous() for k, v in sorted(state.items())}, path, metadata={"format": "pt"})


def mean(states):
    return {k: sum(s[k] for s in states) / len(states) for k in states[0]}


def main(work, out, *earlier):
    vae, both = torch.load(f"{work}/vae.pt"), torch.load(f"{work}/transformer.pt")
    weights = mean([both["ema"], *(torch.load(path)["ema"] for path in earlier)])
    part = {p: {k[len(p) + 1:]: v for k, v in weights.items() if k.startswith(p + ".")} for p in ("dit", "text")}
    write_json(f"{out}/model_index.json", INDEX)
    write_json(f"{out}/scheduler/scheduler_config.json", SCHEDULER)
    write_json(f"{out}/tokenizer/tokenizer_config.json", TOKENIZER)
    shutil.copy(f"{work}/tokenizer.json", f"{out}/tokenizer/tokenizer.json")
    write_json(f"{out}/text_encoder/config.json", both["text_config"])
    write_weights(f"{out}/text_encoder/model.safetensors", part["text"])
    write_json(f"{out}/transformer/config.json",
               dict(_class_name="WanTransformer3DModel", _diffusers_version=VERSION, **both["config"]))
    write_weights(f"{out}/transformer/diffusion_pytorch_model.safetensors", part["dit"])
    write_json(f"{out}/vae/config.json", dict(_class_name="AutoencoderKLWan", _diffusers_version=VERSION,
                                              **train_vae.CONFIG, latents_mean=both["latents_mean"],
                                              latents_std=both["latents_std"]))
    write_weights(f"{out}/vae/diffusion_pytorch_model.safetensors", vae["ema"])


if __name__ == "__main__":
    main(*sys.argv[1:])
