"""How sure a run is: a temperature fitted on dev, kept in RUN/calibration.json, and the probabilities that `predict` gives by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.codec.types import Codecs
from core.errors import UserError
from core.model.seq2seq import Seq2Seq
from core.record import Prediction, Record
from core.report.calibration import fit_temperature
from core.report.forced import forced
from core.run.folder import RunFolder, read_json, write_json
from core.run.watched import watched_records

FITTED = 200
"""Dev records that the temperature is fitted on, at most."""


def keep_temperature(
    folder: RunFolder, model: Seq2Seq, codecs: Codecs, dev: Sequence[Record], *, longest: int, sha256: str
) -> float | None:
    """Fit and write it; None, and nothing written, for a model that cannot be asked token by token."""
    records = watched_records(dev, FITTED)
    try:
        temperature = fit_temperature(model, codecs, records, longest=longest)
    except UserError:
        return None
    tree: dict[str, Any] = {
        "temperature": temperature,
        "split": "dev",
        "n": len(records),
        "sha256": sha256,
        "of": "tokens under the right prefix: their log-probability is divided by it before the softmax",
    }
    write_json(folder.calibration, tree)
    return temperature


def kept_temperature(folder: RunFolder) -> float | None:
    """What `train` or `report` fitted; None where neither did."""
    if not folder.calibration.is_file():
        return None
    found = read_json(folder.calibration).get("temperature")
    good = isinstance(found, int | float) and math.isfinite(found) and found > 0
    return float(found) if good and found is not None else None


def confident(
    model: Seq2Seq, codecs: Codecs, predictions: Sequence[Prediction], temperature: float, *, longest: int
) -> list[Prediction]:
    """Each hypothesis with its probability at this temperature, where its tokens are those of one search.

    The model itself is asked: rules of decoding and a CTC head have no say.
    """
    places = [
        (row, rank)
        for row, one in enumerate(predictions)
        for rank, own in enumerate(one.hypotheses)
        if own.tokens and len(own.logp) - len(own.tokens) in (0, 1)
    ]
    if not places:
        return list(predictions)
    records = [predictions[row].record for row, _ in places]
    tokens = [list(predictions[row].hypotheses[rank].tokens) for row, rank in places]
    try:
        found = forced(model, codecs, records, longest=longest, targets=tokens, temperature=temperature)
    except UserError:
        return list(predictions)
    made = [list(one.hypotheses) for one in predictions]
    for (row, rank), one in zip(places, found, strict=True):
        own = made[row][rank]
        probabilities = tuple(float(p) for p in np.exp(one.logp[: len(own.logp)]))
        made[row][rank] = replace(own, probabilities=probabilities)
    return [replace(one, hypotheses=tuple(own)) for one, own in zip(predictions, made, strict=True)]
