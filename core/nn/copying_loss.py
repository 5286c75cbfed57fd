"""Label-smoothed cross-entropy of a mixture of saying and pointing; no more than a chunk of the logits ever exists.

For a wanted word y, possible words P and smoothing e: loss = -(1 - e) log p(y) - e / |P| * sum over P of log p, with p the
mixture (copying.py) renormalised over the legal words L where a rule is. P is L without PAD and BOS; without a rule it is the
vocabulary and the further words of this source. So the smoothing too is that of the mixture, and not of one of its parts.

With t the target's distribution (all of it but e on y), z the logits, q their softmax, a the attention, r_w the share of
saying in p(w), and G = p(say | legal) - sum of t_w r_w:
d/dz_v = q_v (g [v in L] / p(L) - G) - t_v r_v, d/dgate = G, and d/dscore_s follows from the shares 1 - r_w in the same way.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from core.codec.types import PAD
from core.nn.loss import FIRST
from core.nn.pointed import gates, masses, stands_first

# N positions in a row, n those of a chunk, B batch, S source, D width, V vocabulary, P what can be said, L what a rule judges

NONE = -torch.inf


def copying_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
    gate_N: Tensor,
    score_NS: Tensor,
    wanted_N: Tensor,
    row_N: Tensor,
    extended_BS: Tensor,
    first_BS: Tensor,
    *,
    smoothing: float = 0.0,
    legal_NV: Tensor | None = None,
    chunk: int = 512,
) -> Tensor:
    """The sum over all positions where `wanted` is no pad; float32 at least.

    `row_N` says whose source each position looks at; what cannot be copied has PAD in `extended_BS`.
    """
    learned = (hidden_ND, weight_VD, bias_V, gate_N, score_NS)
    differentiate = torch.is_grad_enabled() and any(x.requires_grad for x in learned)
    source = (wanted_N, row_N, extended_BS, first_BS)
    return ChunkedCopyingLoss.apply(*learned, *source, smoothing, legal_NV, chunk, differentiate)


class ChunkedCopyingLoss(torch.autograd.Function):
    """The gradients are made in the forward pass, chunk by chunk, while the logits are at hand."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        gate_N: Tensor,
        score_NS: Tensor,
        wanted_N: Tensor,
        row_N: Tensor,
        extended_BS: Tensor,
        first_BS: Tensor,
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
        bias_low = bias_V.to(low).index_fill(0, torch.arange(FIRST, device=bias_V.device), NONE)
        total = torch.zeros((), dtype=high, device=hidden_ND.device)
        learned = (hidden_ND, weight_VD, bias_V, gate_N, score_NS)
        grads = [torch.zeros_like(x) for x in learned] if differentiate else []
        with torch.autocast(device, enabled=False) if lowered else nullcontext():
            for begin in range(0, len(hidden_ND), chunk):
                rows = slice(begin, begin + chunk)
                logits_nV = F.linear(hidden_low[rows], weight_low, bias_low).to(high)
                row_n = row_N[rows]
                loss_n1, made = mixed(
                    logits_nV,
                    gate_N[rows, None].to(high),
                    score_NS[rows].to(high),
                    wanted_N[rows, None],
                    extended_BS[row_n],
                    first_BS[row_n],
                    smoothing=smoothing,
                    legal_nV=None if legal_NV is None else legal_NV[rows],
                    differentiate=differentiate,
                )
                pad_n1 = wanted_N[rows, None] == PAD
                total += loss_n1.masked_fill(pad_n1, 0).sum()
                if made is None:
                    continue
                if device != "cpu" or bool(pad_n1.any()):  # elsewhere, looking would wait for the device
                    made = tuple(x.masked_fill_(pad_n1, 0) for x in made)
                logit_nV, gate_n1, score_nS = made
                low_nV = logit_nV.to(low)
                grads[0][rows] = low_nV @ weight_low
                if low == weight_VD.dtype:
                    grads[1].addmm_(low_nV.T, hidden_low[rows])
                else:
                    grads[1] += low_nV.T @ hidden_low[rows]
                grads[2] += logit_nV.sum(0)
                grads[3][rows] = gate_n1[:, 0].to(gate_N.dtype)
                grads[4][rows] = score_nS.to(score_NS.dtype)
        if differentiate:
            ctx.save_for_backward(*grads)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        grads = (grad * upstream[0].to(grad.dtype) for grad in ctx.saved_tensors)
        return *grads, *[None] * 8


def mixed(
    logits_nV: Tensor,
    gate_n1: Tensor,
    score_nS: Tensor,
    wanted_n1: Tensor,
    extended_nS: Tensor,
    first_nS: Tensor,
    *,
    smoothing: float,
    legal_nV: Tensor | None,
    differentiate: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
    """The losses [n, 1] of a chunk and, if asked for, their gradients by logits, gate and scores."""
    V = logits_nV.shape[1]
    copyable_nS = extended_nS >= FIRST
    some_n1 = copyable_nS.any(-1, keepdim=True)
    say_n1, point_n1 = gates(gate_n1, some_n1)
    logq_nV, loga_nS = logits_nV.log_softmax(-1), score_nS.log_softmax(-1)

    in_vocabulary_n1, known_n1 = wanted_n1 < V, wanted_n1.clamp(max=V - 1)
    said_n1 = (say_n1 + logq_nV.gather(1, known_n1)).masked_fill(~in_vocabulary_n1, NONE)
    holds_nS = copyable_nS & (extended_nS == wanted_n1)
    copied_n1 = point_n1 + loga_nS.masked_fill(~holds_nS, NONE).logsumexp(-1, keepdim=True)
    logp_n1 = torch.logaddexp(said_n1, copied_n1)
    loss_n1 = logp_n1 * (smoothing - 1)
    among_n1 = torch.zeros_like(say_n1)
    """Log-probability of all legal words."""
    legal_nS, legal_say_n1 = copyable_nS, say_n1
    if legal_nV is not None:
        legal_nS, allowed_n1 = copyable_nS & judged(legal_nV, extended_nS), judged(legal_nV, wanted_n1)
        legal_nV = legal_nV[:, :V]
        legal_say_n1 = say_n1 + logq_nV.masked_fill(~legal_nV, NONE).logsumexp(-1, keepdim=True)
        legal_copy_n1 = point_n1 + loga_nS.masked_fill(~legal_nS, NONE).logsumexp(-1, keepdim=True)
        among_n1 = torch.logaddexp(legal_say_n1, legal_copy_n1)
        loss_n1 = (loss_n1 + among_n1).masked_fill(~allowed_n1, torch.inf)

    share_n1 = (said_n1 - logp_n1).exp()
    weight_n1 = share_n1 * (1 - smoothing)
    """Sum of t_w r_w."""
    spread: Spread | None = None
    if smoothing:
        spread = Spread(logq_nV, loga_nS, say_n1, point_n1, extended_nS, first_nS, legal_nS, legal_nV, smoothing)
        loss_n1 = loss_n1 - spread.even_n1
        weight_n1 = weight_n1 + spread.weight_n1
    if not differentiate:
        return loss_n1, None

    excess_n1 = (legal_say_n1 - among_n1).exp() - weight_n1
    """G: how much likelier saying is than the target has it."""
    score_nS = loga_nS.exp() * excess_n1 + (point_n1 - among_n1 + loga_nS).exp().masked_fill_(~legal_nS, 0)
    score_nS -= (point_n1 + loga_nS - logp_n1).exp().mul_(1 - smoothing).masked_fill_(~holds_nS, 0)
    if legal_nV is None:
        grad_nV = logq_nV.exp_().mul_(weight_n1)
    else:  # exponents first: the legal words may have next to nothing together
        grad_nV = (logq_nV + (say_n1 - among_n1)).exp_().masked_fill_(~legal_nV, 0)
        grad_nV.sub_(logq_nV.exp_().mul_(excess_n1))
    if spread is not None:
        score_nS -= spread.pointed_nS
        grad_nV[:, FIRST:].sub_(spread.each_n1 if legal_nV is None else spread.each_n1 * legal_nV[:, FIRST:])
        grad_nV.scatter_add_(1, extended_nS.masked_fill(extended_nS >= V, PAD), spread.spared_nS)
    grad_nV.scatter_add_(1, known_n1, share_n1 * (smoothing - 1))
    return loss_n1, (grad_nV, excess_n1.masked_fill(~some_n1, 0), score_nS)


class Spread:
    """What label smoothing adds: weight e / |P| on every possible word, as many of which are in the source as need a second look."""

    def __init__(
        self,
        logq_nV: Tensor,
        loga_nS: Tensor,
        say_n1: Tensor,
        point_n1: Tensor,
        extended_nS: Tensor,
        first_nS: Tensor,
        legal_nS: Tensor,
        legal_nV: Tensor | None,
        smoothing: float,
    ) -> None:
        V = logq_nV.shape[1]
        once_nS = legal_nS & stands_first(first_nS)
        known_nS = once_nS & (extended_nS < V)
        logq_nP = logq_nV[:, FIRST:]
        known_n1: Tensor | float = float(V - FIRST)
        if legal_nV is not None:
            logq_nP = logq_nP.masked_fill(~legal_nV[:, FIRST:], 0)
            known_n1 = legal_nV[:, FIRST:].sum(-1, keepdim=True).to(logq_nV.dtype)
        further_n1 = (once_nS & ~known_nS).sum(-1, keepdim=True).to(logq_nV.dtype)
        self.each_n1 = smoothing / (known_n1 + further_n1).clamp(min=1)
        """Of a possible word."""
        said_nS = say_n1 + logq_nV.gather(1, extended_nS.masked_fill(~known_nS, FIRST))
        word_nS = point_n1 + masses(loga_nS, first_nS)
        word_nS = torch.where(known_nS, torch.logaddexp(said_nS, word_nS), word_nS)
        gain_nS = (word_nS - said_nS.masked_fill(~known_nS, 0)).masked_fill(~once_nS, 0)
        said_n1 = logq_nP.sum(-1, keepdim=True) + known_n1 * say_n1
        self.even_n1 = self.each_n1 * (said_n1 + gain_nS.sum(-1, keepdim=True))
        """The weighted log-probabilities."""
        copied_nS = 1 - (said_nS - word_nS).exp()
        self.spared_nS = (self.each_n1 * copied_nS).masked_fill_(~known_nS, 0)
        """Of each known word, once: the part of its weight that is not a matter of saying it."""
        self.weight_n1 = self.each_n1 * known_n1 - self.spared_nS.sum(-1, keepdim=True)
        share_nS = (point_n1 + loga_nS - word_nS.gather(1, first_nS)).exp()
        self.pointed_nS = (self.each_n1 * share_nS).masked_fill_(~legal_nS, 0)
        """Of each position, its part of the weight of its word."""


def judged(legal_nL: Tensor, id_nX: Tensor) -> Tensor:
    """Whether these ids are legal; those beyond are not the rule's to judge."""
    last = legal_nL.shape[1] - 1
    return legal_nL.gather(1, id_nX.clamp(max=last)) | (id_nX > last)
