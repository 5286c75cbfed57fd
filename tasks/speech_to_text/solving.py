"""How a recording is answered: nothing for silence, one search for an utterance, piece by piece for what is long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.codec.types import Codecs
from core.record import Hypothesis, Prediction, Record
from core.task import Solve
from tasks.speech_to_text.features import SpeechFeatures, samples_of
from tasks.speech_to_text.recording import FRAME, Recording
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.silences import is_silent, levels, pieces
from tasks.speech_to_text.words import Segment, timed_words

SLACK = 1.25
"""So much longer than all of train may an utterance be that is not cut."""
LEAST = 2.0
"""Seconds; shorter pieces would tear words apart."""


def solve(cfg: SpeechConfig, codecs: Codecs, search: Solve, records: Sequence[Record]) -> list[Prediction]:
    """One search for all pieces of all recordings; `meta.segments` says what was heard when."""
    features = codecs.source
    assert isinstance(features, SpeechFeatures)
    parts = [stretches(cfg, features, record.source) for record in records]
    asked = [
        Record(f"{record.key}@{number}", part, meta={"place": record.meta.get("place", record.key)})
        for record, own in zip(records, parts, strict=True)
        for number, part in enumerate(own)
    ]
    found = iter(search(asked) if asked else [])
    answers: list[Prediction] = []
    for record, own in zip(records, parts, strict=True):
        answers.append(put_together(record, [(part, next(found)) for part in own], codecs))
    return answers


def stretches(cfg: SpeechConfig, features: SpeechFeatures, source: Recording) -> list[Recording]:
    """What is to be searched: nothing, all of it, or pieces."""
    if source.is_features or features.rate == 0:  # which the codec refuses where they are of the wrong kind
        return [source]
    level_S = levels(samples_of(source, features.rate), features.rate)
    if is_silent(level_S, cfg.silence, cfg.dynamics):
        return []
    longest = cfg.longest or max(features.longest * SLACK, LEAST)
    if source.seconds <= longest:
        return [source]
    spans = pieces(level_S, longest=longest, pause=cfg.pause, silence=cfg.silence)
    return [source.part(source.begin + one.begin, min(source.begin + one.end, source.end)) for one in spans]


def put_together(record: Record, found: list[tuple[Recording, Prediction]], codecs: Codecs) -> Prediction:
    """The texts one after the other, as one answer; several answers only for what was searched whole."""
    segments = tuple(segment(part, one.hypotheses[0], codecs) for part, one in found if one.hypotheses)
    meta = {**record.meta, "segments": tuple(one for one in segments if one.text.strip())}
    heard = replace(record, meta=meta)
    if not found:
        return Prediction(heard, (Hypothesis("", 0.0),))
    if len(found) == 1 and found[0][0] == record.source:
        return Prediction(heard, found[0][1].hypotheses)
    return Prediction(heard, (joined(record.source, found),))


def segment(part: Recording, best: Hypothesis, codecs: Codecs) -> Segment:
    """A stretch with its text."""
    return Segment(part.begin, part.end, best.output, timed_words(best, codecs.target, part.begin))


def joined(source: Recording, found: list[tuple[Recording, Prediction]]) -> Hypothesis:
    """The best answers of all pieces; tokens and frames one after the other, frames as the whole counts them."""
    best = [(part, one.hypotheses[0]) for part, one in found if one.hypotheses]
    frames: list[tuple[int, int]] = []
    for part, one in best:
        shift = round((part.begin - source.begin) / FRAME)
        frames.extend((begin + shift, end + shift) for begin, end in one.frames)
    logp = tuple(value for _, one in best for value in one.logp)
    return Hypothesis(
        " ".join(one.output for _, one in best if one.output.strip()),
        sum(one.score for _, one in best) / max(len(best), 1),
        tuple(token for _, one in best for token in one.tokens),
        logp,
        "length" if any(one.finish == "length" for _, one in best) else "end",
        tuple(frames),
    )


def cost(predictions: Sequence[Prediction], seconds: float) -> str:
    """How long it took beside how long it is."""
    heard = sum(one.record.source.seconds for one in predictions if isinstance(one.record.source, Recording))
    factor = f": real-time factor {seconds / heard:.3f}" if heard else ""
    return f"{heard:.1f} s of sound in {seconds:.1f} s{factor}"
