"""Given outputs laid over the frames: how likely each of their prefixes is to a CTC head, and where each token was heard.

A path goes through states: blank, first token, blank, second token, ... It stays, goes one on, or two where this leaves out a
blank between different tokens (Graves et al., 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from core.nn.ctc import BLANK

# R rows, S frames, V vocabulary, N states, T tokens

Frames = tuple[tuple[int, int], ...]
"""Of each token, the frames [begin, end)."""


class Lattice:
    """Outputs, each over the posteriors of its own source."""

    def __init__(self, logp_RSV: np.ndarray, frames_R: np.ndarray, outputs: Sequence[Sequence[int]]) -> None:
        """`logp_RSV` beyond `frames_R` is not read."""
        self.outputs, self.frames_R = outputs, frames_R
        self.size_R = np.array([len(tokens) for tokens in outputs], np.int64)
        T = int(self.size_R.max(initial=0))
        self.state_RN = np.full((len(outputs), 2 * T + 1), BLANK)
        for row, tokens in enumerate(outputs):
            self.state_RN[row, 1 : 2 * len(tokens) : 2] = tokens
        self.skip_RN = np.zeros(self.state_RN.shape, bool)
        self.skip_RN[:, 3::2] = self.state_RN[:, 3::2] != self.state_RN[:, 1:-2:2]
        emitted_RSN = np.take_along_axis(logp_RSV.astype(np.float64), self.state_RN[:, None], 2)
        self.emitted_SRN = np.ascontiguousarray(emitted_RSN.transpose(1, 0, 2))

    def logp(self) -> list[tuple[float, ...]]:
        """For each output, log p of every token after those before it, and of the end: they add up to log p of the output."""
        reached_SRN = self._reached()
        R, T = len(self.outputs), self.state_RN.shape[1] // 2
        S = len(reached_SRN)
        real_SR1 = (np.arange(S)[:, None] < self.frames_R)[..., None]
        # A token is new at frame s where all before it was spelled by frame s - 1.
        before_SRT = np.full((S, R, T), -np.inf)
        before_SRT[1:] = reached_SRN[:-1, :, 0:-1:2]
        ready_SRT = np.where(self.skip_RN[:, 3::2], reached_SRN[:-1, :, 1:-2:2], -np.inf)
        before_SRT[1:, :, 1:] = np.logaddexp(before_SRT[1:, :, 1:], ready_SRT)
        before_SRT[0, :, :1] = 0.0
        new_SRT = np.where(real_SR1, before_SRT + self.emitted_SRN[..., 1::2], -np.inf)
        begun_RT = np.logaddexp.reduce(new_SRT, axis=0, initial=-np.inf)
        found: list[tuple[float, ...]] = []
        for row, (size, frames) in enumerate(zip(self.size_R.tolist(), self.frames_R.tolist(), strict=True)):
            ended = 0.0 if not size else -np.inf
            if frames:
                ended = np.logaddexp.reduce(reached_SRN[frames - 1, row, max(2 * size - 1, 0) : 2 * size + 1])
            found.append(tuple(_differences([0.0, *begun_RT[row, :size].tolist(), float(ended)])))
        return found

    def spans(self) -> list[Frames]:
        """Where each token was heard, on the likeliest path that spells the output (Viterbi); nothing where there is none."""
        best_SRN, back_SRN = self._best()
        R = len(self.outputs)
        if not len(best_SRN):
            return [()] * R
        row_R = np.arange(R)
        last_R = np.maximum(self.frames_R - 1, 0)
        end_RN = best_SRN[last_R, row_R]
        at_R = np.maximum(2 * self.size_R - 1, 0)
        at_R = np.where(end_RN[row_R, 2 * self.size_R] >= end_RN[row_R, at_R], 2 * self.size_R, at_R)
        there_R = (end_RN[row_R, at_R] > -np.inf) & (self.frames_R > 0)
        path_SR = np.zeros((len(best_SRN), R), np.int64)
        for s in reversed(range(len(best_SRN))):
            path_SR[s] = at_R
            at_R = np.where(s <= last_R, at_R - back_SRN[s, row_R, at_R], at_R)
        found: list[Frames] = []
        for row, size in enumerate(self.size_R.tolist()):
            path_S = path_SR[: self.frames_R[row], row]
            begin_T, end_T = (np.searchsorted(path_S, 2 * np.arange(size) + 1, side) for side in ("left", "right"))
            spans = tuple(zip(begin_T.tolist(), end_T.tolist(), strict=True)) if there_R[row] else ()
            found.append(spans)
        return found

    def _reached(self) -> np.ndarray:
        """[S, R, N]: log of the summed probability of all paths that are in a state at a frame."""
        reached_SRN = np.full(self.emitted_SRN.shape, -np.inf)
        for s, emitted_RN in enumerate(self.emitted_SRN):
            if s == 0:
                reached_SRN[0, :, :2] = emitted_RN[:, :2]
                continue
            stay_RN, now_RN = reached_SRN[s - 1], reached_SRN[s]
            np.copyto(now_RN, stay_RN)
            np.logaddexp(now_RN[:, 1:], stay_RN[:, :-1], out=now_RN[:, 1:])
            leap_RN = np.where(self.skip_RN[:, 2:], stay_RN[:, :-2], -np.inf)
            np.logaddexp(now_RN[:, 2:], leap_RN, out=now_RN[:, 2:])
            now_RN += emitted_RN
        return reached_SRN

    def _best(self) -> tuple[np.ndarray, np.ndarray]:
        """[S, R, N]: log-probability of the likeliest path to a state at a frame, and how many states its last step went on."""
        best_SRN = np.full(self.emitted_SRN.shape, -np.inf)
        back_SRN = np.zeros(self.emitted_SRN.shape, np.uint8)
        for s, emitted_RN in enumerate(self.emitted_SRN):
            if s == 0:
                best_SRN[0, :, :2] = emitted_RN[:, :2]
                continue
            before_RN, now_RN, back_RN = best_SRN[s - 1], best_SRN[s], back_SRN[s]
            np.copyto(now_RN, before_RN)
            for steps, from_RN in (
                (1, before_RN[:, :-1]),
                (2, np.where(self.skip_RN[:, 2:], before_RN[:, :-2], -np.inf)),
            ):
                better_RN = from_RN > now_RN[:, steps:]
                now_RN[:, steps:][better_RN] = from_RN[better_RN]
                back_RN[:, steps:][better_RN] = steps
            now_RN += emitted_RN
        return best_SRN, back_SRN


def _differences(totals: Sequence[float]) -> list[float]:
    return [b - a if b > -np.inf else -np.inf for a, b in pairwise(totals)]
