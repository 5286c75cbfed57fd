"""Records in, predictions out: encode, batch, search, decode, in the order given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.codec.types import Codecs
from core.data.batch import Batch
from core.data.encode import encode_sources
from core.data.stream import decoding_batches
from core.decode.answers import answers, check
from core.decode.config import SearchConfig
from core.decode.ctc_lattice import Frames
from core.decode.hypotheses import Found
from core.decode.rules import Rule
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
) -> list[Prediction]:
    """One prediction a record, in order. A blank text has the blank answer; `progress` hears how many records are done.

    Between batches `stop` may end it: then the list is short (and of no use but to say so). `others` decide together
    with the model; their codecs have to be the same.
    """
    device = next(model.parameters()).device
    check(model.ctc_weight, cfg)
    answered: dict[int, tuple[Hypothesis, ...]] = {
        row: (BLANK,) for row, record in enumerate(records) if is_blank(record)
    }
    asked = [row for row in range(len(records)) if row not in answered]
    if progress and answered:
        progress(len(answered))
    copies = any(one.copies for one in (model, *others))
    examples = encode_sources([records[row] for row in asked], codecs, longest=longest, copy=copies)
    for one in (model, *others):
        one.eval()
    for batch in decoding_batches(examples, cfg.batch_tokens, cfg.width):
        if stop():
            return []
        found, heard = answers(model, batch.to(device), cfg, rule=rule, seed=seed, others=others)
        for place, (index, some, frames) in enumerate(zip(batch.index, found, heard, strict=True)):
            answered[asked[index]] = tuple(
                as_hypothesis(one, codecs, batch, place, where) for one, where in zip(some, frames, strict=True)
            )
        if progress:
            progress(batch.size)
    return [Prediction(record, answered[row]) for row, record in enumerate(records)]


def is_blank(record: Record) -> bool:
    """Text without anything to read: an empty line gives an empty line."""
    return isinstance(record.source, str) and not record.source.strip()


def as_hypothesis(found: Found, codecs: Codecs, batch: Batch, place: int, frames: Frames = ()) -> Hypothesis:
    """Ids spelled out, copied words included."""
    words = batch.copy.words[place] if batch.copy else ()
    output = codecs.target.decode(found.tokens, words)
    return Hypothesis(output, found.score, found.tokens, found.logp, found.finish, frames)
