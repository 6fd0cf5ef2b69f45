"""Trains the VAE on crops of clips: train_vae.py CLIPS.rgb WORK_DIR [MINUTES].  Resumes where WORK_DIR/vae.pt stopped."""
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from muon import Muon
from vae import WanVae

FRAMES, SIDE = 17, 96
STEPS, BATCH, PEAK_LR = 3000, 4, 3e-3
CROPS = [(9, 64), (17, 48)]  # frames, side: of about the same size, taken in turn
KL_WEIGHT = 2e-5
CONFIG = dict(base_dim=16, decoder_base_dim=24, z_dim=16, dim_mult=[1, 2, 2], num_res_blocks=1, attn_scales=[],
              temperal_downsample=[True, True], dropout=0.0, in_channels=12, out_channels=12, is_residual=True,
              patch_size=2, scale_factor_spatial=8, scale_factor_temporal=4)


def learning_rate(step):
    warm = min(1.0, (step + 1) / 100)
    return PEAK_LR * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / STEPS)))


def is_matrix(name, p):
    return p.dim() >= 4 and p.shape[0] > 1 and p.shape[1] > 1 and not any(k in name for k in ("conv_in", "conv_out", "quant"))


def sample(clips, rng, n_frames, side):
    out = np.empty((BATCH, n_frames, side, side, 3), np.uint8)
    for i in range(BATCH):
        t = rng.integers(0, FRAMES - n_frames + 1)
        y, x = rng.integers(0, SIDE - side + 1, 2)
        clip = clips[rng.integers(len(clips))][t:t + n_frames, y:y + side, x:x + side]
        if rng.integers(2):
            clip = clip[::-1]
        out[i] = clip
    return torch.from_numpy(out).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def reconstruction(out, clip):
    """Loss, mean squared error."""
    mse = F.mse_loss(out, clip)
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(out), edges(clip)))
    return F.l1_loss(out, clip) + 2 * mse + 0.5 * sharp, mse


def losses(vae, clip):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mean, logvar = vae.encode(clip)
        logvar = logvar.float().clamp(-20, 4)
        z = mean.float() + torch.randn_like(mean, dtype=torch.float32) * (0.5 * logvar).exp()
        out = vae.decode(z).float()
    kl = 0.5 * (mean.float() ** 2 + logvar.exp() - 1 - logvar).sum(dim=1).mean()
    loss, mse = reconstruction(out, clip)
    return loss + KL_WEIGHT * kl, mse, kl


def main(path, work, minutes):
    torch.set_num_threads(2)
    torch.manual_seed(1)
    clips = np.memmap(path, np.uint8, mode="r").reshape(-1, FRAMES, SIDE, SIDE, 3)
    vae = WanVae(CONFIG)
    with torch.no_grad():  # residual branches begin small
        for name, p in vae.named_parameters():
            if name.endswith("conv2.weight") or name.endswith("proj.weight"):
                p.mul_(0.1)
        vae.quant_conv.bias[CONFIG["z_dim"]:] = -4
    optimizer = Muon(vae.named_parameters(), is_matrix)
    ema = {k: v.clone() for k, v in vae.state_dict().items()}
    step, state = 0, f"{work}/vae.pt"
    if os.path.exists(state):
        s = torch.load(state)
        if s["step"] >= STEPS:
            return
        vae.load_state_dict(s["model"]), optimizer.load_state_dict(s["optimizer"])
        ema, step = s["ema"], s["step"]
    begin, mean_mse = time.time(), None
    while step < STEPS and time.time() - begin < minutes * 60:
        rng = np.random.default_rng([7, step])
        for g in optimizer.param_groups:
            g["lr"] = learning_rate(step)
        t0 = time.time()
        loss, mse, kl = losses(vae, sample(clips, rng, *CROPS[step % len(CROPS)]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.995, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.values()), list(vae.state_dict().values()), 1 - decay)
        mean_mse = mse.item() if mean_mse is None else 0.98 * mean_mse + 0.02 * mse.item()
        if step % 20 == 0:
            print(f"step {step} loss {loss.item():.4f} psnr {10 * math.log10(4 / mean_mse):.2f} kl {kl.item():.1f} "
                  f"{time.time() - t0:.2f} s", flush=True)
        if step % 200 == 0 or step == STEPS:
            torch.save(dict(model=vae.state_dict(), optimizer=optimizer.state_dict(), ema=ema, step=step), state + ".new")
            os.replace(state + ".new", state)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1e9)
