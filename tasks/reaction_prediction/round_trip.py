"""The way back: would a forward model make the product of the reactants that were predicted?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError, MetricSkipped
from core.record import Prediction, Record
from tasks.reaction_prediction.chemistry import canonical, version


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Percent of first answers from which the forward run's first answer is the product (Schwaller et al., 2020)."""

    run: str
    asked: str
    name = "round_trip"
    higher_is_better = True

    @property
    def signature(self) -> str:
        return f"round_trip|k:1|{self.asked}|forward:{Path(self.run).name or 'no'}|rdkit:{version()}|percent|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """1 where it leads back; 0 where it does not or the answer is no molecule."""
        if not self.run:
            raise MetricSkipped("task.forward_run names no run folder of a forward model")
        answers = [canonical(one.output) for one in predictions]
        asked = [Record(str(row), answer) for row, answer in enumerate(answers) if answer is not None]
        back = {one.record.key: canonical(one.output) for one in forward(self.run)(asked)}
        products = [canonical(str(one.record.source)) for one in predictions]
        hits = [back.get(str(row)) == product is not None for row, product in enumerate(products)]
        return np.array(hits, dtype=np.float64).reshape(-1, 1)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return float(100 * rows.mean()) if len(rows) else float("nan")


@lru_cache(maxsize=1)
def forward(run: str) -> Any:
    """Records of reactants -> predictions, by a stored run of the forward direction, greedily."""
    from core.run.answering import Answerer
    from core.run.folder import existing_run
    from core.run.stored import load_run
    from tasks.reaction_prediction import TASK
    from tasks.reaction_prediction.reaction import read_source

    loaded = load_run(TASK, existing_run(Path(run).expanduser()), ("search.strategy=greedy", "search.n_best=1"))
    cfg = loaded.config.task
    if cfg.direction != "forward":
        raise ConfigError(f"task.forward_run = {run!r}: a run of the direction {cfg.direction!r}, not 'forward'")
    answer = Answerer(TASK, loaded.config, loaded.codecs, loaded.model, loaded.rule)

    def predict(records: Sequence[Record]) -> list[Prediction]:
        asked = [Record(one.key, read_source(cfg, one.source)) for one in records]
        return answer(asked, lambda done: None)

    return predict
