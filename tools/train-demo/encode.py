"""Latents of clips through the trained VAE: encode.py CLIPS.rgb WORK_DIR NAME

Writes WORK_DIR/NAME.latents, bf16 [N, z, t, h, w] as int16 words, normalised; the first file made also sets the
normalisation (WORK_DIR/latents.json). Prints the reconstruction PSNR of the first 64 clips.
"""
import json
import math
import os
import sys

import numpy as np
import torch

from train_vae import CONFIG, FRAMES, SIDE
from vae import WanVae


def load_vae(work):
    vae = WanVae(CONFIG)
    vae.load_state_dict(torch.load(f"{work}/vae.pt")["ema"])
    return vae.eval()


def main(path, work, name):
    torch.set_num_threads(2)
    vae = load_vae(work)
    clips = np.memmap(path, np.uint8, mode="r").reshape(-1, FRAMES, SIDE, SIDE, 3)
    out, stats = [], f"{work}/latents.json"
    with torch.inference_mode():
        for i in range(0, len(clips), 8):
            x = torch.from_numpy(clips[i:i + 8].copy()).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
            with torch.autocast("cpu", dtype=torch.bfloat16):
                z = vae.encode(x)[0].float()
                if i < 64:
                    mse = ((vae.decode(z).float().clamp(-1, 1) - x) ** 2).mean(dim=(1, 2, 3, 4))
                    print(" ".join(f"{10 * math.log10(4 / m):.1f}" for m in mse.tolist()), flush=True)
            out.append(z.half())
            if i % 2000 == 0:
                print(i, flush=True)
    z = torch.cat(out).float()
    if not os.path.exists(stats):
        json.dump(dict(mean=z.mean(dim=(0, 2, 3, 4)).tolist(), std=z.std(dim=(0, 2, 3, 4)).tolist()), open(stats, "w"))
    s = json.load(open(stats))
    shape = (1, -1, 1, 1, 1)
    z = (z - torch.tensor(s["mean"]).view(shape)) / torch.tensor(s["std"]).view(shape)
    z.bfloat16().view(torch.int16).numpy().tofile(f"{work}/{name}.latents")


if __name__ == "__main__":
    main(*sys.argv[1:4])
