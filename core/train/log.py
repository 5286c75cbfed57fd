"""What a run says while it trains: log.jsonl always, a bar on a terminal, lines elsewhere, TensorBoard on request."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from core.errors import ConfigError
from core.train.config import TrainConfig
from core.train.trainer import StepStats


class Log:
    """Lines after `from_step`, and evaluations after `evaluated`, are of a continuation that broke off: dropped."""

    def __init__(self, path: Path, cfg: TrainConfig, *, from_step: int, evaluated: int | None = None) -> None:
        self.path, self.cfg, self.from_step = path, cfg, from_step
        self.evaluated = from_step if evaluated is None else evaluated
        self.bar: Any = None
        self.board: Any = None
        if cfg.tensorboard:
            try:
                from torch.utils.tensorboard.writer import SummaryWriter
            except ImportError:
                raise ConfigError("train.tensorboard needs tensorboard: pip install tensorboard") from None
            self.writer: Any = SummaryWriter

    def __enter__(self) -> Self:
        if self.path.is_file():
            os.truncate(self.path, self.kept())
        self.file = self.path.open("a", encoding="utf-8")
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm

                self.bar = tqdm(total=self.cfg.steps, initial=self.from_step, unit="step", dynamic_ncols=True)
            except ImportError:
                self.bar = None
        if self.cfg.tensorboard:
            self.board = self.writer(str(self.path.parent / "tensorboard"), purge_step=self.from_step + 1)
        return self

    def kept(self) -> int:
        """Bytes of the log that stay: to cut at the end is one system call, so a crash here loses no line."""
        size = 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            event, step = read_line(line)
            if step > (self.evaluated if event == "evaluate" else self.from_step):
                break
            size += len(line)
        return size

    def __exit__(self, *exception: object) -> None:
        self.file.close()
        if self.bar is not None:
            self.bar.close()
        if self.board is not None:
            self.board.close()

    def training(self, stats: StepStats) -> None:
        """After each interval."""
        self.line({"event": "train", **dataclasses.asdict(stats)})
        self.chart(
            stats.step, {"loss": stats.loss, "lr": stats.lr, "norm": stats.norm, "tokens/s": stats.tokens_per_second}
        )
        if self.bar is not None:
            self.bar.n = stats.step
            self.bar.set_postfix_str(
                f"loss {stats.loss:.3f}, {stats.tokens_per_second:,.0f} tokens/s, {clock(stats.eta_seconds)} left"
            )
            return
        print(
            f"step {stats.step:>6}  epoch {stats.epoch:>3}  loss {stats.loss:.3f}  lr {stats.lr:.2e}"
            f"  {stats.tokens_per_second:>7,.0f} tokens/s  {clock(stats.eta_seconds)} left",
            file=sys.stderr,
            flush=True,
        )

    def evaluation(self, step: int, values: Mapping[str, float], seconds: float) -> None:
        """After each evaluation on dev."""
        self.line({"event": "evaluate", "step": step, "metrics": dict(values), "seconds": seconds})
        self.chart(step, {f"dev/{name}": value for name, value in values.items()})
        said = "  ".join(f"{name} {value:.2f}" for name, value in values.items())
        text = f"step {step:>6}  dev: {said}  ({seconds:.1f} s)"
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def line(self, tree: Mapping[str, Any]) -> None:
        """One JSON line, on the disk at once."""
        self.file.write(json.dumps(tree, allow_nan=False) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def chart(self, step: int, values: Mapping[str, float]) -> None:
        """To TensorBoard where asked for."""
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)


def read_line(line: bytes) -> tuple[str, int]:
    """(event, step); a line that was cut off belongs to no step that counts."""
    if not line.endswith(b"\n"):
        return "", sys.maxsize
    try:
        tree = json.loads(line)
        return str(tree["event"]), int(tree["step"])
    except (ValueError, KeyError, TypeError):
        return "", sys.maxsize


def clock(seconds: float) -> str:
    """1:02:03"""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
