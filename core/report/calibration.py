"""Whether a model is right as often as it is sure: expected calibration error, a temperature, risk against coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.codec.types import PAD, Codecs
from core.model.seq2seq import Seq2Seq
from core.record import Record
from core.report.forced import batches, distribution, tempered

# N tokens, or outputs

BINS = 10
TEMPERATURES = tuple(float(x) for x in np.geomspace(0.4, 3.0, 25))
MOVES = 4
"""Grids tried at most, ever higher; not lower, since few targets that are all right would ask for 0, which no other data bears out."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width (Guo et al., 2017)."""

    confidence: tuple[float, ...]
    """The mean of each bin that holds any."""
    accuracy: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, each bin by how much it holds."""
        total = sum(self.counts)
        gaps = (n * abs(c - a) for n, c, a in zip(self.counts, self.confidence, self.accuracy, strict=True))
        return sum(gaps) / total if total else 0.0


def reliability(confidence_N: np.ndarray, right_N: np.ndarray, bins: int = BINS) -> Reliability:
    """Confidences are probabilities from 0 to 1."""
    place_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    held = [place_N == one for one in range(bins) if (place_N == one).any()]
    return Reliability(
        tuple(float(confidence_N[mask].mean()) for mask in held),
        tuple(float(right_N[mask].mean()) for mask in held),
        tuple(int(mask.sum()) for mask in held),
    )


@torch.inference_mode()
def fit_temperature(model: Seq2Seq, codecs: Codecs, records: Sequence[Record], *, longest: int) -> float:
    """By which the model's own logits are divided so that the targets are likeliest, token by token (Guo et al., 2017).

    Searched on a geometric grid, which is moved up where its upper end is best, then at the peak of the parabola through the
    best point and its neighbours.
    """
    grid, end = np.array(TEMPERATURES), 1.0
    for _ in range(MOVES):
        loss = losses(model, codecs, records, grid, longest=longest)
        best = int(loss.argmin())
        if 0 < best < len(grid) - 1:
            before, here, after = loss[best - 1 : best + 2]
            shift = 0.5 * (before - after) / (before - 2 * here + after) if before - 2 * here + after > 0 else 0.0
            return float(grid[best] * np.exp(shift * np.log(grid[1] / grid[0])))
        end = float(grid[best])
        if best == 0:
            break
        grid = grid * (end / grid[len(grid) // 2])
    return end


def losses(
    model: Seq2Seq, codecs: Codecs, records: Sequence[Record], temperatures: np.ndarray, *, longest: int
) -> np.ndarray:
    """What the targets cost at each, in nats."""
    loss = np.zeros(len(temperatures))
    for batch in batches(model, codecs, records, longest=longest, targets=None):
        logp_BTV, real_BT = distribution(model, batch), batch.wanted_BT != PAD
        for n, temperature in enumerate(temperatures.tolist()):
            said_BT = tempered(logp_BTV, temperature).gather(-1, batch.wanted_BT[..., None])[..., 0]
            loss[n] -= float(said_BT[real_BT].double().sum())
    return loss


def by_coverage(
    sure_N: np.ndarray, value: Callable[[np.ndarray], float], points: int = 20
) -> tuple[list[float], list[float]]:
    """Share answered, the surest first, and the value of those rows."""
    order = np.argsort(-sure_N, kind="stable")
    sizes = sorted({max(1, round(len(order) * n / points)) for n in range(1, points + 1)})
    return [size / len(order) for size in sizes], [value(order[:size]) for size in sizes]


def risk_coverage(sure_N: np.ndarray, wrong_N: np.ndarray, points: int = 20) -> tuple[list[float], list[float]]:
    """Share answered, the surest first, and the mean of what is wrong among those (El-Yaniv & Wiener, 2010)."""
    return by_coverage(sure_N, lambda rows: float(wrong_N[rows].mean()), points)
