"""Adversarial training at the embeddings (Miyato et al., 2017): learn also where a small push would hurt most.

r = epsilon g / ||g||, g being the loss's gradient by a sentence's embeddings; the loss with r added to them is learned as well.
Deviations: embeddings are not normalised (epsilon is in units of the table's values, about 1 / sqrt(D) each), and source and
target are pushed each by its own norm.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# B batch, T symbols, D width


class Pushes:
    """What went through the embedding tables, call by call, and what is added to it when the same calls come again."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon
        self.seen: list[Tensor] = []

    @contextmanager
    def watching(self, model: nn.Module) -> Generator[None, None, None]:
        """Inside, embeddings are kept, with the gradients that they will get."""

        def keep(module: nn.Module, given: tuple[Tensor, ...], x: Tensor) -> None:
            if x.requires_grad:
                x.retain_grad()
            elif torch.is_grad_enabled():  # of a table that training holds fast
                x.requires_grad_()
            self.seen.append(x)

        with hooked(model, keep):
            yield

    @contextmanager
    def pushing(self, model: nn.Module) -> Generator[None, None, None]:
        """Inside, each call's embeddings are pushed; the calls must be those that were watched."""
        waiting = iter(self.seen)

        def push(module: nn.Module, given: tuple[Tensor, ...], x: Tensor) -> Tensor:
            return x + self.push(next(waiting))

        with hooked(model, push):
            yield

    def push(self, x: Tensor) -> Tensor:
        """Along the gradient, of length epsilon a sentence."""
        if x.grad is None:
            return torch.zeros_like(x)
        norm = x.grad.flatten(1).norm(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
        return (self.epsilon * x.grad / norm.view(-1, *[1] * (x.ndim - 1))).detach()


@contextmanager
def hooked(model: nn.Module, hook: object) -> Generator[None, None, None]:
    """Every table of words hears of its calls; tables of places and segments are no words."""
    tables = {id(one): one for one in (getattr(model, "embedding", None), getattr(model.front, "table", None))}
    handles = [one.register_forward_hook(hook) for one in tables.values() if isinstance(one, nn.Embedding)]  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
