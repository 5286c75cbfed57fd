"""Answers in canonical form; several spellings of a source voting on them; those in which nothing happens stand last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np

from core.codec.types import Codecs
from core.record import Hypothesis, Prediction, Record
from core.task import Solve
from tasks.reaction_prediction.augment import varied
from tasks.reaction_prediction.chemistry import canonical
from tasks.reaction_prediction.reaction import ARROW
from tasks.reaction_prediction.settings import ReactionConfig


def solve(cfg: ReactionConfig, codecs: Codecs, search: Solve, records: Sequence[Record]) -> list[Prediction]:
    """One search, or `task.votes` of them; answers are spelled canonically, and what is no molecule is left as it is.

    An answer in which nothing happens stands behind all others: no training reaction of the built-in data is like that.
    """
    known = [replace(record, meta={**record.meta, "direction": cfg.direction}) for record in records]
    if cfg.votes == 1:
        return [
            Prediction(record, idle_last(record, [spelled(one) for one in found.hypotheses]))
            for record, found in zip(known, search(known), strict=True)
        ]
    asked = [variant for record in known for variant in variants(cfg, record)]
    found = search(asked)
    return [
        Prediction(record, idle_last(record, elected(found[begin : begin + cfg.votes], cfg.vote_alpha)))
        for begin, record in zip(range(0, len(found), cfg.votes), known, strict=True)
    ]


def spelled(one: Hypothesis) -> Hypothesis:
    """Canonical where it is a molecule."""
    return replace(one, output=canonical(one.output) or one.output)


def idle_last(record: Record, answers: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The order is kept otherwise. Nothing happens where the product was there before; reagents leave that open."""
    if record.meta["direction"] == "reagents":
        return tuple(answers)
    sides = (canonical(side) or side for side in ARROW.split(str(record.source)))
    known = {molecule for side in sides for molecule in side.split(".")}
    retro = record.meta["direction"] == "retro"
    return tuple(
        sorted(answers, key=lambda one: not known.isdisjoint(one.output.split(".") if retro else [one.output]))
    )


def variants(cfg: ReactionConfig, record: Record) -> list[Record]:
    """The source as it is, then others drawn by a hash of it: the same ones each time and in any company."""
    digest = blake2b(record.source.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest))
    rooted = cfg.augmentation == "root-aligned"
    return [
        replace(
            record,
            key=f"{record.key}#{number}",
            source=varied(record.source, random, rooted=rooted) if number else record.source,
        )
        for number in range(cfg.votes)
    ]


@dataclass(slots=True)
class Candidate:
    """An answer, as the variants see it."""

    best: Hypothesis
    """As it stood highest."""
    votes: float = 0.0
    ranks: list[int] = field(default_factory=list[int])


def elected(predictions: Sequence[Prediction], alpha: float) -> tuple[Hypothesis, ...]:
    """Each variant gives its different molecules 1 / (1 + alpha * rank) votes; the score is the mean over variants.

    Ties: whoever stood higher once, then the likelier, then by text. What is no molecule comes last, without votes.
    """
    found: dict[str, Candidate] = {}
    refused: dict[str, Hypothesis] = {}
    for prediction in predictions:
        ranked: dict[str, Hypothesis] = {}
        for one in prediction.hypotheses:
            form = canonical(one.output)
            if form is None:
                refused.setdefault(one.output, one)
            else:
                ranked.setdefault(form, one)
        for rank, (form, one) in enumerate(ranked.items()):
            mine = found.setdefault(form, Candidate(one))
            if mine.ranks and (rank, -one.total) < (min(mine.ranks), -mine.best.total):
                mine.best = one
            mine.votes += 1 / (1 + alpha * rank)
            mine.ranks.append(rank)
    order = sorted(found, key=lambda form: (-found[form].votes, min(found[form].ranks), -found[form].best.total, form))
    most = max((len(prediction.hypotheses) for prediction in predictions), default=0)
    valid = [replace(found[form].best, output=form, score=found[form].votes / len(predictions)) for form in order]
    return (*valid, *(replace(one, score=0.0) for one in refused.values()))[:most]
