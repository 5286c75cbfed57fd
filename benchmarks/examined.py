"""`python -m benchmarks.examined TASK ...`: what `tasks doctor` finds in a task's own data, kept as figures, and shown in its README.

Writes benchmarks/results/TASK/doctor.json (counts and rates, no text of a record) and doctor.txt, the same as a table, for the block behind
`<!-- benchmarks/results/TASK/doctor.txt -->`. `TASK:SOURCE` examines another of its built-in sources (under the shipped config that
trains on it, or the default one), keeps the figures in doctor/SOURCE.json, and lists all that were examined in doctor/sources.txt.
`--found FILE` takes what `tasks doctor TASK --json FILE` has written already. Exit 3 where the data leaks, as `doctor` has it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, fill, pages
from core.config_toml import load
from core.doctor import doctor
from core.errors import DataError, UserError
from core.record import SPLITS
from core.run.folder import write_json
from core.settings import run_config
from tasks import TASKS

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
BUILTIN = "builtin"
"""What `data.source` says where the first of a task's sources is meant."""
OWN = ("files", "jsonl")


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Counts where places stood."""
    splits = {
        split: {name: len(value) if isinstance(value, list) else value for name, value in tree.items()}
        for split, tree in found["splits"].items()
    }
    between = {
        pair: {how: len(twins) for how, twins in tree.items()}
        | {"of": found["splits"][pair.rsplit(" ", 1)[1]]["records"]}
        for pair, tree in found["between"].items()
    }
    return {**found, "splits": splits, "between": between}


def table(tree: dict[str, Any]) -> Iterator[str]:
    """As people read it."""
    yield f"$ python -m tasks doctor {tree['task']}"
    yield f"{'':<30}" + "".join(f"{split:>12}" for split in SPLITS)
    names = dict.fromkeys(name for split in SPLITS for name in tree["splits"][split])
    for name in names:
        cells = (tree["splits"][split].get(name) for split in SPLITS)
        yield (f"{name:<30}" + "".join(f"{'' if cell is None else format(cell, ','):>12}" for cell in cells)).rstrip()
    yield ""
    for side, known in tree["rates"].items():
        if known is not None:
            rates = ", ".join(f"{name} {known[name]} %" for name in ("unknown", "round trip") if name in known)
            lengths = f"lengths: median {known['median']:,}, longest {known['longest']:,}"
            yield f"{side:<14} {rates + '; ' if rates else ''}{lengths} (of {known['sample']:,})"
    yield ""
    graded = any("nearly said before" in known for known in tree["splits"].values())
    for pair, known in tree["between"].items():
        share = 100 * known["near"] / max(known["of"], 1)
        nearly = f", {known['near']:,} of {known['of']:,} nearly ({share:.1f} %)" if graded else ""
        yield f"{pair + ':':<16} {known['same']} sources in both{nearly}"


def sources(name: str) -> Iterator[str]:
    """Every source of a task that was examined, in a line: how many records, and what stands in two splits."""
    yield f"{'data.source':<20}{'train':>10}{'dev':>8}{'test':>8}{'damaged':>9}{'in two splits':>15}{'nearly':>8}"
    folder = RESULTS / name
    for path in sorted((folder / "doctor").glob("*.json")):
        tree = json.loads(path.read_text(encoding="utf-8"))
        sizes = [tree["splits"][split]["records"] for split in SPLITS]
        damaged = sum(tree["splits"][split]["encoding damage"] for split in SPLITS)
        same, near = (sum(known[how] for known in tree["between"].values()) for how in ("same", "near"))
        cells = "".join(f"{cell:>{width},}" for cell, width in zip((*sizes, damaged, same, near), WIDTHS, strict=True))
        yield f"{path.stem:<20}{cells}"


WIDTHS = (10, 8, 8, 9, 15, 8)
"""Of the columns behind the first."""


def words_for(name: str, source: str) -> list[str]:
    """A shipped config that trains on this source, or the default one told to."""
    task = TASKS[name]
    for path in sorted((CONFIGS / name).glob("*.toml")):
        if load(run_config(task.config), path).config.data.source == source:
            return [str(path)]
    return [f"data.source={source}"]


def examine(what: str, found: Path | None) -> int:
    """One source of a task, or that of its default config; the exit code of its doctor."""
    name, _, source = what.partition(":")
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = found or Path(folder) / "found.json"
        if found is None:
            doctor(TASKS[name], [*(words_for(name, source) if source else ()), "--json", str(path)])
        tree = summary(json.loads(path.read_text(encoding="utf-8")))
    if tree["task"] != name:
        raise DataError(f"{found}: of {tree['task']}, not of {name}")
    if found is None:
        tree["processor_seconds"] = round(time.process_time() - begun, 1)
    folder = RESULTS / name
    (folder / "doctor").mkdir(parents=True, exist_ok=True)
    own = next(iter(TASKS[name].sources)) if tree["source"] == BUILTIN else tree["source"]
    write_json(folder / "doctor" / f"{own}.json", tree)
    (folder / "doctor" / "sources.txt").write_text("\n".join(sources(name)) + "\n", encoding="utf-8")
    if not source:
        write_json(folder / "doctor.json", tree)
        (folder / "doctor.txt").write_text("\n".join(table(tree)) + "\n", encoding="utf-8")
    for page in pages():
        if fill(page):
            print(f"renewed {page.name}", file=sys.stderr)
    return DataError.exit_code if any(known["same"] for known in tree["between"].values()) else 0


def examinable() -> list[str]:
    """Tasks, and their sources but those that are a user's own files."""
    built_in = [f"{name}:{source}" for name in TASKS.names() for source in TASKS[name].sources if source not in OWN]
    return [*TASKS.names(), *built_in]


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examined", description=__doc__)
    parser.add_argument("tasks", nargs="+", metavar="TASK[:SOURCE]", choices=examinable())
    parser.add_argument("--found", type=Path, help="what its doctor wrote with --json; of one task")
    given = parser.parse_args(argv)
    if given.found is not None and len(given.tasks) > 1:
        parser.error("--found: of one task")
    try:
        return max(examine(name, given.found) for name in given.tasks)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
