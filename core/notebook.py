"""Trained runs in Python and in notebooks: `from core import load; model = load("runs/x"); model.predict([...])`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from core.codec.types import Codecs
from core.errors import BadRecord, DataError
from core.record import Hypothesis, Prediction, Record
from core.registry import installed_tasks
from core.report.attention import Attention, How, attend_to
from core.report.examples import ALIGNED, example
from core.report.figures import figure
from core.report.forced import Forced, forced
from core.report.page import framed
from core.run.answering import Answerer
from core.run.confidence import confident, kept_temperature
from core.run.folder import existing_run, read_json
from core.run.stored import StoredRun, load_run
from core.settings import RunConfig
from core.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to one source."""

    prediction: Prediction
    attention: Attention | None = None
    """Where it looked, where that was asked for and there is any."""
    present: Callable[[Prediction], str] | None = None
    present_target: Callable[[Prediction], str] | None = None
    style: str = ""
    """CSS of the task's own."""

    @property
    def output(self) -> str:
        """The best hypothesis; empty if there is none."""
        return self.prediction.output

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Best first, each with its score and its tokens' log-probabilities."""
        return self.prediction.hypotheses

    @property
    def confidence(self) -> float | None:
        """How probable the best answer is, at the temperature that was fitted on dev; None where a run has none."""
        return self.hypotheses[0].confidence if self.hypotheses else None

    def figure(self, layer: int | None = None, head: int | None = None, *, how: How = "mean") -> Figure:
        """The attention as a figure of matplotlib: of all layers and heads, or of one (counted from 0).

        `how` puts all together: mean, max, rollout, or saliency (gradient x input, the second opinion).
        """
        if self.attention is None:
            raise ValueError("no attention: ask for it by predict(..., attention=True), of a model that has some")
        return figure(self.attention.map(layer, head, how))

    def __str__(self) -> str:
        return self.output

    def _repr_html_(self) -> str:
        """In Jupyter: as the field looks at one result."""
        return self.html

    @property
    def html(self) -> str:
        """The same, escaped, with the colours of a report."""
        return framed(self.drawn, self.style)

    @property
    def drawn(self) -> str:
        """The same without its rules; words are aligned where attention was asked for and both sides are texts."""
        record, words = self.prediction.record, None if self.attention is None else self.attention.words
        shown = record if words is None else replace(record, meta={**record.meta, ALIGNED: words})
        return example(replace(self.prediction, record=shown), "", self.present, self.present_target)


@dataclass(frozen=True, slots=True)
class Answers(Sequence[Answer]):
    """One a source, in order."""

    answers: tuple[Answer, ...]

    def __len__(self) -> int:
        return len(self.answers)

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> Answers: ...
    def __getitem__(self, place: int | slice) -> Answer | Answers:
        return Answers(self.answers[place]) if isinstance(place, slice) else self.answers[place]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    @property
    def outputs(self) -> list[str]:
        """The best hypotheses alone."""
        return [one.output for one in self.answers]

    def _repr_html_(self) -> str:
        if not self.answers:
            return ""
        return framed("".join(one.drawn for one in self.answers), self.answers[0].style)


@dataclass(frozen=True, slots=True)
class Model:
    """A trained run, ready to answer."""

    run: StoredRun

    @property
    def task(self) -> Task[Any]:
        return self.run.task

    @property
    def config(self) -> RunConfig:
        return self.run.config

    @property
    def codecs(self) -> Codecs:
        return self.run.codecs

    def predict(self, sources: Sequence[Any], *, attention: bool = False) -> Answers:
        """One answer each, in order: the same as `predict` gives. Sources are what JSONL has as "source"."""
        answer = Answerer(self.task, self.config, self.codecs, self.run.model, self.run.rule)
        found = answer(self.records(sources), lambda done: None)
        temperature = kept_temperature(self.run.folder)
        if temperature is not None:
            longest = self.config.batch.longest
            found = confident(self.run.model, self.codecs, found, temperature, longest=longest)
        task = self.task
        looks = task.present, task.present_target, task.present_style
        return Answers(tuple(Answer(one, self.attention(one) if attention else None, *looks) for one in found))

    def attention(self, prediction: Prediction) -> Attention | None:
        """Of the best hypothesis; None where it has no tokens of one search, or the decoder no attention."""
        if not prediction.hypotheses or not prediction.hypotheses[0].tokens:
            return None
        longest = self.config.batch.longest
        best = prediction.hypotheses[0]
        return attend_to(self.run.model, self.codecs, prediction.record, best, longest=longest, full=True)

    def likelihood(self, sources: Sequence[Any], targets: Sequence[Any]) -> list[Forced]:
        """What the model believes of given targets, token by token."""
        if len(sources) != len(targets):
            raise ValueError(f"{len(sources)} sources, {len(targets)} targets; one each is right")
        read = self.task.read_target
        right = [read(self.config.task, one) if read else one for one in targets]
        records = [
            Record(record.key, record.source, target)
            for record, target in zip(self.records(sources), right, strict=True)
        ]
        return forced(self.run.model, self.codecs, records, longest=self.config.batch.longest)

    def records(self, sources: Sequence[Any]) -> list[Record]:
        """As the task reads them; what it refuses is said with its place among them."""
        if isinstance(sources, str):
            raise TypeError("a list of sources is right, also where there is one: predict([source])")
        made: list[Record] = []
        for number, value in enumerate(sources, start=1):
            blank = isinstance(value, str) and not value.strip()
            try:
                source = self.task.read(self.config.task, value, Path()) if self.task.read and not blank else value
            except BadRecord as error:
                raise DataError(f"source {number}: {error}") from None
            made.append(Record(str(number), source))
        return made

    def _repr_html_(self) -> str:
        parameters = sum(one.numel() for one in self.run.model.parameters())
        said = f"{self.task.name}, {self.config.model.kind}, {parameters:,} parameters, step {self.run.step:,}"
        return f"<p><b>{escape(str(self.run.folder.path))}</b>: {escape(said)}</p>"


def load(run: str | Path, *settings: str, task: Task[Any] | None = None) -> Model:
    """A run folder; settings are key=value, as on the command line. The task is found by its name, plugins included."""
    folder = existing_run(Path(run))
    if task is None:
        task = installed_tasks()[str(read_json(folder.facts).get("task"))]
    return Model(load_run(task, folder, settings))
