#!/usr/bin/env python3
"""A model folder of a published size with random weights in bf16, as large as the real one: random-model.py SIZE FIXTURE OUT

SIZE: wan-1.3b (14 GB with its text encoder), wan-14b (40 GB).  FIXTURE: tests/fixtures/wan21-t2v/model, whose layout, VAE
names and tokenizer it takes.  What memory limits, streaming and plans are measured with: `kinora bench` alone draws its
weights as it goes and reads no files.  Python 3 and nothing else.
"""
import json
import math
import os
import random
import shutil
import struct
import sys

# (heads, layers, ffn): config.json of Wan-AI's repositories
SIZES = {"wan-1.3b": (12, 30, 8960), "wan-14b": (40, 40, 13824)}
HEAD_DIM, TEXT_DIM, TEXT_FFN, TEXT_LAYERS, VOCABULARY, Z = 128, 4096, 10240, 24, 256384, 16
POOL = (1 << 20) + 7  # values; rows do not repeat in step with any size


def linear(name, n_out, n_in, bias=True):
    return [(f"{name}.weight", [n_out, n_in])] + ([(f"{name}.bias", [n_out])] if bias else [])


def transformer(heads, layers, ffn):
    dim = heads * HEAD_DIM
    t = [("patch_embedding.weight", [dim, Z, 1, 2, 2]), ("patch_embedding.bias", [dim]),
         ("scale_shift_table", [1, 2, dim])] + linear("proj_out", 4 * Z, dim)
    embedder = "condition_embedder."
    t += linear(embedder + "text_embedder.linear_1", dim, TEXT_DIM) + linear(embedder + "text_embedder.linear_2", dim, dim)
    t += linear(embedder + "time_embedder.linear_1", dim, 256) + linear(embedder + "time_embedder.linear_2", dim, dim)
    t += linear(embedder + "time_proj", 6 * dim, dim)
    for i in range(layers):
        b = f"blocks.{i}."
        for a in ("attn1.", "attn2."):
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                t += linear(b + a + part, dim, dim)
            t += [(b + a + "norm_q.weight", [dim]), (b + a + "norm_k.weight", [dim])]
        t += [(b + "norm2.weight", [dim]), (b + "norm2.bias", [dim]), (b + "scale_shift_table", [1, 6, dim])]
        t += linear(b + "ffn.net.0.proj", ffn, dim) + linear(b + "ffn.net.2", dim, ffn)
    config = dict(_class_name="WanTransformer3DModel", added_kv_proj_dim=None, attention_head_dim=HEAD_DIM,
                  cross_attn_norm=True, eps=1e-6, ffn_dim=ffn, freq_dim=256, image_dim=None, in_channels=Z,
                  num_attention_heads=heads, num_layers=layers, out_channels=Z, patch_size=[1, 2, 2],
                  pos_embed_seq_len=None, qk_norm="rms_norm_across_heads", rope_max_seq_len=1024, text_dim=TEXT_DIM)
    return t, config


def text_encoder(fixture):
    t = [("shared.weight", [VOCABULARY, TEXT_DIM]), ("encoder.final_layer_norm.weight", [TEXT_DIM])]
    for i in range(TEXT_LAYERS):
        a, f = f"encoder.block.{i}.layer.0.", f"encoder.block.{i}.layer.1."
        for part in "qkvo":
            t += linear(a + "SelfAttention." + part, TEXT_DIM, TEXT_DIM, False)
        t += [(a + "SelfAttention.relative_attention_bias.weight", [32, 64]), (a + "layer_norm.weight", [TEXT_DIM])]
        for part in ("wi_0", "wi_1"):
            t += linear(f + "DenseReluDense." + part, TEXT_FFN, TEXT_DIM, False)
        t += linear(f + "DenseReluDense.wo", TEXT_DIM, TEXT_FFN, False) + [(f + "layer_norm.weight", [TEXT_DIM])]
    config = json.load(open(f"{fixture}/text_encoder/config.json"))
    config.update(d_ff=TEXT_FFN, d_kv=64, d_model=TEXT_DIM, num_heads=64, num_layers=TEXT_LAYERS, vocab_size=VOCABULARY)
    return t, config


def vae(fixture):
    """The fixture's VAE, 3 -> 96 channels wide and 8 -> 16 latent channels deep."""
    with open(f"{fixture}/vae/diffusion_pytorch_model.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    t = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = list(entry["shape"])
        for i, n in enumerate(shape[:2]):
            is_rgb = (name == "encoder.conv_in.weight" and i == 1) or (name.startswith("decoder.conv_out.") and i == 0)
            if n % 8 == 0 and n <= 16:
                shape[i] = 2 * n
            elif n % 3 == 0 and not is_rgb:
                shape[i] = 32 * n
        t.append((name, shape))
    config = json.load(open(f"{fixture}/vae/config.json"))
    config.update(base_dim=96, z_dim=Z, latents_mean=[0.0] * Z, latents_std=[1.0] * Z)
    return t, config


def bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def make_pool(mean, std, cache={}):
    if (mean, std) not in cache:
        rng = random.Random(1)
        values = [bf16(mean + std * rng.gauss(0, 1)) for _ in range(1 << 16)]
        small = struct.pack(f"<{len(values)}H", *values)
        cache[mean, std] = (small * (POOL * 2 // len(small) + 2))[: POOL * 2]
    return cache[mean, std]


def kind(name, shape):
    """As kinora's own random weights: gains near one, matrices that keep the size of what they multiply."""
    if name.endswith(".gamma") or (name.endswith(".weight") and len(shape) == 1):
        return 1.0, 0.02
    if len(shape) > 1 and name.endswith(".weight") and name != "shared.weight":
        return 0.0, round(1 / math.sqrt(math.prod(shape[1:])), 6)
    return 0.0, 1.0 if name == "shared.weight" else 0.02


def write(path, tensors):
    header, at = {}, 0
    for name, shape in tensors:
        n = 2 * math.prod(shape)
        header[name] = dict(dtype="BF16", shape=shape, data_offsets=[at, at + n])
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)  # data begin at a multiple of 64
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            left, pool = 2 * math.prod(shape), make_pool(*kind(name, shape))
            while left:
                f.write(pool[:left])
                left -= min(left, len(pool))


def component(out, name, file, tensors, config):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    json.dump(config, open(f"{out}/{name}/config.json", "w"), indent=1)
    write(f"{out}/{name}/{file}.safetensors", tensors)


def main(size, fixture, out):
    for folder in ("tokenizer", "scheduler"):
        shutil.copytree(f"{fixture}/{folder}", f"{out}/{folder}", dirs_exist_ok=True)
    shutil.copy(f"{fixture}/model_index.json", out)
    component(out, "vae", "diffusion_pytorch_model", *vae(fixture))
    component(out, "transformer", "diffusion_pytorch_model", *transformer(*SIZES[size]))
    component(out, "text_encoder", "model", *text_encoder(fixture))


if __name__ == "__main__":
    main(*sys.argv[1:4])
