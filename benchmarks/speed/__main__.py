"""`python -m benchmarks.speed VERB`: how fast the search and the peers are, side by side (docs/speed.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.speed import decode, growth, page
from core.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 an engine fell, 2 usage or a peer that is not installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in (decode, growth, page):
        verb.add_to(verbs)
    given = parser.parse_args(argv)
    try:
        return int(given.run(given))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
