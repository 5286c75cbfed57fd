"""Linear layer and label-smoothed cross-entropy in one, so that no more than a chunk of the logits ever exists.

For a wanted word y, possible words P and smoothing e (Szegedy et al., 2016, but over P alone):
loss = -(1 - e) log p(y) - e / |P| * sum over P of log p, with p a softmax over P. Its gradient by the logits is
p - (1 - e) [y] - e / |P|. P is the vocabulary without PAD and BOS, which are never answers, and of that the legal words
where a rule says so.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from core.codec.types import BOS, PAD

# N positions in a row, n those of a chunk, D width, V vocabulary

FIRST = max(PAD, BOS) + 1
"""Ids from here on can be said."""


def linear_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
    wanted_N: Tensor,
    *,
    smoothing: float = 0.0,
    legal_NV: Tensor | None = None,
    chunk: int = 512,
) -> Tensor:
    """The sum over all positions where `wanted` is no pad; float32 at least."""
    differentiate = torch.is_grad_enabled() and any(x.requires_grad for x in (hidden_ND, weight_VD, bias_V))
    return ChunkedLoss.apply(hidden_ND, weight_VD, bias_V, wanted_N, smoothing, legal_NV, chunk, differentiate)


class ChunkedLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, chunk by chunk, while the logits are at hand."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        wanted_N: Tensor,
        smoothing: float,
        legal_NV: Tensor | None,
        chunk: int,
        differentiate: bool,
    ) -> Tensor:
        device = hidden_ND.device.type
        lowered = torch.is_autocast_enabled(device)
        low = torch.get_autocast_dtype(device) if lowered else weight_VD.dtype
        high = torch.promote_types(weight_VD.dtype, torch.float32)
        hidden_low, weight_low = hidden_ND.to(low), weight_VD.to(low)
        bias_low = bias_V.to(low).index_fill(0, torch.arange(FIRST, device=bias_V.device), -torch.inf)
        total = torch.zeros((), dtype=high, device=hidden_ND.device)
        grad_hidden, grad_weight, grad_bias = (
            (torch.empty_like(hidden_ND), torch.zeros_like(weight_VD), torch.zeros_like(bias_V))
            if differentiate
            else (None, None, None)
        )
        with torch.autocast(device, enabled=False) if lowered else nullcontext():
            for begin in range(0, len(hidden_ND), chunk):
                rows = slice(begin, begin + chunk)
                wanted_n1 = wanted_N[rows, None]
                pad_n1 = wanted_n1 == PAD
                logits_nV = F.linear(hidden_low[rows], weight_low, bias_low).to(high)
                legal_nV = None
                possible_n1: Tensor | float = float(weight_VD.shape[0] - FIRST)
                if legal_NV is not None:
                    logits_nV.masked_fill_(~legal_NV[rows], -torch.inf)
                    legal_nV = legal_NV[rows, FIRST:]
                    possible_n1 = legal_nV.sum(-1, keepdim=True).clamp_(min=1).to(high)
                logp_nV = logits_nV.log_softmax(-1)
                loss_n1 = logp_nV.gather(1, wanted_n1).mul_(smoothing - 1)
                if smoothing:
                    spread_nP = logp_nV[:, FIRST:]
                    if legal_nV is not None:
                        spread_nP = spread_nP.masked_fill(~legal_nV, 0)
                    loss_n1 = loss_n1 - spread_nP.sum(-1, keepdim=True) * (smoothing / possible_n1)
                total += loss_n1.masked_fill(pad_n1, 0).sum()
                if grad_hidden is None or grad_weight is None or grad_bias is None:
                    continue
                grad_nV = logp_nV.exp_()
                if smoothing:
                    uniform = smoothing / possible_n1
                    grad_nV[:, FIRST:].sub_(uniform if legal_nV is None else uniform * legal_nV)
                grad_nV.scatter_add_(1, wanted_n1, torch.full_like(loss_n1, smoothing - 1))
                if device != "cpu" or bool(pad_n1.any()):  # elsewhere, looking would wait for the device
                    grad_nV.masked_fill_(pad_n1, 0)
                low_nV = grad_nV.to(low)
                grad_hidden[rows] = low_nV @ weight_low
                if low == weight_VD.dtype:
                    grad_weight.addmm_(low_nV.T, hidden_low[rows])
                else:
                    grad_weight += low_nV.T @ hidden_low[rows]
                grad_bias += grad_nV.sum(0)
        if grad_hidden is not None and grad_weight is not None and grad_bias is not None:
            ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden, weight, bias = (grad * upstream[0].to(grad.dtype) for grad in ctx.saved_tensors)
        return hidden, weight, bias, None, None, None, None, None
