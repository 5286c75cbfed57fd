"""From hidden states to words: the output projection, and a label-smoothed cross-entropy that never holds all logits.

For a wanted word y, possible words P and smoothing e: loss = -(1 - e) log p(y) - e mean over P of log p, with p a softmax over P.
P is the vocabulary without PAD and BOS, which are never answers, or the legal words where a rule says so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import BOS, PAD

# N target positions of a batch in a row, D width, V vocabulary


class Head(nn.Module):
    """A linear layer and a softmax. The matrix may be the target embedding's."""

    def __init__(self, weight_VD: nn.Parameter, *, chunk: int = 1024) -> None:
        super().__init__()
        self.weight = weight_VD
        self.bias = nn.Parameter(torch.zeros(weight_VD.shape[0]))
        self.chunk = chunk

    def logp(self, hidden: Tensor) -> Tensor:
        """Log-probabilities [..., V]; PAD and BOS have none."""
        logits = F.linear(hidden, self.weight, self.bias)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        logits[..., [PAD, BOS]] = -torch.inf
        return logits.log_softmax(-1)

    def loss(self, hidden: Tensor, wanted: Tensor, *, smoothing: float = 0.0, legal: Tensor | None = None) -> Tensor:
        """Summed over the positions of `wanted` that are no pads."""
        flat_ND, wanted_N = hidden.flatten(0, -2), wanted.flatten()
        legal_NV = None if legal is None else legal.flatten(0, -2)
        if wanted_N.device.type == "cpu":  # elsewhere, choosing rows would wait for the device
            real_n = (wanted_N != PAD).nonzero()[:, 0]
            flat_ND, wanted_N = flat_ND[real_n], wanted_N[real_n]
            legal_NV = None if legal_NV is None else legal_NV[real_n]
        return ChunkedLoss.apply(flat_ND, self.weight, self.bias, wanted_N, smoothing, legal_NV, self.chunk)


class ChunkedLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, chunk by chunk, while the logits are at hand."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        wanted_N: Tensor,
        smoothing: float,
        legal_NV: Tensor | None,
        chunk: int,
    ) -> Tensor:
        lower = torch.get_autocast_dtype(hidden_ND.device.type) if torch.is_autocast_enabled(hidden_ND.device.type) else None
        dtype = lower or weight_VD.dtype
        weight, hidden = weight_VD.to(dtype), hidden_ND.to(dtype)
        total = torch.zeros((), dtype=torch.promote_types(weight_VD.dtype, torch.float32), device=hidden.device)
        grads = (torch.empty_like(hidden), torch.zeros_like(weight_VD), torch.zeros_like(bias_V))
        for begin in range(0, len(hidden), chunk):
            part = slice(begin, begin + chunk)
            wanted_n = wanted_N[part, None]
            real_n1 = (wanted_n != PAD).to(total.dtype)
            logits = F.linear(hidden[part], weight, bias_V.to(dtype)).to(total.dtype)
            impossible = None if legal_NV is None else ~legal_NV[part]
            if impossible is not None:
                logits.masked_fill_(impossible, -torch.inf)
            logits[:, [PAD, BOS]] = -torch.inf
            norm_n1 = logits.logsumexp(-1, keepdim=True)
            loss_n1 = norm_n1 - logits.gather(1, wanted_n)
            possible_n1: Tensor | float = weight.shape[0] - 2.0
            if smoothing:
                finite = logits.isfinite()
                if impossible is not None:
                    possible_n1 = finite.sum(-1, keepdim=True).clamp(min=1).to(total.dtype)
                mean_n1 = torch.where(finite, logits, 0.0).sum(-1, keepdim=True) / possible_n1
                loss_n1 = (1 - smoothing) * loss_n1 + smoothing * (norm_n1 - mean_n1)
            total += torch.where(real_n1 > 0, loss_n1, 0.0).sum()
            grad_nV = logits.sub_(norm_n1).exp_()
            if smoothing:
                uniform = smoothing / possible_n1
                grad_nV -= uniform * finite.to(grad_nV.dtype)  # pyright: ignore[reportPossiblyUnboundVariable]
            grad_nV.scatter_add_(1, wanted_n, torch.full_like(norm_n1, smoothing - 1.0))
            grad_nV *= real_n1
            low_nV = grad_nV.to(dtype)
            grads[0][part] = low_nV @ weight
            grads[1].addmm_(low_nV.T.to(weight_VD.dtype), hidden[part].to(weight_VD.dtype))
            grads[2].add_(grad_nV.sum(0).to(bias_V.dtype))
        ctx.save_for_backward(grads[0].to(hidden_ND.dtype), grads[1], grads[2])
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # noqa: D102
        (scale,) = upstream
        hidden, weight, bias = ctx.saved_tensors
        return hidden * scale.to(hidden.dtype), weight * scale.to(weight.dtype), bias * scale.to(bias.dtype), *[None] * 4
