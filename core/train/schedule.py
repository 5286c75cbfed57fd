"""Learning rates as pure functions of the step: nothing to save, nothing to replay."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["inverse-sqrt", "cosine", "linear", "constant"]


def learning_rate(step: int, *, peak: float, warmup: int, steps: int, kind: Schedule, final: float = 0.0) -> float:
    """For update `step` (from 1): a linear warm-up, then the decay. `final` is the last step's share of the peak."""
    if step <= warmup:
        return peak * step / max(warmup, 1)
    done = min((step - warmup) / max(steps - warmup, 1), 1.0)
    match kind:
        case "inverse-sqrt":
            return peak * math.sqrt(max(warmup, 1) / step)
        case "cosine":
            return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))
        case "linear":
            return peak * (1 - (1 - final) * done)
        case "constant":
            return peak
