"""`search.precision` has to be earned: a run may answer in eight bits once that has been measured on its dev records.

`evaluate RUN --split dev search.engine=native search.precision=int8` answers all of them in both precisions and writes
RUN/precision.json. If some metric moved by more than 0.2 points, the precision is refused from then on. What was found holds for
these weights alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.record import Prediction
from core.run.folder import RunFolder, read_json, write_json
from core.run.scoring import Score, points

FILE = "precision.json"
MOST = 0.2
"""Points (of a hundred) by which a metric may move, up or down: noise that helps is noise."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a precision did to a run."""

    weights: str
    records: int
    same: float
    """The share of records whose output is the same."""
    metrics: dict[str, tuple[float, float]]
    """In points: in float32, and in this precision."""

    @property
    def moved(self) -> float:
        """By how much the metric moved that moved most; rounding is no move."""
        return round(max(abs(low - full) for full, low in self.metrics.values()), 9)

    @property
    def permitted(self) -> bool:
        """Whether that is little enough."""
        return self.moved <= MOST

    def said(self, precision: str) -> str:
        """For a person."""
        moves = ", ".join(f"{name} {full:.2f} -> {low:.2f}" for name, (full, low) in self.metrics.items())
        end = "permitted" if self.permitted else f"refused: a metric moved by more than {MOST}"
        return (
            f"{precision} against float32: {100 * self.same:.1f} % of {self.records} outputs the same; {moves}: {end}"
        )


def verdict(
    model: Seq2Seq,
    full: Sequence[Prediction],
    low: Sequence[Prediction],
    full_scores: Mapping[str, Score],
    low_scores: Mapping[str, Score],
) -> Verdict:
    """Of the answers of one model to the same records in both precisions."""
    pairs = list(zip(full, low, strict=True))
    same = sum(a.hypotheses[0].output == b.hypotheses[0].output for a, b in pairs) / max(len(pairs), 1)
    metrics = {name: (points(one), points(low_scores[name])) for name, one in full_scores.items() if name in low_scores}
    return Verdict(weights_of(model), len(pairs), same, metrics)


def keep(folder: RunFolder, precision: str, found: Verdict) -> None:
    """In the run folder, beside what is known of other precisions."""
    path = folder.path / FILE
    known: dict[str, Any] = read_json(path) if path.is_file() else {}
    write_json(path, {**known, precision: {**asdict(found), "moved": found.moved, "permitted": found.permitted}})


def check_permitted(folder: RunFolder, model: Seq2Seq, precision: str) -> None:
    """Refuse a precision that has not been measured, or has been and moved a metric."""
    if precision == "float32":
        return
    path = folder.path / FILE
    known: dict[str, Any] = (read_json(path) if path.is_file() else {}).get(precision, {})
    how = f"evaluate {folder.path} --split dev search.engine=native search.precision={precision}"
    if not known:
        raise ConfigError(f"search.precision = {precision!r}: not measured on this run; first `{how}`")
    if known.get("weights") != weights_of(model):
        raise ConfigError(f"search.precision = {precision!r}: {path} is of other weights; again `{how}`")
    if known.get("permitted") is not True:
        raise ConfigError(
            f"search.precision = {precision!r}: on dev a metric moved by {known.get('moved'):.2f} points, more than {MOST} ({path});"
            ' "float32" is right'
        )


def weights_of(model: Seq2Seq) -> str:
    """A digest."""
    found = hashlib.sha256()
    for name, x in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(x.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
