"""`python -m benchmarks.toys`: train every architecture with every attention on copy, reverse, sort and recall, and write docs/toys.md.

Tiny models, seconds a cell. Each cell is written down as soon as it is trained, and one that is there with the same recipe is not
trained again: whatever stops it, the same command goes on. The page is made of the result file alone: --write-only writes it anew,
--check says whether it is what the file gives. Exit code 1: a cell is below its floor, or the page differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from benchmarks.toys.cells import Cell, cells
from benchmarks.toys.page import page, stored
from benchmarks.toys.training import outcomes
from core.cli import exit_code
from core.errors import ConfigError, DataError, UserError
from core.run.folder import read_json, write_json, write_text
from core.train.environment import describe
from core.train.signals import AskedToStop, ending_cleanly

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.toys", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "--cells", nargs="+", metavar="PATTERN", help="only these, as 'lstm*: sort' or '*ALiBi*'; default: all"
    )
    found.add_argument("--jobs", type=int, default=1, metavar="N", help="cells at once, each on one thread; default: 1")
    found.add_argument("--list", action="store_true", help="say the names of the cells and train nothing")
    found.add_argument(
        "--results", type=Path, help="the result file; default: benchmarks/results/toys.json", metavar="FILE"
    )
    found.add_argument("--docs", type=Path, help="where toys.md is written; default: docs")
    only = found.add_mutually_exclusive_group()
    only.add_argument("--write-only", action="store_true", help="train nothing: write the page from the result file")
    only.add_argument(
        "--check", action="store_true", help="write nothing: exit 1 if the page is not what the file gives"
    )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 below a floor or another page, 2 usage, 3 no results, 130 stopped."""
    given = parser().parse_args(argv)
    path = given.results or ROOT / "benchmarks" / "results" / "toys.json"
    page_path = (given.docs or ROOT / "docs") / "toys.md"
    try:
        with ending_cleanly():
            asked = chosen(given.cells)
            if given.list:
                print("\n".join(one.name for one in asked))
                return 0
            if given.check:
                return same(path, page_path)
            low = [] if given.write_only else trained(asked, path, given.jobs)
            write_text(page_path, page(found_at(path)))
            print(page_path)
            return 1 if low else 0
    except AskedToStop as stopped:
        print(f"\n{stopped}; the same command goes on", file=sys.stderr)
        return exit_code(stopped.signal_number)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def chosen(patterns: Sequence[str] | None) -> list[Cell]:
    """Those that a pattern fits."""
    found = cells()
    for pattern in patterns or ():
        if not any(fnmatchcase(one.name, pattern) for one in found):
            raise ConfigError(f"--cells {pattern}: fits no cell; --list says their names")
    return [one for one in found if patterns is None or any(fnmatchcase(one.name, pattern) for pattern in patterns)]


def trained(asked: Sequence[Cell], path: Path, jobs: int) -> list[Cell]:
    """Fill the file with what it lacks of these; those that are below their floor."""
    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: at least 1")
    file = read_json(path) if path.is_file() else {"environment": {}, "cells": {}}
    there = stored(file)
    missing = [one for one in asked if one.name not in there]
    for number, (cell, result) in enumerate(outcomes(missing, jobs), start=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {**file["cells"], cell.name: result}
        file["cells"] = {name: known[name] for name in sorted(known)}  # says nothing of the order of training
        file["environment"] = describe(torch.device("cpu"), "fp32") | {"threads": 1}
        write_json(path, file)
        said = "" if result["score"] >= cell.least else f", below {cell.least:g}"
        print(
            f"[{number}/{len(missing)}] {cell.name}: {result['score']:.1f}{said} ({result['processor_seconds']:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    known = stored(file)
    return [one for one in asked if known[one.name]["score"] < one.least]


def found_at(path: Path) -> dict[str, Any]:
    """The file's content."""
    if not path.is_file():
        raise DataError(f"{path}: no results of the toys yet; python -m benchmarks.toys")
    return read_json(path)


def same(path: Path, page_path: Path) -> int:
    """0 where the page is what the file gives."""
    if page_path.is_file() and page_path.read_bytes() == page(found_at(path)).encode():
        return 0
    print(f"error: {page_path.name}: not what the results give; --write-only renews it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
