"""The parts of a model by name, and which parameters training leaves as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_args

from torch import nn

from core.errors import ConfigError
from core.model.front import SymbolFront
from core.model.seq2seq import Seq2Seq
from core.train.adapters import adapter_names
from core.train.config import Part, TrainConfig


def part(model: Seq2Seq, name: Part) -> list[nn.Parameter]:
    """Empty where the model has no such part. A matrix that serves in two places belongs to both."""
    return [one for module in modules(model, name) for one in module.parameters()]


def modules(model: Seq2Seq, name: Part) -> Iterator[nn.Module]:
    """Whose parameters are the part."""
    match name:
        case "encoder" | "decoder" | "features" | "ctc":
            named = (name,) if name != "features" else ("features", "told", "said")
            yield from (one for own in named if isinstance(one := getattr(model, own), nn.Module))
        case "embeddings":
            yield model.embedding
            if isinstance(model.front, SymbolFront):
                yield from (model.front, model.front.table)
        case "front":
            if not isinstance(model.front, SymbolFront):
                yield model.front
        case "output":
            yield model.head
            if model.head.borrowed is not None:
                yield model.head.borrowed.embedding


def hold(model: Seq2Seq, cfg: TrainConfig, fresh: Collection[str]) -> None:
    """Let training move what the config leaves free; under adapters that is they, and what no earlier run has taught (`fresh`)."""
    for name in cfg.freeze:
        if not (found := part(model, name)):
            there = ", ".join(one for one in get_args(Part) if part(model, one))
            raise ConfigError(f"train.freeze: this model has no {name}; it has {there}")
        for parameter in found:
            parameter.requires_grad_(False)
    if cfg.lora:
        moving = adapter_names(model).union(fresh)
        for name, parameter in model.named_parameters():
            if name not in moving:
                parameter.requires_grad_(False)
    if not trainable(model):
        raise ConfigError("train.freeze: nothing is left to train")


def trainable(model: nn.Module) -> int:
    """Numbers that training moves."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)
