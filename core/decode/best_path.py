"""What a CTC head says by itself, and which frames a token was heard in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from core.data.batch import Batch
from core.decode.hypotheses import Found, normaliser
from core.model.seq2seq import Seq2Seq
from core.nn.ctc import BLANK, CtcHead

# S frames, V vocabulary, N states of an alignment (a blank, a token, a blank, ...)

Frames = tuple[tuple[int, int], ...]
"""Of each token, the frames [begin, end) of the encoder."""


@torch.inference_mode()
def best_paths(model: Seq2Seq, ctc: CtcHead, batch: Batch, penalty: float) -> list[list[Found]]:
    """The likeliest symbol of every frame, repeats merged and blanks taken out (Graves et al., 2006): one answer a source.

    A token's log-probability is that of the frames after the token before it, up to its own last; the end's is that of the
    blanks which follow. Their sum is the path's: a lower bound of the answer's own, which many paths spell.
    """
    memory = model.encode(batch)
    best_BS, token_BS = (x.cpu().numpy() for x in ctc.logp(memory.hidden_BSD).max(-1))
    found: list[list[Found]] = []
    for logp_S, token_S, length in zip(best_BS, token_BS, memory.layout.lengths.tolist(), strict=True):
        logp_S, token_S = logp_S[:length].astype(float), token_S[:length]
        last_n = np.flatnonzero((token_S != BLANK) & (token_S != np.append(token_S[1:], BLANK)))
        parts = np.split(logp_S, last_n + 1)
        logp = tuple(float(part.sum()) for part in parts)
        score = sum(logp) / normaliser(len(logp), penalty)
        found.append([Found(tuple(token_S[last_n].tolist()), logp, score, "end")])
    return found


@torch.inference_mode()
def heard(model: Seq2Seq, ctc: CtcHead, batch: Batch) -> list[np.ndarray]:
    """Log-probabilities [S, V] of each source's own frames."""
    memory = model.encode(batch)
    logp_BSV = ctc.logp(memory.hidden_BSD).cpu().numpy()
    return [logp_SV[:n] for logp_SV, n in zip(logp_BSV, memory.layout.lengths.tolist(), strict=True)]


def aligned(logp_SV: np.ndarray, tokens: Sequence[int]) -> Frames:
    """The likeliest path that spells the tokens (Viterbi); nothing where there are too few frames."""
    repeats = sum(a == b for a, b in pairwise(tokens))
    if not tokens or len(logp_SV) < len(tokens) + repeats:
        return ()
    state_N = np.full(2 * len(tokens) + 1, BLANK)
    state_N[1::2] = tokens
    skips_N = np.zeros(len(state_N), bool)
    skips_N[3::2] = state_N[3::2] != state_N[1:-2:2]
    score_N = np.full(len(state_N), -np.inf)
    score_N[:2] = logp_SV[0, state_N[:2]]
    back_SN = np.zeros((len(logp_SV), len(state_N)), int)
    for s in range(1, len(logp_SV)):
        options_3N = np.full((3, len(state_N)), -np.inf)
        options_3N[0] = score_N
        options_3N[1, 1:] = score_N[:-1]
        options_3N[2, 2:] = np.where(skips_N[2:], score_N[:-2], -np.inf)
        back_SN[s] = options_3N.argmax(0)
        score_N = options_3N.max(0) + logp_SV[s, state_N]
    at = len(state_N) - 1 if score_N[-1] >= score_N[-2] else len(state_N) - 2
    if score_N[at] == -np.inf:
        return ()
    path_S = np.zeros(len(logp_SV), int)
    for s in range(len(logp_SV) - 1, -1, -1):
        path_S[s] = at
        at -= back_SN[s, at]
    places = [np.flatnonzero(path_S == 2 * n + 1) for n in range(len(tokens))]
    return tuple((int(place[0]), int(place[-1]) + 1) for place in places)
