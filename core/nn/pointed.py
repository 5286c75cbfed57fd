"""Attention on positions as probability of the words that stand there, in the logarithm."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# B batch, S source


def word_places(word_BS: Tensor) -> Tensor:
    """For each position the first one that holds the same word, int64 [B, S]."""
    sorted_BS, order_BS = word_BS.sort(dim=-1, stable=True)
    begins_BS = torch.ones_like(sorted_BS, dtype=torch.bool)
    begins_BS[:, 1:] = sorted_BS[:, 1:] != sorted_BS[:, :-1]
    place_BS = torch.arange(word_BS.shape[1], device=word_BS.device).expand_as(word_BS)
    begin_BS = place_BS.masked_fill(~begins_BS, 0).cummax(-1).values
    return torch.empty_like(order_BS).scatter_(-1, order_BS, order_BS.gather(-1, begin_BS))


def stands_first(first_BS: Tensor) -> Tensor:
    """Whether no earlier position holds the same word."""
    return first_BS == torch.arange(first_BS.shape[-1], device=first_BS.device)


def masses(logp: Tensor, first: Tensor) -> Tensor:
    """Log of the summed probability of each word, [..., S], at the position where it stands first; 0 elsewhere.

    Summed relative to each word's own largest, so that no word is lost however little it has.
    """
    top = torch.zeros_like(logp).scatter_reduce_(-1, first, logp.detach(), "amax", include_self=False)
    share = (logp - top.gather(-1, first)).exp()
    none = (~stands_first(first)).to(logp.dtype)
    return top + none.scatter_add(-1, first, share).log()


def gates(gate: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (saying a word, pointing at one); certainly the first where there are not `some` to point at."""
    return F.logsigmoid(gate).masked_fill(~some, 0), F.logsigmoid(-gate).masked_fill(~some, -torch.inf)
