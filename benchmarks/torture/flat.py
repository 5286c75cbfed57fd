"""R17: memory, open files and threads over thousands of steps, answers and reopenings."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.torture.ordeals import Ordeal, case_of, finished_run
from benchmarks.torture.rows import Row, Trial, hold
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.model.build import build
from core.model.config import RNNConfig, TransformerConfig
from core.record import Record
from core.run.folder import RunFolder
from core.run.stored import load_run
from core.testing.tiny import tiny_codecs, tiny_pairs
from core.train.checkpoint import Checkpoint, weights_of, write_checkpoint
from core.train.config import TrainConfig
from core.train.log import Log
from core.train.trainer import Trainer

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM = 0.3
"""Of the rounds, before it counts."""
SLOPE = 1024
"""Bytes a step, at most."""
SLACK = 2 * 2**20
"""Bytes that may come and go however short a form is: pools of the allocator."""


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def flat(trial: Trial, what: str, times: int, once: Callable[[int], None]) -> None:
    """Do it so often; after warming up nothing may grow."""
    seen: list[tuple[int, int]] = []
    state: tuple[int, int] | None = None
    for number in range(times):
        once(number)
        if number >= WARM * times and number % max(times // 200, 1) == 0:
            gc.collect()
            seen.append((number, resident()))
            now = len(os.listdir("/proc/self/fd")), threading.active_count()
            state = state or now
            hold(now == state, f"{what} {number:,}: {now} open files and threads, {state} before")
    at, memory = np.array(seen, dtype=float).T
    slope = float(np.polyfit(at, memory, 1)[0])
    grown = slope * (at[-1] - at[0])
    trial.measure(f"bytes of memory more for each of {what}", slope)
    hold(slope <= SLOPE or grown <= SLACK, f"{what}: {slope:,.0f} bytes more each, {grown:,.0f} in all")
    trial.count(what, times)


def leaks(trial: Trial) -> None:
    """Training with saves and a log, answering, and reopening a run: the trial's number says which."""
    share = 0.02 if trial.quick else 1.0
    (steps, answers, reopenings)[trial.number % 3](trial, share)


def steps(trial: Trial, share: float) -> None:
    """Updates, by both kinds of models in turns, with threads that make batches."""
    codecs, times = tiny_codecs(), round(10_000 * share)
    models = (TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12), RNNConfig(width=8))
    cfg = TrainConfig(steps=10**6, evaluate_every=10**6, log_every=20, precision="fp32")
    model = build(models[trial.number // 3 % 2], codecs, seed=3)
    batches = TrainBatches(Examples.build(tiny_pairs(codecs, 40)), BatchConfig(tokens=50, window=16, workers=2), 5)
    trainer = Trainer(model, batches, cfg, seed=5, device=torch.device("cpu"))
    with Log(trial.place / "log.jsonl", cfg, from_step=0) as log:
        stream = batches.batches(trainer.cursor)

        def once(number: int) -> None:
            trainer.cursor, batch = next(stream)
            trainer.train_step([batch])
            if number % 20 == 0:
                log.training(trainer.stats())
            if number % 100 == 0:
                tensors, facts = trainer.state()
                write_checkpoint(trial.place / "last", Checkpoint({}, {}, weights_of(model), tensors, facts))

        flat(trial, "training steps", times, once)
        stream.close()


def answers(trial: Trial, share: float) -> None:
    """Answers by beam search, ten at a time."""
    codecs, times = tiny_codecs(), round(10_000 * share)
    model = build(TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12), codecs, seed=3)
    draw = trial.random

    def once(number: int) -> None:
        if number % 10 == 0:
            records = [
                Record(f"{number + k}", "".join(draw.choices("abcdef", k=draw.randint(1, 12)))) for k in range(10)
            ]
            found = predict_records(model, codecs, records, SearchConfig(beams=2, length_extra=4), longest=64)
            hold(len(found) == 10, "an answer is missing")

    flat(trial, "answers", times, once)


def reopenings(trial: Trial, share: float) -> None:
    """A run folder, read from the beginning."""
    ordeal = Ordeal("roman", "transformer", 0, 1)
    folder = RunFolder(finished_run(trial, ordeal, trial.place / "finished"))
    task, _ = case_of(ordeal.task)
    flat(trial, "reopenings of a run", round(1000 * share), lambda number: (load_run(task, folder), None)[1])


ROWS = (
    Row(
        "R17",
        threat="memory, open files or threads that grow with steps, answers or reopenings",
        promise="After warming up memory grows by at most 1 KiB each, open files and threads not at all.",
        trial=leaks,
        unit="training steps",
        goal=20_000,
        full=6,
        quick=2,
        seconds=40.0,
    ),
)
