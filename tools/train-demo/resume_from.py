"""Makes a work folder to train on from an exported model: resume_from.py MODEL_DIR WORK_DIR

The weights are those of the export (averaged, bf16), the optimizers begin afresh; clips are drawn and encoded again by run.sh.
The transformer begins at step 0 of its schedule, the VAE counts as trained.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file

import train_vae


def weights(path):
    return {k: v.float() for k, v in load_file(path).items()}


def main(model, work):
    os.makedirs(work, exist_ok=True)
    vae = weights(f"{model}/vae/diffusion_pytorch_model.safetensors")
    torch.save(dict(model=vae, ema=vae, step=train_vae.STEPS, optimizer=None), f"{work}/vae.pt")
    shutil.copy(f"{model}/tokenizer/tokenizer.json", f"{work}/tokenizer.json")
    text = weights(f"{model}/text_encoder/model.safetensors")
    torch.save(dict(config=json.load(open(f"{model}/text_encoder/config.json")), model=text), f"{work}/text.pt")
    torch.save(weights(f"{model}/transformer/diffusion_pytorch_model.safetensors"), f"{work}/transformer-first.pt")


if __name__ == "__main__":
    main(*sys.argv[1:3])
