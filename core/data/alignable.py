"""Which records CTC can learn from: each token needs a frame of its own, and two equal ones a blank between them."""

from __future__ import annotations

import numpy as np

from core.data.examples import Examples

# N records


def too_short(examples: Examples, factor: int) -> np.ndarray:
    """Whether the frames of each record, divided by `factor`, are fewer than its target needs; bool [N]."""
    target = examples.target
    if target is None:
        return np.zeros(len(examples), bool)
    again = np.zeros(len(target.values) + 1, np.int64)  # of equal neighbours, so far
    np.cumsum(target.values[1:] == target.values[:-1], out=again[1:-1])
    begin_N, end_N = target.offset_N1[:-1], target.offset_N1[1:]
    within_N = np.where(end_N > begin_N, again[np.maximum(end_N - 1, 0)] - again[begin_N], 0)
    return -(-examples.source.lengths // factor) < end_N - begin_N + within_N
