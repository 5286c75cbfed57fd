"""See the package's docstring."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.torture import __doc__ as about
from benchmarks.torture.kept import Kept, result, summary
from benchmarks.torture.page import page
from benchmarks.torture.registry import FAMILIES, all_rows, rows_of
from benchmarks.torture.rows import Row
from benchmarks.torture.trying import outcomes
from core.run.folder import write_json
from core.train.environment import describe

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "torture"
EVERY = 30.0
"""Seconds between lines of progress where no terminal is."""


class Progress:
    """A line that is written over on a terminal, one now and then elsewhere."""

    def __init__(self, row: Row, planned: int, done: int) -> None:
        self.row, self.planned, self.done, self.before = row, planned, done, done
        self.begun = self.said = time.monotonic()

    def one(self) -> None:
        """A trial has ended."""
        self.done += 1
        now = time.monotonic()
        live = sys.stderr.isatty()
        if self.done < self.planned and (live or now - self.said >= EVERY):
            left = (now - self.begun) / (self.done - self.before) * (self.planned - self.done)
            text = f"{self.row.name:<4} {self.done:,} of {self.planned:,} trials, {left:,.0f} s left"
            print(f"\r{text}\033[K" if live else text, end="" if live else "\n", file=sys.stderr, flush=True)
            self.said = now
        elif live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None, rows: dict[str, Row] | None = None) -> int:
    """0 where all promises were kept, 1 where one was not, 2 for a mistake in the words."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torture", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = all_rows() if rows is None else rows
    parser.add_argument("--rows", metavar="R1,R2", help="these rows; a family stands for its rows")
    parser.add_argument("--quick", action="store_true", help="the form that runs in every check; keeps no results")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="share so much time among the rows; default: no limit"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at a time")
    parser.add_argument("--only", type=int, metavar="N", help="this trial of one row, with all that it says")
    parser.add_argument("--state", type=Path, default=Path("runs/torture"), help="what is known so far, to go on from")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where ROW.json goes")
    parser.add_argument("--list", action="store_true", help="the rows there are")
    parser.add_argument("--page", action="store_true", help="print docs/reliability.md")
    given = parser.parse_args(argv)
    wanted = [one for name in (given.rows.split(",") if given.rows else known) for one in names(name, known)]
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"--rows {unknown[0]}: one of {', '.join((*FAMILIES, *known))}")
    chosen = [known[name] for name in dict.fromkeys(wanted)]
    if given.list:
        for row in chosen:
            print(f"{row.name:<4} {row.quick:>4} {row.full:>6}  {row.threat}")
        return 0
    if given.page:
        print(page(list(known.values()), given.results), end="")
        return 0
    if given.jobs < 1 or given.minutes < 0:
        parser.error("--jobs: at least 1, --minutes: at least 0")
    torch.set_num_threads(1)  # and no pool of threads in what will be forked
    if given.only is not None:
        if len(chosen) != 1:
            parser.error("--only: name one row with --rows")
        return alone(chosen[0], given.only, given)
    with tempfile.TemporaryDirectory(prefix="torture-shared-") as shared:
        broken = [
            row.name
            for row in chosen
            if row.trials(quick=given.quick) and tortured(row, until(row, chosen, given), given, Path(shared))
        ]
    if broken:
        print(f"promises broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def names(name: str, known: dict[str, Row]) -> list[str]:
    """Of a family, its rows."""
    return [row.name for row in rows_of(name) if row.name in known] if name in FAMILIES else [name]


def until(row: Row, rows: Sequence[Row], given: argparse.Namespace) -> float:
    """When a row has used up its share of the time; what one leaves is for those behind it."""
    if not given.minutes:
        return float("inf")
    given.end = getattr(given, "end", time.monotonic() + 60 * given.minutes)
    later = rows[rows.index(row) :]
    whole = sum(one.seconds * one.trials(quick=given.quick) for one in later)
    now = time.monotonic()
    return now + max(given.end - now, 0.0) * row.seconds * row.trials(quick=given.quick) / max(whole, 1e-9)


def tortured(row: Row, end: float, given: argparse.Namespace, shared: Path) -> bool:
    """Run what is missing of a row, keep and say what came of it; whether a promise was broken."""
    environment = describe(torch.device("cpu"), "fp32")
    about: dict[str, Any] = {"seed": given.seed, "jobs": given.jobs, "environment": environment}
    form = "quick" if given.quick else "full"
    key = {"row": row.name, "form": form, **about, "jobs": 0}
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        state = Path(place) if given.quick else given.state
        kept = Kept(state / f"{row.name}-{given.seed}.jsonl", key)
        planned = row.trials(quick=given.quick)
        missing = [number for number in range(planned) if number not in kept.outcomes]
        progress = Progress(row, planned, len(kept.outcomes))
        work = Path(place) / "work"
        for outcome in outcomes(
            row, missing, seed=given.seed, quick=given.quick, jobs=given.jobs, folder=work, shared=shared, until=end
        ):
            kept.keep(outcome)
            progress.one()
            if outcome.breach:
                print(f"{row.name} trial {outcome.number}: {outcome.breach}", file=sys.stderr, flush=True)
        found = [kept.outcomes[number] for number in sorted(kept.outcomes)]
    tree = result(row, found, quick=given.quick, about=about)
    print(summary(tree), flush=True)
    if not given.quick:
        given.results.mkdir(parents=True, exist_ok=True)
        write_json(given.results / f"{row.name}.json", tree)
    return bool(tree["breached"])


def alone(row: Row, number: int, given: argparse.Namespace) -> int:
    """One trial again; its words are shown."""
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        shared = folder / "shared"
        (outcome,) = outcomes(
            row, [number], seed=given.seed, quick=given.quick, jobs=1, folder=folder, shared=shared, show=True
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{row.name} trial {number}: {outcome.breach or 'held'}; {outcome.counts}, {outcome.figures}")
    return 1 if outcome.breach else 0


if __name__ == "__main__":
    sys.exit(main())
