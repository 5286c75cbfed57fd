"""`python -m benchmarks.torture.guided READER --minutes M`: a reader driven by what its code covers (atheris, the extra `fuzz`).

It begins with what is known to be hostile, follows new branches of this project's own modules, and stops at the first input that crashes a
reader, or that takes two seconds: that is kept in tests/torture/finds/, which every check brings to its reader again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.torture.oddities import OBJECTS, PROGRAMS, PROTEINS, SMILES, TABLE
from core.errors import ConfigError, UserError

FINDS = Path(__file__).resolve().parents[2] / "tests" / "torture" / "finds"
READERS = "benchmarks.torture.entrances"


def main(argv: Sequence[str] | None = None) -> int:
    """0 where nothing was found in the time; the find's name otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture.guided", description=__doc__)
    parser.add_argument("reader", nargs="?", help="a name; without one, all are listed")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        raise ConfigError("fuzzing by coverage needs the library atheris: pip install 'transduce[fuzz]'") from None
    with atheris.instrument_imports(include=["core", "tasks", "benchmarks"]):
        entrances = importlib.import_module(READERS).entrances
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder) / "place"
        place.mkdir()
        known = entrances(place)
        if given.reader is None:
            print("\n".join(known))
            return 0
        if given.reader not in known:
            parser.error(f"{given.reader}: no such reader; one of {', '.join(known)}")
        path, read = known[given.reader]
        begin = Path(folder) / "begin"
        begin.mkdir()
        for number, one in enumerate((*OBJECTS, *PROGRAMS, *PROTEINS, *SMILES, *TABLE)):
            (begin / str(number)).write_bytes(one.encode("utf-8", "replace")[:4096])

        def tried(content: bytes) -> None:
            path.write_bytes(content)
            try:
                read()
            except UserError:
                return
            except Exception:
                FINDS.mkdir(parents=True, exist_ok=True)
                name = f"{given.reader}__{hashlib.sha256(content).hexdigest()[:12]}"
                (FINDS / name).write_bytes(content)
                print(f"kept as {FINDS / name}", file=sys.stderr)
                raise

        options = [
            "guided",
            f"-max_total_time={max(1, round(60 * given.minutes))}",
            f"-seed={given.seed}",
            "-timeout=2",
            "-max_len=4096",
        ]
        atheris.Setup([*options, str(begin)], tried)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
