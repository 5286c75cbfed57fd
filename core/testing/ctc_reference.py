"""CTC by its definition, in plain Python: what the fast ways are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from core.codec.types import EOS
from core.data.batch import Batch
from core.model.seq2seq import Seq2Seq
from core.nn.ctc import BLANK

# B batch, S frames, V vocabulary


def posteriors(model: Seq2Seq, batch: Batch) -> list[Tensor]:
    """Log-probabilities [S, V] of each source's own frames."""
    assert model.ctc is not None
    memory = model.encode(batch)
    logp_BSV = model.ctc.logp(memory.hidden_BSD)
    return [logp_SV[:n] for logp_SV, n in zip(logp_BSV, memory.layout.lengths.tolist(), strict=True)]


def spelled_logp(logp_SV: Tensor, tokens: Sequence[int]) -> float:
    """log of the sum over all paths that spell the tokens; -inf where there are too few frames (Graves et al., 2006, eq. 6)."""
    states = [BLANK]
    for token in tokens:
        states += [token, BLANK]
    reached = [1.0] + [0.0] * len(tokens) * 2  # before any frame: as if in the first blank
    shift = 0.0
    for number, frame in enumerate(logp_SV.tolist()):
        after: list[float] = []
        for n, state in enumerate(states):
            ways = reached[n] + (reached[n - 1] if n else 0.0)
            if n > 1 and state not in (BLANK, states[n - 2]):
                ways += reached[n - 2]
            if number == 0 and n > 1:
                ways = 0.0
            after.append(ways * math.exp(frame[state]))
        total = math.fsum(after)
        if total == 0:
            return -math.inf
        reached, shift = [one / total for one in after], shift + math.log(total)
    ended = reached[-1] + (reached[-2] if tokens else 0.0)
    return shift + math.log(ended) if ended else -math.inf


def with_ctc(model: Seq2Seq, batch: Batch, said: Tensor) -> Tensor:
    """The whole loss of a model whose decoder's is `said`: sources too short for their targets have no CTC loss."""
    if model.ctc is None:
        return said
    targets = [[token for token in row if token > EOS] for row in batch.target.tolist()]
    pairs = zip(posteriors(model, batch), targets, strict=True)
    heard = [logp for logp_SV, target in pairs if (logp := spelled_logp(logp_SV, target)) > -math.inf]
    return (1 - model.ctc_weight) * said - model.ctc_weight * said.new_tensor(math.fsum(heard))
