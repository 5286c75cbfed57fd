"""R9: memory that runs out, in one module of one pass as an allocator would say it, or for real under a limit of the system."""

from __future__ import annotations

import math
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.torture.flat import PAGE, resident
from benchmarks.torture.rows import Row, Trial, hold
from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import TransformerConfig
from core.testing.tiny import batch_of, stir, tiny_codecs, tiny_models, tiny_pairs
from core.train.config import TrainConfig
from core.train.room import NoRoom
from core.train.trainer import Trainer

CFG = TrainConfig(steps=100, precision="fp32")
OFF = 1e-6
"""What parts may change of a gradient, relative to its norm."""
AGAIN = 100
"""Times out of memory that must leave nothing behind."""
LEFT = 2**20


class Refusing:
    """An allocator that has no room for more than so many records, where one module is called or its gradient computed."""

    def __init__(self, trainer: Trainer, records: int, name: str, way: str) -> None:
        self.trainer, self.records, self.way, self.times = trainer, records, way, 0
        self.on = True
        trainer.model.get_submodule(name).register_forward_hook(self.called)

    def called(self, module: nn.Module, given: Any, output: Any) -> None:
        tensors = [one for one in (output if isinstance(output, tuple) else (output,)) if isinstance(one, Tensor)]
        if self.way == "forwards":
            self.refuse()
        else:
            for one in tensors:
                if one.requires_grad:
                    one.register_hook(self.refuse)

    def refuse(self, gradient: Tensor | None = None) -> None:
        if self.on and self.trainer.gradients.room.tried[0] > self.records:
            self.times += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def trainer_of(name: str, pairs: int, longest: int = 8) -> tuple[Trainer, list[Batch]]:
    """One of the laws' models, without dropout, and two batches."""
    cfg = replace(tiny_models()[name], dropout=0.0)
    codecs = tiny_codecs(shared=True)
    drawn = tiny_pairs(codecs, 2 * pairs, longest=longest, copy=cfg.copies)
    model = build(cfg, codecs, seed=3)
    stir(model)
    batches = TrainBatches(Examples.build(drawn), BatchConfig(tokens=10**6), 5)
    trainer = Trainer(model, batches, CFG, seed=5, device=torch.device("cpu"))
    return trainer, [batch_of(drawn[:pairs]), batch_of(drawn[pairs:])]


def gradient(trainer: Trainer, micro: list[Batch]) -> Tensor:
    """All of it, in a row."""
    trainer.gradients.of(micro, 0, sum(batch.tokens for batch in micro))
    found = torch.cat([one.grad.double().view(-1) for one in trainer.model.parameters() if one.grad is not None])
    trainer.gradients.forget()
    return found


def must_be(trial: Trial, found: Tensor, expected: Tensor, what: str) -> None:
    """The same gradient."""
    hold(found.shape == expected.shape, f"{what}: other parameters have a gradient")
    off = float((found - expected).norm() / expected.norm())
    trial.measure("largest relative change of a gradient", off)
    hold(math.isfinite(off) and off <= OFF, f"{what}: the gradient is off by {off:.1e}")


def out_of_memory(trial: Trial) -> None:
    """R9: the step is finished in parts, with the gradient of the undivided batch."""
    if trial.number % 4 == 3:
        for_real(trial)
        return
    names = [name for name, cfg in tiny_models().items() if not getattr(cfg, "layer_drop", 0.0)]
    name = names[trial.number % len(names)]
    trainer, micro = trainer_of(name, 9)
    called: list[str] = []
    handles = [
        one.register_forward_hook(lambda *given, place=place: called.append(place))
        for place, one in trainer.model.named_modules()
        if place and not list(one.children())
    ]
    expected = gradient(trainer, micro)
    for one in handles:
        one.remove()
    place = trial.random.choice(sorted(set(called)))
    way = trial.random.choice(["forwards", "backwards"])
    records = trial.random.randint(1, 6)
    refusing = Refusing(trainer, records, place, way)
    what = f"{name}, {place}, {way}, room for {records}"
    found = gradient(trainer, micro)
    if not refusing.times:
        trial.count("modules without a gradient of their own")
        return
    trial.count("times out of memory", refusing.times)
    trial.count(f"out of memory {way}", refusing.times)
    must_be(trial, found, expected, what)
    most = trainer.gradients.room.most
    again, _ = trainer_of(name, 9)
    trainer.train_step(micro)
    again.restore(*trainer.state())
    hold(again.gradients.room.most == most > 0, f"{what}: what had room is no part of the state")
    trial.count("choices found again in the state")
    if not trial.quick:
        nothing_left(trial, trainer, micro, refusing, what)


def nothing_left(trial: Trial, trainer: Trainer, micro: list[Batch], refusing: Refusing, what: str) -> None:
    """Memory after many times is what it was after some."""
    before, first = 0, refusing.times
    while refusing.times - first < 2 * AGAIN:
        if not before and refusing.times - first >= AGAIN:
            before = resident()
        trainer.gradients.room.most = 0
        gradient(trainer, micro)
    grown = resident() - before
    trial.measure(f"bytes more after {AGAIN} times", grown)
    hold(grown <= LEFT, f"{what}: {grown:,} bytes more after {AGAIN} times out of memory")
    trial.count("times out of memory", refusing.times - first)


def for_real(trial: Trial) -> None:
    """The system gives this process no more: torch's allocator fails wherever it happens to."""
    codecs = tiny_codecs(shared=True)
    pairs = tiny_pairs(codecs, 24, longest=trial.random.randint(150, 250))
    width = TransformerConfig(width=8, heads=4, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.0)
    model = build(width, codecs, seed=3)
    batches = TrainBatches(Examples.build(pairs), BatchConfig(tokens=10**6), 5)
    trainer = Trainer(model, batches, CFG, seed=5, device=torch.device("cpu"))
    said: list[str] = []
    trainer.gradients.say = said.append
    gradient(trainer, [batch_of(pairs[:1])])  # what is made once only
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    room = trial.random.randint(12, 24) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (taken + room, limits[1]))
    try:
        found = gradient(trainer, [batch_of(pairs)])
    except NoRoom:
        trial.count("limits under which not even one record has room, said so")
        return
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    trial.count("times out of memory", len(said))
    trial.count("limits of the system", 1)
    must_be(trial, found, gradient_of_all(trainer, batch_of(pairs)), f"{room / 2**20:.0f} MiB left")


def gradient_of_all(trainer: Trainer, batch: Batch) -> Tensor:
    """Undivided."""
    trainer.gradients.room.most = 0
    return gradient(trainer, [batch])


ROWS = (
    Row(
        "R9",
        threat="memory that runs out while a batch is learned from",
        promise="The batch is learned from in parts with the same gradient (1e-6 of its norm); nothing is left after a hundred times;"
        " what had room is part of the state.",
        trial=out_of_memory,
        unit="times out of memory",
        goal=40,
        full=48,
        quick=4,
        seconds=2.0,
    ),
)
