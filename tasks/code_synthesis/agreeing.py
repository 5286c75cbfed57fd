"""What minimum-Bayes-risk decoding maximises for code: agreement in what programs do, not in how they are spelled.

MBR-EXEC (Shi et al., 2022): programs are run on the inputs that a record gives, and the one whose results most others share
wins. Deviations: agreement is the share of inputs with equal results rather than all or nothing, and expected values,
where a record has them, are not looked at here: those choose by themselves (see choosing.py). Without inputs or a jail, and in
languages that are not run, programs agree where their canonical forms are equal; queries, where their rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from core.decode.utility import Utility
from core.record import Prediction
from tasks.code_synthesis.canonical import canonical
from tasks.code_synthesis.choosing import say_once
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.running import Results, results_of, tests_of
from tasks.code_synthesis.sql import Database, Rows


def utilities(cfg: CodeConfig, found: Sequence[Prediction]) -> list[Utility]:
    """Of each prediction, how much two of its answers agree: 0 to 1."""
    match cfg.language:
        case "python":
            return by_running(cfg, found)
        case "sql" if cfg.database:
            return by_rows(cfg, found)
        case _:
            return [by_form(cfg)] * len(found)


def by_running(cfg: CodeConfig, found: Sequence[Prediction]) -> list[Utility]:
    """All programs of all records go to the jail together."""
    from core.jail import NoJail

    calls = [tuple(test.call for test in tests_of(prediction.record, "examples")) for prediction in found]
    programs = [
        list(dict.fromkeys(one.output for one in prediction.hypotheses)) if own else []
        for prediction, own in zip(found, calls, strict=True)
    ]
    asked = [(program, own) for each, own in zip(programs, calls, strict=True) for program in each]
    try:
        values = iter(results_of(cfg, asked))
    except NoJail as error:
        say_once(str(error))
        return [by_form(cfg)] * len(found)
    return [
        shared(dict(zip(each, islice(values, len(each)), strict=True))) if own else by_form(cfg)
        for each, own in zip(programs, calls, strict=True)
    ]


def shared(results: dict[str, Results]) -> Utility:
    """The share of calls with equal results; an exception is none, and what gave none agrees with nothing but itself."""
    from core.jail.grader import same

    def agreement(one: str, other: str) -> float:
        if one == other:
            return 1.0
        pairs = list(zip(results[one], results[other], strict=True))
        return sum(a is not None and b is not None and b.ok and same(a, b.text) for a, b in pairs) / len(pairs)

    return agreement


def by_rows(cfg: CodeConfig, found: Sequence[Prediction]) -> list[Utility]:
    """Queries agree where they give the same multiset of rows."""
    with Database(cfg.database, cfg.seconds) as data:
        known: dict[str, Rows | None] = {
            query: data.result(query)
            for query in dict.fromkeys(one.output for prediction in found for one in prediction.hypotheses)
        }

    def agreement(one: str, other: str) -> float:
        return float(one == other or (known[one] is not None and known[one] == known[other]))

    return [agreement] * len(found)


def by_form(cfg: CodeConfig) -> Utility:
    """Equal canonical forms; what has none agrees with nothing but itself."""
    form = canonical(cfg)
    return lambda one, other: float(one == other or ((own := form(one)) is not None and own == form(other)))
