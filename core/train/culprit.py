"""Where a loss or a gradient stops being a number: which module first, and which records by themselves.

The step is read again, by the same weights under the same draws, with every module watched: forwards the culprit is the first whose
output is no number though its input is, backwards the one behind which the gradient first is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from core.data.batch import Batch

Read = Callable[[], Tensor]
"""A loss, computed anew with the draws of the step."""


def first_bad_module(model: nn.Module, reads: Sequence[Read]) -> str:
    """In words; empty where everything is a number when it is read again."""
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            return f"the weight {name}"
    for read in reads:
        if found := watched(model, read):
            return found
    return ""


def watched(model: nn.Module, read: Read) -> str:
    """One micro-batch forwards and backwards."""
    seen: list[str] = []
    names = {module: name or "the model" for name, module in model.named_modules()}

    def forwards(module: nn.Module, given: Any, output: Any) -> None:
        if not seen and any(map(bad, tensors(output))) and not any(map(bad, tensors(given))):
            seen.append(f"{names[module]}, forwards")
        for one in tensors(output):
            if one.requires_grad and one.is_floating_point():
                one.register_hook(lambda gradient: backwards(names[module], gradient))

    def backwards(name: str, gradient: Tensor) -> None:
        if not seen and bad(gradient):
            seen.append(f"what reads {name}, backwards" if name in names.values() else f"the gradient of {name}")

    with ExitStack() as hooks:
        for module in model.modules():
            hooks.callback(module.register_forward_hook(forwards).remove)
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                hooks.callback(weight.register_hook(lambda gradient, name=name: backwards(name, gradient)).remove)
        loss = read()
        if not seen and bad(loss):
            seen.append("the loss")
        if not seen:
            loss.backward()
    model.zero_grad(set_to_none=True)
    return seen[0] if seen else ""


def guilty_rows(batch: Batch, read: Callable[[Batch], Tensor]) -> list[int]:
    """Records whose own loss is no number, read one by one."""
    return [row for number, row in enumerate(batch.index) if bad(read(batch.rows(torch.tensor([number]))))]


def steep_rows(model: nn.Module, batch: Batch, read: Callable[[Batch], Tensor]) -> list[int]:
    """Records whose own loss is a number, and its gradient none."""
    found: list[int] = []
    for number, row in enumerate(batch.index):
        read(batch.rows(torch.tensor([number]))).backward()
        gradients = (weight.grad for weight in model.parameters())
        if any(one is not None and not bool(torch.isfinite(one).all()) for one in gradients):
            found.append(row)
        model.zero_grad(set_to_none=True)
    return found


def tensors(held: Any) -> Iterator[Tensor]:
    """In tuples, lists and dicts, too."""
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, dict):
        for one in held.values():  # pyright: ignore[reportUnknownVariableType]
            yield from tensors(one)
    elif isinstance(held, list | tuple):
        for one in held:  # pyright: ignore[reportUnknownVariableType]
            yield from tensors(one)


def bad(one: Tensor) -> bool:
    """NaN somewhere, or an infinity that is no mask: in what is computed of words or frames minus infinity may stand for `never`."""
    if not one.is_floating_point():
        return False
    return bool((torch.isnan(one) | (one == torch.inf)).any())
