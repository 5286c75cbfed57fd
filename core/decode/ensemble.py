"""Several models of one vocabulary that decide together: the mean of their probabilities, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.batch import Batch
from core.decode.candidates import NEVER
from core.decode.search import Steps
from core.model.state import Memory, State

# B batch, K hypotheses, V vocabulary (and copied words), N models


@dataclass(frozen=True, slots=True)
class Memories(Memory):
    """What the first model has read, and the others."""

    others: tuple[Memory, ...] = ()

    @staticmethod
    def of(first: Memory, *others: Memory) -> Memories:
        """All as one."""
        return Memories(first.hidden_BSD, first.layout, first.source, first.cache, first.extra, others)

    def rows(self, rows_B: Tensor) -> Memories:
        """The given sources only."""
        return Memories.of(self.own().rows(rows_B), *(one.rows(rows_B) for one in self.others))

    def own(self) -> Memory:
        """The first model's."""
        return Memory(self.hidden_BSD, self.layout, self.source, self.cache, self.extra)


class Ensemble:
    """log of the mean of p over the models. A word that only some can copy has no probability in the others."""

    def __init__(self, models: Sequence[Steps]) -> None:
        self.models = list(models)

    def encode(self, batch: Batch) -> Memories:
        """Read the sources, once for each model."""
        return Memories.of(*(model.encode(batch) for model in self.models))

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        states = (model.start(own, beams) for model, own in zip(self.models, _each(memory), strict=True))
        return _joined(states)

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token in every model; the log-probabilities [B, K, V] of the next."""
        said: list[Tensor] = []
        after: list[State] = []
        for n, (model, own) in enumerate(zip(self.models, _each(memory), strict=True)):
            logp_BKV, own_state = model.step(token_BK, own, _part(state, n))
            said.append(logp_BKV)
            after.append(own_state)
        V = max(logp_BKV.shape[-1] for logp_BKV in said)
        logp_NBKV = torch.stack([F.pad(one, (0, V - one.shape[-1]), value=NEVER) for one in said])
        return logp_NBKV.logsumexp(0) - math.log(len(said)), _joined(after)

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        return _joined(model.select(_part(state, n), parent_BK) for n, model in enumerate(self.models))

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        kept = [
            model.keep(own, _part(state, n), rows_B)
            for n, (model, own) in enumerate(zip(self.models, _each(memory), strict=True))
        ]
        return Memories.of(*(own for own, _ in kept)), _joined(own for _, own in kept)


def _each(memory: Memory) -> list[Memory]:
    assert isinstance(memory, Memories), "an ensemble reads what an ensemble has encoded"
    return [memory.own(), *memory.others]


def _joined(states: Iterable[State]) -> State:
    return {f"{n}.{name}": x for n, state in enumerate(states) for name, x in state.items()}


def _part(state: State, number: int) -> State:
    prefix = f"{number}."
    return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
