"""Records in, predictions out: encode, batch, search, decode, in the order given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from core.codec.types import Codecs, Featurizer
from core.data.batch import Batch
from core.data.copying import Copying
from core.data.encode import encode_sources
from core.data.examples import Examples
from core.data.stream import decoding_batches
from core.decode.answers import answers, check
from core.decode.config import SearchConfig
from core.decode.ctc_lattice import Frames
from core.decode.drafting import material
from core.decode.engine import engaged
from core.decode.hypotheses import Found
from core.decode.rules import Rule
from core.decode.wishes import wishes
from core.decode.workers import side_by_side
from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.record import Hypothesis, Prediction, Record

BLANK = Hypothesis("", 0.0)
"""The answer to nothing."""


def predict_records(
    model: Seq2Seq,
    codecs: Codecs,
    records: Sequence[Record],
    cfg: SearchConfig,
    *,
    longest: int,
    rule: Rule | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    others: Sequence[Seq2Seq] = (),
    read: Callable[[Any], Any] | None = None,
    heard: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """One prediction a record, in order. A blank text has the blank answer; `progress` hears how many records are done.

    Between batches `stop` may end it: then the list is short (and of no use but to say so). `others` decide together
    with the model; their codecs have to be the same. `read` makes of a text what the target's codec encodes. Of a single
    record, `heard` is told the beginning of the answer whenever more of it is certain.
    """
    device = next(model.parameters()).device
    check(model.ctc_weight, cfg)
    answered: dict[int, tuple[Hypothesis, ...]] = {
        row: (BLANK,) for row, record in enumerate(records) if is_blank(record)
    }
    asked = [row for row in range(len(records)) if row not in answered]
    if progress and answered:
        progress(len(answered))
    copies = copied((model, *others))
    examples = encode_sources([records[row] for row in asked], codecs, longest=longest, copy=copies)
    for one in (model, *others):
        one.eval()
    model, *others = (engaged(one, cfg) for one in (model, *others))
    wanted = wishes([records[row] for row in asked], cfg, codecs.target, rule, read)
    drafts = draft_material([records[row] for row in asked], examples, codecs) if cfg.draft else []

    def answer(batch: Batch) -> tuple[list[list[Found]], list[list[Frames]]]:
        return answers(
            model,
            batch.to(device),
            cfg,
            rule=wanted.rule,
            prefix=wanted.prefix(batch),
            phrases=wanted.phrases,
            heard=None if heard is None else spoken(heard, codecs, batch),
            seed=seed,
            others=others,
            drafts=[drafts[row] for row in batch.index] if drafts else (),
        )

    workers = torch.get_num_threads() if cfg.engine == "native" else 1
    batches = decoding_batches(examples, cfg.batch_tokens, cfg.width)
    for batch, (found, spans) in side_by_side(answer, takewhile(lambda _: not stop(), batches), workers):
        for place, (index, some, frames) in enumerate(zip(batch.index, found, spans, strict=True)):
            answered[asked[index]] = tuple(
                as_hypothesis(one, codecs, batch, place, where) for one, where in zip(some, frames, strict=True)
            )
        if progress:
            progress(batch.size)
    if len(answered) < len(records):
        return []
    return [Prediction(record, answered[row]) for row, record in enumerate(records)]


def copied(models: Sequence[Seq2Seq]) -> Copying:
    """What models that decide together need to know of the source's words."""
    kinds = {one.copies for one in models}
    if "places" in kinds and len(kinds) > 1:
        raise ConfigError("a model that points and one that says words cannot decide together")
    return "places" if "places" in kinds else any(kinds)


def draft_material(records: Sequence[Record], examples: Examples, codecs: Codecs) -> list[list[int]]:
    """What `search.draft` copies from, a row for each record."""
    if isinstance(codecs.source, Featurizer):
        raise ConfigError("search.draft: frames are no tokens to copy; 0 is right")
    ragged = examples.extended or (examples.source if codecs.shared else None)
    if ragged is None:
        return [material(one.source, codecs) for one in records]
    return [part.tolist() for part in np.split(ragged.values, ragged.offset_N1[1:-1])]


def spoken(heard: Callable[[str], None], codecs: Codecs, batch: Batch) -> Callable[[Sequence[int]], None]:
    """Ids of a growing answer, to whom it is told as text."""
    words = batch.copy.words[0] if batch.copy else ()
    return lambda ids: heard(codecs.target.decode(ids, words))


def is_blank(record: Record) -> bool:
    """Text without anything to read: an empty line gives an empty line."""
    return isinstance(record.source, str) and not record.source.strip()


def as_hypothesis(found: Found, codecs: Codecs, batch: Batch, place: int, frames: Frames = ()) -> Hypothesis:
    """Ids spelled out, copied words included."""
    words = batch.copy.words[place] if batch.copy else ()
    output = codecs.target.decode(found.tokens, words)
    return Hypothesis(output, found.score, found.tokens, found.logp, found.finish, frames)
