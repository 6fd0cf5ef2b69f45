"""Trains the transformer, and the text encoder with it, on cached latents: train_transformer.py WORK_DIR SCENES.jsonl...

Beside every NAME.jsonl lie its latents, NAME.latents.0 and so on. Flow matching: x = (1 - sigma) latents + sigma noise, the
model predicts noise - latents. One caption in ten is dropped for guidance; an eighth of the clips keep a clean first latent frame
at timestep 0, which is image-to-video and learned far sooner than what a sentence says of two objects. Resumes where
WORK_DIR/transformer.pt stopped, which is written every 200 steps.
"""
import copy
import glob
import json
import os
import shutil
import sys
import time

import numpy as np
import torch
from tokenizers import Tokenizer

from binding import NONE, WordHeads, word_labels
from muon import Muon
from text import Umt5, batch_ids, context
from transformer import WanTransformer

STEPS, BATCH, PEAK_LR, SHIFT, DROP = 52000, 32, 2e-3, 2.5, 0.1
BINDING = 0.02  # weight of what every word is asked about its object
IMAGES = 4  # clips of a batch with a given first frame
ONE_OBJECT, HARD = 2, 1  # how often a clip of one object is drawn, to one of two objects; how much oftener a small or thin one
THIN = {3, 4, 6}  # star, ring, cross
KEEP_EVERY, KEEP_LAST = 1000, 3000  # steps of the end whose weights are kept: export.py takes the mean
LATENTS, TEXT_ROWS = (16, 5, 12, 12), 32
CONFIG = dict(num_attention_heads=6, attention_head_dim=32, in_channels=16, out_channels=16, text_dim=128, freq_dim=128,
              ffn_dim=640, num_layers=6, cross_attn_norm=True, eps=1e-6, image_dim=None, added_kv_proj_dim=None,
              patch_size=[1, 2, 2], pos_embed_seq_len=None, qk_norm="rms_norm_across_heads", rope_max_seq_len=1024)


def learning_rate(step, steps):
    """Warm-up, then flat, then linearly to nothing over the last quarter."""
    return PEAK_LR * min((step + 1) / 200, 1.0, max(0.0, (steps - step) / (0.25 * steps)))


def is_matrix(name, p):
    return p.dim() == 2 and ("blocks." in name or "encoder.block" in name) and "bias" not in name


def initialise(dit):
    """Residual branches and the output begin at nothing."""
    with torch.no_grad():
        for name, p in dit.named_parameters():
            if p.dim() == 2:
                torch.nn.init.xavier_uniform_(p)
            elif name.endswith("bias"):
                p.zero_()
        for p in (dit.proj_out.weight, dit.condition_embedder.time_proj.weight):
            p.zero_()
        for block in dit.blocks:
            block.scale_shift_table.zero_()
            block.scale_shift_table[:, 2] = block.scale_shift_table[:, 5] = 0.3  # gates
            block.attn2.to_out[0].weight.mul_(0.3)


def read_clips(path):
    """Latents f32 [n, z, t, h, w] and scenes of the clips that were encoded."""
    parts = sorted(glob.glob(path.removesuffix(".jsonl") + ".latents.[0-9]*"))
    z = torch.from_numpy(np.concatenate([np.fromfile(p, np.float16) for p in parts])).view(-1, *LATENTS).float()
    return z, [json.loads(line) for line in open(path)][:len(z)]


def times_drawn(objects):
    if len(objects) > 1:
        return 1
    return ONE_OBJECT + HARD * (objects[0]["size"] == 0 or objects[0]["shape"] in THIN)


class Data:
    """Clips of several files; the first file's latents say what is normal."""

    def __init__(self, paths, tokenizer):
        latents, scenes = zip(*map(read_clips, paths))
        self.mean, self.std = latents[0].mean(dim=(0, 2, 3, 4)), latents[0].std(dim=(0, 2, 3, 4))
        shape = (1, -1, 1, 1, 1)
        self.latents = torch.cat([((z - self.mean.view(shape)) / self.std.view(shape)).bfloat16() for z in latents])
        scenes = [s for of_file in scenes for s in of_file]
        self.captions = [s["caption"] for s in scenes]
        self.rows = np.repeat(np.arange(len(scenes)), [times_drawn(s["objects"]) for s in scenes])
        self.tokenizer = tokenizer
        self.labels = word_labels(tokenizer, scenes, TEXT_ROWS)

    def batch(self, step):
        rng = np.random.default_rng([11, step])
        rows = self.rows[rng.integers(len(self.rows), size=BATCH)]
        dropped = rng.random(BATCH) < DROP
        captions = ["" if d else self.captions[i] for i, d in zip(rows, dropped)]
        u = (np.arange(BATCH) + rng.random(BATCH)) / BATCH  # stratified
        sigma = SHIFT * u / (1 + (SHIFT - 1) * u)
        middle = rng.random(BATCH) < 0.7  # where what the caption says is decided
        sigma = np.where(middle, 1 / (1 + np.exp(-rng.normal(1.4, 1.0, BATCH))), sigma)
        image = rng.permutation(BATCH) < IMAGES
        ids, lengths = batch_ids(self.tokenizer, captions, TEXT_ROWS)
        labels = self.labels[torch.from_numpy(rows)].clone()
        labels[torch.from_numpy(dropped)] = NONE
        return (self.latents[torch.from_numpy(rows)].float(), ids, lengths, labels,
                torch.from_numpy(sigma).float(), torch.from_numpy(image))


def losses(dit, text, heads, latents, ids, lengths, labels, sigma, image, part):
    """Of flow matching, the share of the batch's mean loss that its rows in the slice `part` have; and of what words say."""
    per_frame = sigma[:, None].repeat(1, LATENTS[1])
    per_frame[image, 0] = 0
    n_wanted = (per_frame > 0).sum() * LATENTS[0] * LATENTS[2] * LATENTS[3]
    share = len(latents[part]) / len(latents)
    latents, ids, lengths, labels, per_frame = (x[part] for x in (latents, ids, lengths, labels, per_frame))
    noise = torch.randn_like(latents)
    s = per_frame[:, None, :, None, None]
    x = (1 - s) * latents + s * noise
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = text(ids, lengths)
    asked = share * heads.loss(states.float(), labels)
    states, bias = context(states, lengths)
    v = dit(x.bfloat16(), 1000 * per_frame, states.bfloat16(), bias).float()
    return (((v - (noise - latents)) ** 2) * (s > 0)).sum() / n_wanted, asked


class Worker:
    """One of several processes of one thread: each computes the gradients of its rows of the batch and steps its share of the
    parameters, which, like the gradients and the optimizer's state, lie in memory that all of them see."""

    def __init__(self, rank, barrier, gradients, both, optimizer, ema):
        self.rank, self.barrier, self.gradients, self.optimizer = rank, barrier, gradients, optimizer
        self.both, self.ema = both, ema
        self.dit, self.text, self.heads = both["dit"], both["text"], both["heads"]
        self.half = copy.deepcopy(self.dit).bfloat16()  # computes; the float32 weights are what is trained
        self.compute = torch.compile(self.half, dynamic=False) if os.environ.get("COMPILE") else self.half
        self.names, self.params = zip(*both.named_parameters())
        order = sorted(range(len(self.params)), key=lambda i: tuple(self.params[i].shape))
        self.mine = order[rank::len(gradients)]

    def step(self, batch, step, steps):
        """Returns this worker's share of both losses."""
        workers = len(self.gradients)
        torch.manual_seed(1000003 + step * workers + self.rank)
        with torch.no_grad():
            torch._foreach_copy_(list(self.half.parameters()), list(self.dit.parameters()))
        self.half.zero_grad(set_to_none=True), self.both.zero_grad(set_to_none=True)
        loss, asked = losses(self.compute, self.text, self.heads, *batch, slice(self.rank, None, workers))
        (loss + BINDING * asked).backward()
        with torch.no_grad():
            grads = [p.grad for p in (*self.half.parameters(), *self.text.parameters(), *self.heads.parameters())]
            torch.cat([g.flatten().float() for g in grads], out=self.gradients[self.rank])
            self.barrier.wait()
            self.update(sum(self.gradients), step, steps)
        self.barrier.wait()
        return np.array([loss.item(), asked.item()])

    def update(self, gradient, step, steps):
        gradient *= min(1.0, 1.0 / (gradient.norm().item() + 1e-6))
        pieces = gradient.split([p.numel() for p in self.params])
        for p in self.params:
            p.grad = None
        for i in self.mine:
            self.params[i].grad = pieces[i].view_as(self.params[i])
        for g in self.optimizer.param_groups:
            g["lr"] = learning_rate(step, steps) * (1 if g["muon"] else 0.5)
        self.optimizer.step()
        for p in self.params:
            p.grad = None
        torch._foreach_lerp_([self.ema[self.names[i]] for i in self.mine], [self.params[i] for i in self.mine],
                             1 - min(0.998, (step + 1) / (step + 11)))


def run(worker, data, state, step, steps):
    begin, mean = time.time(), None
    while step < steps:
        loss = worker.step(data.batch(step), step, steps) * len(worker.gradients)
        step += 1
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if worker.rank == 0 and step % 20 == 0:
            print(f"step {step} loss {mean[0]:.4f} words {mean[1]:.3f} {(time.time() - begin) / 60:.1f} min", flush=True)
        if worker.rank == 0 and (step % 200 == 0 or step == steps):
            save(worker, data, state, step)
        if worker.rank == 0 and step % KEEP_EVERY == 0 and steps - KEEP_LAST <= step < steps:
            shutil.copy(state, state.replace(".pt", f"-{step}.pt"))


def save(worker, data, state, step):
    torch.save(dict(model=worker.both.state_dict(), optimizer=worker.optimizer.state_dict(), ema=worker.ema,
                    step=step, config=CONFIG, latents_mean=data.mean.tolist(), latents_std=data.std.tolist(),
                    text_config=worker.text.config),
               state + ".new")
    os.replace(state + ".new", state)


def main(work, scenes):
    torch.set_num_threads(1)
    torch.manual_seed(3)
    s = torch.load(f"{work}/text.pt")
    text, dit = Umt5(s["config"]), WanTransformer(CONFIG)
    text.load_state_dict(s["model"])
    initialise(dit)
    if os.path.exists(f"{work}/transformer-first.pt"):
        dit.load_state_dict(torch.load(f"{work}/transformer-first.pt"))
    heads = WordHeads(text.config["d_model"])
    if "heads" in s:
        heads.load_state_dict(s["heads"])
    both = torch.nn.ModuleDict(dict(dit=dit, text=text, heads=heads))
    optimizer = Muon(both.named_parameters(), is_matrix, weight_decay=0.01)
    ema = {k: v.clone() for k, v in both.state_dict().items()}
    step, state = 0, f"{work}/transformer.pt"
    if os.path.exists(state):
        s = torch.load(state)
        both.load_state_dict(s["model"]), optimizer.load_state_dict(s["optimizer"])
        ema, step = s["ema"], s["step"]
    data = Data(scenes, Tokenizer.from_file(f"{work}/tokenizer.json"))
    for tensor in ema.values():
        tensor.share_memory_()
    both.share_memory(), optimizer.share_memory()
    workers = int(os.environ.get("WORKERS", os.cpu_count()))
    gradients = [torch.zeros(sum(p.numel() for p in both.parameters())).share_memory_() for _ in range(workers)]
    fork = torch.multiprocessing.get_context("fork")
    barrier = fork.Barrier(workers, timeout=600)
    torch.multiprocessing.start_processes(
        lambda rank: run(Worker(rank, barrier, gradients, both, optimizer, ema), data, state, step,
                         int(os.environ.get("STEPS", STEPS))), nprocs=workers, start_method="fork")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
