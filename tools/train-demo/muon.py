"""Muon (K. Jordan, 2024): momentum made orthogonal for weight matrices, with the update size of Adam (Moonshot's 0.2 scaling);
AdamW for everything else. On these small models it needs about half of AdamW's steps."""
import torch


def orthogonal(g, steps=5):
    """The nearest orthogonal matrices, by a quintic Newton-Schulz iteration. g [batch, rows, columns]"""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[1] > g.shape[2]
    x = g.transpose(1, 2) if tall else g
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """named: (name, parameter) pairs; is_matrix(name, parameter) says which get Muon. One learning rate for both."""

    def __init__(self, named, is_matrix, lr=1e-3, momentum=0.95, betas=(0.9, 0.97), weight_decay=0.0):
        named = list(named)
        matrices = [p for n, p in named if is_matrix(n, p)]
        others = [p for n, p in named if not is_matrix(n, p)]
        super().__init__([dict(params=matrices, muon=True), dict(params=others, muon=False)],
                         dict(lr=lr, momentum=momentum, betas=betas, weight_decay=weight_decay, step=0))
        for p in matrices:
            self.state[p]["momentum"] = torch.zeros_like(p)
        for p in others:
            self.state[p].update(m=torch.zeros_like(p), v=torch.zeros_like(p))

    def share_memory(self):
        """Lets forked processes step parameters of their own, those that have a gradient there, and one of them save all."""
        for state in self.state.values():
            for tensor in state.values():
                tensor.share_memory_()

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["step"] += 1
            (self.step_muon if group["muon"] else self.step_adam)(group)

    def step_muon(self, group):
        by_shape = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            m = self.state[p]["momentum"]
            m.lerp_(p.grad, 1 - group["momentum"])
            by_shape.setdefault(p.shape, []).append((p, p.grad.lerp(m, group["momentum"])))
        for shape, items in by_shape.items():
            updates = orthogonal(torch.stack([g.flatten(1) for _, g in items]))
            scale = 0.2 * max(updates.shape[1:]) ** 0.5
            for (p, _), u in zip(items, updates):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(u.view(shape), alpha=-group["lr"] * scale)

    def step_adam(self, group):
        beta1, beta2 = group["betas"]
        bias = (1 - beta2 ** group["step"]) ** 0.5 / (1 - beta1 ** group["step"])
        for p in group["params"]:
            if p.grad is None:
                continue
            s = self.state[p]
            s["m"].lerp_(p.grad, 1 - beta1)
            s["v"].lerp_(p.grad * p.grad, 1 - beta2)
            p.addcdiv_(s["m"], s["v"].sqrt().add_(1e-8), value=-group["lr"] * bias)
