"""The decode-state law.

What belongs to the source is `Memory`, [B, ...], computed once, never tiled and never reordered: the K hypotheses of a source are
K query rows of its attention. What changes with a hypothesis is the `State`. Only the model that made a state looks into it;
`select` and `keep` are the only ways to rearrange one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from core.nn.layout import Layout

# B batch, K hypotheses, S source, D width


@dataclass(frozen=True, slots=True)
class Memory:
    """The encoded sources."""

    hidden_BSD: Tensor
    layout: Layout
    source: Tensor
    """As given: ids [B, S] or frames [B, S', F] (S' > S where a front-end subsamples)."""
    cache: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Projections of the memory that every step needs, e.g. keys and values of each layer; every tensor is [B, ...]."""
    extra: int = 0
    """Words that can be copied and are not in the vocabulary, of the source that has most; their ids follow its own."""

    def rows(self, rows_B: Tensor) -> Memory:
        """The given sources only."""
        cache = {name: x[rows_B] for name, x in self.cache.items()}
        return Memory(self.hidden_BSD[rows_B], self.layout.rows(rows_B), self.source[rows_B], cache, self.extra)


State = dict[str, Tensor]
"""Of a rule or of prefix features every tensor is [B, K, ...], so one gather reorders it; a model's own may be laid out otherwise,
batch first always, behind its `select`."""


def select_rows(state: State, parent_BK: Tensor) -> State:
    """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`, for states whose tensors are [B, K, ...]."""
    row_B1 = parent_BK.new_tensor(range(parent_BK.shape[0]))[:, None]
    return {name: x[row_B1, parent_BK] for name, x in state.items()}


def keep_rows(state: State, rows_B: Tensor) -> State:
    """Only these sources go on."""
    return {name: x[rows_B] for name, x in state.items()}
