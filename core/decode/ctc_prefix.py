"""What a CTC head says of prefixes (Graves, 2008, section 7.4; Watanabe et al., 2017), as a scorer beside a decoder, or alone.

With h(g) the probability that the frames spell something that begins with g, and h(g, end) that they spell exactly g, a token c
after g has the probability h(g c) / h(g), and the end h(g, end) / h(g): they sum to one, and their product is p(g | frames).

Deviations: the recurrences over frames are running sums of exponentials, not loops, and for the one token that was chosen only;
what all tokens would give is a product of matrices (before x posteriors), so none need be left out beforehand. Both in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.codec.types import BOS, EOS
from core.model.state import Memory, State
from core.nn.ctc import BLANK, CtcHead

# B batch, K hypotheses, S frames, V vocabulary

NO = -torch.inf
LOW = -1e5
"""Stands for a probability of zero where running sums would else subtract infinities."""


class CtcPrefixes:
    """State, for each prefix: `said` and `blank` [B, K, S], that it has been spelled by frame s, ending in its last token or in
    blank; `prefix` [B, K], h of it; `last` [B, K], its last token."""

    name = "ctc"

    def __init__(self, head: CtcHead) -> None:
        self.head = head

    def cache(self, memory: Memory) -> dict[str, Tensor]:
        """Posteriors; beyond its end a source says blank for certain."""
        logp_BSV = self.head.logp(memory.hidden_BSD)
        logp_BSV = logp_BSV.to(torch.float32 if logp_BSV.device.type == "mps" else torch.float64)
        pad_BS = ~memory.layout.mask_BS
        logp_BSV = logp_BSV.masked_fill(pad_BS[..., None], NO)
        logp_BSV[..., BLANK] = logp_BSV[..., BLANK].masked_fill(pad_BS, 0.0)
        return {"logp": logp_BSV, "p": logp_BSV.exp()}

    def start(self, cache: dict[str, Tensor], beams: int) -> State:
        """Nothing said: all frames so far are blank."""
        blank_BKS = cache["logp"][..., BLANK].cumsum(1)[:, None].repeat(1, beams, 1)
        return {
            "said": torch.full_like(blank_BKS, NO),
            "blank": blank_BKS,
            "prefix": blank_BKS.new_zeros(blank_BKS.shape[:2]),
            "last": torch.full(blank_BKS.shape[:2], BOS, device=blank_BKS.device),
        }

    def step(self, token_BK: Tensor, cache: dict[str, Tensor], state: State) -> tuple[Tensor, State]:
        """Read one token (BOS first); log-probabilities [B, K, V] of the next."""
        state = _extended(token_BK, cache["logp"], state)
        ahead_BKV = _ahead(cache["logp"], cache["p"], state)
        own_BK1 = state["prefix"][..., None]
        return (ahead_BKV - own_BK1).masked_fill((ahead_BKV == NO) | (own_BK1 == NO), NO).clamp(max=0), state


def _extended(token_BK: Tensor, logp_BSV: Tensor, state: State) -> State:
    """Prefixes with one more token; BOS leaves them as they are."""
    said_BKS, blank_BKS, last_BK = state["said"], state["blank"], state["last"]
    before_BKS = _shifted(_before(said_BKS, blank_BKS, token_BK == last_BK), last_BK)
    own_BKS = _of(token_BK, logp_BSV)
    after_BKS = _running(before_BKS, own_BKS)
    none_BK1 = torch.full_like(after_BKS[..., :1], NO)
    silent_BKS = _running(torch.cat([none_BK1, after_BKS[..., :-1]], -1), logp_BSV[:, None, :, BLANK])
    begun_BK = token_BK != BOS
    return {
        "said": torch.where(begun_BK[..., None], after_BKS, said_BKS),
        "blank": torch.where(begun_BK[..., None], silent_BKS, blank_BKS),
        "prefix": torch.where(begun_BK, (before_BKS + own_BKS).logsumexp(-1), state["prefix"]),
        "last": token_BK,
    }


def _ahead(logp_BSV: Tensor, p_BSV: Tensor, state: State) -> Tensor:
    """log h of the prefix with each token after it, [B, K, V]; EOS: of the prefix and no more."""
    said_BKS, blank_BKS, last_BK = state["said"], state["blank"], state["last"]
    before_BKS = _shifted(torch.logaddexp(said_BKS, blank_BKS), last_BK)
    most_BK1 = before_BKS.amax(-1, keepdim=True).clamp(min=LOW)
    ahead_BKV = ((before_BKS - most_BK1).exp() @ p_BSV).log() + most_BK1
    again_BK = (_shifted(blank_BKS, last_BK) + _of(last_BK, logp_BSV)).logsumexp(-1)
    ahead_BKV = ahead_BKV.scatter(-1, last_BK[..., None], again_BK[..., None])
    ahead_BKV[..., BLANK] = NO
    ahead_BKV[..., EOS] = torch.logaddexp(said_BKS[..., -1], blank_BKS[..., -1])
    return ahead_BKV


def _before(said_BKS: Tensor, blank_BKS: Tensor, again_BK: Tensor) -> Tensor:
    """The prefix spelled by each frame, so that a token may follow: the same token only after a blank."""
    return torch.where(again_BK[..., None], blank_BKS, torch.logaddexp(said_BKS, blank_BKS))


def _shifted(x_BKS: Tensor, last_BK: Tensor) -> Tensor:
    """By the frame before; before the first frame only the empty prefix has been spelled."""
    first_BK = torch.where(last_BK == BOS, 0.0, NO).to(x_BKS)
    return torch.cat([first_BK[..., None], x_BKS[..., :-1]], -1)


def _of(token_BK: Tensor, logp_BSV: Tensor) -> Tensor:
    """Of these tokens at every frame, [B, K, S]."""
    return logp_BSV.gather(-1, token_BK[:, None].expand(-1, logp_BSV.shape[1], -1)).mT


def _running(begin_BKS: Tensor, stay_BKS: Tensor) -> Tensor:
    """x(s) = log(exp x(s - 1) + exp begin(s)) + stay(s), for all s at once."""
    stay_BKS = stay_BKS.clamp(min=LOW)
    total_BKS = stay_BKS.cumsum(-1)
    return total_BKS + torch.logcumsumexp(begin_BKS - total_BKS + stay_BKS, -1)
