"""What a torture has found so far, line by line, and what a row's result says."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.torture.rows import Outcome, Row

MOST = 20
"""Breaches whose words a result keeps; all of them count."""


class Kept:
    """One row's outcomes in a file, for one seed, form and revision of the code: another revision begins anew."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path, self.about = path, about
        self.outcomes: dict[int, Outcome] = {}
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        if lines and lines[0].endswith("\n") and json.loads(lines[0]) == about:
            for line in lines[1:]:
                if line.endswith("\n"):  # else it was cut off with the torture
                    outcome = Outcome(**json.loads(line))
                    self.outcomes[outcome.number] = outcome
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(self.line(one) for one in (about, *map(asdict, self.outcomes.values()))))

    @staticmethod
    def line(tree: dict[str, Any]) -> str:
        """JSON."""
        return json.dumps(tree) + "\n"

    def keep(self, outcome: Outcome) -> None:
        """On the disk at once."""
        self.outcomes[outcome.number] = outcome
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self.line(asdict(outcome)))
            file.flush()
            os.fsync(file.fileno())


def result(row: Row, outcomes: Sequence[Outcome], *, quick: bool, about: dict[str, Any]) -> dict[str, Any]:
    """What stands in ROW.json."""
    counts = sum((Counter(one.counts) for one in outcomes), Counter[str]())
    breaches = [{"trial": one.number, "what": one.breach} for one in outcomes if one.breach]
    names = sorted({name for one in outcomes for name in one.figures})
    figures = {name: spread([one.figures[name] for one in outcomes if name in one.figures]) for name in names}
    planned = row.trials(quick=quick)
    whole = len(outcomes) == planned
    return {
        "row": row.name,
        "threat": row.threat,
        "promise": row.promise,
        "unit": row.unit,
        "count": counts[row.unit],
        "goal": 0 if quick else row.goal,
        "trials": len(outcomes),
        "planned": planned,
        "held": whole and not breaches and (quick or counts[row.unit] >= row.goal),
        "breached": len(breaches),
        "breaches": breaches[:MOST],
        "counts": dict(sorted(counts.items())),
        "figures": figures,
        "seconds": round(sum(one.seconds for one in outcomes), 1),
        "processor_seconds": round(sum(one.cpu_seconds for one in outcomes), 1),
        **about,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median, most."""
    return {"least": min(values), "median": median(values), "most": max(values)}


def summary(tree: dict[str, Any]) -> str:
    """A result in one line."""
    counts = ", ".join(f"{n:,} {name}" for name, n in tree["counts"].items())
    state = "held" if tree["held"] else f"BREACHED {tree['breached']} times" if tree["breached"] else "not whole"
    took = f"{tree['seconds']:,.0f} s, {tree['processor_seconds']:,.0f} of the processor's"
    return f"{tree['row']:<4} {state}: {tree['trials']:,} of {tree['planned']:,} trials in {took}; {counts}"
