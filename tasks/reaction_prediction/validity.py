"""`python -m tasks.reaction_prediction.validity RUN`: how many answers are molecules, with the rule and without, side by side.

Everything else is as in the run; the same records are answered twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.data.split import hashed_share
from core.errors import ConfigError, UserError
from core.record import Prediction, Record, Split
from core.task import Metric
from tasks.reaction_prediction import TASK
from tasks.reaction_prediction.metrics import TopK, Validity

if TYPE_CHECKING:
    from core.run.stored import StoredRun


def first_by_key(records: Sequence[Record], most: int) -> list[Record]:
    """So many whose keys have the lowest hashes, the same ones each time; 0: all."""
    ordered = sorted(records, key=lambda one: hashed_share(one.key))
    return ordered[:most] if most else ordered


def answered(run: StoredRun, records: Sequence[Record], *, ruled: bool) -> list[Prediction]:
    """By the run as it is, or without its rule."""
    from core.run.answering import Answerer

    cfg = replace(run.config, task=replace(run.config.task, rule=ruled))
    return Answerer(TASK, cfg, run.codecs, run.model, run.rule if ruled else None)(records, lambda _: None)


def compared(ruled: Sequence[Prediction], free: Sequence[Prediction]) -> str:
    """The table."""
    from core.run.scoring import cell, score

    metrics: list[Metric] = [Validity(1, ""), Validity(10, ""), TopK(1, "")]
    lines = [" " * 16 + "".join(f"  {one.name:>20}" for one in metrics)]
    for name, predictions in (("with the rule", ruled), ("without", free)):
        found = score(predictions, metrics)
        lines.append(f"{name:<16}" + "".join(f"  {cell(one):>20}" for one in found.values()))
    return "\n".join(lines)


def validity(folder: Path, split: Split, most: int, overrides: Sequence[str]) -> str:
    """What is printed about a run."""
    from core.run.folder import existing_run
    from core.run.prepared import make_rule, read_split
    from core.run.stored import load_run

    run = load_run(TASK, existing_run(folder), ["task.rule=true", *overrides])
    if make_rule(TASK, run.config, run.codecs) is None:
        raise ConfigError("task.rule=false: there would be nothing to compare; leave it out")
    records = first_by_key(read_split(TASK, run.config, split).records, most)
    ruled, free = (answered(run, records, ruled=one) for one in (True, False))
    return f"{TASK.name}, {split}: {len(records)} records, {folder} at step {run.step}\n" + compared(ruled, free)


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m tasks.reaction_prediction.validity", description=__doc__)
    parser.add_argument("run", type=Path, help="a trained run's folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="how it decodes: search.beams=5, ...")
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="default: dev")
    parser.add_argument("--records", type=int, default=500, help="at most so many, by their hashes; 0: all")
    given = parser.parse_args(argv)
    if given.records < 0:
        parser.error(f"--records {given.records}: a count, or 0 for all, is right")
    try:
        print(validity(given.run, given.split, given.records, given.overrides))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
