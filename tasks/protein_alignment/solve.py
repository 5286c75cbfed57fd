"""Answers spelled with the letters of the input: pairs, pairs too long for one search, and more than two sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from core.codec.types import Codecs
from core.record import Hypothesis, Prediction, Record
from core.task import Solve
from tasks.protein_alignment.alignment import consumed, fault, path_of_cigar, rows_of, spell, text_of
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.needleman_wunsch import needleman_wunsch
from tasks.protein_alignment.pieces import pieces
from tasks.protein_alignment.progressive import Pairs, Path, merged

LEAST = 1e-9
"""A confidence of nothing, as a logarithm can bear it."""


def solve(cfg: AlignmentConfig, codecs: Codecs, search: Solve, records: Sequence[Record]) -> list[Prediction]:
    """Short pairs in one search, with all their hypotheses; everything else by way of further searches."""
    short = [record for record in records if len(record.source) == 2 and sum(map(len, record.source)) <= cfg.piece]
    known = dict(zip((id(record) for record in short), search(short), strict=True)) if short else {}
    answers: list[Prediction] = []
    for record in records:
        if id(record) in known:
            found = [spelled_out(record, one) for one in known[id(record)].hypotheses]
        elif len(record.source) == 2:
            found = [hypothesis(record, aligned(cfg, search, [record.source])[0])]
        else:
            found = [multiple(cfg, search, record)]
        answers.append(Prediction(record, tuple(found)))
        for one in found:
            if wrong := fault(rows_of(one.output), record.source):
                raise AssertionError(f"{record.key}: an answer that is no alignment of its sequences: {wrong}")
    return answers


def spelled_out(record: Record, found: Hypothesis) -> Hypothesis:
    """Its CIGAR in letters. What a limit cut short is finished by Needleman-Wunsch."""
    first, second = record.source
    moves, whole = completed(path_of_cigar(found.output), first, second)
    logp = found.logp if whole else (*found.logp, *(math.log(LEAST) for _ in range(len(moves) - len(found.tokens))))
    return replace(found, output=text_of(spell(moves, first, second)), logp=logp)


def completed(moves: str, first: str, second: str) -> tuple[str, bool]:
    """A path over both sequences to their ends, and whether it was one already."""
    i, j = consumed(moves)
    if (i, j) == (len(first), len(second)):
        return moves, True
    return moves + needleman_wunsch(first[i:], second[j:]), False


def aligned(cfg: AlignmentConfig, search: Solve, pairs: Pairs) -> list[Path]:
    """Pairs of any length: each cut in pieces, all pieces searched at once."""
    cut = [list(pieces(first, second, cfg.piece)) for first, second in pairs]
    every = list(chain.from_iterable(cut))
    asked = [Record(str(number), piece) for number, piece in enumerate(every) if all(piece)]
    found = {int(one.record.key): one for one in (search(asked) if asked else [])}
    paths: list[Path] = []
    for number, (first, second) in enumerate(every):
        if number not in found:  # nothing stands opposite
            paths.append(Path("D" * len(first) + "I" * len(second), (1.0,) * (len(first) + len(second))))
            continue
        best = found[number].hypotheses[0]
        moves, _ = completed(path_of_cigar(best.output), first, second)
        sure = [math.exp(one) for one in best.logp[: len(best.tokens)]]
        paths.append(Path(moves, (*sure, *(LEAST for _ in range(len(moves) - len(sure))))))
    rest = iter(paths)
    return [
        Path("".join(one.moves for one in part), tuple(chain.from_iterable(one.confidence for one in part)))
        for part in ([next(rest) for _ in own] for own in cut)
    ]


def hypothesis(record: Record, path: Path) -> Hypothesis:
    """A path in letters, its columns' confidence as log-probabilities."""
    logp = tuple(math.log(max(one, LEAST)) for one in path.confidence)
    return Hypothesis(text_of(spell(path.moves, *record.source)), sum(logp) / max(len(logp), 1), logp=logp)


def multiple(cfg: AlignmentConfig, search: Solve, record: Record) -> Hypothesis:
    """More than two sequences, merged; its columns' support as log-probabilities."""
    whole = merged(record.source, lambda pairs: aligned(cfg, search, pairs))
    logp = tuple(math.log(max(one, LEAST)) for one in whole.confidence)
    return Hypothesis(text_of(whole.rows), sum(logp) / max(len(logp), 1), logp=logp)
