"""Hypotheses during a search: the live ones, the finished ones, and the way back from each to its first token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD
from core.decode.candidates import NEVER, Choice
from core.record import Finish

# B batch, K hypotheses, C candidates, N answers, R rows that leave, T target, E fields of an entry

FINISH: tuple[Finish, ...] = ("end", "length", "rule")
"""In order of preference: one that ended by itself stands before any that did not."""
NONE = len(FINISH)
KIND, SCORE, STEPS, SLOT, LAST = range(5)
"""Fields of an entry: finish, score, tokens in the history, slot of the last of them, log-probability of EOS or nan."""


@dataclass(frozen=True, slots=True)
class Found:
    """One answer, as ids."""

    tokens: tuple[int, ...]
    """Without the end symbol."""
    logp: tuple[float, ...]
    """One per token, the end symbol's last if `finish` is "end"."""
    score: float
    finish: Finish

    @property
    def total(self) -> float:
        """Log-probability of the whole hypothesis."""
        return sum(self.logp)


class Hypotheses:
    """K live hypotheses a source, the K best finished ones, and back-pointers: all tensors until a source leaves."""

    def __init__(self, limit_B: Tensor, beams: int, *, divisor: Callable[[int], float], together: bool) -> None:
        """`divisor` is that of a sum over so many tokens, and rises or falls with them.

        `together`: all K begin alive (samples); else one does, for K equal beginnings would crowd out all others.
        """
        B, device = len(limit_B), limit_B.device
        # Sums of float32 are exact enough in float64 to rank alike in any order; Apple's devices have none.
        exact = torch.float32 if device.type == "mps" else torch.float64
        self.limit_B, self.divisor = limit_B, divisor
        self.lengths: set[int] = set(limit_B.tolist())
        norm = [divisor(n) for n in limit_B.tolist()]
        self.limit_norm_B = torch.tensor(norm, dtype=exact, device=device)
        self.sum_BK = torch.full((B, beams), 0.0 if together else NEVER, dtype=exact, device=device)
        self.sum_BK[:, 0] = 0
        self.token_BK = torch.full((B, beams), BOS, device=device)
        self.slot_BK = torch.arange(beams, device=device).expand(B, beams)
        self.finished_BKE = torch.full((B, beams, 5), NEVER, dtype=exact, device=device)
        self.finished_BKE[..., KIND] = NONE
        self.history: list[tuple[Tensor, Tensor, Tensor]] = []
        """Of each step: parent_BK, token_BK, logp_BK."""

    def advance(self, choice: Choice) -> Tensor:
        """Take one step: what ends leaves the live ones, the best of the rest go on. Returns parent_BK."""
        before, length, K = len(self.history), len(self.history) + 1, self.sum_BK.shape[1]
        total, parent, token, logp, stuck_BK = choice
        leaving: list[Tensor] = []
        ended_BC = (token == EOS) & (total > NEVER)
        if _any(ended_BC):
            leaving.append(_entries("end", ended_BC, total / self.divisor(length), before, parent, logp))
        if _any(stuck_BK):
            score_BK = self.sum_BK / self.divisor(before)
            leaving.append(_entries("rule", stuck_BK, score_BK, before, self.slot_BK, None))
        if token.shape[1] > K:
            order_BK = (token == EOS).to(torch.uint8).sort(stable=True).indices[:, :K]
            total, parent, token, logp = (x.gather(1, order_BK) for x in (total, parent, token, logp))
        self.sum_BK = total.masked_fill(token == EOS, NEVER)
        # Rules and models read the tokens of dead hypotheses too: let it be one that they know from shorter rows.
        self.token_BK = token.masked_fill(self.sum_BK == NEVER, PAD)
        self.history.append((parent, self.token_BK, logp))
        if length in self.lengths:
            full_BK = (self.limit_B == length)[:, None] & (self.sum_BK > NEVER)
            score_BK = self.sum_BK / self.divisor(length)
            leaving.append(_entries("length", full_BK, score_BK, length, self.slot_BK, None))
            self.sum_BK = self.sum_BK.masked_fill(full_BK, NEVER)
        if leaving:
            self._finish(leaving)
        return parent

    def _finish(self, leaving: Sequence[Tensor]) -> None:
        """Keep the K best by finish, then score, then who came first."""
        all_BCE = torch.cat([self.finished_BKE, *leaving], 1)
        order_BC = all_BCE[..., SCORE].sort(dim=-1, descending=True, stable=True).indices
        order_BC = order_BC.gather(1, all_BCE[..., KIND].gather(1, order_BC).sort(dim=-1, stable=True).indices)
        order_BK = order_BC[:, : self.finished_BKE.shape[1]]
        self.finished_BKE = all_BCE.gather(1, order_BK[..., None].expand(-1, -1, 5))

    def done(self, n_best: int, *, early_stop: bool) -> Tensor:
        """Sources whose `n_best` answers cannot change any more, bool [B].

        Sums never rise, so a live hypothesis can at best keep its sum and get the largest divisor still possible:
        that of the limit if longer is better, else that of ending now. On a tie the one that finished first is better.
        """
        best_B = self.sum_BK.amax(1)
        if not early_stop:
            return best_B == NEVER
        hope_B = best_B / self.limit_norm_B.clamp(min=self.divisor(len(self.history) + 1))
        last_BE = self.finished_BKE[:, n_best - 1]
        return (best_B == NEVER) | ((last_BE[:, KIND] == FINISH.index("end")) & (last_BE[:, SCORE] >= hope_B))

    def keep(self, rows_B: Tensor) -> None:
        """Only these sources go on."""
        self.limit_B, self.limit_norm_B = self.limit_B[rows_B], self.limit_norm_B[rows_B]
        self.lengths = set(self.limit_B.tolist())
        self.sum_BK, self.token_BK, self.slot_BK = self.sum_BK[rows_B], self.token_BK[rows_B], self.slot_BK[rows_B]
        self.finished_BKE = self.finished_BKE[rows_B]
        parent_TBK, token_TBK, logp_TBK = (torch.stack(x)[:, rows_B].unbind() for x in zip(*self.history, strict=True))
        self.history = list(zip(parent_TBK, token_TBK, logp_TBK, strict=True))

    def collect(self, rows_R: Tensor, n_best: int) -> list[list[Found]]:
        """The answers of these sources, best first. One that got stuck is given only where there is nothing else."""
        parent_TRK, token_TRK, logp_TRK = (
            torch.stack(x)[:, rows_R].cpu().numpy() for x in zip(*self.history, strict=True)
        )
        entry_RNE = self.finished_BKE[rows_R, :n_best].cpu().numpy()
        steps_RN, slot_RN = (
            np.where(entry_RNE[..., KIND] < NONE, entry_RNE[..., f], 0).astype(int) for f in (STEPS, SLOT)
        )
        path_RNT = np.zeros((*steps_RN.shape, len(self.history)), dtype=np.int64)
        cost_RNT = np.zeros(path_RNT.shape)
        row_R1 = np.arange(len(entry_RNE))[:, None]
        for t in reversed(range(len(self.history))):
            path_RNT[..., t], cost_RNT[..., t] = token_TRK[t, row_R1, slot_RN], logp_TRK[t, row_R1, slot_RN]
            slot_RN = np.where(t < steps_RN, parent_TRK[t, row_R1, slot_RN], slot_RN)
        answers: list[list[Found]] = []
        for row, entries in enumerate(entry_RNE.tolist()):
            found: list[Found] = []
            for n, (kind, score, steps, _, last) in enumerate(entries):
                if kind >= (FINISH.index("rule") if found else NONE):
                    break
                logp = cost_RNT[row, n, : int(steps)].tolist()
                logp += [] if math.isnan(last) else [last]
                found.append(
                    Found(tuple(path_RNT[row, n, : int(steps)].tolist()), tuple(logp), score, FINISH[int(kind)])
                )
            answers.append(found)
        return answers


def _any(mask: Tensor) -> bool:
    return mask.device.type != "cpu" or bool(mask.any())  # elsewhere, looking would wait for the device


def _entries(
    finish: Finish, where_BC: Tensor, score_BC: Tensor, steps: int, slot_BC: Tensor, last_BC: Tensor | None
) -> Tensor:
    kind_BC = torch.where(where_BC, float(FINISH.index(finish)), float(NONE)).to(score_BC.dtype)
    steps_BC = torch.full_like(score_BC, steps)
    last_BC = torch.full_like(score_BC, math.nan) if last_BC is None else last_BC
    return torch.stack(
        [kind_BC, score_BC.masked_fill(~where_BC, NEVER), steps_BC, slot_BC.to(score_BC.dtype), last_BC], -1
    )
