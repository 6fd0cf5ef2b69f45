"""Compares the training modules with the reference values of a fixture: check.py FIXTURE_DIR (wan22-ti2v-5b)."""
import json
import sys

import torch
from safetensors.torch import load_file

from text import Umt5
from transformer import WanTransformer
from vae import WanVae


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


def main(root):
    golden = load_file(f"{root}/golden.safetensors")

    def load(cls, part):
        folder = f"{root}/model/{part}"
        module = cls(json.load(open(f"{folder}/config.json")))
        module.load_state_dict(load_file(f"{folder}/diffusion_pytorch_model.safetensors"))
        return module

    text = Umt5(json.load(open(f"{root}/model/text_encoder/config.json")))
    text.load_state_dict(load_file(f"{root}/model/text_encoder/model.safetensors"), strict=False)
    worst = 0.0
    with torch.no_grad():
        vae, dit = load(WanVae, "vae"), load(WanTransformer, "transformer")
        for name in ("dec", "dec1", "dec2"):
            worst = max(worst, distance(vae.decode(golden[f"vae.{name}.in"]).clamp(-1, 1), golden[f"vae.{name}.out"]))
        for name in ("enc", "enc1"):
            worst = max(worst, distance(vae.encode(golden[f"vae.{name}.in"])[0], golden[f"vae.{name}.out"]))
        out = dit(golden["dit.in.latents"], golden["dit.in.timestep"], golden["dit.in.context"], None)
        worst = max(worst, distance(out, golden["dit.out"]))
        ids, n = golden["text.ids"].long(), golden["text.mask"].sum(dim=1)
        worst = max(worst, distance(text(ids, n)[:, :n.max()], golden["text.out"][:, :n.max()]))
    print(f"worst relative L2 distance {worst:.1e} (expected below 1e-4)")
    return worst > 1e-4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
