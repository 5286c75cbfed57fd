"""What a run says while it trains: log.jsonl always, a bar on a terminal, lines elsewhere, TensorBoard on request."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from core.errors import ConfigError
from core.train.config import TrainConfig
from core.train.durable import NotSaved, not_saved, sync_folder
from core.train.finite import LeftOut
from core.train.steps import StepStats


class Log:
    """Lines after `from_step`, and evaluations after `evaluated`, are of a continuation that broke off: dropped."""

    def __init__(self, path: Path, cfg: TrainConfig, *, from_step: int, evaluated: int | None = None) -> None:
        self.path, self.cfg, self.from_step = path, cfg, from_step
        self.evaluated = from_step if evaluated is None else evaluated
        self.waiting: list[bytes] = []
        self.bar: Any = None
        self.board: Any = None
        if cfg.tensorboard:
            try:
                from torch.utils.tensorboard.writer import SummaryWriter
            except ImportError:
                raise ConfigError("train.tensorboard needs tensorboard: pip install tensorboard") from None
            self.writer: Any = SummaryWriter

    def __enter__(self) -> Self:
        self.size = self.kept() if self.path.is_file() else 0
        self.file = self.path.open("ab", buffering=0)
        self.file.truncate(self.size)
        sync_folder(self.path.parent)
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
        self.say(f"step {step:>6}  dev: {said}  ({seconds:.1f} s)")

    def left_out(self, one: LeftOut) -> None:
        """A step whose loss or gradient was no number, and what was done."""
        self.line({"event": "left out", **dataclasses.asdict(one)})
        first = f", first in {one.where}" if one.where else ""
        more = f" and {len(one.records) - 20} more" if len(one.records) > 20 else ""
        back = "" if one.back_to is None else f"; weights are those of step {one.back_to} again"
        self.say(
            f"warning: step {one.step} left out: no number{first}; training records: {', '.join(one.records[:20])}{more}{back}"
        )

    def line(self, tree: Mapping[str, Any]) -> None:
        """One JSON line, on the disk at once; where that is full, held with those that follow, and training goes on."""
        self.waiting.append((json.dumps(tree, allow_nan=False) + "\n").encode())
        try:
            self.settle()
        except NotSaved as error:
            if len(self.waiting) == 1:
                self.say(f"warning: {error}; the lines are held until they can be")

    def settle(self) -> None:
        """All lines are on the disk; else none of those that were held, and NotSaved."""
        content = b"".join(self.waiting)
        if not content:
            return
        try:
            left = memoryview(content)
            while left:
                left = left[self.file.write(left) :]
            os.fsync(self.file.fileno())
        except OSError as error:
            with suppress(OSError):
                self.file.truncate(self.size)
            raise not_saved(self.path, len(content), error) from None
        self.size += len(content)
        self.waiting.clear()

    def say(self, text: str) -> None:
        """To standard error, above the bar where there is one."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

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
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", sys.maxsize


def clock(seconds: float) -> str:
    """1:02:03"""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
