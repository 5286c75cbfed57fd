"""The optimizers of a model: AdamW (Loshchilov & Hutter, 2019) for all, or Muon for the layers' matrices beside it, or Adafactor."""

from __future__ import annotations

import torch
from torch import nn

from core.train.config import TrainConfig
from core.train.muon import Muon


def make_optimizers(model: nn.Module, cfg: TrainConfig) -> list[torch.optim.Optimizer]:
    """Weight decay is for matrices only. The learning rate is set before each update."""
    named = list(model.named_parameters())
    by_muon = cfg.optimizer == "muon"
    layered = {
        name
        for name, one in named
        if by_muon and one.ndim == 2 and name.split(".")[0] in ("encoder", "decoder") and getattr(one, "parts", 1)
    }
    rest = [(name, one) for name, one in named if name not in layered]
    groups = [
        {"params": [one for _, one in rest if one.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [one for _, one in rest if one.ndim < 2], "weight_decay": 0.0},
    ]
    if cfg.optimizer == "adafactor":
        return [torch.optim.Adafactor(groups, lr=cfg.lr)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), eps=1e-9, fused=True)
    ]
    if layered:
        matrices = [one for name, one in named if name in layered]
        optimizers.append(Muon(matrices, lr=cfg.lr, weight_decay=cfg.weight_decay))
    return optimizers
