"""Records in, predictions out: encode, batch, search, decode, in the order given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.codec.types import Codecs
from core.data.batch import Batch
from core.data.encode import encode_sources
from core.data.stream import decoding_batches
from core.decode.best_path import Frames, aligned, best_paths, heard
from core.decode.config import SearchConfig
from core.decode.joint import JointSteps
from core.decode.rules import Rule
from core.decode.search import Found, search
from core.errors import ConfigError
from core.model.front import FrameFront
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
) -> list[Prediction]:
    """One prediction a record, in order. A blank text has the blank answer; `progress` hears how many records are done.

    Between batches `stop` may end it: then the list is short (and of no use but to say so).
    """
    device = next(model.parameters()).device
    answers: dict[int, tuple[Hypothesis, ...]] = {
        row: (BLANK,) for row, record in enumerate(records) if is_blank(record)
    }
    asked = [row for row in range(len(records)) if row not in answers]
    if progress and answers:
        progress(len(answers))
    examples = encode_sources([records[row] for row in asked], codecs, longest=longest, copy=model.copies)
    model.eval()
    for batch in decoding_batches(examples, cfg.batch_tokens, cfg.width):
        if stop():
            return []
        moved = batch.to(device)
        found = answered(model, moved, cfg, rule=rule, seed=seed)
        frames = spans(model, moved, found) if cfg.align else None
        for place, (index, hypotheses) in enumerate(zip(batch.index, found, strict=True)):
            answers[asked[index]] = tuple(
                as_hypothesis(one, codecs, batch, place, frames[place][rank] if frames else ())
                for rank, one in enumerate(hypotheses)
            )
        if progress:
            progress(batch.size)
    return [Prediction(record, answers[row]) for row, record in enumerate(records)]


def is_blank(record: Record) -> bool:
    """Text without anything to read: an empty line gives an empty line."""
    return isinstance(record.source, str) and not record.source.strip()


def answered(model: Seq2Seq, batch: Batch, cfg: SearchConfig, *, rule: Rule | None, seed: int) -> list[list[Found]]:
    """By the decoder, by it and the CTC head together, or by that head alone."""
    if cfg.strategy == "ctc":
        if model.ctc is None:
            raise ConfigError('search.strategy = "ctc" needs a model with a CTC head (model.ctc above 0)')
        if rule is not None:
            raise ConfigError('search.strategy = "ctc" cannot keep to the rule of this task; "beam" can')
        return best_paths(model, model.ctc, batch, cfg.length_penalty)
    if model.ctc_weight == 1.0:
        raise ConfigError('model.ctc = 1 leaves the decoder untrained: search.strategy = "ctc" is right')
    if model.ctc is None or cfg.ctc_weight == 0 or cfg.strategy == "sample":
        return search(model, batch, cfg, rule=rule, seed=seed)
    return search(JointSteps(model, model.ctc, cfg.ctc_weight), batch, cfg, rule=rule, seed=seed)


def spans(model: Seq2Seq, batch: Batch, found: Sequence[Sequence[Found]]) -> list[list[Frames]]:
    """Of each answer's tokens, in frames of the source as the codec made them."""
    if model.ctc is None:
        raise ConfigError("search.align needs a model with a CTC head (model.ctc above 0)")
    factor = model.front.factor if isinstance(model.front, FrameFront) else 1
    return [
        [
            tuple((begin * factor, min(end * factor, length)) for begin, end in aligned(logp_SV, one.tokens))
            for one in answers
        ]
        for logp_SV, length, answers in zip(
            heard(model, model.ctc, batch), batch.layout.lengths.tolist(), found, strict=True
        )
    ]


def as_hypothesis(found: Found, codecs: Codecs, batch: Batch, place: int, frames: Frames = ()) -> Hypothesis:
    """Ids spelled out, copied words included."""
    words = batch.copy.words[place] if batch.copy else ()
    output = codecs.target.decode(found.tokens, words)
    return Hypothesis(output, found.score, found.tokens, found.logp, found.finish, frames)
