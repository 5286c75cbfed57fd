"""Speculative decoding with drafts copied from the source: greedy search's answers, several tokens a step.

Where the last tokens of an output stand in its source, the tokens after them are guessed to come next, as in prompt lookup (after
Leviathan et al., 2023, with no second model). One pass of the decoder reads the whole draft; the tokens that greedy search would have
taken are kept, and one more, which that pass has found for nothing. Rules, bans and limits are asked token by token, as in
the search itself. Sources are answered one at a time, for they go on at different speeds: this is for few and long ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, UNK, Codecs, Spelling
from core.data.batch import Batch, CopyMap
from core.decode.candidates import NEVER, best_candidates
from core.decode.config import SearchConfig
from core.decode.constraints import Constraints
from core.decode.hypotheses import Found
from core.decode.phrases import Phrases
from core.decode.rules import Rule
from core.decode.search import limits, shortest
from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.model.transformer import TransformerDecoder
from core.nn.embedding import embed
from core.record import Finish

# T tokens of a draft and the one before it, V vocabulary

LONGEST_MATCH = 8
"""Tokens of the output's end that are looked for in the source, at most."""


def check(model: Seq2Seq, cfg: SearchConfig, others: Sequence[Seq2Seq] = ()) -> TransformerDecoder:
    """Refuse where a draft cannot be read at once."""
    reason = None
    if not isinstance(model.decoder, TransformerDecoder):
        reason = "only a Transformer's decoder reads a draft at once"
    elif model.head.remembers or not model.reads_words:
        reason = "this model's steps depend on more than the tokens before them"
    elif others or cfg.coverage or (model.ctc is not None and cfg.ctc_weight):
        reason = "one decoder checks drafts alone: not with --with, search.coverage or search.ctc_weight"
    if reason is not None or not isinstance(model.decoder, TransformerDecoder):
        raise ConfigError(f"search.draft: {reason}; 0 is right")
    return model.decoder


def material(source: Any, codecs: Codecs) -> list[int]:
    """The source as tokens of another vocabulary, the target's, which drafts are cut from; PAD where it has none."""
    try:
        if isinstance(codecs.source, Spelling) and isinstance(codecs.target, Spelling):
            known = [codecs.target.id_of(symbol) for symbol in codecs.source.cut(source)]
            return [PAD if one is None or one == UNK else one for one in known]
        return list(codecs.target.encode(source))
    except (TypeError, ValueError, KeyError, AttributeError):
        return []


@torch.inference_mode()
def drafted(
    model: Seq2Seq,
    batch: Batch,
    cfg: SearchConfig,
    sources: Sequence[Sequence[int]],
    *,
    rule: Rule | None = None,
    prefix: Sequence[Sequence[int]] | None = None,
    phrases: Phrases | None = None,
    heard: Callable[[Sequence[int]], None] | None = None,
    memory: Memory | None = None,
) -> list[list[Found]]:
    """For each source the answer of greedy search; `sources` are what drafts are copied from, the rest is as for `search`."""
    decoder = check(model, cfg)
    memory = model.encode(batch) if memory is None else memory
    found: list[list[Found]] = []
    for row in range(batch.size):
        one, known = alone(batch, row), memory.rows(torch.tensor([row], device=batch.source.device))
        forced = [[]] if prefix is None else [prefix[row]]
        limit_B = torch.tensor(limits(one, cfg, forced, phrases), device=batch.source.device)
        least_B = torch.minimum(limit_B - 1, limit_B.new_tensor(shortest(one, cfg)))
        constraints = Constraints(
            one, 1, limit_B, rule=rule, prefix=forced, no_repeat=cfg.no_repeat, least_B=least_B, phrases=phrases
        )
        reader = Reader(model, decoder, known)
        found.append([followed(reader, constraints, int(limit_B), cfg, sources[row], heard)])
    return found


def followed(
    reader: Reader,
    constraints: Constraints,
    limit: int,
    cfg: SearchConfig,
    source: Sequence[int],
    heard: Callable[[Sequence[int]], None] | None,
) -> Found:
    """One answer, from BOS to its end."""
    said: list[int] = []
    logp: list[float] = []
    finish: Finish | None = None
    last = BOS
    none_11 = torch.zeros((1, 1), dtype=torch.float64)
    while finish is None:
        draft = guess(said, source, min(cfg.draft, limit - len(said) - 1))
        given = [last, *draft]
        logp_1TV = reader.read(given)
        for place, token in enumerate(given):
            token_11 = torch.tensor([[token]], device=logp_1TV.device)
            logp_11V = constraints.apply(logp_1TV[:, place : place + 1], token_11, len(said))
            choice = best_candidates(logp_11V, none_11.to(logp_11V.device))
            value, last = float(choice.logp_BC), int(choice.token_BC)
            if value == NEVER:
                finish = "rule"
                break
            logp.append(value)
            if last == EOS:
                finish = "end"
                break
            said.append(last)
            if len(said) == limit:
                finish = "length"
                break
            if given[place + 1 : place + 2] != [last]:
                break
        reader.keep(len(said) + (finish is not None))
        if heard is not None:
            heard(said)
    return Found(tuple(said), tuple(logp), sum(logp) / cfg.divisor(len(logp)), finish)


def guess(said: Sequence[int], source: Sequence[int], most: int) -> list[int]:
    """What stands in the source after the longest end of the output that stands there too; at first, its beginning."""
    if most < 1:
        return []
    best, begin = 0, 0 if not said else None
    for end in range(1, len(source)):
        same = 0
        while same < min(LONGEST_MATCH, end, len(said)) and source[end - 1 - same] == said[-1 - same]:
            same += 1
        if same > best:
            best, begin = same, end
    copied: list[int] = []
    for token in source[begin : begin + most] if begin is not None else ():
        if token <= UNK:
            break
        copied.append(token)
    return copied


class Reader:
    """One source's decoder and all that it has read so far: a chain, not a tree."""

    def __init__(self, model: Seq2Seq, decoder: TransformerDecoder, memory: Memory) -> None:
        self.model, self.decoder, self.memory = model, decoder, memory
        self.state: State = decoder.start(memory, 1)
        self.told: list[State] = [] if model.features is None else [model.features.start(memory, 1)]
        """Of prefix features, before any token and after each."""

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Log-probabilities [1, T, V] after each of these."""
        token_1T = torch.tensor([tokens], device=self.memory.hidden_BSD.device)
        table = self.model.embedding
        x_1TD = embed(token_1T.masked_fill(token_1T >= table.num_embeddings, UNK), table)
        feature_1TF = self.features(token_1T)
        if feature_1TF is not None and self.model.told is not None:
            x_1TD = x_1TD + self.model.told(feature_1TF)
        hidden_1TD, self.state = self.decoder.chain(x_1TD, self.memory, self.state)
        if feature_1TF is not None and self.model.said is not None:
            hidden_1TD = self.model.said(hidden_1TD, feature_1TF)
        return self.model.head.logp(hidden_1TD, self.memory)

    def features(self, token_1T: Tensor) -> Tensor | None:
        """What the decoder is told beside these tokens, one after the other."""
        if self.model.features is None:
            return None
        found: list[Tensor] = []
        for token_11 in token_1T.split(1, dim=1):
            told, feature_11F = self.model.features.step(self.told[-1], token_11, self.memory)
            self.told.append(told)
            found.append(feature_11F)
        return torch.cat(found, 1)

    def keep(self, count: int) -> None:
        """Forget all that was read after the first so many tokens."""
        self.state, self.told = self.decoder.shortened(self.state, count), self.told[: count + 1]


def alone(batch: Batch, row: int) -> Batch:
    """One source of a batch."""
    copy = batch.copy and CopyMap(batch.copy.extended_BS[row : row + 1], batch.copy.words[row : row + 1])
    layout = batch.layout.rows(torch.tensor([row], device=batch.source.device))
    own = slice(row, row + 1)
    return Batch(batch.source[own], layout, batch.target[own], batch.index[own], copy=copy)
