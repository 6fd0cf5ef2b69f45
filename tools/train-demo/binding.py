"""Which words of a caption speak of which object, and heads that ask every word what its object is.

Flow matching alone never teaches the text encoder which colour and motion belong to which shape: in a batch of clips of two
objects a bag of words lowers the loss nearly as much. Asked for it, the encoder says it at every word, and cross attention can
find the shape by the colour it already sees.
"""
import re

import torch
import torch.nn as nn
import torch.nn.functional as F

ATTRIBUTES = dict(shape=7, colour=9, motion=15, size=3, speed=3)
NONE = -100  # what cross entropy passes over
COLOUR = re.compile(r"\b(red|orange|yellow|green|cyan|turquoise|blue|purple|violet|pink|white)\b")
WHERE = re.compile(r"on a plain background|against a plain backdrop|on a gradient background|on a gradient|"
                   r"against a smooth gradient|on a checkerboard|on a checkered background|over a checkered floor|"
                   r"in a field under the sky|under the sky|with sky and ground behind|over green ground")
JOIN = re.compile(r" and | while |, ")


def spans(caption, n_objects):
    """(begin, end) of what a caption of the grammar of tests/world/caption.c says of each object."""
    c = caption.lower()
    begin, end, where = 0, len(c), WHERE.search(c)
    if where and where.start() == 0:
        begin = where.end() + len(", ")
    elif where:
        end = where.start()
    if n_objects == 1:
        return [(begin, end)]
    _, second = COLOUR.finditer(c, begin, end)
    join = [m for m in JOIN.finditer(c, begin, second.start())][-1]
    return [(begin, join.start()), (join.end(), end)]


def word_labels(tokenizer, scenes, n_rows):
    """[N, rows, attributes]: of a word's object; NONE where a word speaks of none."""
    labels = torch.full((len(scenes), n_rows, len(ATTRIBUTES)), NONE, dtype=torch.int8)
    for row, scene, e in zip(labels, scenes, tokenizer.encode_batch([s["caption"] for s in scenes])):
        objects = scene["objects"]
        for o, (begin, end) in zip(objects, spans(scene["caption"], len(objects))):
            at = [i for i, (a, b) in enumerate(e.offsets[:n_rows]) if a < b and begin < b <= end]
            row[at] = torch.tensor([o[name] for name in ATTRIBUTES], dtype=torch.int8)
    return labels


class WordHeads(nn.Module):
    """Thrown away after training."""

    def __init__(self, dim):
        super().__init__()
        self.out = nn.Linear(dim, sum(ATTRIBUTES.values()))

    def forward(self, states):
        return self.out(states).split(list(ATTRIBUTES.values()), dim=-1)

    def loss(self, states, labels):
        """Sum over the attributes of the mean cross entropy; labels without a word give nothing."""
        n = (labels[..., 0] != NONE).sum().clamp(min=1)
        each = zip(self(states), labels.long().unbind(-1))
        return sum(F.cross_entropy(x.flatten(0, 1).float(), y.flatten(), reduction="sum") for x, y in each) / n

    def accuracy(self, states, labels):
        """By attribute, over the words that speak of an object."""
        there = labels[..., 0] != NONE
        return {name: (x.argmax(-1) == y)[there].float().mean().item()
                for name, x, y in zip(ATTRIBUTES, self(states), labels.unbind(-1))}
