"""Answers that were found, put in a new order by further opinions: `search.rerank`.

    score = own score + the sum over judges of weight x opinion

A judge that is a run believes log p / divisor, with the divisor that the search's own scores have: of the answer given the source
(`run`), of the source given the answer (`reverse`: the noisy channel; Yee et al., 2019), or of the answer alone (`lm`: a run that
was trained with empty sources). Any other opinion is a function of source and answer (`python`).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from core.decode.config import SearchConfig
from core.decode.hypotheses import FINISH
from core.errors import BadRecord, ConfigError, DataError
from core.record import Hypothesis, Prediction, Record
from core.report.forced import forced
from core.run.folder import existing_run
from core.run.stored import StoredRun, load_run
from core.task import Task

KINDS = ("run", "reverse", "lm", "python")
Asked = Sequence[tuple[Record, Hypothesis]]


class Opinion(Protocol):
    """What is thought of answers, a number each: the higher the better."""

    def __call__(self, asked: Asked, /) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Judge:
    """An opinion and what it weighs."""

    opinion: Opinion
    weight: float


def judges(task: Task[Any], cfg: SearchConfig, typed: Sequence[str]) -> tuple[Judge, ...]:
    """Of every `KIND:WHAT` or `KIND:WHAT*WEIGHT` of `search.rerank`.

    A function is called only where the user has typed its name (`typed`: key=value of the command line): a run folder that
    a stranger made may say anything, and must not make anything run.
    """
    own = any(one.partition("=")[0].strip() == "search.rerank" for one in typed)
    code = next((text for text in cfg.rerank if text.startswith("python:")), None)
    if code is not None and not own:
        raise ConfigError(
            f"search.rerank: the run's own config names the code {code!r}, and code is run only where you ask for it: type "
            "search.rerank=[...] yourself, or search.rerank=[] to go without"
        )
    return tuple(judge(task, cfg, text) for text in cfg.rerank)


def judge(task: Task[Any], cfg: SearchConfig, text: str) -> Judge:
    """One of them."""
    said, star, share = text.rpartition("*")
    said = said if star else text
    kind, colon, what = said.partition(":")
    if kind not in KINDS or not colon or not what:
        raise ConfigError(
            f"search.rerank: {text!r}: must be KIND:WHAT or KIND:WHAT*WEIGHT, KIND one of {', '.join(KINDS)}"
        )
    try:
        weight = float(share) if star else 1.0
    except ValueError:
        raise ConfigError(f"search.rerank: {text!r}: {share!r} is no number; a weight such as *0.5 is right") from None
    if not math.isfinite(weight):
        raise ConfigError(f"search.rerank: {text!r}: the weight must be finite")
    if kind == "python":
        return Judge(Function(function(what)), weight)
    run = load_run(task, existing_run(Path(what)))
    return Judge(Believed(task, run, cfg, kind), weight)


@dataclass(frozen=True, slots=True)
class Believed:
    """By a run."""

    task: Task[Any]
    run: StoredRun
    cfg: SearchConfig
    kind: str

    def __call__(self, asked: Asked) -> list[float]:
        """Impossible, where the run cannot encode what it is asked about."""
        able: list[tuple[int, Record]] = []
        for place, (record, one) in enumerate(asked):
            try:
                pair = self.pair(record, one.output)
                self.run.codecs.target.encode(pair.target)
            except (BadRecord, TypeError, ValueError, KeyError):
                continue
            able.append((place, pair))
        found = [-math.inf] * len(asked)
        records = [record for _, record in able]
        longest = self.run.config.batch.longest
        for (place, _), one in zip(
            able, forced(self.run.model, self.run.codecs, records, longest=longest) if records else (), strict=True
        ):
            found[place] = one.total / self.cfg.divisor(len(one.tokens))
        return found

    def pair(self, record: Record, output: str) -> Record:
        """What the run is asked about."""
        config, read, read_target = self.run.config.task, self.task.read, self.task.read_target
        if self.kind == "reverse":
            if not isinstance(record.source, str):
                raise DataError(f"search.rerank: a source of {self.task.name} is no text that a reverse run could say")
            source = output if read is None else read(config, output, Path())
            target = record.source if read_target is None else read_target(config, record.source)
            return Record(record.key, source, target)
        target = output if read_target is None else read_target(config, output)
        return Record(record.key, "" if self.kind == "lm" else record.source, target)


@dataclass(frozen=True, slots=True)
class Function:
    """By a function of the user's own."""

    function: Callable[[Any, str], float]

    def __call__(self, asked: Asked) -> list[float]:
        """One by one."""
        return [self.function(record.source, one.output) for record, one in asked]


def function(place: str) -> Callable[[Any, str], float]:
    """FILE.py:NAME"""
    file, colon, name = place.rpartition(":")
    path = Path(file)
    if not colon or not path.is_file():
        raise ConfigError(f"search.rerank: python:{place}: must be python:FILE.py:FUNCTION, and the file must be there")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"search.rerank: {path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigError(f"search.rerank: {path} has no function {name}")
    return lambda source, output: float(cast("Any", found)(source, output))


def reranked(predictions: Sequence[Prediction], by: Sequence[Judge]) -> list[Prediction]:
    """Answers that ended still stand before those that did not; equals stay in order."""
    asked = [(one.record, hypothesis) for one in predictions for hypothesis in one.hypotheses]
    opinions = [judge.opinion(asked) for judge in by]
    added = iter([sum(own.weight * said[n] for own, said in zip(by, opinions, strict=True)) for n in range(len(asked))])
    found: list[Prediction] = []
    for one in predictions:
        some = [replace(hypothesis, score=hypothesis.score + next(added)) for hypothesis in one.hypotheses]
        some.sort(key=lambda hypothesis: (FINISH.index(hypothesis.finish), -hypothesis.score))
        found.append(replace(one, hypotheses=tuple(some)))
    return found
