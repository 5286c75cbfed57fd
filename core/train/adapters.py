"""Adapters in a model: every linear layer of the encoder and of the decoder, or none; and the weights of the sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.data.order import mixed
from core.model.seq2seq import Seq2Seq
from core.nn.low_rank import LowRankLinear
from core.train.checkpoint import weights_of

OWN = ("down", "up")
"""What an adapted layer has beyond the plain one."""


def adapted(model: Seq2Seq, rank: int, alpha: float, *, seed: int) -> Seq2Seq:
    """The same model with adapters of this rank; of rank 0 with none.

    Of attention, feed-forward steps, gates and bridges alike, each a linear layer. The layers of a recurrent encoder are none
    (`nn.GRU` and its like), so they have no adapters. Torch's global generators are left as they were.
    """
    if not rank:
        return model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(mixed(seed, 7))
        for name, layer in list(model.named_modules()):
            if name.split(".")[0] in ("encoder", "decoder") and isinstance(layer, nn.Linear):
                above, _, own = name.rpartition(".")
                setattr(model.get_submodule(above), own, LowRankLinear(layer, rank, alpha))
    return model


def adapter_names(model: nn.Module) -> set[str]:
    """Of the parameters that a plain model lacks."""
    return {f"{name}.{own}" for name, layer in model.named_modules() if isinstance(layer, LowRankLinear) for own in OWN}


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """`weights_of` the model without adapters that answers the same: what they learned is added to what they adapt."""
    own = adapter_names(model)
    found = {name: one for name, one in weights_of(model).items() if name not in own}
    for name, layer in model.named_modules():
        if isinstance(layer, LowRankLinear):
            found[f"{name}.weight"] = layer.whole().detach().clone()
    return found
