"""The one search: greedy, beam and sampling are one loop over any model that can take a step. See docs/decoding.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from core.data.batch import Batch
from core.decode.candidates import Choice, Choosing, best_candidates, grouped_candidates
from core.decode.config import SearchConfig
from core.decode.constraints import Constraints
from core.decode.coverage import Covering
from core.decode.hypotheses import Found, Hypotheses
from core.decode.phrases import Phrases
from core.decode.rules import Rule
from core.decode.sampling import BLOCK, Among, draw, drawn_candidates, uniforms
from core.decode.stochastic import Perturbed
from core.model.state import Memory, State

# B batch, K hypotheses, V vocabulary


class Steps(Protocol):
    """What the search asks of a model, or of several that decide together."""

    def encode(self, batch: Batch, /) -> Memory:
        """Read the sources, once."""
        ...

    def start(self, memory: Memory, beams: int, /) -> State:
        """Before BOS."""
        ...

    def step(self, token_BK: Tensor, memory: Memory, state: State, /) -> tuple[Tensor, State]:
        """Read one token (BOS first); the log-probabilities [B, K, V] of the next."""
        ...

    def select(self, state: State, parent_BK: Tensor, /) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        ...

    def keep(self, memory: Memory, state: State, rows_B: Tensor, /) -> tuple[Memory, State]:
        """Only these sources go on."""
        ...


@torch.inference_mode()
def search(
    model: Steps,
    batch: Batch,
    cfg: SearchConfig,
    *,
    rule: Rule | None = None,
    prefix: Sequence[Sequence[int]] | None = None,
    phrases: Phrases | None = None,
    heard: Callable[[Sequence[int]], None] | None = None,
    seed: int = 0,
    memory: Memory | None = None,
    early_stop: bool = True,
    look_every: int | None = None,
) -> list[list[Found]]:
    """For each source its answers, best first, at least one and at most `cfg.n_best`.

    `prefix` gives ids that each source's outputs must begin with, `phrases` what they must and must not say; of a single
    source, `heard` is told the beginning of the answer as it becomes certain. `seed` is for sampling; `memory` is given
    where the sources have been read. The last two exist for the laws that they change nothing: leave a source once its answers are
    certain; how many steps between looks for that.
    """
    if batch.size == 0:
        return []
    sampling, perturbing = (cfg.draws and cfg.strategy == one for one in ("sample", "stochastic"))
    K = cfg.width if cfg.draws or cfg.strategy in ("beam", "ctc") else 1
    n_best = min(cfg.n_best, K)
    among = Among(cfg.temperature, cfg.top_k, cfg.top_p, cfg.min_p, cfg.typical_p)
    forced = [()] * batch.size if prefix is None else prefix
    if len(forced) != batch.size:
        raise ValueError(
            f"{len(forced)} prefixes for {batch.size} sources; give one each, empty where nothing is forced"
        )
    limit_B = torch.tensor(limits(batch, cfg, forced, phrases), device=batch.source.device)
    least_B = torch.minimum(limit_B - 1, limit_B.new_tensor(shortest(batch, cfg)))
    constraints = Constraints(
        batch, K, limit_B, rule=rule, prefix=forced, no_repeat=cfg.no_repeat, least_B=least_B, phrases=phrases
    )
    hypotheses = Hypotheses(
        limit_B,
        K,
        divisor=cfg.divisor,
        together=sampling,
        groups=cfg.groups,
        keyed=perturbing,
        front=cfg.ended == "front",
    )
    perturbed = Perturbed(seed, batch.index, K, among, hypotheses.sum_BK) if perturbing else None
    uniform_BKn = hypotheses.sum_BK.new_empty((batch.size, K, 0))
    look_every = look_every or (1 if limit_B.device.type == "cpu" else 8)  # elsewhere, looking waits for the device

    memory = model.encode(batch) if memory is None else memory
    state = model.start(memory, K)
    choose = model.choose if isinstance(model, Choosing) else None
    rows = list(range(batch.size))
    found: dict[int, list[Found]] = {}
    for step in range(max(hypotheses.lengths)):
        logp_BKV, state = model.step(hypotheses.token_BK, memory, state)
        logp_BKV = constraints.apply(logp_BKV, hypotheses.token_BK, step, own=choose is not None)
        if sampling:
            if step % BLOCK == 0:
                fresh = uniforms(seed, [batch.index[row] for row in rows], K, step // BLOCK)
                uniform_BKn = torch.from_numpy(fresh).to(hypotheses.sum_BK)
            u_BK = uniform_BKn[..., step % BLOCK]
            token_BK = draw(logp_BKV, u_BK, among)
            choice = drawn_candidates(logp_BKV, hypotheses.sum_BK, token_BK)
        elif perturbed is not None:
            choice = perturbed.candidates(logp_BKV, hypotheses.sum_BK, hypotheses.key_BK)
        elif cfg.groups > 1:
            choice = grouped_candidates(logp_BKV, hypotheses.sum_BK, cfg.groups, cfg.group_penalty)
        else:
            sums_BK = hypotheses.sum_BK
            choice = Choice(*choose(logp_BKV, sums_BK)) if choose else best_candidates(logp_BKV, sums_BK)
            if K > 1:
                choice = constraints.candidates(choice, logp_BKV, hypotheses.sum_BK)
        ending_BK = model.ending(memory, state) if isinstance(model, Covering) else None
        parent_BK = hypotheses.advance(choice, ending_BK)
        if perturbed is not None:
            perturbed.follow(parent_BK, hypotheses.token_BK)
        if heard is not None:
            heard(hypotheses.certain())

        last = step + 1 == max(hypotheses.lengths)
        if (step + 1) % look_every == 0 or last:
            done = hypotheses.done(n_best, early_stop=early_stop).tolist()
            if last or all(done):
                found |= _answers(hypotheses, rows, list(range(len(rows))), n_best)
                break
            if 4 * sum(done) >= len(done):  # leaving costs a copy of what stays
                found |= _answers(hypotheses, rows, [n for n, gone in enumerate(done) if gone], n_best)
                stay = [n for n, gone in enumerate(done) if not gone]
                rows = [rows[n] for n in stay]
                rows_B = torch.tensor(stay, device=limit_B.device)
                memory, state = model.keep(memory, state, rows_B)
                hypotheses.keep(rows_B)
                constraints.keep(rows_B)
                if perturbed is not None:
                    perturbed.keep(rows_B)
                uniform_BKn, parent_BK = uniform_BKn[rows_B], parent_BK[rows_B]
        if K > 1 and not sampling:
            state = model.select(state, parent_BK)
            constraints.select(parent_BK)
    return [found[row] for row in range(batch.size)]


def limits(
    batch: Batch, cfg: SearchConfig, prefix: Sequence[Sequence[int]], phrases: Phrases | None = None
) -> list[int]:
    """The most tokens of each output, the end symbol included: by its own source's length, whatever the company."""
    longest = [math.floor(min(cfg.length_ratio * n, 1e9)) + cfg.length_extra for n in batch.layout.lengths.tolist()]
    needed = [0 if phrases is None else phrases.needed(index) for index in batch.index]
    return [max(n, len(forced) + more + 1) for n, forced, more in zip(longest, prefix, needed, strict=True)]


def shortest(batch: Batch, cfg: SearchConfig) -> list[int]:
    """The fewest tokens of each output, the end symbol not counted."""
    few = (math.ceil(min(cfg.shortest_ratio * n, 1e9)) for n in batch.layout.lengths.tolist())
    return [n + cfg.shortest_extra for n in few]


def _answers(
    hypotheses: Hypotheses, rows: Sequence[int], leaving: Sequence[int], n_best: int
) -> dict[int, list[Found]]:
    rows_R = torch.tensor(leaving, device=hypotheses.sum_BK.device)
    return dict(zip((rows[n] for n in leaving), hypotheses.collect(rows_R, n_best), strict=True))
