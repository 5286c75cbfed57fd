"""Scheduled sampling (Bengio et al., 2015): by and by the decoder reads its own words in training, as it will when it answers.

The share of true words among those read goes from 1 at the first step to `floor` at the last: linearly, exponentially
(floor^(step / steps)), or as an inverse sigmoid k / (k + e^(step / k)), whose k is what ends there; or it is `floor` all the time.
Own words are drawn from the model's distribution. A recurrent decoder walks: what it draws it reads next, as in the paper. Any
other reads twice (Mihaylova & Martins, 2019): words drawn after true prefixes take the places of true ones in a second reading,
and the drawing has no gradient. A share is of words, each with a coin of its own; an end that is drawn is read as a word.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from core.codec.types import PAD
from core.data.batch import Batch
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory
from core.train.hiding import hidden_given

# B batch, T target, D width, V vocabulary


def share_of_truth(step: int, *, kind: str, floor: float, steps: int) -> float:
    """Of the words that are read at this step (from 0)."""
    done = min(step / max(steps, 1), 1.0)
    match kind:
        case "always":
            return 1.0
        case "constant":
            return floor
        case "linear":
            return 1.0 - (1.0 - floor) * done
        case "exponential":
            return max(floor, LEAST) ** done
        case "inverse-sigmoid":
            k = steepness(steps, floor)
            return k / (k + math.exp(min(step / k, 700.0)))
        case _:
            raise ValueError(kind)


LEAST = 1e-3
"""Where an exponential and a sigmoid end if they are asked for 0, which they never reach."""


@cache
def steepness(steps: int, floor: float) -> float:
    """The k whose inverse sigmoid comes down to the floor at the last step, by bisection."""
    low, high = steps / 700.0, 1e3 * steps
    for _ in range(80):
        k = math.sqrt(low * high)
        low, high = (k, high) if k / (k + math.exp(min(steps / k, 700.0))) < max(floor, LEAST) else (low, k)
    return math.sqrt(low * high)


def read_twice(model: Seq2Seq, batch: Batch, memory: Memory, truth: float) -> Tensor:
    """What the decoder is given in a second reading, [B, T]."""
    with torch.no_grad():
        drawn_BT = drawn(model.head.logp(model(batch, memory), memory))
    true_BT = batch.given_BT
    mixed_BT = true_BT.clone()
    own_BT = coins(true_BT[:, 1:], 1.0 - truth) & (true_BT[:, 1:] != PAD)
    mixed_BT[:, 1:] = torch.where(own_BT, drawn_BT[:, :-1], true_BT[:, 1:])
    return mixed_BT


def walk(model: Seq2Seq, batch: Batch, memory: Memory, truth: float, hidden: float = 0.0) -> Tensor:
    """Hidden states [B, T, D] along prefixes in which own words stand where they were drawn, a share of all words `hidden`."""
    given_BT = batch.given_BT
    own_BT = coins(given_BT, 1.0 - truth)
    state, token_B1, steps = model.start(memory, 1), given_BT[:, :1], list[Tensor]()
    for place in range(given_BT.shape[1]):
        token_B1 = hidden_given(token_B1, hidden) if hidden else token_B1
        hidden_B1D, state = model.advance(token_B1, memory, state)
        steps.append(hidden_B1D)
        if place + 1 < given_BT.shape[1]:
            with torch.no_grad():
                logp_B1V, state = model.say(hidden_B1D, memory, state)
                drawn_B1 = drawn(logp_B1V)
            after = slice(place + 1, place + 2)
            token_B1 = torch.where(own_BT[:, after], drawn_B1, given_BT[:, after])
    return torch.cat(steps, dim=1)


def coins(like: Tensor, rate: float) -> Tensor:
    """True with that probability."""
    return torch.rand(like.shape, device=like.device) < rate


def drawn(logp_BTV: Tensor) -> Tensor:
    """One word for each place."""
    return torch.multinomial(logp_BTV.flatten(0, -2).exp(), 1).view(logp_BTV.shape[:-1])
