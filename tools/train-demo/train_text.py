"""Trains tokenizer and text encoder on sentences alone: train_text.py SCENES.jsonl WORK_DIR

The encoder learns to say what is in the scene of a sentence, through heads that are thrown away; the transformer's training
goes on from there. WORK_DIR gets tokenizer.json and text.pt.
"""
import json
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from text import Umt5, batch_ids, make_tokenizer

STEPS, BATCH, PEAK_LR = 600, 128, 3e-3
CONFIG = dict(architectures=["UMT5EncoderModel"], model_type="umt5", d_model=128, d_kv=32, num_heads=4, d_ff=256,
              num_layers=2, num_decoder_layers=2, vocab_size=0, dense_act_fn="gelu_new", feed_forward_proj="gated-gelu",
              is_gated_act=True, is_encoder_decoder=True, layer_norm_epsilon=1e-6, relative_attention_num_buckets=32,
              relative_attention_max_distance=128, dropout_rate=0.0, initializer_factor=1.0, pad_token_id=0,
              eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False, use_cache=False, dtype="bfloat16")
ATTRIBUTES = dict(shape=7, colour=9, motion=15, size=3, speed=3)
BACKGROUNDS = ["plain", "gradient", "checker", "sky"]


class Heads(nn.Module):
    """One query an attribute and object, and one for the background, attend to the text states."""

    def __init__(self, dim):
        super().__init__()
        self.names = [(i, a) for i in range(2) for a in ATTRIBUTES]
        sizes = [ATTRIBUTES[a] for _, a in self.names] + [len(BACKGROUNDS)]
        self.queries = nn.Parameter(torch.randn(len(sizes), dim) / dim ** 0.5)
        self.out = nn.ModuleList(nn.Linear(dim, n) for n in sizes)

    def forward(self, states, lengths):
        outside = torch.arange(states.shape[1])[None] >= lengths[:, None]
        scores = (self.queries @ states.transpose(1, 2)).masked_fill(outside[:, None], -1e9)
        pooled = scores.softmax(dim=-1) @ states
        return [head(pooled[:, i]) for i, head in enumerate(self.out)]


def labels(scenes):
    """One column a head; -100 where there is no second object."""
    rows = []
    for s in scenes:
        o = s["objects"]
        rows.append([o[i][a] if i < len(o) else -100 for i in range(2) for a in ATTRIBUTES]
                    + [BACKGROUNDS.index(s["background"])])
    return torch.tensor(rows)


def main(path, work):
    torch.set_num_threads(2)
    torch.manual_seed(2)
    scenes = [json.loads(line) for line in open(path)]
    captions = [s["caption"] for s in scenes]
    tokenizer = make_tokenizer(captions, f"{work}/tokenizer.json")
    config = dict(CONFIG, vocab_size=tokenizer.get_vocab_size())
    model, heads = Umt5(config), Heads(config["d_model"])
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.mul_(0).add_(torch.randn_like(p) * (1.0 if "shared" in name else 0.1 if "bias" in name else p.shape[1] ** -0.5))
            if name.endswith("SelfAttention.q.weight"):
                p.mul_(config["d_kv"] ** -0.5)  # no 1/sqrt(d) in T5
    params = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(params, lr=PEAK_LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, STEPS)
    n_train = len(scenes) * 19 // 20
    target = labels(scenes)
    all_ids, all_lengths = batch_ids(tokenizer, captions)
    for step in range(STEPS):
        rows = torch.randint(n_train, (BATCH,))
        ids, lengths = all_ids[rows], all_lengths[rows]
        logits = heads(model(ids, lengths), lengths)
        loss = sum(F.cross_entropy(l, target[rows, k]) for k, l in enumerate(logits))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        ids, lengths = all_ids[n_train:], all_lengths[n_train:]
        logits = heads(model(ids, lengths), lengths)
    names = [f"{a}{i + 1}" for i, a in heads.names] + ["background"]
    for k, (name, l) in enumerate(zip(names, logits)):
        there = target[n_train:, k] >= 0
        print(f"{name}: {(l.argmax(1) == target[n_train:, k])[there].float().mean():.3f}")
    print(f"{config['vocab_size']} pieces, longest sentence {int(lengths.max())} of them")
    torch.save(dict(config=config, model=model.state_dict()), f"{work}/text.pt")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
