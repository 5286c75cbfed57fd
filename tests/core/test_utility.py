"""Minimum Bayes risk against the sum written out, and from the command line's side."""

from __future__ import annotations

import math

import pytest

from core.decode.utility import by_expected_utility
from core.record import Hypothesis


def overlap(output: str, reference: str) -> float:
    """Not symmetric, so that a mixed-up order shows."""
    return len(set(output) & set(reference)) / (1 + len(output))


def test_it_is_the_expected_utility_under_what_was_found() -> None:
    p = {"abc": 0.4, "ab": 0.3, "abd": 0.2, "xyz": 0.1}
    found = [Hypothesis(output, math.log(share), logp=(math.log(share),)) for output, share in p.items()]
    expected = {one: sum(share * overlap(one, other) for other, share in p.items()) for one in p}
    decided = by_expected_utility(found, overlap, drawn=False)
    assert [one.output for one in decided] == sorted(p, key=lambda one: -expected[one])
    assert [one.score for one in decided] == pytest.approx(sorted(expected.values(), reverse=True))
    assert decided[0].output == "ab"  # not the likeliest one
    assert decided[0].logp == found[1].logp


def test_samples_weigh_one_each_and_equal_outputs_are_one() -> None:
    found = [
        Hypothesis("aab", -9.0, logp=(-9.0,)),
        Hypothesis("xy", -0.1, logp=(-0.1,)),
        Hypothesis("aab", -9.0, logp=(-9.0,)),
    ]
    assert [one.output for one in by_expected_utility(found, overlap, drawn=True)] == ["aab", "xy"]
    assert [one.output for one in by_expected_utility(found, overlap, drawn=False)] == ["xy", "aab"]


def test_two_spellings_of_one_output_are_believed_together() -> None:
    found = [Hypothesis(output, 0.0, logp=(math.log(p),)) for output, p in (("b", 0.4), ("a", 0.35), ("a", 0.25))]
    best, other = by_expected_utility(found, lambda one, two: float(one == two), drawn=False)
    assert (best.output, best.score) == ("a", pytest.approx(0.6))
    assert (other.output, other.score) == ("b", pytest.approx(0.4))


def test_ties_stay_in_order_and_nothing_stays_nothing() -> None:
    found = [Hypothesis(output, -1.0, logp=(-1.0,)) for output in "dcab"]
    assert [one.output for one in by_expected_utility(found, lambda one, two: 1.0, drawn=False)] == list("dcab")
    assert by_expected_utility([], overlap, drawn=False) == ()
    impossible = [Hypothesis("a", -math.inf, logp=(-math.inf,)), Hypothesis("b", -math.inf, logp=(-math.inf,))]
    assert {one.score for one in by_expected_utility(impossible, lambda one, two: float(one == two), drawn=False)} == {
        0.5
    }
