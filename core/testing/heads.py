"""Models of every head, pairs whose targets they can say, and what they can say at each place."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from core.codec.types import EOS, Codecs, as_encoded
from core.data.batch import Batch
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.nn.labels import LabelHead
from core.nn.pointing import PointerHead
from core.record import Record
from core.testing.tiny import Pair, pair_of, sayable, small, tiny_pairs

# B batch, T target, V vocabulary (and copied words, or places)


def head_models() -> dict[str, ModelConfig]:
    """What else can stand on an encoder, each at least once beside a different one of the other choices."""
    return {
        name: small(cfg)
        for name, cfg in {
            "transformer-pointer-covered": TransformerConfig(head="pointer", coverage=True),
            "rnn-pointer": RNNConfig(head="pointer", cell="lstm", tie="none"),
            "conv-pointer": ConvConfig(head="pointer"),
            "transformer-copy-covered": TransformerConfig(copy=True, coverage=True, norm_place="post"),
            "rnn-copy-covered": RNNConfig(copy=True, coverage=True, attention="general", feeding="output"),
            "rnn-covered": RNNConfig(coverage=True),
            "rnn-multi-head-covered": RNNConfig(coverage=True, attention="multi_head", attention_heads=2),
            "transformer-bert-encoder": TransformerConfig(encoder="bert", learned_positions=5, encoder_width=24),
            "transformer-class": TransformerConfig(head="class"),
            "rnn-class": RNNConfig(head="class", attention="none", bidirectional=False),
            "transformer-tags-bert-encoder": TransformerConfig(head="tags", encoder="bert"),
            "conv-tags": ConvConfig(head="tags", encoder_width=24),
            "transformer-parallel": TransformerConfig(head="parallel", queries=6, kv_heads=1),
            "rnn-parallel-copy": RNNConfig(head="parallel", queries=9, copy=True, coverage=True),
        }.items()
    }


def fitting_pairs(cfg: ModelConfig, codecs: Codecs, n: int = 7, *, longest: int = 8, seed: int = 0) -> list[Pair]:
    """The same of targets that the head of this model can say: one letter, one for each of the source, some of its places."""
    if cfg.head in ("words", "parallel"):
        return tiny_pairs(codecs, n, longest=longest, seed=seed, copy=cfg.copy)
    draw = random.Random(seed)
    pairs: list[Pair] = []
    for number, size in enumerate([1, longest, *(draw.randint(1, longest) for _ in range(n - 2))]):
        # tags of a letter that stands twice may be equally probable either way round: a tie that rounding decides
        source = "".join(
            draw.sample("abcdef", k=min(size, 6)) if cfg.head == "tags" else draw.choices("abcdef", k=size)
        )
        symbols = len(as_encoded(codecs.source.encode(source)).values)  # a letter may be several frames
        count = {"class": 1, "tags": symbols}.get(cfg.head, draw.randint(0, longest) if number else 1)
        target = "".join(draw.choices(source if cfg.head == "pointer" else "abcdef", k=count))
        pairs.append(pair_of(Record(str(number), source, target), codecs, copy=cfg.copies))
    return pairs


def possible(model: Seq2Seq, batch: Batch, logp_BTV: Tensor) -> Tensor:
    """Of these, what this kind of head can say at each place, bool [B, T, V + X]."""
    can_BTV = sayable(batch, logp_BTV.shape[-1])[:, None].expand_as(logp_BTV)
    id_V, place_T1 = torch.arange(logp_BTV.shape[-1]), torch.arange(logp_BTV.shape[1])[:, None]
    if isinstance(model.head, PointerHead):
        return can_BTV & ((id_V == EOS) | (id_V >= model.head.vocabulary))
    if isinstance(model.head, LabelHead):
        count_B = batch.layout.lengths if model.head.each else torch.ones(batch.size)
        over_BT1 = place_T1 >= count_B[:, None, None]
        return can_BTV & ((id_V == EOS) == over_BT1)
    return can_BTV
