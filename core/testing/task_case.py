"""A task with its data, as the laws look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.codec.types import Codecs
from core.data.copying import Copying
from core.data.sources import read_records
from core.errors import MetricSkipped
from core.record import SPLITS, Hypothesis, Prediction, Record, Split
from core.settings import RunConfig
from core.task import Metric, Task
from core.testing.tiny import Pair, pair_of, spread

SAMPLE = 40
"""Records of each split that the costlier laws look at."""


@dataclass(frozen=True)
class TaskCase:
    """A task with the data of one of its configs."""

    task: Task[Any]
    config: RunConfig
    records: Mapping[Split, list[Record]]
    codecs: Codecs
    card: Mapping[str, Any] | None = None
    """What card.toml says, where it was found."""

    @property
    def sample(self) -> list[Record]:
        """Some of every split."""
        return [record for split in SPLITS for record in spread(self.records[split], SAMPLE)]

    @property
    def metrics(self) -> Sequence[Metric]:
        """Those that can be computed here: a metric may miss a second model, or a jail."""
        return [one for one in self.task.metrics(self.config.task) if self.computable(one)]

    def computable(self, metric: Metric) -> bool:
        """Asked with one empty answer."""
        try:
            metric.statistics([Prediction(self.records["test"][0], (Hypothesis("", 0.0),))])
        except MetricSkipped:
            return False
        return True

    def utilities(self, records: Sequence[Record], outputs: Sequence[str]) -> Sequence[Callable[[str, str], float]]:
        """The task's own, or those of records that all have these answers; none where it has neither."""
        if self.task.utilities is None:
            return [] if self.task.utility is None else [self.task.utility]
        answers = tuple(Hypothesis(output, 0.0) for output in dict.fromkeys(outputs))
        found = self.task.utilities(self.config.task, [Prediction(record, answers) for record in records])
        assert len(found) == len(records), f"{len(found)} utilities for {len(records)} predictions"
        return found

    def pairs(self, records: Sequence[Record], *, copy: Copying = False) -> list[Pair]:
        """As numbers; for a model that copies with what it copies."""
        return [pair_of(record, self.codecs, copy=copy) for record in records]


def task_case(task: Task[Any], config: RunConfig, card: Mapping[str, Any] | None = None) -> TaskCase:
    """Read all splits and fit the codecs, once for all laws."""
    records: dict[Split, list[Record]] = {split: list(read(task, config, split)) for split in SPLITS}
    return TaskCase(task, config, records, task.codecs(config.task, records["train"]), card)


def read(task: Task[Any], config: RunConfig, split: Split) -> Iterator[Record]:
    """Straight from the task's source, or by core's readers where the config names one."""
    name = source_name(task, config)
    if name not in task.sources:
        return iter(read_records(task, config.task, config.data, split).records)
    return task.sources[name](config.task, config.data, split)


def source_name(task: Task[Any], config: RunConfig) -> str:
    """`builtin` is the task's first."""
    return next(iter(task.sources)) if config.data.source == "builtin" else config.data.source
