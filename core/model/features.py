"""What a decoder may be told about the prefix beyond its tokens; nothing in core knows why.

An alignment decoder, say, is told the encoder states of the residues that it would consume next: a function of the prefix
and of the memory, so it can be teacher-forced.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from core.model.said import Said
from core.model.state import Memory, State
from core.nn.layout import Layout

# B batch, K hypotheses, S source, T target, F features, D width

TOLD = "features."
"""Begins the names of their tensors in a memory's cache and in a state."""


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


@runtime_checkable
class FeaturesOfSources(Protocol):
    """Prefix features with something to work out once a source: where the way ahead leads, whatever the prefix will be."""

    def cache(self, hidden_BSD: Tensor, layout: Layout, source: Tensor) -> dict[str, Tensor]:
        """Every tensor [B, ...]; it stands in `memory.cache`, its name begun by TOLD."""
        ...


@runtime_checkable
class LearnedFeatures(Protocol):
    """Prefix features with parameters of their own: a recipe, of which each model makes itself a module."""

    def make(self, model_width: int) -> PrefixFeatures:
        """An nn.Module, its parameters drawn from torch's global generator (which the caller has seeded)."""
        ...


@runtime_checkable
class SpokenFeatures(Protocol):
    """Prefix features that are an answer by themselves, which learning then corrects."""

    def begin(self, said: Said, word_VD: Tensor) -> None:
        """Set, in place, what of them goes past the decoder; a word's logit is the product with its row of `word_VD`."""
        ...
