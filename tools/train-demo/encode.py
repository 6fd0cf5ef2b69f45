"""Latents of clips through the trained VAE: encode.py CLIPS.rgb WORK_DIR PART PARTS COUNT

Encodes part PART of PARTS of the first COUNT clips on one thread (run the parts beside each other) and writes their means,
not normalised, to CLIPS.latents.PART: f16 [n, z, t, h, w].
"""
import sys

import numpy as np
import torch

from train_vae import CONFIG, FRAMES, SIDE
from vae import WanVae

BATCH = 4


def load_vae(work):
    vae = WanVae(CONFIG)
    vae.load_state_dict(torch.load(f"{work}/vae.pt")["ema"])
    return vae.eval()


def main(path, work, part, parts, count):
    torch.set_num_threads(1)
    vae = load_vae(work)
    clips = np.memmap(path, np.uint8, mode="r").reshape(-1, FRAMES, SIDE, SIDE, 3)
    with open(path.removesuffix(".rgb") + f".latents.{part}", "wb") as f, torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for i in range(count * part // parts, count * (part + 1) // parts, BATCH):
            x = torch.from_numpy(clips[i:min(i + BATCH, count * (part + 1) // parts)].copy())
            z = vae.encode(x.permute(0, 4, 1, 2, 3).float() / 127.5 - 1)[0]
            f.write(z.half().contiguous().numpy().tobytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
