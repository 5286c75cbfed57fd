"""R8: losses and gradients that are no numbers, brought about in one module, by one record, at steps of our choice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.torture.ordeals import (
    KILLED,
    Ordeal,
    difference,
    must_end_alike,
    ordeal_of,
    ready,
    remains,
    train,
)
from benchmarks.torture.points import POINTS, kill_at
from benchmarks.torture.rows import Row, Trial, hold
from core.data.batch import Batch
from core.run.folder import RunFolder
from core.run.saving import finite
from core.testing.training_laws import STEPS
from core.train.checkpoint import read_checkpoint
from core.train.objective import Objective
from core.train.trainer import Trainer

POLICIES = ("raise", "skip", "rollback")
WAYS = ("nan", "inf", "backwards")


def poisoned(steps: tuple[int, ...], way: str, pick: int, told: Path) -> None:
    """In this process one record of the first batch of these steps makes a module's output no number, or the gradient behind it.

    Which record and which module is a function of the step and of `pick`, so that it is the same after a resume; what it was is
    written to `told`. Reading other records of the batch alone hurts nothing.
    """
    real_init, real_call = Trainer.__init__, Objective.__call__
    active: list[str] = []
    called: list[str] = []
    chosen: dict[int, tuple[int, str]] = {}
    trainers: list[Trainer] = []

    def spoil(name: str, module: nn.Module, given: Any, output: Any) -> Any:
        called.append(name)
        if active != [name]:
            return output
        return spoilt(output)

    def spoilt(output: Any) -> Any:
        if isinstance(output, tuple):
            return tuple(map(spoilt, output))
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        if way == "backwards":
            if output.requires_grad:
                output = output * 1.0
                output.register_hook(lambda gradient: gradient * math.nan)
            return output
        return output * math.nan if way == "nan" else output + math.inf

    def init(self: Trainer, *given: Any, **options: Any) -> None:
        real_init(self, *given, **options)
        trainers.append(self)
        for name, module in self.model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(partial(spoil, name))

    def call(self: Objective, batch: Batch, step: int) -> Tensor:
        if step + 1 in steps and step + 1 not in chosen:
            called.clear()
            with torch.no_grad():
                real_call(self, batch, step)
            names = list(dict.fromkeys(called))
            chosen[step + 1] = batch.index[pick % len(batch.index)], names[pick % len(names)]
            row, name = chosen[step + 1]
            told.write_text(json.dumps({"step": step + 1, "record": trainers[-1].name(row), "module": name}))
            torch.manual_seed(trainers[-1].key(0))
        row, name = chosen.get(step + 1, (-1, ""))
        if row not in batch.index:
            return real_call(self, batch, step)
        active.append(name)
        try:
            return real_call(self, batch, step)
        finally:
            active.clear()

    Trainer.__init__, Objective.__call__ = init, call


def bad_numbers(trial: Trial) -> None:
    """R8: one poisoned step under each policy, three in a row, or a learning rate that no weight survives."""
    ordeal = ordeal_of(trial)
    policy = POLICIES[trial.number % 3]
    words = (f"train.nonfinite={policy}",)
    folder, told = trial.place / "run", trial.place / "told.json"
    if trial.number % 8 == 7:
        too_fast(trial, ordeal, folder, words)
        return
    way = WAYS[2 - trial.number % 2 if trial.quick else trial.number // 3 % 3]
    first = trial.random.randint(2, STEPS - 3)
    row = 3 if trial.number % 8 == 6 else 1
    pick = trial.random.randrange(1000)
    poison = partial(poisoned, tuple(range(first, first + row)), way, pick, told)
    life = train(ordeal, folder, before=poison, words=words)
    code, said = life.wait(), life.said.read_text()
    trial.count("steps without a number", row)
    expected = json.loads(told.read_text())
    hold("Traceback" not in said, f"{ordeal}: a traceback: {life.words()}")
    nothing_poisoned(trial, folder)
    where = f"what reads {expected['module']}, backwards" if way == "backwards" else f"{expected['module']}, forwards"
    if way == "inf" and code == 0 and "left out" not in RunFolder(folder).log.read_text():
        trial.count("infinities that come to nothing: a tanh, a softmax")
        return
    if policy == "raise" or row == 3:
        error = said.splitlines()[-1]
        hold(code == 4, f"{ordeal}, {policy}, {way}: ended with {code}: {error}")
        for part in (f"step {expected['step']}: ", f"first in {where};", f"records: {expected['record']}"):
            hold(part in error, f"{ordeal}, {policy}, {way}: {part!r} is missing in: {error}")
        trial.count("ended with exit code 4, step, record and module named")
        if policy == "raise":
            must_end_alike(trial, ordeal, folder, "resumed without the poison", words=words)
        return
    hold(code == 0, f"{ordeal}, {policy}, {way}: ended with {code}: {life.words()}")
    lines = [json.loads(line) for line in RunFolder(folder).log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "left out"]
    back = None if policy == "skip" else (first - 1) // 3 * 3
    found = (line["step"], line["records"], line["where"], line["back_to"])
    hold(found == (first, [expected["record"]], where, back), f"{ordeal}, {policy}, {way}: {found}; {expected}")
    trial.count(f"left out by {policy}, step, record and module named")
    whole = remains(folder)
    point = trial.random.choice([one for one in POINTS if not one.resuming])
    again = trial.place / "again"

    def both() -> None:
        poison()
        kill_at(point, trial.random.randrange(4))

    if train(ordeal, again, before=both, words=words).wait() == KILLED:
        trial.count("kills")
    life = train(ordeal, again, before=poison, words=words)
    code = life.wait()
    hold(code == 0, f"{ordeal}, {policy}: the resume ended with {code}: {life.words()}")
    hold(remains(again) == whole, f"{ordeal}, {policy}, {way}, {point.name}: {difference(remains(again), whole)}")
    trial.count("bit-identical runs")


def too_fast(trial: Trial, ordeal: Ordeal, folder: Path, words: tuple[str, ...]) -> None:
    """A learning rate that makes infinities of weights."""
    life = train(ordeal, folder, words=(*words, "train.lr=1e38", "train.clip=0", "train.warmup=1"))
    code = life.wait()
    hold(code == 4, f"{ordeal}: with a learning rate of 1e38 it ended with {code}: {life.words()}")
    nothing_poisoned(trial, folder)
    trial.count("steps without a number")
    trial.count("learning rates that no weight survives: ended with exit code 4")


def nothing_poisoned(trial: Trial, folder: Path) -> None:
    """Every checkpoint that is there is of numbers alone."""
    run = RunFolder(folder)
    for path in (run.last, run.best, run.good):
        checkpoint = read_checkpoint(path)
        if checkpoint is not None:
            held: Callable[[dict[str, Tensor]], bool] = lambda tensors: all(map(finite, tensors.values()))  # noqa: E731
            hold(held(checkpoint.weights) and held(checkpoint.trainer), f"{path.name} holds what is no number")
            trial.count("checkpoints looked at, none poisoned")


ROWS = (
    Row(
        "R8",
        threat="a loss or a gradient that is NaN or infinite",
        promise="Step, record (file:line) and first bad module are named; raise, skip and rollback do what they say and stay exact under"
        " kills; no checkpoint is ever poisoned.",
        trial=bad_numbers,
        unit="steps without a number",
        goal=40,
        full=48,
        quick=3,
        seconds=6.0,
        warm=ready,
    ),
)
