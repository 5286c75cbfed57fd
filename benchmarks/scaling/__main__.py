"""`python -m benchmarks.scaling plan | measure NAME`: docs/scaling.md's tables, and what processes on this machine take."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scaling.plan import PAGE, page


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    verbs = parser.add_subparsers(required=True, dest="verb", metavar="VERB")
    verbs.add_parser("plan", help="write the tables of docs/scaling.md anew")
    one = verbs.add_parser("measure", help="steps of 1, 2 and 4 processes -> benchmarks/results/scaling/NAME.json")
    one.add_argument("name", help="what the machine is called")
    one.add_argument("--steps", type=int, default=15)
    given = parser.parse_args(argv)
    if given.verb == "plan":
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        print(PAGE)
        return 0
    from benchmarks.scaling.measure import measure

    with tempfile.TemporaryDirectory() as place:
        print(measure(given.name, given.steps, Path(place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
