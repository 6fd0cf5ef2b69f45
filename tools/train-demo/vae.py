"""The Wan 2.2 VAE for training: the tensor names and the arithmetic of diffusers' AutoencoderKLWan, on whole clips.

diffusers and Kinora stream a clip in chunks with caches; causal convolutions over the whole clip give the same numbers
(check.py compares with a fixture). Clips are [N, 3, 1 + 4k, H, W] in -1..1, latents [N, z, 1 + k, H/s, W/s].
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from transformer import attend


class RmsNorm(nn.Module):
    def __init__(self, channels, n_dims):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * n_dims))
        self.scale = channels ** 0.5

    def forward(self, x):
        return x * torch.rsqrt((x * x).sum(dim=1, keepdim=True) + 1e-24) * (self.scale * self.gamma).to(x.dtype)


class CausalConv(nn.Conv3d):
    """Sees the present and past frames only."""

    def forward(self, x):
        kt, kh, kw = self.kernel_size
        if kt > 1 or kh > 1:
            x = F.pad(x, (kw // 2, kw // 2, kh // 2, kh // 2, kt - 1, 0))
        return super().forward(x)


class ResBlock(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm1 = RmsNorm(n_in, 3)
        self.conv1 = CausalConv(n_in, n_out, 3)
        self.norm2 = RmsNorm(n_out, 3)
        self.conv2 = CausalConv(n_out, n_out, 3)
        self.conv_shortcut = CausalConv(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(h))) + self.conv_shortcut(x)


class Attention(nn.Module):
    """One head over the pixels of each frame."""

    def __init__(self, channels):
        super().__init__()
        self.norm = RmsNorm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        n, c, t, h, w = x.shape
        y = x.transpose(1, 2).reshape(n * t, c, h, w)
        q, k, v = self.to_qkv(self.norm(y)).reshape(n * t, 1, 3 * c, h * w).transpose(2, 3).chunk(3, dim=-1)
        y = attend(q, k, v, None).transpose(2, 3).reshape(n * t, c, h, w)
        return x + self.proj(y).reshape(n, t, c, h, w).transpose(1, 2)


class MidBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.resnets = nn.ModuleList([ResBlock(channels, channels), ResBlock(channels, channels)])
        self.attentions = nn.ModuleList([Attention(channels)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


def per_frame(module, x):
    n, c, t, h, w = x.shape
    y = module(x.transpose(1, 2).reshape(n * t, c, h, w))
    return y.reshape(n, t, *y.shape[1:]).transpose(1, 2)


class Downsampler(nn.Module):
    def __init__(self, channels, in_time):
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        if in_time:
            self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1))
        self.in_time = in_time

    def forward(self, x):
        x = per_frame(self.resample, x)
        if self.in_time and x.shape[2] > 1:
            x = torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
        return x


class Upsampler(nn.Module):
    def __init__(self, channels, in_time):
        super().__init__()
        self.resample = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, channels, 3, padding=1))
        if in_time:
            self.time_conv = CausalConv(channels, 2 * channels, (3, 1, 1))
        self.in_time = in_time

    def forward(self, x):
        if self.in_time and x.shape[2] > 1:
            n, c, t, h, w = x.shape
            y = self.time_conv(x[:, :, 1:]).reshape(n, 2, c, t - 1, h, w)
            y = y.permute(0, 2, 3, 1, 4, 5).reshape(n, c, 2 * (t - 1), h, w)
            x = torch.cat([x[:, :, :1], y], dim=2)
        return per_frame(self.resample, x)


def average_down(x, n_out, ft, fs):
    """Shortcut around a stage of the encoder: new channels are means over frames, pixels and channels."""
    x = F.pad(x, (0, 0, 0, 0, -x.shape[2] % ft, 0))
    n, c, t, h, w = x.shape
    x = x.reshape(n, c, t // ft, ft, h // fs, fs, w // fs, fs).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return x.reshape(n, n_out, -1, t // ft, h // fs, w // fs).mean(dim=2)


def duplicate_up(x, n_out, ft, fs):
    """Shortcut around a stage of the decoder: channels are dealt out over new frames and pixels."""
    n, c, t, h, w = x.shape
    x = x.repeat_interleave(n_out * ft * fs * fs // c, dim=1).reshape(n, n_out, ft, fs, fs, t, h, w)
    x = x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, n_out, t * ft, h * fs, w * fs)
    return x[:, :, ft - 1:]


class DownBlock(nn.Module):
    def __init__(self, n_in, n_out, n_res, last, in_time):
        super().__init__()
        self.resnets = nn.ModuleList([ResBlock(n_in if i == 0 else n_out, n_out) for i in range(n_res)])
        self.downsampler = None if last else Downsampler(n_out, in_time)
        self.shortcut = (n_out, 2 if in_time else 1, 1 if last else 2)

    def forward(self, x):
        h = x
        for block in self.resnets:
            h = block(h)
        if self.downsampler is not None:
            h = self.downsampler(h)
        return h + average_down(x, *self.shortcut)


class UpBlock(nn.Module):
    def __init__(self, n_in, n_out, n_res, last, in_time):
        super().__init__()
        self.resnets = nn.ModuleList([ResBlock(n_in if i == 0 else n_out, n_out) for i in range(n_res + 1)])
        self.upsampler = None if last else Upsampler(n_out, in_time)
        self.shortcut = None if last else (n_out, 2 if in_time else 1, 2)

    def forward(self, x):
        h = x
        for block in self.resnets:
            h = block(h)
        if self.upsampler is not None:
            h = self.upsampler(h) + duplicate_up(x, *self.shortcut)
        return h


class Encoder(nn.Module):
    def __init__(self, f):
        super().__init__()
        mult, n = f["dim_mult"], len(f["dim_mult"])
        dims = [f["base_dim"] * m for m in [1] + mult]
        self.conv_in = CausalConv(f["in_channels"], dims[0], 3)
        self.down_blocks = nn.ModuleList(
            DownBlock(dims[i], dims[i + 1], f["num_res_blocks"], i == n - 1, i < n - 1 and f["temperal_downsample"][i])
            for i in range(n))
        self.mid_block = MidBlock(dims[-1])
        self.norm_out = RmsNorm(dims[-1], 3)
        self.conv_out = CausalConv(dims[-1], 2 * f["z_dim"], 3)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, f):
        super().__init__()
        mult, n = f["dim_mult"], len(f["dim_mult"])
        dims = [f["decoder_base_dim"] * m for m in [mult[-1]] + mult[::-1]]
        in_time = f["temperal_downsample"][::-1]
        self.conv_in = CausalConv(f["z_dim"], dims[0], 3)
        self.mid_block = MidBlock(dims[0])
        self.up_blocks = nn.ModuleList(
            UpBlock(dims[i], dims[i + 1], f["num_res_blocks"], i == n - 1, i < n - 1 and in_time[i]) for i in range(n))
        self.norm_out = RmsNorm(dims[-1], 3)
        self.conv_out = CausalConv(dims[-1], f["out_channels"], 3)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class WanVae(nn.Module):
    """config: vae/config.json."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.patch = config["patch_size"]
        self.encoder = Encoder(config)
        self.quant_conv = CausalConv(2 * config["z_dim"], 2 * config["z_dim"], 1)
        self.post_quant_conv = CausalConv(config["z_dim"], config["z_dim"], 1)
        self.decoder = Decoder(config)

    def encode(self, clip):
        """Returns mean and log variance, not normalised."""
        p = self.patch
        n, c, t, h, w = clip.shape
        x = clip.reshape(n, c, t, h // p, p, w // p, p).permute(0, 1, 6, 4, 2, 3, 5)  # channel, x in patch, y in patch
        return self.quant_conv(self.encoder(x.reshape(n, c * p * p, t, h // p, w // p))).chunk(2, dim=1)

    def decode(self, z):
        p = self.patch
        x = self.decoder(self.post_quant_conv(z))
        n, c, t, h, w = x.shape
        x = x.reshape(n, c // (p * p), p, p, t, h, w).permute(0, 1, 4, 5, 3, 6, 2)
        return x.reshape(n, c // (p * p), t, h * p, w * p)
