"""Averages of weights along training: an exponential moving one, or the mean of the last few evaluations'."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from core.train.ranks import like, own_part, whole


class Average:
    """Follows a model's parameters; swapped in for evaluation and for the best checkpoint."""

    def __init__(self, model: nn.Module, kind: Literal["none", "ema", "last"], *, decay: float, last: int) -> None:
        self.model, self.kind, self.decay, self.last = model, kind, decay, last
        self.names = [name for name, _ in model.named_parameters()]
        self.parameters = [parameter for _, parameter in model.named_parameters()]
        self.moving = [one.detach().clone() for one in self.parameters] if kind == "ema" else []
        self.snapshots: list[list[Tensor]] = []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After an update; the decay warms up so that the beginning is forgotten."""
        if self.kind == "ema":
            decay = min(self.decay, (1 + step) / (10 + step))
            own = [own_part(one) for one in self.parameters]
            torch._foreach_lerp_([own_part(one) for one in self.moving], own, 1 - decay)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

    @torch.no_grad()
    def snapshot(self) -> None:
        """At an evaluation."""
        if self.kind == "last":
            self.snapshots.append([one.detach().clone() for one in self.parameters])
            del self.snapshots[: -self.last]

    def weights(self) -> list[Tensor] | None:
        """The average, parameter by parameter; None where the raw weights are it."""
        if self.kind == "ema":
            return self.moving
        if self.snapshots:
            return [torch.stack(same).mean(0) for same in zip(*self.snapshots, strict=True)]
        return None

    @contextmanager
    def swapped_in(self) -> Generator[None, None, None]:
        """The model has the averaged weights inside, its own after."""
        average = self.weights()
        if average is None:
            yield
            return
        with torch.no_grad():
            own = [own_part(one).detach().clone() for one in self.parameters]
            self.put([own_part(one) for one in average])
        try:
            yield
        finally:
            self.put(own)

    @torch.no_grad()
    def put(self, weights: list[Tensor]) -> None:
        """Into the model."""
        torch._foreach_copy_([own_part(one) for one in self.parameters], weights)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

    def state(self) -> dict[str, Tensor]:
        """Named tensors."""
        found = {f"ema.{name}": whole(one) for name, one in zip(self.names, self.moving, strict=False)}
        for number, held in enumerate(self.snapshots):
            found |= {f"snapshot.{number:03d}.{name}": whole(one) for name, one in zip(self.names, held, strict=True)}
        return found

    def restore(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        for name, one in zip(self.names, self.moving, strict=False):
            one.copy_(like(state[f"ema.{name}"], one))
        numbers = sorted({name.split(".")[1] for name in state if name.startswith("snapshot.")})
        self.snapshots = [
            [
                like(state[f"snapshot.{number}.{name}"].to(one.device), one)
                for name, one in zip(self.names, self.parameters, strict=True)
            ]
            for number in numbers
        ]
