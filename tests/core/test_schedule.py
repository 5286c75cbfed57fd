"""Learning rates: the formulas, at the places where they are easily wrong."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import get_args

import pytest

from core.train.schedule import Schedule, learning_rate

KINDS: tuple[Schedule, ...] = get_args(Schedule)
rate = partial(learning_rate, peak=0.01, warmup=100, steps=1000)


@pytest.mark.parametrize("kind", KINDS)
def test_the_warm_up_is_linear_and_meets_the_peak(kind: Schedule) -> None:
    assert [rate(step, kind=kind) for step in (1, 50, 100)] == pytest.approx([0.0001, 0.005, 0.01])
    assert rate(101, kind=kind) == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [0, 1, 100, 1000, 5000])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_never_above_the_peak_never_rising_after_it(kind: Schedule, warmup: int, final: float) -> None:
    every = [learning_rate(n, peak=2.0, warmup=warmup, steps=1000, kind=kind, final=final) for n in range(1, 1201)]
    assert all(math.isfinite(one) and 0 <= one <= 2 + 1e-12 for one in every)
    assert all(one >= after - 1e-12 for one, after in pairwise(every[warmup:]))
    assert all(one < after for one, after in pairwise(every[:warmup]))


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_end_is_the_final_share(kind: Schedule) -> None:
    for final in (0.0, 0.1):
        assert rate(1000, kind=kind, final=final) == pytest.approx(0.01 * final, abs=1e-15)
        assert rate(1500, kind=kind, final=final) == rate(1000, kind=kind, final=final)
        assert rate(550, kind=kind, final=final) == pytest.approx(0.01 * (1 + final) / 2)


def test_the_formulas() -> None:
    assert rate(400, kind="inverse-sqrt") == pytest.approx(0.005)
    assert rate(10_000, kind="inverse-sqrt") == pytest.approx(0.001)
    assert rate(325, kind="cosine") == pytest.approx(0.01 * (1 + math.sqrt(0.5)) / 2)
    assert rate(325, kind="linear") == pytest.approx(0.0075)
    assert rate(999, kind="constant") == 0.01
    assert learning_rate(4, peak=1.0, warmup=0, steps=10, kind="inverse-sqrt") == 0.5
