"""Given examples choose among the candidates of a search: the first that agrees with all of them is the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from core.codec.types import Codecs
from core.record import Hypothesis, Prediction, Record
from core.task import Solve
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.running import run_tests, tests_of


def solve(cfg: CodeConfig, codecs: Codecs, search: Solve, records: Sequence[Record]) -> list[Prediction]:
    """As searched; where a record has examples and there is a jail, a candidate that agrees with them stands first."""
    found = search(records)
    if not (cfg.choose and cfg.language == "python"):
        return found
    from core.jail import NoJail

    try:
        return chosen(cfg, found)
    except NoJail as error:
        say_once(str(error))
        return found


def chosen(cfg: CodeConfig, found: Sequence[Prediction]) -> list[Prediction]:
    """Candidates are run rank by rank, so that a record is done with its first good one. The others keep their order."""
    examples = [tests_of(prediction.record, "examples") for prediction in found]
    best: dict[int, int] = {}
    for rank in range(max((len(prediction.hypotheses) for prediction in found), default=0)):
        open_rows = [
            row
            for row, prediction in enumerate(found)
            if examples[row] and row not in best and 1 <= rank + 1 <= len(prediction.hypotheses) > 1
        ]
        asked = [(found[row].hypotheses[rank].output, examples[row]) for row in open_rows]
        for row, verdict in zip(open_rows, run_tests(cfg, asked), strict=True):
            if all(verdict):
                best[row] = rank
    return [
        replace(prediction, hypotheses=first(prediction.hypotheses, best.get(row, 0)))
        for row, prediction in enumerate(found)
    ]


def first(hypotheses: tuple[Hypothesis, ...], rank: int) -> tuple[Hypothesis, ...]:
    """The one of this rank before all others."""
    return (*hypotheses[rank : rank + 1], *hypotheses[:rank], *hypotheses[rank + 1 :])


@lru_cache(maxsize=1)
def say_once(reason: str) -> None:
    """Not for every batch."""
    print(f"examples choose nothing: {reason}", file=sys.stderr)
