"""`python -m benchmarks.speed page`: docs/speed.md and its pictures, from result files alone."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.markdown import machine, table
from benchmarks.speed import telling
from benchmarks.story.pictures import alone
from core.errors import DataError
from core.report.charts import Chart, Series

ROOT = Path(__file__).resolve().parents[2]
RESULTS, DOCS = ROOT / "benchmarks" / "results" / "speed", ROOT / "docs"
GOALS: dict[tuple[int, int], dict[str, float]] = {
    (5, 16): {"hf": 3.8, "ct2-float32": 1.8, "ct2-int8": 1.15},
    (5, 64): {"ct2-float32": 2.0, "ct2-int8": 1.7},
    (1, 16): {"ct2-float32": 1.3, "ct2-int8": 0.9},
    (5, 1): {"hf": 4.0, "ct2-float32": 1.2, "ct2-int8": 0.6},
    (1, 1): {"hf": 4.0, "ct2-float32": 1.2, "ct2-int8": 0.6},
}
"""Beams and batch -> how many times as fast as a peer, for size S."""
NAMES = {"hf": "Hugging Face", "ct2-float32": "CTranslate2 float32", "ct2-int8": "CTranslate2 int8"}
Result = Mapping[str, Any]


def add_to(verbs: Any) -> None:
    """The flags."""
    made = verbs.add_parser("page", help="write docs/speed.md from the results", description=__doc__)
    made.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="default: benchmarks/results/speed")
    made.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="default: docs")
    made.add_argument(
        "--check", action="store_true", help="write nothing; 1 where the page is not what the results give"
    )
    made.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Write, or compare."""
    made = files(given.results)
    if given.check:
        wrong = [name for name, text in made.items() if not same(given.docs / name, text)]
        for name in wrong:
            print(f"{name}: not what the results give; `python -m benchmarks.speed page` writes it", file=sys.stderr)
        return 1 if wrong else 0
    for name, text in made.items():
        target = given.docs / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {target}")
    return 0


def same(path: Path, text: str) -> bool:
    """Whether a file holds this."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


def files(results: Path) -> dict[str, str]:
    """Name -> content, of everything under docs/ that the results give."""
    decoded = [read(path) for path in sorted(results.glob("decode_*.json"))]
    grown = [read(path) for path in sorted(results.glob("growth_*.json"))]
    parts = [telling.HEAD]
    made: dict[str, str] = {}
    if decoded:
        parts += [telling.BESIDE, telling.RATIOS, *map(beside, decoded)]
    if grown:
        parts.append(telling.GROWTH)
    for one in grown:
        made[f"speed/growth_{one['size']}.svg"] = picture(one)
        parts += [f"![cost against what grows](speed/growth_{one['size']}.svg)\n", growth(one)]
    return {"speed.md": "\n".join(parts), **made}


def read(path: Path) -> Result:
    """A result file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: {error}") from None


def beside(found: Result) -> str:
    """Rates and ratios of one size and number of threads."""
    names: list[str] = [*found["own"], *found["peers"]]
    rates = [
        [cell["cell"], *(f"{cell['tokens_per_second'][name]:,.0f}" for name in names), str(cell["rounds"])]
        for cell in found["cells"]
    ]
    threads = "one thread" if found["threads"] == 1 else f"{found['threads']} threads"
    parts = [f"### Size {found['size']}, {threads}\n", shape(found), "Output tokens a second:\n"]
    parts += [table(["", *(NAMES.get(name, name) for name in names), "rounds"], rates), "Ratios:\n"]
    rows = [row for cell in found["cells"] for row in ratios(cell, found)]
    parts.append(table(["", "against", "goal", *found["own"]], rows))
    return "\n".join(parts)


def shape(found: Result) -> str:
    """Model and machine in words."""
    model, peers = found["model"], ", ".join(f"{name} {one}" for name, one in found["environment"]["peers"].items())
    torch = found["environment"]["versions"].get("torch", "?")
    return (
        f"{model['encoder_layers']} + {model['decoder_layers']} blocks, width {model['width']}, inner width {model['inner']},"
        f" 8,000 words; {machine({**found['environment'], 'threads': found['threads']})}; torch {torch}, {peers}; measured in"
        f" {found['seconds'] / 60:.0f} minutes by the {'processor' if found['clock'] == 'processor' else 'wall'}'s clock.\n"
    )


def ratios(cell: Result, found: Result) -> list[list[str]]:
    """A row a peer."""
    peers: list[str] = found["peers"]
    goals = GOALS.get((cell["beams"], cell["batch"]), {}) if found["size"] == "S" else {}
    return [
        [
            cell["cell"],
            NAMES.get(peer, peer),
            f"{goals[peer]:g}" if peer in goals else "-",
            *(f"{cell['ratios'][one][peer]:.2f}" for one in found["own"]),
        ]
        for peer in peers
    ]


def growth(found: Result) -> str:
    """Seconds and exponents."""
    parts = [
        f"Size {found['size']}, engine `{found['engine']}`, medians of {found['rounds']}; {machine(found['environment'])}.\n"
    ]
    for sweep in found["sweeps"]:
        name, points = sweep["name"], sweep["points"]
        parts.append(
            table(
                [name, *(str(one[name]) for one in points)], [["seconds", *(f"{one['seconds']:.3g}" for one in points)]]
            )
        )
        parts.append(f"seconds ~ {name}^{sweep['exponent']:.2f}\n")
    return "\n".join(parts)


def picture(found: Result) -> str:
    """All sweeps, both axes by powers of two, each beginning at one."""
    series = [relative(sweep["name"], sweep["points"]) for sweep in found["sweeps"]]
    most = math.ceil(max(max(one.x) for one in series))
    series.append(Series("linear", [0.0, float(most)], [0.0, float(most)], dashed=True))
    ticks = [(float(n), f"{2**n}x") for n in range(most + 1)]
    title = "Cost of a search, as a multiple of the smallest's"
    return alone(
        Chart("growth", title, "beams, output length or batch", "doublings of the cost", series, x_ticks=ticks)
    )


def relative(name: str, points: Sequence[Mapping[str, Any]]) -> Series:
    """Doublings of the cost over doublings of what grows."""
    first = points[0]
    return Series(
        name,
        [math.log2(one[name] / first[name]) for one in points],
        [math.log2(one["seconds"] / first["seconds"]) for one in points],
    )
