"""Trains tokenizer and text encoder on sentences alone: train_text.py WORK_DIR SCENES.jsonl...

The encoder learns to say at every word what the object is that the word speaks of, and at the end what is behind it, through heads
that are thrown away after the transformer's training, which goes on from there. WORK_DIR gets tokenizer.json and text.pt.
"""
import json
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from binding import WordHeads, word_labels
from text import Umt5, batch_ids, make_tokenizer

STEPS, BATCH, PEAK_LR = 2000, 64, 2e-3
CONFIG = dict(architectures=["UMT5EncoderModel"], model_type="umt5", d_model=128, d_kv=32, num_heads=4, d_ff=256,
              num_layers=2, num_decoder_layers=2, vocab_size=0, dense_act_fn="gelu_new", feed_forward_proj="gated-gelu",
              is_gated_act=True, is_encoder_decoder=True, layer_norm_epsilon=1e-6, relative_attention_num_buckets=32,
              relative_attention_max_distance=128, dropout_rate=0.0, initializer_factor=1.0, pad_token_id=0,
              eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False, use_cache=False, dtype="bfloat16")
BACKGROUNDS = ["plain", "gradient", "checker", "sky"]


def main(work, paths):
    torch.set_num_threads(1)
    torch.manual_seed(2)
    scenes = [json.loads(line) for path in paths for line in open(path)]
    captions = [s["caption"] for s in scenes]
    tokenizer = make_tokenizer(captions, f"{work}/tokenizer.json")
    config = dict(CONFIG, vocab_size=tokenizer.get_vocab_size())
    model, heads, behind = Umt5(config), WordHeads(config["d_model"]), nn.Linear(config["d_model"], len(BACKGROUNDS))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.mul_(0).add_(torch.randn_like(p) * (1.0 if "shared" in name else 0.1 if "bias" in name else p.shape[1] ** -0.5))
            if name.endswith("SelfAttention.q.weight"):
                p.mul_(config["d_kv"] ** -0.5)  # no 1/sqrt(d) in T5
    params = [*model.parameters(), *heads.parameters(), *behind.parameters()]
    optimizer = torch.optim.AdamW(params, lr=PEAK_LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, STEPS)
    ids, lengths = batch_ids(tokenizer, captions)
    words = word_labels(tokenizer, scenes, ids.shape[1])
    background = torch.tensor([BACKGROUNDS.index(s["background"]) for s in scenes])
    order = torch.randperm(len(scenes))
    test, train = order[:1000], order[1000:]

    def states_of(rows):
        states = model(ids[rows], lengths[rows])
        return states, behind(states[torch.arange(len(rows)), lengths[rows] - 1])

    for step in range(STEPS):
        rows = train[torch.randint(len(train), (BATCH,))]
        states, where = states_of(rows)
        loss = heads.loss(states, words[rows]) + F.cross_entropy(where, background[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        states, where = states_of(test)
    for name, right in heads.accuracy(states, words[test]).items():
        print(f"{name}: {right:.3f}")
    print(f"background: {(where.argmax(1) == background[test]).float().mean():.3f}")
    print(f"{config['vocab_size']} pieces, longest sentence {int(lengths.max())} of them")
    torch.save(dict(config=config, model=model.state_dict(), heads=heads.state_dict()), f"{work}/text.pt")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
