"""Several that decide together what comes next: a weighted sum of log-probabilities, as one model that can take a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from torch import Tensor

from core.data.batch import Batch
from core.decode.search import Steps
from core.model.state import Memory, State, keep_rows, select_rows

# B batch, K hypotheses, V vocabulary


class Scorer(Protocol):
    """A second opinion on what comes next, over the model's vocabulary."""

    @property
    def name(self) -> str:
        """Tells its tensors from those of others."""
        ...

    def cache(self, memory: Memory, /) -> dict[str, Tensor]:
        """What every step needs of the sources; every tensor [B, ...]."""
        ...

    def start(self, cache: dict[str, Tensor], beams: int, /) -> State:
        """Before BOS; every tensor [B, K, ...]."""
        ...

    def step(self, token_BK: Tensor, cache: dict[str, Tensor], state: State, /) -> tuple[Tensor, State]:
        """Read one token (BOS first); log-probabilities [B, K, V] of the next."""
        ...


class Joint:
    """own x (the model's log-probabilities) + weight x (a scorer's), summed over the scorers.

    With all weights at least zero no sum ever rises, so the search's early stop stays exact. With `own` zero the decoder
    takes no step.
    """

    def __init__(self, model: Steps, own: float, *scorers: tuple[Scorer, float]) -> None:
        self.model, self.own = model, own
        self.scorers = [(scorer, scorer.name + ".", weight) for scorer, weight in scorers if weight]

    def encode(self, batch: Batch) -> Memory:
        """Read the sources, once."""
        return self.remember(self.model.encode(batch))

    def remember(self, memory: Memory) -> Memory:
        """The sources as the model has read them, and what the scorers need of them."""
        cache = memory.cache
        for scorer, prefix, _ in self.scorers:
            cache = cache | {prefix + name: x for name, x in scorer.cache(memory).items()}
        return replace(memory, cache=cache)

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        state = self.model.start(memory, beams) if self.own else {}
        for scorer, prefix, _ in self.scorers:
            state |= {prefix + name: x for name, x in scorer.start(_part(memory.cache, prefix), beams).items()}
        return state

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token on all sides, then weigh what may follow."""
        total_BKV, after = None, State()
        if self.own:
            said_BKV, after = self.model.step(token_BK, memory, self._own(state))
            total_BKV = self.own * said_BKV
        for scorer, prefix, weight in self.scorers:
            said_BKV, own = scorer.step(token_BK, _part(memory.cache, prefix), _part(state, prefix))
            total_BKV = weight * said_BKV if total_BKV is None else total_BKV + weight * said_BKV
            after |= {prefix + name: x for name, x in own.items()}
        assert total_BKV is not None, "nobody has a weight"
        return total_BKV, after

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        own = self.model.select(self._own(state), parent_BK) if self.own else {}
        return own | select_rows(self._scored(state), parent_BK)

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        fewer, own = self.model.keep(memory, self._own(state), rows_B) if self.own else (memory.rows(rows_B), State())
        return fewer, own | keep_rows(self._scored(state), rows_B)

    def _scored(self, state: State) -> State:
        prefixes = tuple(prefix for _, prefix, _ in self.scorers)
        return {name: x for name, x in state.items() if name.startswith(prefixes)}

    def _own(self, state: State) -> State:
        prefixes = tuple(prefix for _, prefix, _ in self.scorers)
        return {name: x for name, x in state.items() if not name.startswith(prefixes)}


def _part(named: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): x for name, x in named.items() if name.startswith(prefix)}
