"""Trains the VAE on where it is worst: refine_vae.py all|decoder CLIPS.rgb SCENES.jsonl WORK_DIR [MINUTES]

Small triangles, stars, rings and crosses are what it draws worst, so half of the batches are clips that have one, and of those
the crops with most in them; the other half is any clip.
  all       encoder and decoder: before the transformer's training, since the latents change
  decoder   the decoder alone, only on small shapes: latents stay what they are, so it runs after that training, or beside it
Writes the averaged weights into WORK_DIR/vae.pt's "ema"; resumes from WORK_DIR/refine-all.pt or refine-decoder.pt.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch

import train_vae
from encode import load_vae
from muon import Muon

STEPS, PEAK_LR, CANDIDATES = dict(all=6000, decoder=6800), dict(all=1.5e-3, decoder=2e-3), 4
CLIPS, POINTED = 1600, (2, 3, 4, 6)  # triangle, star, ring, cross: world_shape in tests/world/world.h


def learning_rate(what, step, steps):
    return PEAK_LR[what] * min(1.0, (step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def small_shapes(path, scenes):
    """Clips with a small object of those shapes, at most CLIPS of them, in memory."""
    scenes = [json.loads(line) for line in open(scenes)]
    rows = [i for i, s in enumerate(scenes) if any(o["size"] == 0 and o["shape"] in POINTED for o in s["objects"])]
    rows = np.sort(np.random.default_rng(0).choice(rows, min(CLIPS, len(rows)), replace=False))
    return np.memmap(path, np.uint8, mode="r").reshape(-1, train_vae.FRAMES, train_vae.SIDE, train_vae.SIDE, 3)[rows]


def busiest(clips, rng, step):
    """Of several batches of crops, those of each place that vary most."""
    shape = train_vae.CROPS[step % len(train_vae.CROPS)]
    crops = torch.stack([train_vae.sample(clips, rng, *shape) for _ in range(CANDIDATES)])
    best = crops.flatten(2).std(dim=2).argmax(dim=0)
    return crops[best, torch.arange(crops.shape[1])]


def losses(what, vae, clip):
    if what == "all":
        return train_vae.losses(vae, clip)[:2]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.no_grad():
            mean, logvar = vae.encode(clip)
            z = mean.float() + 0.5 * torch.randn_like(mean, dtype=torch.float32) * (0.5 * logvar.float()).exp()
        out = vae.decode(z).float()
    return train_vae.reconstruction(out, clip)


def batch(what, clips, small, step):
    rng = np.random.default_rng([13, step])
    if what == "all" and step // 2 % 2:
        return train_vae.sample(clips, rng, *train_vae.CROPS[step % len(train_vae.CROPS)])
    return busiest(small, rng, step)


def main(what, path, scenes, work, minutes):
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    small = small_shapes(path, scenes)
    clips = np.memmap(path, np.uint8, mode="r").reshape(-1, train_vae.FRAMES, train_vae.SIDE, train_vae.SIDE, 3)
    vae = load_vae(work)
    trained = [(n, p) for n, p in vae.named_parameters()
               if what == "all" or n.startswith(("decoder.", "post_quant_conv."))]
    optimizer = Muon(trained, train_vae.is_matrix)
    ema = {n: p.detach().clone() for n, p in trained}
    step, state = 0, f"{work}/refine-{what}.pt"
    steps = int(os.environ.get("STEPS", STEPS[what]))
    if os.path.exists(state):
        s = torch.load(state)
        vae.load_state_dict(s["model"], strict=False), optimizer.load_state_dict(s["optimizer"])
        ema, step = s["ema"], s["step"]
    begin, mean = time.time(), None
    while step < steps and time.time() - begin < minutes * 60:
        torch.manual_seed(2000003 + step)
        for g in optimizer.param_groups:
            g["lr"] = learning_rate(what, step, steps)
        loss, mse = losses(what, vae, batch(what, clips, small, step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.values()), [p for _, p in trained], 1 - min(0.995, step / (step + 10)))
        mean = mse.item() if mean is None else 0.98 * mean + 0.02 * mse.item()
        if step % 50 == 0:
            print(f"step {step} psnr {10 * math.log10(4 / mean):.2f} {(time.time() - begin) / 60:.1f} min", flush=True)
        if step % 200 == 0 or step == steps:
            torch.save(dict(model={n: p.detach() for n, p in trained}, optimizer=optimizer.state_dict(), ema=ema, step=step),
                       state + ".new")
            os.replace(state + ".new", state)
    s = torch.load(f"{work}/vae.pt")
    s["ema"].update(ema)
    torch.save(s, f"{work}/vae.pt.new")
    os.replace(f"{work}/vae.pt.new", f"{work}/vae.pt")


if __name__ == "__main__":
    main(*sys.argv[1:5], float(sys.argv[5]) if len(sys.argv) > 5 else 1e9)
