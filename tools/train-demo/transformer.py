"""The Wan transformer for training: the tensor names and the arithmetic of diffusers' WanTransformer3DModel.

Padding: Wan attends to 512 text rows, of which all past the end of the prompt are zero and therefore equal. One of them with
its score raised by the logarithm of their number gives the same attention, so a batch carries a few rows only.
"""
import functools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def norm(x, shift, scale, eps):
    return F.layer_norm(x, (x.shape[-1],), eps=eps) * (1 + scale) + shift


class RmsNorm(nn.RMSNorm):
    """torch fuses it only where weights and states have one type."""

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, dim, n_heads, eps):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.norm_q, self.norm_k = RmsNorm(dim, eps), RmsNorm(dim, eps)
        self.n_heads = n_heads

    def heads(self, x):
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x, context, rope=None, bias=None):
        q, k, v = self.norm_q(self.to_q(x)), self.norm_k(self.to_k(context)), self.to_v(context)
        q, k, v = self.heads(q), self.heads(k), self.heads(v)
        if rope is not None:
            q, k = turn(q, *rope), turn(k, *rope)
        return self.to_out[0](attend(q, k, v, bias).transpose(1, 2).flatten(2))


def attend(q, k, v, bias, scale=None):
    """Plain matrix products: on a CPU without MKL torch's fused attention is ten times slower."""
    scores = (q * (scale or q.shape[-1] ** -0.5)) @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    return scores.softmax(dim=-1).to(v.dtype) @ v


def turn(x, cos, sin, swap):
    """Rotary embedding on pairs of neighbours: x @ swap is (-b, a) for every pair (a, b)."""
    return x * cos.to(x.dtype) + (x @ swap.to(x.dtype)) * sin.to(x.dtype)


@functools.cache
def rope_tables(grid, head_dim):
    """cos, sin [t * h * w, head_dim], each value twice, and the matrix that swaps pairs: time, then height, then width."""
    side = 2 * (head_dim // 6)
    dims = [head_dim - 2 * side, side, side]
    angles = []
    for axis, d in enumerate(dims):
        freq = 1.0 / 10000 ** (torch.arange(0, d, 2, dtype=torch.float64) / d)
        a = torch.outer(torch.arange(grid[axis], dtype=torch.float64), freq)
        shape = [1, 1, 1, len(freq)]
        shape[axis] = grid[axis]
        angles.append(a.reshape(shape).expand(*grid, len(freq)))
    a = torch.cat(angles, dim=-1).reshape(-1, head_dim // 2)
    swap = torch.block_diag(*[torch.tensor([[0.0, 1.0], [-1.0, 0.0]])] * (head_dim // 2))
    a = a.repeat_interleave(2, dim=-1)
    return a.cos().float(), a.sin().float(), swap


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        first = nn.Module()
        first.proj = nn.Linear(dim, hidden)
        self.net = nn.ModuleList([first, nn.Identity(), nn.Linear(hidden, dim)])

    def forward(self, x):
        return self.net[2](F.gelu(self.net[0].proj(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, dim, hidden, n_heads, eps):
        super().__init__()
        self.attn1, self.attn2 = Attention(dim, n_heads, eps), Attention(dim, n_heads, eps)
        self.norm2 = nn.LayerNorm(dim, eps)
        self.ffn = FeedForward(dim, hidden)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 6, dim) / dim ** 0.5)
        self.eps = eps

    def forward(self, x, context, mods, rope, bias):
        """mods [N, groups, 6, dim]: the tokens are as many consecutive groups, each of one timestep"""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.scale_shift_table + mods)[:, :, None].unbind(3)
        groups = (mods.shape[1], -1)
        h = norm(x.unflatten(1, groups), shift, scale, self.eps).flatten(1, 2)
        x = x + (self.attn1(h, h, rope).unflatten(1, groups) * gate).flatten(1, 2)
        x = x + self.attn2(self.norm2(x), context, bias=bias)
        h = norm(x.unflatten(1, groups), ffn_shift, ffn_scale, self.eps)
        return x + (self.ffn(h) * ffn_gate).flatten(1, 2)


class ConditionEmbedder(nn.Module):
    def __init__(self, dim, freq_dim, text_dim):
        super().__init__()
        self.time_embedder, self.text_embedder = nn.Module(), nn.Module()
        self.time_embedder.linear_1, self.time_embedder.linear_2 = nn.Linear(freq_dim, dim), nn.Linear(dim, dim)
        self.text_embedder.linear_1, self.text_embedder.linear_2 = nn.Linear(text_dim, dim), nn.Linear(dim, dim)
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.freq_dim = freq_dim

    def time(self, t):
        half = self.freq_dim // 2
        freq = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
        a = t[..., None].float() * freq
        e = torch.cat([a.cos(), a.sin()], dim=-1).to(self.time_proj.weight.dtype)
        temb = self.time_embedder.linear_2(F.silu(self.time_embedder.linear_1(e)))
        return temb, self.time_proj(F.silu(temb)).unflatten(-1, (6, -1))

    def text(self, rows):
        return self.text_embedder.linear_2(F.gelu(self.text_embedder.linear_1(rows), approximate="tanh"))


class WanTransformer(nn.Module):
    """config: transformer/config.json."""

    def __init__(self, config):
        super().__init__()
        f = self.config = config
        dim = f["num_attention_heads"] * f["attention_head_dim"]
        self.patch_embedding = nn.Conv3d(f["in_channels"], dim, f["patch_size"], stride=f["patch_size"])
        self.condition_embedder = ConditionEmbedder(dim, f["freq_dim"], f["text_dim"])
        self.blocks = nn.ModuleList(
            Block(dim, f["ffn_dim"], f["num_attention_heads"], f["eps"]) for _ in range(f["num_layers"]))
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, dim) / dim ** 0.5)
        n_out = f["out_channels"] * math.prod(f["patch_size"])
        self.proj_out = nn.Linear(dim, n_out)

    def forward(self, latents, timesteps, text, bias):
        """latents [N, C, t, h, w]; timesteps [N, groups] in 0..1000, groups 1, frames or tokens; text [N, rows, text_dim];
        bias [N, 1, 1, rows], added to the scores of cross attention (None: zeros)."""
        f = self.config
        x = self.patch_embedding(latents)
        n, dim, *grid = x.shape
        rope = rope_tables(tuple(grid), f["attention_head_dim"])
        x = x.flatten(2).transpose(1, 2)
        temb, mods = self.condition_embedder.time(timesteps)
        context = self.condition_embedder.text(text)
        for block in self.blocks:
            x = block(x, context, mods, rope, bias)
        shift, scale = (self.scale_shift_table[None] + temb[:, :, None])[:, :, None].unbind(3)
        x = self.proj_out(norm(x.unflatten(1, (temb.shape[1], -1)), shift, scale, f["eps"]).flatten(1, 2))
        p = f["patch_size"]
        x = x.reshape(n, *grid, *p, f["out_channels"]).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return x.reshape(n, f["out_channels"], *(g * k for g, k in zip(grid, p)))
