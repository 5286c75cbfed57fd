"""A config -> a model. The only place that knows which parts go together."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import nn

from core.codec.places import PlaceTokenizer
from core.codec.types import Codecs
from core.config import Impossible
from core.data.copying import refusal
from core.model.at_once import ParallelDecoder, PlaceDecoder, SummaryDecoder
from core.model.bert import BertEncoder
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from core.model.features import LearnedFeatures, PrefixFeatures, SpokenFeatures
from core.model.front import make_front
from core.model.heads import LABELS, WORDLESS
from core.model.rnn import RecurrentDecoder
from core.model.said import Said
from core.model.seq2seq import Decoder, Encoder, Seq2Seq
from core.model.transformer import TransformerDecoder, TransformerEncoder
from core.nn.copying import CopyingHead
from core.nn.ctc import CtcHead
from core.nn.embedding import Borrowed, embedding
from core.nn.labels import LabelHead
from core.nn.output import Head
from core.nn.pointing import PointerHead
from core.nn.recurrent import RecurrentEncoder


def build(
    cfg: ModelConfig, codecs: Codecs, *, features: PrefixFeatures | LearnedFeatures | None = None, seed: int = 0
) -> Seq2Seq:
    """Equal config, codecs and seed give equal weights; torch's global generators are left as they were."""
    tie = tying(cfg, codecs)
    check_codecs(cfg, codecs)
    if features is not None and cfg.head in WORDLESS:
        reason = f"{cfg.head!r} reads no prefix, of which this task's features tell the decoder"
        raise Impossible("head", f"{reason}: use 'words'")
    own_width = cfg.encoder_width or cfg.width
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        encoder, decoder = sides(cfg)
        target = embedding(codecs.target.size, cfg.width)
        front = make_front(codecs.source, own_width, target if tie in ("all", "embeddings") else None, cfg.subsample)
        head = make_head(cfg, codecs, target, own=tie in ("none", "embeddings"))
        if isinstance(features, LearnedFeatures):
            features = features.make(cfg.width)
        ctc = CtcHead(cfg.width, codecs.target.size) if cfg.ctc else None
        if features is None:
            return Seq2Seq(front, encoder, target, decoder, head, ctc=ctc, ctc_weight=cfg.ctc)
        told, said = nn.Linear(features.width(cfg.width), cfg.width), Said(features.width(cfg.width), cfg.width)
        if isinstance(features, SpokenFeatures) and cfg.head != "pointer":  # a pointer has no words to begin with
            features.begin(said, head.weight)
        return Seq2Seq(front, encoder, target, decoder, head, features, told, said, ctc=ctc, ctc_weight=cfg.ctc)


def sides(cfg: ModelConfig) -> tuple[Encoder, Decoder]:
    """What reads the source, and what stands on it."""
    match cfg:
        case TransformerConfig():
            encoder = BertEncoder(cfg) if cfg.encoder == "bert" else TransformerEncoder(cfg)
            return encoder, at_once(cfg) or TransformerDecoder(cfg)
        case RNNConfig():
            encoder = RecurrentEncoder(
                cfg.cell,
                cfg.encoder_width or cfg.width,
                cfg.encoder_layers,
                cfg.dropout,
                out=cfg.width,
                bidirectional=cfg.bidirectional,
                backward=cfg.reverse_source,
            )
            return encoder, at_once(cfg) or RecurrentDecoder(cfg)
        case ConvConfig():
            return ConvolutionalEncoder(cfg), at_once(cfg) or ConvolutionalDecoder(cfg)
        case _:
            assert_never(cfg)


def at_once(cfg: ModelConfig) -> Decoder | None:
    """For heads that read no words; None for the others."""
    match cfg.head:
        case "class":
            return SummaryDecoder(cfg.width, cfg.dropout)
        case "tags":
            return PlaceDecoder(cfg.dropout)
        case "parallel":
            return ParallelDecoder(parallel_sizes(cfg))
        case "words" | "pointer":
            return None


def parallel_sizes(cfg: ModelConfig) -> TransformerConfig:
    """Of its blocks, which are those of a Transformer whatever the encoder is."""
    if isinstance(cfg, TransformerConfig):
        return cfg
    return TransformerConfig(
        width=cfg.width,
        heads=cfg.attention_heads if isinstance(cfg, RNNConfig) else cfg.heads,
        decoder_layers=cfg.decoder_layers,
        inner=4 * cfg.width,
        positions="sinusoidal",
        dropout=cfg.dropout,
        queries=cfg.queries,
    )


def make_head(cfg: ModelConfig, codecs: Codecs, target: nn.Embedding, *, own: bool) -> Head:
    """Its matrix is its `own`, or the target's embedding."""
    if cfg.head == "pointer":
        return PointerHead(cfg.width, codecs.target.size, coverage=cfg.coverage)
    table = embedding(codecs.target.size, cfg.width) if own else Borrowed(target)
    if cfg.head in LABELS:
        return LabelHead(table, each=cfg.head == "tags")
    return CopyingHead(table, own_ids=codecs.shared, coverage=cfg.coverage) if cfg.copy else Head(table)


def check_codecs(cfg: ModelConfig, codecs: Codecs) -> None:
    """Refuse heads that cannot say what this task's targets are."""
    if cfg.copies and (reason := refusal(codecs, cfg.copies)) is not None:
        raise Impossible("head" if cfg.head == "pointer" else "copy", reason)
    if cfg.head != "pointer" and isinstance(codecs.target, PlaceTokenizer):
        raise Impossible("head", f"the targets are places of the source: only 'pointer' says such, not {cfg.head!r}")


def tying(cfg: ModelConfig, codecs: Codecs) -> Literal["all", "target", "embeddings", "none"]:
    """Which matrices are one: source, target and output; target and output; source and target; or none."""
    alike = (cfg.encoder_width or cfg.width) == cfg.width
    if cfg.tie in ("all", "embeddings") and not codecs.shared:
        reason = f"{cfg.tie!r} needs one vocabulary for source and target; this task has two: use 'target'"
        raise Impossible("tie", reason)
    if cfg.tie in ("all", "embeddings") and not alike:
        reason = f"{cfg.tie!r} needs one width, and the encoder's is {cfg.encoder_width}, not {cfg.width}: use 'target'"
        raise Impossible("tie", reason)
    if cfg.tie == "auto":
        return "all" if codecs.shared and alike else "target"
    return cfg.tie
