"""What a decoder may be told about the prefix beyond its tokens; nothing in core knows why.

An alignment decoder, say, is told the encoder states of the residues that it would consume next: a function of the prefix
and of the memory, so it can be teacher-forced.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from core.model.state import Memory, State

# B batch, K hypotheses, T target, F features


class PrefixFeatures(Protocol):
    """A function of prefix and memory, by stepping and all at once alike."""

    def width(self, model_width: int) -> int:
        """F, the size of a feature vector."""
        ...

    def start(self, memory: Memory, beams: int) -> State:
        """Before any token; every tensor [B, K, ...]."""
        ...

    def step(self, state: State, token_BK: Tensor, memory: Memory) -> tuple[State, Tensor]:
        """Read one token (BOS first); the features [B, K, F] that go with it into the decoder."""
        ...

    def teacher_forced(self, given_BT: Tensor, memory: Memory) -> Tensor:
        """All of them at once, [B, T, F], equal to stepping."""
        ...
