"""Decoder and CTC head deciding together, prefix by prefix (Watanabe et al., 2017), as one model that can take a step.

With h(g) the probability that the frames spell something that begins with g (h(g, EOS): exactly g), a token c after g has
(1 - w) log p(c | g) + w (log h(g c) - log h(g)). The sums never rise, so the search's early stop stays exact.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.codec.types import BOS, EOS
from core.data.batch import Batch
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State, keep_rows, select_rows
from core.nn.ctc import BLANK, CtcHead

# B batch, K hypotheses, S frames, V vocabulary

HEARD = "ctc."
"""Begins the names of the tensors of the CTC side."""
NO = -torch.inf


class JointSteps:
    """A model whose steps weigh in its CTC head; everything of the CTC side is in float64."""

    def __init__(self, model: Seq2Seq, ctc: CtcHead, weight: float) -> None:
        self.model, self.ctc, self.weight = model, ctc, weight

    def encode(self, batch: Batch) -> Memory:
        """Read the sources; beyond its end a source says blank for certain."""
        memory = self.model.encode(batch)
        logp_BSV = self.ctc.logp(memory.hidden_BSD).double()
        pad_BS1 = ~memory.layout.mask_BS[..., None]
        logp_BSV = logp_BSV.masked_fill(pad_BS1, NO)
        logp_BSV[..., BLANK] = logp_BSV[..., BLANK].masked_fill(pad_BS1[..., 0], 0.0)
        return replace(memory, cache={**memory.cache, HEARD + "logp": logp_BSV})

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said: all frames so far are blank."""
        logp_BSV = memory.cache[HEARD + "logp"]
        blank_BKS = logp_BSV[..., BLANK].cumsum(1)[:, None].repeat(1, beams, 1)
        return self.model.start(memory, beams) | {
            HEARD + "said": torch.full_like(blank_BKS, NO),
            HEARD + "blank": blank_BKS,
            HEARD + "prefix": blank_BKS.new_zeros(blank_BKS.shape[:2]),
            HEARD + "last": torch.full(blank_BKS.shape[:2], BOS, device=blank_BKS.device),
        }

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token on both sides, then weigh all that may follow."""
        logp_BSV = memory.cache[HEARD + "logp"]
        said_BKV, own = self.model.step(token_BK, memory, parted(state, heard=False))
        heard = extended(token_BK, logp_BSV, parted(state, heard=True))
        next_BKV = prefixes(logp_BSV, heard)
        more_BKV = (next_BKV - heard[HEARD + "prefix"][..., None]).nan_to_num(nan=NO, neginf=NO).clamp(max=0)
        joint_BKV = self.weight * more_BKV
        if self.weight < 1:
            joint_BKV = (1 - self.weight) * said_BKV + joint_BKV
        return joint_BKV.masked_fill(said_BKV == NO, NO).to(said_BKV.dtype), own | heard

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        own = self.model.select(parted(state, heard=False), parent_BK)
        return own | select_rows(parted(state, heard=True), parent_BK)

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        memory, own = self.model.keep(memory, parted(state, heard=False), rows_B)
        return memory, own | keep_rows(parted(state, heard=True), rows_B)


def parted(state: State, *, heard: bool) -> State:
    """The tensors of one side."""
    return {name: x for name, x in state.items() if name.startswith(HEARD) == heard}


def extended(token_BK: Tensor, logp_BSV: Tensor, state: State) -> State:
    """Prefixes with one more token: for each frame, the probability of having said them by then, ending in the token or in blank.

    Both recurrences are sums of products along a path, so they are running sums of exponentials, not loops over frames.
    """
    said_BKS, blank_BKS, last_BK = (state[HEARD + name] for name in ("said", "blank", "last"))
    before_BKS = shifted(before(said_BKS, blank_BKS, last_BK == token_BK), last_BK)
    index_BSK = token_BK[:, None].expand(-1, logp_BSV.shape[1], -1)
    own_BKS = logp_BSV.gather(-1, index_BSK).mT.clamp(min=LOW)
    said = running(before_BKS, own_BKS)
    between_BKS = torch.cat([torch.full_like(said[..., :1], NO), said[..., :-1]], -1)
    blank = running(between_BKS, logp_BSV[..., BLANK].clamp(min=LOW)[:, None].expand_as(between_BKS))
    begun_BK = token_BK != BOS
    reached_BK = (before_BKS + own_BKS).logsumexp(-1)
    return {
        HEARD + "said": torch.where(begun_BK[..., None], said, said_BKS),
        HEARD + "blank": torch.where(begun_BK[..., None], blank, blank_BKS),
        HEARD + "prefix": torch.where(begun_BK, reached_BK, state[HEARD + "prefix"]),
        HEARD + "last": token_BK,
    }


LOW = -1e5
"""Stands for a probability of zero where running sums would else subtract infinities."""


def running(begin_BKS: Tensor, stay_BKS: Tensor) -> Tensor:
    """x(t) = log(exp x(t-1) + exp begin(t)) + stay(t), for all t at once."""
    total_BKS = stay_BKS.cumsum(-1)
    return total_BKS + torch.logcumsumexp(begin_BKS - total_BKS + stay_BKS, -1)


def before(said_BKS: Tensor, blank_BKS: Tensor, again_BK: Tensor) -> Tensor:
    """The prefix said by each frame, so that a token may follow: the same token only after a blank."""
    return torch.where(again_BK[..., None], blank_BKS, torch.logaddexp(said_BKS, blank_BKS))


def shifted(x_BKS: Tensor, last_BK: Tensor) -> Tensor:
    """By the frame before; before the first frame only the empty prefix has been said."""
    first_BK = torch.where(last_BK == BOS, 0.0, NO).to(x_BKS)
    return torch.cat([first_BK[..., None], x_BKS[..., :-1]], -1)


def prefixes(logp_BSV: Tensor, state: State) -> Tensor:
    """log h of the prefix with each token after it, [B, K, V]; EOS: of the prefix and no more."""
    said_BKS, blank_BKS, last_BK = (state[HEARD + name] for name in ("said", "blank", "last"))
    never_BK = torch.zeros_like(last_BK, dtype=torch.bool)
    found_BKV = mixed(shifted(before(said_BKS, blank_BKS, never_BK), last_BK), logp_BSV)
    again_BKS = shifted(blank_BKS, last_BK)
    index_BSK = last_BK[:, None].expand(-1, logp_BSV.shape[1], -1)
    again_BK = (again_BKS + logp_BSV.gather(-1, index_BSK).mT).logsumexp(-1)
    found_BKV = found_BKV.scatter(-1, last_BK[..., None], again_BK[..., None])
    found_BKV[..., EOS] = torch.logaddexp(said_BKS[..., -1], blank_BKS[..., -1])
    return found_BKV


def mixed(x_BKS: Tensor, logp_BSV: Tensor) -> Tensor:
    """log of the sum over frames of exp x(s) p(s, v): a product of matrices, below the largest x."""
    most_BK1 = x_BKS.amax(-1, keepdim=True).clamp(min=LOW)
    return ((x_BKS - most_BK1).exp() @ logp_BSV.exp()).log() + most_BK1
