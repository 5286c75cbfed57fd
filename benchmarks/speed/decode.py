"""`python -m benchmarks.speed decode --against hf,ctranslate2`: decoding on a CPU, ours and the peers' by turns, on shared weights.

A cell is a number of beams and of sources in a batch. With one thread the clock is each engine's processor time, with more it is
the wall's. Each ratio is one of medians; beside them stands which share of the outputs is the same, token by token.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.engines import OWN, PEERS, check_installed, command, convert, versions
from benchmarks.speed.turns import Clock, Race, Racer, race, racing
from benchmarks.speed.workload import SIZES, Work, work
from core.errors import ConfigError
from core.train.environment import describe

RESULTS = Path(__file__).resolve().parents[1] / "results" / "speed"
MOST_MINUTES = 15.0


@dataclass(frozen=True, slots=True)
class Cell:
    """Beams and sources in a batch."""

    beams: int
    batch: int

    @classmethod
    def of(cls, text: str) -> Cell:
        """As typed: 5x16."""
        beams, _, batch = text.partition("x")
        if not (beams.isdecimal() and batch.isdecimal() and int(beams) and int(batch)):
            raise ConfigError(f"--cells {text}: beams x batch, such as 5x16, is right")
        return cls(int(beams), int(batch))

    def __str__(self) -> str:
        return f"{'greedy' if self.beams == 1 else f'beam {self.beams}'}, batch {self.batch}"


CELLS = ("5x16", "5x64", "1x16", "1x64", "5x1", "1x1")


def add_to(verbs: Any) -> None:
    """The flags."""
    made = verbs.add_parser(
        "decode",
        help="decoding, beside the peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--against", default="hf,ctranslate2", metavar="PEER,...", help="of hf, ctranslate2 (default: both)"
    )
    made.add_argument("--own", default=",".join(OWN), metavar="NAME,...", help=f"ours, of {', '.join(OWN)}")
    made.add_argument("--size", choices=list(SIZES), default="S", help="of the model (default: S)")
    made.add_argument("--cells", default=",".join(CELLS), metavar="BEAMSxBATCH,...", help="default: %(default)s")
    made.add_argument("--threads", type=int, choices=(1, 2), default=1, help="default: 1")
    made.add_argument("--minutes", type=float, default=14.0, help="in all, at most 15 (default: 14)")
    made.add_argument(
        "--output", type=Path, metavar="FILE", help="default: benchmarks/results/speed/decode_SIZE_THREADS.json"
    )
    made.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """See the top of the file."""
    begun = time.perf_counter()
    cells = [Cell.of(text) for text in given.cells.split(",")]
    peers = _named("--against", given.against, PEERS)
    own = _named("--own", given.own, OWN)
    if not 0 < given.minutes <= MOST_MINUTES:
        raise ConfigError(f"--minutes {given.minutes:g}: above 0 and at most {MOST_MINUTES:g} is right")
    check_installed(peers)
    names = [*own, *(engine for peer in peers for engine in PEERS[peer])]
    clock: Clock = "processor" if given.threads == 1 else "wall"
    target = given.output or RESULTS / f"decode_{given.size}_{given.threads}.json"
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        if "ctranslate2" in peers:
            convert(given.size, Path(folder))
        commands = {name: command(name, given.size, given.threads, Path(folder)) for name in names}
        threads = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        with racing(commands, threads) as racers:
            _head(names)
            for number, cell in enumerate(cells):
                left = given.minutes * 60 - (time.perf_counter() - begun)
                found.append(measured(cell, racers, own, left / (len(cells) - number), clock, given.threads))
                _row(found[-1], names)
    tree = {
        "size": given.size,
        "model": asdict(SIZES[given.size]),
        "threads": given.threads,
        "clock": clock,
        "own": own,
        "peers": [name for name in names if name not in own],
        "cells": found,
        "seconds": time.perf_counter() - begun,
        "environment": describe(torch.device("cpu"), "fp32") | {"peers": versions(peers)},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}", file=sys.stderr)
    print(summary(found))
    return 0


def measured(
    cell: Cell, racers: dict[str, Racer], own: Sequence[str], seconds: float, clock: Clock, threads: int
) -> dict[str, Any]:
    """One cell: rates, ratios, and how many outputs are the same."""
    asked = work(cell.beams, cell.batch, batches=8 if cell.batch == 1 else threads)
    request = {"sources": asked.sources, "lengths": asked.lengths, "beams": cell.beams}
    ran = race(racers, request, seconds=seconds, clock=clock)
    return described(cell, ran, own, asked)


def described(cell: Cell, ran: Race, own: Sequence[str], asked: Work) -> dict[str, Any]:
    """For the file."""
    others = [name for name in ran.seconds if name not in own]
    return {
        "cell": str(cell),
        "beams": cell.beams,
        "batch": cell.batch,
        "tokens": asked.tokens,
        "rounds": ran.rounds,
        "seconds": ran.seconds,
        "tokens_per_second": {name: asked.tokens / ran.median(name) for name in ran.seconds},
        "ratios": {one: {other: ran.ratio(one, other) for other in others} for one in own},
        "same_as_first": {name: same(ran.answers[own[0]], answer) for name, answer in ran.answers.items()},
        "right_length": all(
            len(row) == length
            for answer in ran.answers.values()
            for rows, length in zip(answer, asked.lengths, strict=True)
            for row in rows
        ),
    }


def same(one: Any, other: Any) -> float:
    """Of all outputs, the share that is equal token by token."""
    pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


def summary(cells: Sequence[dict[str, Any]]) -> str:
    """All ratios in a line."""
    parts = [
        f"{cell['cell']}: {one} " + ", ".join(f"{ratio:.2f}x {other}" for other, ratio in ratios.items())
        for cell in cells
        for one, ratios in cell["ratios"].items()
    ]
    return "; ".join(parts)


def _head(names: Sequence[str]) -> None:
    print(f"{'tokens a second':<18}" + "".join(f"{name:>14}" for name in names) + "  rounds  same as the first")


def _row(cell: dict[str, Any], names: Sequence[str]) -> None:
    rates = "".join(f"{cell['tokens_per_second'][name]:>14,.0f}" for name in names)
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in list(cell["same_as_first"].items())[1:])
    print(f"{cell['cell']:<18}{rates}  {cell['rounds']:>6}  {shares}", flush=True)


def _named(flag: str, text: str, known: Sequence[str] | dict[str, tuple[str, ...]]) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise ConfigError(f"{flag} {name}: known are {', '.join(known)}")
    if flag == "--own" and not names:
        raise ConfigError(f"{flag}: at least one of {', '.join(known)} is right")
    return names
