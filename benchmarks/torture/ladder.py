"""R13: the ladder of determinism. L0 the same seed twice, L1 other numbers of loader workers, L2 a resume: equal bits.
L3 an update cut into eight batches in place of one: the gradient is equal to 1e-6.
L4 another number of threads: the difference is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.torture.ordeals import (
    Ordeal,
    case_of,
    config_of,
    difference,
    must_end_alike,
    ordeal_of,
    ready,
    remains,
    train,
    unbroken,
)
from benchmarks.torture.points import POINTS, kill_at
from benchmarks.torture.rows import Row, Trial, hold
from core.data.stream import TrainBatches
from core.run.folder import RunFolder
from core.run.prepared import make_model, make_rule, training_data
from core.train.trainer import Trainer

WORKERS = (0, 1, 2, 4)
SPLIT, SPLIT_TENSOR = 1e-6, 1e-5
"""Between one batch and eight: of the gradient's norm, and of the largest number of a tensor's."""
THREADS = 1e-3
"""Of a loss in the log, between one thread and two."""


def climbed(trial: Trial) -> None:
    """All five rungs of one config; quickly, without L0, which L1 implies, and L2, which is what R1 to R3 are."""
    ordeal = ordeal_of(trial)
    whole = unbroken(trial, ordeal)["remains"]
    for rung, words in (("L0", ()), ("L1", (f"batch.workers={other(trial, ordeal)}",)))[trial.quick :]:
        folder = trial.place / rung
        life = train(ordeal, folder, words=words)
        hold(life.wait() == 0, f"{ordeal}, {rung}: {life.words()}")
        hold(remains(folder) == whole, f"{ordeal}, {rung}: {difference(remains(folder), whole)}")
        trial.count(f"{rung} equal bits")
    if not trial.quick:
        folder = trial.place / "L2"
        point = POINTS[trial.random.randrange(len(POINTS) // 2)]
        train(ordeal, folder, before=lambda: kill_at(point, 2)).wait()
        must_end_alike(trial, ordeal, folder, "L2")
        trial.count("L2 equal bits")
    apart, tensor = split_gradients(ordeal)
    trial.measure("L3: norm of the difference of gradients, relative", apart)
    trial.measure("L3: largest difference of a gradient, relative to its tensor's largest", tensor)
    hold(apart <= SPLIT, f"{ordeal}, L3: gradients of one batch and of eight differ by {apart:.2g}")
    hold(tensor <= SPLIT_TENSOR, f"{ordeal}, L3: a tensor's gradients of one batch and of eight differ by {tensor:.2g}")
    trial.count("L3 within 1e-6")
    folder = trial.place / "L4"
    life = train(ordeal, folder, words=("train.threads=2",))
    hold(life.wait() == 0, f"{ordeal}, L4: {life.words()}")
    apart = losses_apart(folder, trial.shared / str(ordeal))
    trial.measure("L4: largest difference of a logged loss, relative", apart)
    hold(apart <= THREADS, f"{ordeal}, L4: losses with two threads differ by {apart:.2g}")
    trial.count("L4 within 1e-3")
    trial.count("configs")


def other(trial: Trial, ordeal: Ordeal) -> int:
    """Another number of workers."""
    return trial.random.choice([n for n in WORKERS if n != ordeal.workers])


def split_gradients(ordeal: Ordeal) -> tuple[float, float]:
    """(of the whole, of the worst tensor): the same records as one batch and as eight, in the arithmetic that training uses."""
    task, _ = case_of(ordeal.task)
    cfg = config_of(ordeal)
    cfg = replace(cfg, model=replace(cfg.model, dropout=0.0), train=replace(cfg.train, clip=0.0, average="none"))
    data = training_data(task, cfg)
    rows = torch.arange(min(len(data.encoded.records), 16))
    whole = data.encoded.examples.take(rows.numpy())

    def gradients(parts: int) -> dict[str, Tensor]:
        model = make_model(task, cfg, data.codecs)
        batches = TrainBatches(data.encoded.examples, cfg.batch, cfg.seed)
        trainer = Trainer(
            model, batches, cfg.train, seed=cfg.seed, device=torch.device("cpu"), rule=make_rule(task, cfg, data.codecs)
        )
        found: dict[str, Tensor] = {}

        def note(*given: object, **named: object) -> None:
            found.update({name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None})

        trainer.watch.note = note
        trainer.train_step([whole.rows(part) for part in rows.chunk(parts)])
        return found

    one, eight = gradients(1), gradients(8)
    hold(one.keys() == eight.keys() and one, f"{ordeal}, L3: other tensors have gradients")
    apart = {name: one[name].double() - eight[name].double() for name in one}
    norms = (float(torch.cat([tensor.flatten() for tensor in tensors.values()]).norm()) for tensors in (apart, one))
    difference, norm = norms
    return difference / norm, max(
        float(apart[name].abs().max() / one[name].abs().max().clamp(min=1e-3)) for name in one
    )


def losses_apart(folder: Path, other: Path) -> float:
    """Of the training lines of two logs."""

    def losses(place: Path) -> list[float]:
        lines = [json.loads(line) for line in RunFolder(place).log.read_text().splitlines()]
        return [line["loss"] for line in lines if line["event"] == "train"]

    return max(abs(a - b) / max(abs(b), 1e-9) for a, b in zip(losses(folder), losses(other), strict=True))


ROWS = (
    Row(
        "R13",
        threat="a result that depends on what it should not: workers, resumes, how an update is cut, threads",
        promise="L0-L2 have equal bits, L3 gradients within 1e-6 of their norm, L4 losses within 1e-3.",
        trial=climbed,
        unit="configs",
        goal=30,
        full=30,
        quick=1,
        seconds=12.0,
        warm=ready,
    ),
)
