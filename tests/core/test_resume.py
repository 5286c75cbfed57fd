"""Broken off anywhere and resumed: weights, states, log and facts as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from core.train.checkpoint import Checkpoint, put_weights, read_checkpoint, sweep, weights_of, write_checkpoint
from core.train.config import TrainConfig
from core.train.log import Log
from core.train.steps import StepStats
from core.train.trainer import Trainer

CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS, 40)
TRANSFORMER = TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.2)
RNN = RNNConfig(width=8, dropout=0.2)
BATCH = BatchConfig(tokens=50, window=16)
CLOCKED = ("tokens_per_second", "eta_seconds", "seconds")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Run:
    """A small `train`: a folder, the loop, what it says and saves."""

    folder: Path
    cfg: TrainConfig
    model: ModelConfig
    batch: BatchConfig = BATCH
    happening: Callable[[str, int], str] = lambda event, step: ""
    """Hears of every event; may raise `Killed`, or ask to "stop"."""

    def __call__(self) -> str:
        """From wherever the folder says."""
        last = self.folder / "checkpoints" / "last"
        sweep(last.parent)
        batches = TrainBatches(Examples.build(PAIRS), self.batch, 5)
        trainer = Trainer(build(self.model, CODECS, seed=3), batches, self.cfg, seed=5, device=torch.device("cpu"))
        if (stored := read_checkpoint(last)) is not None:
            put_weights(trainer.model, stored.weights, "here")
            trainer.restore(stored.trainer, stored.facts)
        asked: list[int] = []

        def happens(event: str, step: int) -> bool:
            if self.happening(event, step) == "stop":
                asked.append(15)
            return bool(asked)

        def train(stats: StepStats) -> None:
            log.training(stats)
            happens("logged", stats.step)

        def evaluate(trainer: Trainer) -> float | None:
            if happens("evaluating", trainer.step):
                return None
            fixed = batch_of(PAIRS[:5])
            with trainer.averaged(), torch.no_grad():
                loss = float(trainer.model.eval().loss(fixed))
            score = loss if trainer.step == 8 else -loss  # the best is not the last
            log.evaluation(trainer.step, {"loss": score}, 0.1)
            happens("evaluated", trainer.step)
            return score

        def save(trainer: Trainer) -> None:
            tensors, facts = trainer.state()
            weights = weights_of(trainer.model)
            write_checkpoint(last, Checkpoint({}, {}, weights, tensors, facts))
            happens("saved", trainer.step)

        def stop() -> int | None:
            return 15 if happens("step", trainer.step) else None

        self.folder.mkdir(exist_ok=True)
        path = self.folder / "log.jsonl"
        with Log(path, self.cfg, from_step=trainer.step, evaluated=trainer.evaluated) as log:
            return trainer.fit(log=train, evaluate=evaluate, save=save, save_every=3, stop=stop).reason

    def remains(self) -> tuple[dict[str, bytes], list[dict[str, Any]], dict[str, Any]]:
        """Weights and states, log lines and facts, less what a clock gave."""
        last = self.folder / "checkpoints" / "last"
        lines = [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]
        facts = json.loads((last / "trainer.json").read_text())
        return (
            {path.name: path.read_bytes() for path in last.glob("*.safetensors")},
            [{key: value for key, value in line.items() if key not in CLOCKED} for line in lines],
            {key: value for key, value in facts.items() if key not in ("seconds", "spent")},
        )


RESUMED = TrainConfig(steps=11, warmup=5, lr=0.01, evaluate_every=4, log_every=5, precision="fp32")
VARIANTS = {
    "plain": (RESUMED, TRANSFORMER, BATCH),
    "accumulating": (replace(RESUMED, accumulate=3, schedule="cosine"), TRANSFORMER, BATCH),
    "rnn, mean of the last": (replace(RESUMED, average="last", average_last=2), RNN, BATCH),
    "muon, no average, threads": (
        replace(RESUMED, optimizer="muon", average="none", accumulate=2),
        TRANSFORMER,
        replace(BATCH, workers=2),
    ),
    "every switch": (
        replace(
            RESUMED,
            optimizer="adafactor",
            word_dropout=0.1,
            target_word_dropout=0.1,
            forcing="linear",
            r_drop=1.0,
            adversarial=0.1,
        ),
        RNN,
        BATCH,
    ),
}


@pytest.mark.parametrize(
    ("variant", "leap"),
    [
        *((variant, {"plain": 7, "every switch": 29}.get(variant, 13)) for variant in VARIANTS),
        *(pytest.param(variant, 1, marks=pytest.mark.slow) for variant in VARIANTS),
    ],
)
def test_broken_off_anywhere_and_resumed_is_unbroken(variant: str, leap: int, tmp_path: Path) -> None:
    """Stopped by a signal or killed, at every event there is or at some; then whole weights, states, log and facts bit for bit."""
    cfg, model, batch = VARIANTS[variant]
    events: list[tuple[str, int]] = []
    unbroken = Run(tmp_path / "unbroken", cfg, model, batch, lambda *event: (events.append(event), "")[1])
    assert unbroken() == "all 11 steps"
    expected = unbroken.remains()
    assert expected[2]["cursor"][0] >= 1, "the epoch has to end in between"
    assert (expected[2]["best_step"], expected[2]["worse"]) == (8, 1)
    assert [line["step"] for line in expected[1]] == [4, 5, 8, 10, 11, 11]
    every = [(event, how) for event in dict.fromkeys(events) for how in ("stop", "kill")]
    for number, (event, how) in enumerate(every[::leap]):

        def happening(kind: str, step: int, event: tuple[str, int] = event, how: str = how) -> str:
            if (kind, step) != event:
                return ""
            if how == "kill":
                raise Killed
            return "stop"

        folder = tmp_path / str(number)
        with suppress(Killed):
            Run(folder, cfg, model, batch, happening)()
        resumed = Run(folder, cfg, model, batch)
        assert resumed() == "all 11 steps"
        for part, other in zip(resumed.remains(), expected, strict=True):
            assert part == other, f"{how} at {event}"


def test_killed_again_and_again(tmp_path: Path) -> None:
    expected = Run(tmp_path / "unbroken", RESUMED, TRANSFORMER)
    expected()
    kills = [0]

    def often(kind: str, step: int) -> str:
        kills[0] += 1
        if kills[0] % 7 == 0:
            raise Killed
        return ""

    broken = Run(tmp_path / "broken", RESUMED, TRANSFORMER, happening=often)
    for _ in range(60):
        try:
            broken()
        except Killed:
            continue
        break
    assert kills[0] > 30
    assert broken.remains() == expected.remains()
