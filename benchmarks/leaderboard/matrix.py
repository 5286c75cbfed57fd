"""`run`: all systems on all tasks, a process a cell, as many at once as there are cores; finished cells are left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cell import TAKEN, digest_of_test, done_already
from benchmarks.leaderboard.store import Result, read_results
from benchmarks.leaderboard.systems import FLOORS, Budget, System, config_of
from core.errors import ConfigError, UserError
from core.registry import Registry
from core.settings import RunConfig

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = 2
"""A cell's exit code where its config cannot be: the row is left out, with the reason."""
PATIENCE = 10.0
"""Seconds until a cell that another process is at is looked at again."""
MARKS = {"waiting": ".", "running": ">", "done": "+", "left out": "-", "failed": "!"}


@dataclass
class Cell:
    """A place in the matrix."""

    task: str
    system: System
    seed: int | None
    """None for floors, which do not draw."""
    state: str = "waiting"
    reason: str = ""
    said: str = ""
    seconds: float = 0.0
    words: list[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.task}, {self.system.name}{seed}"


@dataclass
class Running:
    """A cell and its process."""

    cell: Cell
    process: subprocess.Popen[str]
    log: Path
    begun: float
    device: str


class Planner:
    """Which cells there are, and which of them are done."""

    def __init__(self, registry: Registry, budget: Budget, results: Path, *, again: bool) -> None:
        self.registry, self.budget, self.results, self.again = registry, budget, results, again
        self.found = read_results(results)
        self.digests: dict[str, str] = {}

    def cells(self, tasks: Sequence[str], systems: Sequence[System], seeds: int) -> list[Cell]:
        """In an order that gives every task some rows early."""
        trained = [one for one in systems if one.name != FLOORS]
        floors = [Cell(task, one, None) for one in systems if one.name == FLOORS for task in tasks]
        rest = [Cell(task, one, seed) for seed in range(1, seeds + 1) for one in trained for task in tasks]
        cells = [*floors, *rest]
        for cell in cells:
            try:
                self.look(cell)
            except UserError as error:
                cell.state, cell.reason = "left out", str(error)
        return cells

    def look(self, cell: Cell) -> None:
        """Try its config, and see whether its result is there."""
        task = self.registry[cell.task]
        if cell.system.name == FLOORS and not task.baselines:
            raise ConfigError(f"{cell.task}: has no trivial systems")
        cfg = config_of(task, cell.system, self.budget, cell.seed or 1)
        if self.again:
            return
        data = self.data_digest(cell.task, cfg)
        if cell.system.name == FLOORS:
            names = {f"floor-{name}" for name in task.baselines}
            there = {one["system"] for one in self.found if fits(one, cell.task, self.budget.name, data)}
            cell.state = "done" if names <= there else "waiting"
        elif done_already(self.found, cell.task, cell.system.name, self.budget.name, cfg, data):
            cell.state = "done"

    def data_digest(self, name: str, cfg: RunConfig) -> str:
        """Read once for each way of reading."""
        key = f"{name} {cfg.task!r} {cfg.data!r}"
        if key not in self.digests:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                self.digests[key] = digest_of_test(self.registry[name], cfg)
        return self.digests[key]


def fits(one: Result, task: str, budget: str, data: str) -> bool:
    """A result of that task and budget on today's data."""
    return (one["task"], one["budget"], one["data"]["sha256"]) == (task, budget, data)


class Matrix:
    """Runs what is waiting, and says how it goes."""

    def __init__(self, cells: list[Cell], *, jobs: int, devices: Sequence[str], logs: Path) -> None:
        self.cells, self.jobs, self.devices, self.logs = cells, jobs, list(devices), logs
        self.running: list[Running] = []
        self.elsewhere: list[tuple[float, Cell]] = []
        """Cells that another process is at, and when to look again: another `run`, or what a killed one left."""
        self.begun = time.monotonic()
        self.drawn = 0

    def run(self) -> int:
        """0 where every cell is done or left out; 1 where some failed; 130 where someone stopped it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for cell in self.cells:
            if cell.state == "left out":
                self.tell(f"left out: {cell.name}: {cell.reason}")
        total, done = len(self.cells), sum(cell.state == "done" for cell in self.cells)
        self.tell(f"{total} cells, {done} of them done already; {self.jobs} at a time")
        waiting = [cell for cell in self.cells if cell.state == "waiting"]
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while waiting or self.running or self.elsewhere:
                now = time.monotonic()
                waiting += [cell for since, cell in self.elsewhere if since <= now]
                self.elsewhere = [(since, cell) for since, cell in self.elsewhere if since > now]
                while waiting and len(self.running) < self.jobs:
                    self.start(waiting.pop(0))
                self.draw()
                time.sleep(0.2)
                for one in [one for one in self.running if one.process.poll() is not None]:
                    self.end(one)
        except KeyboardInterrupt:
            self.stop()
            return 130
        finally:
            signal.signal(signal.SIGTERM, before)
        print(self.picture(), file=sys.stderr)
        return 1 if any(cell.state == "failed" for cell in self.cells) else 0

    def start(self, cell: Cell) -> None:
        """In a process of its own, one thread each, its output in a log."""
        used = [one.device for one in self.running]
        device = min(self.devices, key=used.count) if self.devices else ""
        log = self.logs / ("-".join([cell.task, cell.system.name, str(cell.seed or "fixed")]) + ".log")
        words = [sys.executable, "-m", "benchmarks.leaderboard", "cell", *cell.words]
        words += ["--device", device] if device else []
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                words,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            )
        cell.state = "running"
        self.running.append(Running(cell, process, log, time.monotonic(), device))

    def end(self, one: Running) -> None:
        """Done, left out or failed, by its exit code and last words."""
        self.running.remove(one)
        cell, code = one.cell, one.process.returncode
        lines = one.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "")
        cell.seconds = time.monotonic() - one.begun
        if code == TAKEN:
            cell.state = "waiting"
            self.elsewhere.append((time.monotonic() + PATIENCE, cell))
            self.tell(f"{cell.name}: another process is at it; waiting for it")
            return
        if code == 0:
            cell.state, cell.said = "done", last
        else:
            cell.state = "left out" if code == LEFT_OUT else "failed"
            cell.reason = last.removeprefix("error: ") + ("" if code == LEFT_OUT else f" (exit {code}; {one.log})")
        finished = sum(cell.state not in ("waiting", "running") for cell in self.cells)
        said = cell.said if cell.state == "done" else f"{cell.state}: {cell.reason}"
        self.tell(f"[{finished}/{len(self.cells)}] {cell.name}: {said} ({cell.seconds:.0f} s){self.left()}")

    def left(self) -> str:
        """An estimate from the cells so far."""
        took = [cell.seconds for cell in self.cells if cell.seconds and cell.system.name != FLOORS]
        rest = sum(cell.state == "waiting" for cell in self.cells) + len(self.running) / 2
        if not took or not rest:
            return ""
        return f"; about {rest * sum(took) / len(took) / self.jobs / 60:.0f} min left"

    def stop(self) -> None:
        """Every training saves itself, and the next `run` goes on with it."""
        self.tell("stopping: each training saves itself first; the same command goes on with them")
        for one in self.running:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGTERM)
        for one in self.running:
            one.process.wait()

    def tell(self, line: str) -> None:
        """A line that stays."""
        self.erase()
        print(line, file=sys.stderr, flush=True)

    def draw(self) -> None:
        """The whole matrix, on a terminal, in its place."""
        if not sys.stderr.isatty():
            return
        self.erase()
        text = self.picture()
        print(text, file=sys.stderr, flush=True)
        self.drawn = len(text.splitlines())

    def erase(self) -> None:
        """What was drawn last."""
        if self.drawn:
            print(f"\x1b[{self.drawn}A\x1b[J", end="", file=sys.stderr)
            self.drawn = 0

    def picture(self) -> str:
        """Tasks down, systems across, a mark a seed."""
        tasks = list(dict.fromkeys(cell.task for cell in self.cells))
        systems = list(dict.fromkeys(cell.system.name for cell in self.cells))
        width = max(map(len, tasks))
        rows = [" " * width + "".join(f"  {name}" for name in systems)]
        for task in tasks:
            marks = [
                "".join(MARKS[cell.state] for cell in self.cells if (cell.task, cell.system.name) == (task, name))
                for name in systems
            ]
            rows.append(
                f"{task:<{width}}"
                + "".join(f"  {mark:<{len(name)}}" for mark, name in zip(marks, systems, strict=True))
            )
        spent = (time.monotonic() - self.begun) / 60
        key = "  ".join(f"{mark} {state}" for state, mark in MARKS.items())
        columns = shutil.get_terminal_size().columns if sys.stderr.isatty() else 200
        return "\n".join(line[: columns - 1].rstrip() for line in [*rows, f"{key}  ({spent:.1f} min)"])


def gpus() -> list[str]:
    """All that torch sees; cells share them."""
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def said_of(path: Path) -> str:
    """One line about a result."""
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    first = result["metrics"][result["primary"]]
    low, high = first["interval"]
    return f"{result['system']}: {result['primary']} {first['value']:.2f} [{low:.2f}, {high:.2f}]"
