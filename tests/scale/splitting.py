"""What one of several processes does to show that a gradient is the same however its records are divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig
from core.testing.tiny import (
    Pair,
    TinyFrames,
    batch_of,
    frame_models,
    small,
    stir,
    tiny_codecs,
    tiny_models,
    tiny_pairs,
)
from core.train.config import TrainConfig
from core.train.ranks import Ranks, joined, whole
from core.train.trainer import Trainer

CPU = torch.device("cpu")
RECORDS = 13
SPLITS = (1, 2, 5)
"""Micro-batches: of five, some have fewer records than four processes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A model and what it is trained for."""

    model: ModelConfig
    frames: bool = False
    train: dict[str, Any] = field(default_factory=dict)
    shards: bool = True
    """Whether `train.parallel = "fsdp"` can do it."""


TEXT, HEARD = tiny_models(), frame_models()
LOSSES = {
    "smoothing": Loss(TEXT["transformer-layer-sinusoidal-relu"], train={"label_smoothing": 0.2}),
    "copying": Loss(TEXT["rnn-copy"]),
    "copying by a transformer": Loss(TEXT["transformer-copy"]),
    "ctc": Loss(HEARD["transformer-ctc-subsampled"], frames=True),
    "ctc of a recurrent encoder": Loss(HEARD["rnn-ctc"], frames=True),
    "coverage": Loss(small(RNNConfig()), train={"coverage": 0.5}),
    "two readings": Loss(TEXT["transformer-rms-rotary-swiglu"], train={"r_drop": 1.0}),
    "pushed embeddings": Loss(TEXT["transformer-layer-rotary-gelu"], train={"adversarial": 0.3}, shards=False),
}


def parts(pairs: Sequence[Pair], micros: int, ranks: Ranks) -> list[Batch]:
    """This process's share of each micro-batch; where it has none, a record that does not count."""
    found: list[Batch] = []
    for number in range(micros):
        rows = range(number, len(pairs), micros)
        own = rows[ranks.rank :: ranks.world]
        taken = own or rows[:1]
        batch = batch_of([pairs[row] for row in taken], taken)
        found.append(batch if own else replace(batch, tokens=0))
    return found


def divide(out: Path, kind: str) -> None:
    """The gradients of each loss, of the same records in so many micro-batches, into a file of the first process."""
    torch.set_num_threads(1)
    kept: dict[str, Tensor] = {}
    with joined(CPU, 120) as ranks:
        for name, loss in LOSSES.items():
            if kind == "fsdp" and not loss.shards:
                continue
            codecs = tiny_codecs(shared=not loss.frames)
            if loss.frames:
                codecs = Codecs(source=TinyFrames(stretch=6), target=RegexTokenizer.fit(["abcdef"]))
            pairs = tiny_pairs(codecs, RECORDS, copy=loss.model.copies)
            tokens = sum(len(target) + 1 for _, target in pairs)
            cfg = replace(TrainConfig(precision="fp32"), parallel=kind, **loss.train)
            model = build(replace(loss.model, dropout=0.0), codecs, seed=3).double()
            stir(model)
            batches = TrainBatches(Examples.build(pairs), BatchConfig(), 5, rank=ranks.rank, world=ranks.world)
            trainer = Trainer(model, batches, cfg, seed=5, device=CPU, ranks=ranks)
            for micros in SPLITS:
                total = trainer.gradients.of(parts(pairs, micros, ranks), 0, tokens)
                kept[f"{name}/{micros}/loss"] = ranks.summed(total.double())
                for place, one in model.named_parameters():
                    assert one.grad is not None, f"{name}: {place} has no gradient"
                    kept[f"{name}/{micros}/{place}"] = whole(one.grad).clone()
                trainer.gradients.forget()
        if ranks.first:
            save_file(kept, out)
