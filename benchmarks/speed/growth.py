"""`python -m benchmarks.speed growth`: how our search's cost grows with beams, with the length of the output and with the batch.

Each figure is the median of some searches, the settings of a sweep taken by turns, forth and back; sources have 20 symbols. The
exponent is the slope of a line through the logarithms: 1 is linear, less is better than linear.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.engines import OWN, command
from benchmarks.speed.turns import Racer, racing
from benchmarks.speed.workload import SIZES, work
from core.train.environment import describe

RESULTS = Path(__file__).resolve().parents[1] / "results" / "speed"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One of the three grows, the others stay."""

    name: str
    values: tuple[int, ...]
    beams: int = 5
    batch: int = 4
    length: int = 32

    def setting(self, value: int) -> dict[str, int]:
        """What is decoded with this value."""
        return {"beams": self.beams, "batch": self.batch, "length": self.length} | {self.name: value}


SWEEPS = (
    Sweep("beams", (1, 2, 4, 8, 16, 32), batch=8),
    Sweep("length", (16, 32, 64, 128, 256, 512)),
    Sweep("batch", (1, 4, 16, 64, 256)),
)


def add_to(verbs: Any) -> None:
    """The flags."""
    made = verbs.add_parser("growth", help="how cost grows with beams, lengths and batches", description=__doc__)
    made.add_argument("--own", choices=OWN, default="native", help="which of our engines (default: native)")
    made.add_argument("--size", choices=list(SIZES), default="S", help="of the model (default: S)")
    made.add_argument("--rounds", type=int, default=3, help="searches of each setting (default: 3)")
    made.add_argument("--output", type=Path, metavar="FILE", help="default: benchmarks/results/speed/growth_SIZE.json")
    made.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """See the top of the file."""
    begun = time.perf_counter()
    target = given.output or RESULTS / f"growth_{given.size}.json"
    with tempfile.TemporaryDirectory() as folder:
        commands = {given.own: command(given.own, given.size, 1, Path(folder))}
        with racing(commands, {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}) as racers:
            found = [swept(sweep, racers[given.own], max(given.rounds, 1)) for sweep in SWEEPS]
    tree = {
        "size": given.size,
        "engine": given.own,
        "rounds": max(given.rounds, 1),
        "sweeps": found,
        "seconds": time.perf_counter() - begun,
        "environment": describe(torch.device("cpu"), "fp32"),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}", file=sys.stderr)
    print("; ".join(f"seconds ~ {one['name']}^{one['exponent']:.2f}" for one in found))
    return 0


def swept(sweep: Sweep, racer: Racer, rounds: int) -> dict[str, Any]:
    """One of them, printed as it goes."""
    taken: dict[int, list[float]] = {value: [] for value in sweep.values}
    for number in range(rounds + 1):  # the first warms up
        for value in sweep.values if number % 2 else reversed(sweep.values):
            setting = sweep.setting(value)
            asked = work(setting["beams"], setting["batch"], batches=1, length=setting["length"], symbols=20)
            turn = racer.turn({"sources": asked.sources, "lengths": asked.lengths, "beams": asked.beams})
            if number:
                taken[value].append(turn.processor)
    medians = {value: statistics.median(some) for value, some in taken.items()}
    points = [{**sweep.setting(value), "seconds": medians[value], "all_seconds": some} for value, some in taken.items()]
    slope = exponent(sweep.values, list(medians.values()))
    print(f"{sweep.name:<8}" + "".join(f"  {value}: {medians[value]:.3f} s" for value in sweep.values))
    print(f"{'':<8}  seconds ~ {sweep.name}^{slope:.2f}", flush=True)
    return {"name": sweep.name, "points": points, "exponent": slope}


def exponent(values: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(seconds) over log(values), by least squares."""
    return float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
