"""Tokenizer and text encoder of the demo model: transformers' UMT5EncoderModel, its tensor names and arithmetic."""
import collections
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from transformer import attend

PAD, EOS = 0, 1
SPECIAL = ["<pad>", "</s>", "<s>", "<unk>"]
MAX_ROWS = 512  # what Wan's pipelines pad a prompt to


def make_tokenizer(captions, path):
    """A unigram model with byte fallback, in the file format of Hugging Face's tokenizers.  Its pieces are the words of the
    captions with their frequencies, and single characters, dearer than any word, for everything else."""
    words = collections.Counter("\u2581" + w.strip(".,") for c in captions for w in c.lower().split())
    total = words.total()
    pieces = [[w, math.log(n / total)] for w, n in words.most_common()]
    low = pieces[-1][1]
    characters = "\u2581" + "".join(chr(c) for c in range(33, 127) if not chr(c).isupper())
    vocab = [[s, 0.0] for s in SPECIAL] + [[f"<0x{b:02X}>", low - 10] for b in range(256)]
    vocab += pieces + [[c, low - 5] for c in characters]
    t = Tokenizer(models.Unigram([tuple(v) for v in vocab], unk_id=SPECIAL.index("<unk>"), byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" {2,}", " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    t.add_special_tokens(SPECIAL)
    t.save(path, pretty=False)
    return t


def batch_ids(tokenizer, captions, n_rows=None):
    """ids [N, rows] with padding, lengths [N]; rows as many as the longest needs, or n_rows."""
    ids = [e.ids[:n_rows] for e in tokenizer.encode_batch(captions)]
    lengths = torch.tensor([len(i) for i in ids])
    n_rows = n_rows or int(lengths.max())
    return torch.tensor([i + [PAD] * (n_rows - len(i)) for i in ids]), lengths


def buckets(n, n_buckets=32, max_distance=128):
    """T5's bucket of every (query, key) distance, [n, n]."""
    rel = torch.arange(n)[None, :] - torch.arange(n)[:, None]
    half, exact = n_buckets // 2, n_buckets // 4
    d = rel.abs()
    far = exact + (torch.log(d.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)).long()
    return (rel > 0).long() * half + torch.where(d < exact, d, far.clamp(max=half - 1))


class LayerNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-6)


class SelfAttention(nn.Module):
    def __init__(self, f):
        super().__init__()
        inner = f["num_heads"] * f["d_kv"]
        self.q, self.k, self.v = (nn.Linear(f["d_model"], inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, f["d_model"], bias=False)
        self.relative_attention_bias = nn.Embedding(f["relative_attention_num_buckets"], f["num_heads"])
        self.n_heads, self.d_kv = f["num_heads"], f["d_kv"]

    def forward(self, x, mask):
        q, k, v = (p(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v))
        bias = self.relative_attention_bias(buckets(x.shape[1])).permute(2, 0, 1)[None] + mask
        return self.o(attend(q, k, v, bias, scale=1.0).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.wi_0, self.wi_1 = (nn.Linear(f["d_model"], f["d_ff"], bias=False) for _ in range(2))
        self.wo = nn.Linear(f["d_ff"], f["d_model"], bias=False)

    def forward(self, x):
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class SubLayer(nn.Module):
    def __init__(self, name, module, dim):
        super().__init__()
        self.add_module(name, module)
        self.layer_norm = LayerNorm(dim)
        self.name = name

    def forward(self, x, *args):
        return x + getattr(self, self.name)(self.layer_norm(x), *args)


class Umt5(nn.Module):
    """config: text_encoder/config.json."""

    def __init__(self, config):
        super().__init__()
        f = self.config = config
        self.shared = nn.Embedding(f["vocab_size"], f["d_model"])
        self.encoder = nn.Module()
        self.encoder.block = nn.ModuleList()
        for _ in range(f["num_layers"]):
            block = nn.Module()
            block.layer = nn.ModuleList([SubLayer("SelfAttention", SelfAttention(f), f["d_model"]),
                                         SubLayer("DenseReluDense", FeedForward(f), f["d_model"])])
            self.encoder.block.append(block)
        self.encoder.final_layer_norm = LayerNorm(f["d_model"])

    def forward(self, ids, lengths):
        """Text states [N, rows, d_model], zero past each prompt's end."""
        inside = torch.arange(ids.shape[1])[None] < lengths[:, None]
        mask = torch.where(inside, 0.0, -1e9)[:, None, None]
        x = self.shared(ids)
        for block in self.encoder.block:
            x = block.layer[1](block.layer[0](x, mask))
        return self.encoder.final_layer_norm(x) * inside[..., None]


def context(states, lengths):
    """States and score bias of cross attention: one zero row stands for all the rows of padding."""
    n, rows, dim = states.shape
    states = torch.cat([states, states.new_zeros(n, 1, dim)], dim=1)
    at = torch.arange(rows + 1)[None]
    padding = torch.log((MAX_ROWS - lengths).float())[:, None]
    bias = torch.where(at < lengths[:, None], 0.0, torch.where(at == lengths[:, None], padding, -1e9))
    return states, bias[:, None, None]
