"""Records -> predictions, by the task's own way of solving where it has one: what training, `evaluate` and `predict` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.codec.types import Codecs
from core.decode.config import SearchConfig
from core.decode.predict import BLANK, is_blank, predict_records
from core.decode.rules import Rule
from core.decode.utility import Utility, by_expected_utility
from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.record import Prediction, Record
from core.run.reranking import Judge, reranked
from core.settings import RunConfig
from core.task import Task

TOGETHER = 256
"""Records that a task's `solve` sees at a time, so that a bar moves and a signal is heard between."""


class Stopped(Exception):
    """A signal asked to end between two batches."""


@dataclass(slots=True)
class Share:
    """Of a bar: records that a task solves together. It moves with the first of their searches; the last is for what comes after."""

    records: int
    progress: Callable[[int], None]
    moved: int = 0

    def of_search(self, total: int) -> Callable[[int], None]:
        """To be told how many more of `total` are found."""
        found = 0

        def advance(more: int) -> None:
            nonlocal found
            found += more
            self.up_to(min(self.records * found // max(total, 1), self.records - 1))

        return advance

    def up_to(self, place: int) -> None:
        """Never back."""
        if place > self.moved:
            self.progress(place - self.moved)
            self.moved = place


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model with all that it needs to answer."""

    task: Task[Any]
    config: RunConfig
    codecs: Codecs
    model: Seq2Seq
    rule: Rule | None
    stop: Callable[[], bool] = lambda: False
    others: tuple[Seq2Seq, ...] = ()
    """Models of other runs that decide together with this one."""
    heard: Callable[[str], None] | None = None
    """Of a single record without a task's own way of solving, told the beginning of the answer as it grows."""
    ranked_by: tuple[Judge, ...] = ()
    """Further opinions of answers that were found, with their weights (`search.rerank`)."""

    def __call__(self, records: Sequence[Record], progress: Callable[[int], None]) -> list[Prediction]:
        """One prediction a record, in order; a blank source has a blank answer. Raises Stopped."""
        if self.task.solve is None:
            return self.search(records, progress)
        asked = [record for record in records if not is_blank(record)]
        progress(len(records) - len(asked))
        solved: list[Prediction] = []
        for begin in range(0, len(asked), TOGETHER):
            part = asked[begin : begin + TOGETHER]
            share = Share(len(part), progress)
            found = self.task.solve(self.config.task, self.codecs, partial(self.search_for, share), part)
            if len(found) != len(part):
                raise ValueError(f"{self.task.name}: solve gave {len(found)} predictions for {len(part)} records")
            solved.extend(found)
            share.up_to(len(part))
        rest = iter(solved)
        return [Prediction(record, (BLANK,)) if is_blank(record) else next(rest) for record in records]

    def search_for(self, share: Share, records: Sequence[Record]) -> list[Prediction]:
        """A search that a task solves records by."""
        return self.search(records, share.of_search(len(records)))

    def search(
        self,
        records: Sequence[Record],
        progress: Callable[[int], None] | None = None,
        settings: SearchConfig | None = None,
    ) -> list[Prediction]:
        """One search, without the task's own way of solving."""
        cfg = settings or self.config.search
        decide = None if cfg.decide == "score" else self.utilities()
        several = decide is not None or bool(self.ranked_by)
        read = self.task.read_target
        found = predict_records(
            self.model,
            self.codecs,
            records,
            replace(cfg, n_best=cfg.width) if several else cfg,
            longest=self.config.batch.longest,
            rule=self.rule,
            seed=self.config.seed,
            progress=progress,
            stop=self.stop,
            others=self.others,
            read=None if read is None else partial(read, self.config.task),
            heard=self.heard,
        )
        if len(found) != len(records):
            raise Stopped
        if self.ranked_by:
            found = reranked(found, self.ranked_by)
        if decide is None:
            return [Prediction(one.record, one.hypotheses[: cfg.n_best]) for one in found] if several else found
        drawn = cfg.draws and cfg.strategy == "sample"
        return [
            Prediction(one.record, by_expected_utility(one.hypotheses, utility, drawn=drawn)[: cfg.n_best])
            for one, utility in zip(found, decide(found), strict=True)
        ]

    def utilities(self) -> Callable[[Sequence[Prediction]], Sequence[Utility]]:
        """The task's, or a plain refusal."""
        if self.task.utilities is not None:
            return partial(self.task.utilities, self.config.task)
        utility = self.task.utility
        if utility is None:
            raise ConfigError(f'search.decide = "utility": {self.task.name} has no utility; "score" is right')
        return lambda found: [utility] * len(found)
