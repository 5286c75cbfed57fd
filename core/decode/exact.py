"""The most probable output of all, and the proof that there is none more probable: what a beam's answers can be held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.codec.types import BOS, EOS
from core.data.batch import Batch
from core.decode.candidates import NEVER
from core.decode.config import SearchConfig
from core.decode.constraints import Constraints
from core.decode.rules import Rule
from core.decode.search import Steps, limits, shortest

# K prefixes of one length, V vocabulary, N those that go on

CLOSE = 1e-6
"""Log-probabilities that differ by less are told apart by nobody."""


@dataclass(frozen=True, slots=True)
class Mode:
    """The most probable output of one source, among those that end within the search's limit."""

    tokens: tuple[int, ...]
    """Without the end symbol."""
    logp: float
    """Of the whole output, its end included."""
    read: int
    """Prefixes that the model was asked about."""


@torch.inference_mode()
def mode(
    model: Steps,
    batch: Batch,
    cfg: SearchConfig,
    *,
    known: tuple[Sequence[int], float],
    rule: Rule | None = None,
    most: int = 2048,
) -> Mode | None:
    """Of a single source; None where `most` prefixes do not suffice to be certain. `known`: an output and its log-probability.

    Stahlberg & Byrne (2019) go depth first with a beam's answer as the bound; here all prefixes of one length are read at
    once. Log-probabilities only fall as an output grows, so one that is no more probable than the best whole output so far
    can be left; of what is left over at the end nothing was missed. No length penalty has a say.
    """
    if batch.size != 1:
        raise ValueError(f"{batch.size} sources; one at a time is right")
    limit_B = torch.tensor(limits(batch, cfg, [()]), device=batch.source.device)
    least_B = torch.minimum(limit_B - 1, limit_B.new_tensor(shortest(batch, cfg)))
    constraints = Constraints(batch, 1, limit_B, rule=rule, prefix=[()], no_repeat=cfg.no_repeat, least_B=least_B)
    memory = model.encode(batch)
    state = model.start(memory, 1)
    token_BK = torch.full((1, 1), BOS, device=batch.source.device)
    exact = torch.float32 if token_BK.device.type == "mps" else torch.float64
    sum_K, said = torch.zeros(1, dtype=exact, device=token_BK.device), [()]
    tokens, logp, read = tuple(known[0]), known[1], 0
    for step in range(int(limit_B[0])):
        read += token_BK.shape[1]
        if read > most:
            return None
        logp_BKV, state = model.step(token_BK, memory, state)
        total_KV = sum_K[:, None] + constraints.apply(logp_BKV, token_BK, step)[0].to(exact)
        ended, place = total_KV[:, EOS].max(0)
        if float(ended) > logp + CLOSE:
            tokens, logp = said[int(place)], float(ended)
        total_KV[:, EOS] = NEVER
        parent_N, token_N = (total_KV > logp + CLOSE).nonzero(as_tuple=True)
        if not len(parent_N):
            return Mode(tokens, logp, read)
        if read + len(parent_N) > most:
            return None
        sum_K, token_BK = total_KV[parent_N, token_N], token_N[None]
        said = [(*said[k], token) for k, token in zip(parent_N.tolist(), token_N.tolist(), strict=True)]
        state = model.select(state, parent_N[None])
        constraints.select(parent_N[None])
    return Mode(tokens, logp, read)
