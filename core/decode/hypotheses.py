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

# B batch, K hypotheses, G groups of them, C candidates, N answers, R rows that leave, T target, E fields of an entry

FINISH: tuple[Finish, ...] = ("end", "length", "rule")
"""In order of preference: one that ended by itself stands before any that did not."""
NONE = len(FINISH)
KIND, SCORE, STEPS, SLOT, LAST, KEY = FIELDS = range(6)
"""Fields of an entry: finish, score, tokens in the history, slot of the last of them, log-probability of EOS or nan, and what
it is kept by: the score, or the key of a stochastic beam."""


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

    def __init__(
        self,
        limit_B: Tensor,
        beams: int,
        *,
        divisor: Callable[[int], float],
        together: bool = False,
        groups: int = 1,
        keyed: bool = False,
        front: bool = False,
    ) -> None:
        """`divisor` is that of a sum over so many tokens, and rises or falls with them.

        `together`: all K begin alive (samples); else one does in each of the groups, for equal beginnings would crowd out all
        others. `keyed`: by the candidates' own keys. `front`: see `search.ended`.
        """
        B, device = len(limit_B), limit_B.device
        # Sums of float32 are exact enough in float64 to rank alike in any order; Apple's devices have none.
        exact = torch.float32 if device.type == "mps" else torch.float64
        self.limit_B, self.divisor = limit_B, divisor
        self.lengths: set[int] = set(limit_B.tolist())
        norm = [divisor(n) for n in limit_B.tolist()]
        self.limit_norm_B = torch.tensor(norm, dtype=exact, device=device)
        self.sum_BK = torch.full((B, beams), 0.0 if together else NEVER, dtype=exact, device=device)
        self.sum_BK[:, :: beams // groups] = 0
        self.key_BK = self.sum_BK
        self.groups, self.keyed, self.front = groups, keyed, front
        self.token_BK = torch.full((B, beams), BOS, device=device)
        self.slot_BK = torch.arange(beams, device=device).expand(B, beams)
        self.finished_BKE = torch.full((B, beams, len(FIELDS)), NEVER, dtype=exact, device=device)
        self.finished_BKE[..., KIND] = NONE
        self.some_finished = False
        self.history: list[tuple[Tensor, Tensor, Tensor]] = []
        """Of each step: parent_BK, token_BK, logp_BK."""

    def advance(self, choice: Choice, ending_BK: Tensor | None = None) -> Tensor:
        """Take one step: what ends leaves the live ones, the best of the rest go on. Returns parent_BK.

        `ending_BK` is added to the scores of those that end; it is never above zero.
        """
        before, length, K = len(self.history), len(self.history) + 1, self.sum_BK.shape[1]
        total, parent, token, logp, stuck_BK, key = choice
        key = total if key is None else key
        leaving: list[Tensor] = []
        ends_BC = token == EOS
        some_end = _any(ends_BC)
        if some_end:
            ended_BC = ends_BC & (total > NEVER)
            if self.front:
                ended_BC[:, K:] = False
            if _any(ended_BC):
                score_BC = total / self.divisor(length)
                if ending_BK is not None:
                    score_BC = score_BC + ending_BK.to(score_BC.dtype).gather(1, parent)
                keys_BC = key if self.keyed else score_BC
                leaving.append(_entries("end", ended_BC, score_BC, before, parent, logp, keys_BC))
        if _any(stuck_BK):
            score_BK = self.sum_BK / self.divisor(before)
            keys_BK = self.key_BK if self.keyed else score_BK
            leaving.append(_entries("rule", stuck_BK, score_BK, before, self.slot_BK, None, keys_BK))
        counts_BK = None
        if token.shape[1] > K and (some_end or self.groups > 1):
            order_BK = self._going_on(token)
            total, parent, token, logp, key = (x.gather(1, order_BK) for x in (total, parent, token, logp, key))
            counts_BK = order_BK < K
        elif token.shape[1] > K:
            total, parent, token, logp, key = (x[:, :K] for x in (total, parent, token, logp, key))
        if some_end:
            dead_BK = token == EOS
            total, key = total.masked_fill(dead_BK, NEVER), key.masked_fill(dead_BK, NEVER)
        self.sum_BK, self.key_BK = total, key
        # Rules and models read the tokens of dead hypotheses too: let it be one that they know from shorter rows.
        self.token_BK = token.masked_fill(self.sum_BK == NEVER, PAD)
        self.history.append((parent, self.token_BK, logp))
        if length in self.lengths:
            full_BK = (self.limit_B == length)[:, None] & (self.sum_BK > NEVER)
            score_BK = self.sum_BK / self.divisor(length)
            keys_BK = self.key_BK if self.keyed else score_BK
            counted_BK = full_BK & counts_BK if self.front and counts_BK is not None else full_BK
            leaving.append(_entries("length", counted_BK, score_BK, length, self.slot_BK, None, keys_BK))
            self.sum_BK, self.key_BK = self.sum_BK.masked_fill(full_BK, NEVER), self.key_BK.masked_fill(full_BK, NEVER)
        if leaving:
            self._finish(leaving)
        return parent

    def _going_on(self, token_BC: Tensor) -> Tensor:
        """The first candidates of each group that do not end, as many as it has hypotheses, [B, K]."""
        (B, C), G = token_BC.shape, self.groups
        ends_BGC = (token_BC == EOS).to(torch.uint8).view(B, G, C // G)
        order_BGK = ends_BGC.sort(stable=True).indices[..., : self.sum_BK.shape[1] // G]
        return (order_BGK + torch.arange(0, C, C // G, device=token_BC.device)[:, None]).flatten(1)

    def _finish(self, leaving: Sequence[Tensor]) -> None:
        """Keep the K best by finish, then score, then who came first; or by key alone."""
        self.some_finished = True
        all_BCE = torch.cat([self.finished_BKE, *leaving], 1)
        order_BC = all_BCE[..., KEY].sort(dim=-1, descending=True, stable=True).indices
        if not (self.keyed or self.front):
            order_BC = order_BC.gather(1, all_BCE[..., KIND].gather(1, order_BC).sort(dim=-1, stable=True).indices)
        order_BK = order_BC[:, : self.finished_BKE.shape[1]]
        self.finished_BKE = all_BCE.gather(1, order_BK[..., None].expand(-1, -1, len(FIELDS)))

    def done(self, n_best: int, *, early_stop: bool) -> Tensor:
        """Sources whose `n_best` answers cannot change any more, bool [B].

        Sums never rise, so a live hypothesis can at best keep its sum and get the largest divisor still possible:
        that of the limit if longer is better, else that of ending now. On a tie the one that finished first is better.
        Keys never rise either, and have no divisor. Groups may find the same answer, so there all K have to be certain.
        """
        best_B = self.key_BK.amax(1)
        if not early_stop or not self.some_finished:
            return best_B == NEVER
        whole = self.keyed or self.groups > 1
        hope_B = best_B
        if not self.keyed:
            hope_B = best_B / self.limit_norm_B.clamp(min=self.divisor(len(self.history) + 1))
        last_BE = self.finished_BKE[:, -1 if whole else n_best - 1]
        sure_B = last_BE[:, KIND] == FINISH.index("end")
        if self.keyed or self.front:
            sure_B = last_BE[:, KIND] < NONE
        return (best_B == NEVER) | (sure_B & (last_BE[:, KEY] >= hope_B))

    def keep(self, rows_B: Tensor) -> None:
        """Only these sources go on."""
        self.limit_B, self.limit_norm_B = self.limit_B[rows_B], self.limit_norm_B[rows_B]
        self.lengths = set(self.limit_B.tolist())
        self.sum_BK, self.token_BK, self.slot_BK = self.sum_BK[rows_B], self.token_BK[rows_B], self.slot_BK[rows_B]
        self.key_BK = self.key_BK[rows_B]
        self.finished_BKE = self.finished_BKE[rows_B]
        parent_TBK, token_TBK, logp_TBK = (torch.stack(x)[:, rows_B].unbind() for x in zip(*self.history, strict=True))
        self.history = list(zip(parent_TBK, token_TBK, logp_TBK, strict=True))

    def certain(self) -> tuple[int, ...]:
        """Of the first source: the tokens with which its best answer begins, whatever comes."""
        live_K = (self.sum_BK[0] > NEVER).nonzero()[:, 0].tolist()
        kind, _, steps, slot, *_ = self.finished_BKE[0, 0].tolist()
        ways = [(len(self.history), n) for n in live_K] + ([(int(steps), int(slot))] if kind < NONE else [])
        paths = [self._path(*way) for way in ways]
        same = 0
        for tokens in zip(*paths, strict=False):
            if len(set(tokens)) > 1:
                break
            same += 1
        return tuple(paths[0][:same]) if paths else ()

    def _path(self, steps: int, slot: int) -> list[int]:
        """The tokens that lead there."""
        tokens: list[int] = []
        for parent_BK, token_BK, _ in reversed(self.history[:steps]):
            tokens.append(int(token_BK[0, slot]))
            slot = int(parent_BK[0, slot])
        return tokens[::-1]

    def collect(self, rows_R: Tensor, n_best: int) -> list[list[Found]]:
        """The answers of these sources, best first. One that got stuck is given only where there is nothing else."""
        parent_TRK, token_TRK, logp_TRK = (
            torch.stack(x)[:, rows_R].cpu().numpy() for x in zip(*self.history, strict=True)
        )
        kept = n_best if self.groups == 1 and not self.keyed else self.finished_BKE.shape[1]
        entry_RNE = self.finished_BKE[rows_R, :kept].cpu().numpy()
        if self.keyed:
            order_RN = np.lexsort((-entry_RNE[..., SCORE], entry_RNE[..., KIND]))
            entry_RNE = np.take_along_axis(entry_RNE, order_RN[..., None], 1)
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
            found: dict[tuple[tuple[int, ...], Finish] | int, Found] = {}
            for n, (kind, score, steps, _, last, _) in enumerate(entries):
                if len(found) == n_best or kind >= (FINISH.index("rule") if found else NONE):
                    break
                logp = cost_RNT[row, n, : int(steps)].tolist()
                logp += [] if math.isnan(last) else [last]
                one = Found(tuple(path_RNT[row, n, : int(steps)].tolist()), tuple(logp), score, FINISH[int(kind)])
                found.setdefault(n if self.groups == 1 else (one.tokens, one.finish), one)
            answers.append(list(found.values()))
        return answers


def _any(mask: Tensor) -> bool:
    return mask.device.type != "cpu" or bool(mask.any())  # elsewhere, looking would wait for the device


def _entries(
    finish: Finish,
    where_BC: Tensor,
    score_BC: Tensor,
    steps: int,
    slot_BC: Tensor,
    last_BC: Tensor | None,
    key_BC: Tensor,
) -> Tensor:
    kind_BC = torch.where(where_BC, float(FINISH.index(finish)), float(NONE)).to(score_BC.dtype)
    steps_BC = torch.full_like(score_BC, steps)
    last_BC = torch.full_like(score_BC, math.nan) if last_BC is None else last_BC
    score_BC, key_BC = score_BC.masked_fill(~where_BC, NEVER), key_BC.masked_fill(~where_BC, NEVER)
    return torch.stack([kind_BC, score_BC, steps_BC, slot_BC.to(score_BC.dtype), last_BC, key_BC], -1)
