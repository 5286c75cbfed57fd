"""A batch answered by the decoder, by it and a CTC head together, or by that head alone, as the config asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from core.codec.types import UNK
from core.data.batch import Batch
from core.decode import drafting
from core.decode.config import SearchConfig
from core.decode.coverage import Covering
from core.decode.ctc_lattice import Frames, Lattice
from core.decode.ctc_prefix import CtcPrefixes
from core.decode.ensemble import Ensemble
from core.decode.hypotheses import Found
from core.decode.joint import Joint
from core.decode.phrases import Phrases
from core.decode.rules import Rule
from core.decode.search import Steps, limits, search
from core.errors import ConfigError
from core.model.front import FrameFront
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory
from core.nn.ctc import BLANK, CtcHead

# B batch, S frames, V vocabulary


def check(ctc: float, cfg: SearchConfig) -> None:
    """Refuse what a model with this `model.ctc` cannot do."""
    if not ctc and cfg.strategy == "ctc":
        raise ConfigError('search.strategy = "ctc" needs a model with a CTC head (model.ctc above 0)')
    if not ctc and cfg.align:
        raise ConfigError("search.align needs a model with a CTC head (model.ctc above 0)")
    if ctc == 1 and cfg.strategy != "ctc":
        raise ConfigError('model.ctc = 1 leaves the decoder untrained: search.strategy = "ctc" is right')


def deciding(model: Seq2Seq, cfg: SearchConfig, others: Sequence[Seq2Seq] = ()) -> Steps:
    """Who has a say in a search with this config: the decoder, together with `others`, and the first model's CTC head."""
    check(model.ctc_weight, cfg)
    if others and cfg.strategy == "ctc":
        raise ConfigError('search.strategy = "ctc" asks no decoder, so that no other run can decide with this one')
    if cfg.coverage and (others or cfg.strategy == "ctc" or (model.ctc is not None and cfg.ctc_weight)):
        raise ConfigError(
            "search.coverage looks at the attention of one run's decoder: neither with --with nor with CTC"
        )
    own = Ensemble([model, *others]) if others else Covering(model, cfg.coverage) if cfg.coverage else model
    if cfg.strategy == "ctc" and model.ctc is not None:
        return Joint(model, 0.0, (CtcPrefixes(model.ctc), 1.0))
    if cfg.strategy in ("sample", "stochastic") or not cfg.ctc_weight or model.ctc is None:
        return own
    return Joint(own, 1 - cfg.ctc_weight, (CtcPrefixes(model.ctc), cfg.ctc_weight))


@torch.inference_mode()
def answers(
    model: Seq2Seq,
    batch: Batch,
    cfg: SearchConfig,
    *,
    rule: Rule | None = None,
    prefix: Sequence[Sequence[int]] | None = None,
    phrases: Phrases | None = None,
    heard: Callable[[Sequence[int]], None] | None = None,
    seed: int = 0,
    others: Sequence[Seq2Seq] = (),
    drafts: Sequence[Sequence[int]] = (),
) -> tuple[list[list[Found]], list[list[Frames]]]:
    """For each source its answers, best first, and where their tokens were heard (nowhere without `cfg.align`).

    `drafts` are what `cfg.draft` copies from, one a source; the rest is as for `search`.
    """
    steps = deciding(model, cfg, others)
    memory = steps.encode(batch) if others else model.encode(batch)
    free = rule is None and prefix is None and phrases is None
    free = free and not cfg.no_repeat and not cfg.shortest_ratio and not cfg.shortest_extra
    if model.ctc is not None and cfg.strategy == "ctc" and cfg.beams == 1 and free:
        found = best_paths(model.ctc, memory, limits(batch, cfg, [()] * batch.size))
    elif cfg.draft and drafts:
        drafting.check(model, cfg, others)
        found = drafting.drafted(
            model, batch, cfg, drafts, rule=rule, prefix=prefix, phrases=phrases, heard=heard, memory=memory
        )
    else:
        known = steps.remember(memory) if isinstance(steps, Joint) and not others else memory
        found = search(
            steps, batch, cfg, rule=rule, prefix=prefix, phrases=phrases, heard=heard, seed=seed, memory=known
        )
    if not cfg.align or model.ctc is None:
        return found, [[()] * len(one) for one in found]
    return found, spans(model, model.ctc, batch, memory, found)


def best_paths(head: CtcHead, memory: Memory, limit_B: Sequence[int]) -> list[list[Found]]:
    """The likeliest symbol of every frame, repeats merged and blanks taken out (Graves et al., 2006): one answer a source.

    Its log-probabilities are those of the answer, which many paths spell, not of this path.
    """
    logp_BSV, frames_B = posteriors(head, memory)
    outputs: list[list[int]] = []
    sayable_BSV = logp_BSV.copy()
    sayable_BSV[..., UNK] = -np.inf
    for sayable_SV, frames, limit in zip(sayable_BSV, frames_B.tolist(), limit_B, strict=True):
        path_S = sayable_SV[:frames].argmax(-1)
        said_S = (path_S != BLANK) & (path_S != np.append(BLANK, path_S[:-1]))
        outputs.append(path_S[said_S][:limit].tolist())
    found: list[list[Found]] = []
    for tokens, logp, limit in zip(outputs, Lattice(logp_BSV, frames_B, outputs).logp(), limit_B, strict=True):
        ended = len(tokens) < limit
        logp = logp if ended else logp[:-1]
        found.append([Found(tuple(tokens), logp, sum(logp), "end" if ended else "length")])
    return found


def spans(
    model: Seq2Seq, head: CtcHead, batch: Batch, memory: Memory, found: Sequence[Sequence[Found]]
) -> list[list[Frames]]:
    """Of each answer's tokens, in frames of the source as the codec made them."""
    logp_BSV, frames_B = posteriors(head, memory)
    rows = [row for row, some in enumerate(found) for _ in some]
    outputs = [one.tokens for some in found for one in some]
    factor = model.front.factor if isinstance(model.front, FrameFront) else 1
    lengths = batch.layout.lengths.tolist()
    heard = iter(Lattice(logp_BSV[rows], frames_B[rows], outputs).spans())
    return [
        [tuple((begin * factor, min(end * factor, lengths[row])) for begin, end in next(heard)) for _ in some]
        for row, some in enumerate(found)
    ]


def posteriors(head: CtcHead, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [B, S, V] and how many frames of each source are real."""
    return head.logp(memory.hidden_BSD).detach().cpu().numpy(), memory.layout.lengths.cpu().numpy()
