"""`python -m benchmarks.story`: train the ladder from context vector to copying Transformer, score it, and write docs/story.md.

Six runs, one dataset, the same updates for each, two rungs at once on a core each. Whatever stops it, the same command goes on: a
finished rung is not trained again, one that was broken off goes on from its last checkpoint, a scored one is not scored again.
The page is made of the result files alone: --write-only writes it anew from them, --check says whether it is what they give.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.story.rungs import LADDER, TASK, Budget, Rung
from benchmarks.story.together import climbed_together
from core.cli import exit_code
from core.errors import ConfigError, DataError, UserError
from core.nearest import did_you_mean
from core.run.folder import RunFolder, read_json, write_json
from core.train.signals import AskedToStop, ending_cleanly

ROOT = Path(__file__).resolve().parents[2]
MINUTES, JOBS = 90.0, 2
"""Of training by one core, so that on two cores reading data and scoring fit into the rest of an hour."""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.story", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help=f"of training in all, by one core; each rung has its share of them; default: {MINUTES:g}; 0: no end",
    )
    found.add_argument(
        "--jobs", type=int, default=JOBS, metavar="N", help=f"rungs at once, each on one thread; default: {JOBS}"
    )
    found.add_argument("--steps", type=int, metavar="N", help="of each rung; default: the base config's")
    found.add_argument("--smoke", action="store_true", help="toy sentences and tiny models, seconds: does it stand?")
    found.add_argument(
        "--rungs", nargs="+", metavar="RUNG", help=f"only these of {', '.join(one.name for one in LADDER)}"
    )
    found.add_argument(
        "--remark", default="", metavar="TEXT", help="of the machine and what else it did, kept with the results"
    )
    found.add_argument("--runs", type=Path, help="where run folders are; default: runs/story (runs/story-smoke)")
    found.add_argument("--results", type=Path, help="where result files are; default: benchmarks/results/story")
    found.add_argument("--docs", type=Path, help="where story.md and story/ are written; default: docs")
    only = found.add_mutually_exclusive_group()
    only.add_argument("--no-page", action="store_true", help="train and score, and write no page")
    only.add_argument("--write-only", action="store_true", help="train nothing: write the page from the result files")
    only.add_argument("--check", action="store_true", help="write nothing: exit 1 if the page is not what they give")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the page differs, 2 usage or config, 3 data, 130 stopped; else what `train` ended with."""
    given = parser().parse_args(argv)
    smoke = Path("runs") / "story-smoke"
    runs = given.runs or (smoke / "runs" if given.smoke else Path("runs") / "story")
    results = given.results or (smoke / "results" if given.smoke else ROOT / "benchmarks" / "results" / "story")
    docs = given.docs or (smoke / "docs" if given.smoke else ROOT / "docs")
    try:
        with ending_cleanly():
            if given.write_only or given.check:
                return pages(results, docs, check=given.check)
            budget = budget_of(given)
            rungs = chosen(given.rungs)
            if given.jobs > 1 and len(rungs) > 1:
                if code := climbed_together(rungs, flags_of(given, runs, results, docs), given.jobs, runs):
                    return code
                return 0 if given.no_page else pages(results, docs, check=False)
            for number, rung in enumerate(rungs, start=1):
                print(f"[{number}/{len(rungs)}] {rung.title}", file=sys.stderr, flush=True)
                if code := climbed(rung, budget, RunFolder(runs / rung.name), results, given.remark):
                    return code
            return 0 if given.no_page else pages(results, docs, check=False)
    except AskedToStop as asked:
        print(f"\n{asked}; the same command goes on", file=sys.stderr)
        return exit_code(asked.signal_number)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def chosen(names: Sequence[str] | None) -> list[Rung]:
    """All rungs, or those that are named, from below."""
    known = [one.name for one in LADDER]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"--rungs {name}: no such rung{did_you_mean(name, known)}; there are {', '.join(known)}")
    return [one for one in LADDER if names is None or one.name in names]


def budget_of(given: argparse.Namespace) -> Budget:
    """The same for each rung."""
    if given.steps is not None and given.steps < 2:
        raise ConfigError(f"--steps {given.steps}: at least 2")
    if given.minutes is not None and not 0 <= given.minutes < float("inf"):
        raise ConfigError(f"--minutes {given.minutes:g}: a number of minutes, or 0 for no end")
    if given.jobs < 1:
        raise ConfigError(f"--jobs {given.jobs}: at least 1")
    minutes = MINUTES if given.minutes is None else given.minutes
    return Budget(given.steps, 0.0 if given.smoke else minutes, given.smoke)


def flags_of(given: argparse.Namespace, runs: Path, results: Path, docs: Path) -> list[str]:
    """The same again, for one rung."""
    found = [f"--runs={runs}", f"--results={results}", f"--docs={docs}", "--jobs=1", f"--remark={given.remark}"]
    found += ["--smoke"] if given.smoke else []
    found += [f"--steps={given.steps}"] if given.steps is not None else []
    return found if given.minutes is None else [*found, f"--minutes={given.minutes}"]


def climbed(rung: Rung, budget: Budget, folder: RunFolder, results: Path, remark: str) -> int:
    """Train and score one rung, as far as that is not done; the exit code of `train`."""
    from benchmarks.story.training import trained
    from tasks import TASKS

    task = TASKS[TASK]
    path = results / f"{rung.name}.json"
    if code := trained(task, rung, budget, folder):
        return code
    if path.is_file() and scored(read_json(path), folder):
        print(f"{rung.name}: scored already, {path}", file=sys.stderr)
        return 0
    from benchmarks.story.measuring import measured

    results.mkdir(parents=True, exist_ok=True)
    write_json(
        path, {"remark": remark, "budget_minutes": budget.minutes, **measured(task, rung, folder, smoke=budget.smoke)}
    )
    print(f"{rung.name}: scored, {path}", file=sys.stderr)
    return 0


def scored(result: dict[str, Any], folder: RunFolder) -> bool:
    """Whether a result is of this very run: a test split is looked at once."""
    outcome, facts = read_json(folder.metrics), read_json(folder.facts)
    same = ("steps", outcome["step"]), ("minutes", outcome["minutes"]), ("parameters", facts["parameters"])
    return all(result.get(name) == value for name, value in same)


def pages(results: Path, docs: Path, *, check: bool) -> int:
    """Write the page and its pictures, or compare them."""
    from benchmarks.story.page import files

    found = [
        (rung, read_json(results / f"{rung.name}.json")) for rung in LADDER if (results / f"{rung.name}.json").is_file()
    ]
    if not found:
        raise DataError(f"{results}: no results of the ladder yet; python -m benchmarks.story")
    stale = list[str]()
    for name, text in files(found).items():
        path = docs / name
        if check:
            if not path.is_file() or path.read_bytes() != text.encode():
                stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    if stale:
        print(f"error: {', '.join(stale)}: not what the results give; --write-only renews them", file=sys.stderr)
        return 1
    if not check:
        print(docs / "story.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
