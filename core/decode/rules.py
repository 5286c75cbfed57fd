"""What decoding may not do, as automata that run beside the search (and beside teacher forcing), so that nothing rereads the prefix."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from core.data.batch import Batch
from core.model.state import State

# B batch, K hypotheses, T target, V vocabulary


class Rule(Protocol):
    """A state per hypothesis, moved on by each token, that says what may follow."""

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Before BOS; every tensor [B, K, ...]."""
        ...

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Read one token (BOS first); then which tokens may follow, bool [B, K, V].

        `remaining_BK` counts the tokens that may still come, the end symbol included, so that a rule can close in time
        what is open. Ids from V on (copied words) are not the rule's to judge, but it may have to read them.
        """
        ...


class SearchOnly:
    """A mark for rules that are not asked in training, whose losses are then over all tokens: asking would cost too much."""


@runtime_checkable
class RuleAtOnce(Protocol):
    """A rule that need not step where the whole target is known."""

    def teacher_forced(self, batch: Batch) -> Tensor:
        """The legal tokens after each of `batch.given_BT`, bool [B, T, V], without any limit: what stepping finds."""
        ...
