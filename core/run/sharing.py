"""Work that the processes of a training divide: each answers its part of dev, and all know all answers; only the first one speaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from core.config_text import to_tree
from core.record import Hypothesis, Prediction, Record
from core.run.resuming import flat
from core.settings import RunConfig
from core.train.checkpoint import as_json
from core.train.ranks import Ranks

Answer = Callable[[Sequence[Record]], list[Prediction] | None]
"""None where a signal asked to stop."""


def must_be_alike(ranks: Ranks, cfg: RunConfig, **facts: Any) -> None:
    """Raises where a process was given another config, or reads other data, than most."""
    if ranks.world > 1:
        ranks.alike("processes of one training", {**flat(json.loads(as_json(to_tree(cfg)))), **facts})


def answered_together(ranks: Ranks, records: Sequence[Record], answer: Answer) -> list[Prediction] | None:
    """Of all records, in order; None where any process was asked to stop."""
    own = answer(ranks.share(records))
    if ranks.world == 1:
        return own
    said = ranks.told(None if own is None else [[as_tree(one) for one in each.hypotheses] for each in own])
    if any(each is None for each in said):
        return None
    parts = [iter(each) for each in said]
    return [
        Prediction(record, tuple(of_tree(tree) for tree in next(parts[number % ranks.world])))
        for number, record in enumerate(records)
    ]


def as_tree(one: Hypothesis) -> list[Any]:
    """For JSON, which keeps every bit of a float."""
    return [one.output, one.score, one.tokens, one.logp, one.finish, one.frames, one.probabilities]


def of_tree(tree: list[Any]) -> Hypothesis:
    """As it was."""
    output, score, tokens, logp, finish, frames, probabilities = tree
    pairs = tuple((begin, end) for begin, end in frames)
    return Hypothesis(output, score, tuple(tokens), tuple(logp), finish, pairs, tuple(probabilities))


@contextmanager
def only_first_speaks(ranks: Ranks) -> Generator[None, None, None]:
    """What the others print is what the first one prints; errors that end them are shown all the same."""
    if ranks.first:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
