"""The coverage penalty (Wu et al., 2016): of outputs that have ended, those that have left parts of their source unread score less.

    score = log p / divisor + weight x sum over source symbols s of log min(a_s, 1)

with a_s the attention that s has received from all steps, the end's included. As the second term is never above zero, the bound
of the search's early stop holds as it is. Deviations: the attention is the mean of all heads of the decoder's last layer (one head
there), and a_s is at least 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core.data.batch import Batch
from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State, keep_rows, select_rows

# B batch, H heads, K hypotheses, S source, V vocabulary

COVERED = "covered"
LEAST = 1e-6
"""Attention that a symbol is taken to have had, so that the penalty is a number."""


@dataclass(frozen=True, slots=True)
class Covering:
    """A model that remembers what its hypotheses have read."""

    model: Seq2Seq
    weight: float

    def encode(self, batch: Batch) -> Memory:
        """Read the sources, once."""
        return self.model.encode(batch)

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing read yet."""
        B, S = memory.layout.mask_BS.shape
        return self.model.start(memory, beams) | {COVERED: memory.hidden_BSD.new_zeros(B, beams, S)}

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token, and note where it looked."""
        own, looks = dict(state), list[Tensor]()
        before_BKS = own.pop(COVERED)
        logp_BKV, own = self.model.step(token_BK, memory, own, across=looks)
        if not looks:
            raise ConfigError("search.coverage: this model has no attention, so nothing says what has been read")
        covered_BKS = before_BKS + looks[-1].mean(1).to(before_BKS.dtype)
        return logp_BKV, own | {COVERED: covered_BKS}

    def ending(self, memory: Memory, state: State) -> Tensor:
        """What is added to the score of each hypothesis that ends after this step, [B, K]; never above zero."""
        unread_BKS = state[COVERED].clamp(LEAST, 1.0).log().masked_fill(~memory.layout.mask_BS[:, None], 0.0)
        return self.weight * unread_BKS.sum(-1)

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        own = {name: x for name, x in state.items() if name != COVERED}
        return self.model.select(own, parent_BK) | select_rows({COVERED: state[COVERED]}, parent_BK)

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        own = {name: x for name, x in state.items() if name != COVERED}
        memory, own = self.model.keep(memory, own, rows_B)
        return memory, own | keep_rows({COVERED: state[COVERED]}, rows_B)


def penalty(attention_TS: Tensor, weight: float) -> float:
    """The same of one output whose attention is known, the end symbol's step last."""
    return weight * float(attention_TS.sum(0).clamp(LEAST, 1.0).log().sum())
