"""Minimum Bayes risk: the answer that is most like what else might be right, instead of the most probable one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.record import Hypothesis

# N different outputs

Utility = Callable[[str, str], float]
"""(answer, what might be right) -> how good it would be."""


def by_expected_utility(hypotheses: Sequence[Hypothesis], utility: Utility, *, drawn: bool) -> tuple[Hypothesis, ...]:
    """Each different output once, by its mean utility against all of them, which becomes its score.

    Kumar and Byrne (2004). What might be right weighs as much as the model says of the outputs found, put to one in sum;
    samples that were drawn weigh one each, since frequent outputs come often (Eikema and Aziz, 2020). Equals stay in order.
    """
    if not hypotheses:
        return ()
    first = {one.output: one for one in reversed(hypotheses)}
    outputs = list(dict.fromkeys(one.output for one in hypotheses))
    weight_N = weights(hypotheses, outputs, drawn=drawn)
    use_NN = np.array([[utility(one, other) for other in outputs] for one in outputs])
    expected = [float(value) for value in use_NN @ weight_N]
    order = sorted(range(len(outputs)), key=lambda n: -expected[n])
    return tuple(replace(first[outputs[n]], score=expected[n]) for n in order)


def weights(hypotheses: Sequence[Hypothesis], outputs: Sequence[str], *, drawn: bool) -> np.ndarray:
    """How much is believed of each output; an output that was found in several spellings has the sum of them."""
    place = {output: n for n, output in enumerate(outputs)}
    top = max(one.total for one in hypotheses)
    weight_N = np.zeros(len(outputs))
    for one in hypotheses:
        weight_N[place[one.output]] += 1.0 if drawn or math.isinf(top) else math.exp(one.total - top)
    return weight_N / weight_N.sum()
