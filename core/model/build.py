"""A config -> a model. The only place that knows which parts go together."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import nn

from core.codec.types import Codecs
from core.config import Impossible
from core.data.copying import refusal
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from core.model.features import LearnedFeatures, PrefixFeatures, SpokenFeatures
from core.model.front import make_front
from core.model.rnn import RecurrentDecoder
from core.model.said import Said
from core.model.seq2seq import Seq2Seq
from core.model.transformer import TransformerDecoder, TransformerEncoder
from core.nn.copying import CopyingHead
from core.nn.ctc import CtcHead
from core.nn.embedding import Borrowed, embedding
from core.nn.output import Head
from core.nn.recurrent import RecurrentEncoder


def build(
    cfg: ModelConfig, codecs: Codecs, *, features: PrefixFeatures | LearnedFeatures | None = None, seed: int = 0
) -> Seq2Seq:
    """Equal config, codecs and seed give equal weights; torch's global generators are left as they were."""
    tie = tying(cfg, codecs)
    if cfg.copy and (reason := refusal(codecs)) is not None:
        raise Impossible("copy", reason)
    if cfg.copy and cfg.ctc:
        raise Impossible(
            "ctc", "a CTC head reads words off the source's places, it cannot copy them; use one of the two"
        )
    own_width = cfg.encoder_width or cfg.width
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        match cfg:
            case TransformerConfig():
                encoder, decoder = TransformerEncoder(cfg), TransformerDecoder(cfg)
            case RNNConfig():
                encoder = RecurrentEncoder(
                    cfg.cell,
                    own_width,
                    cfg.encoder_layers,
                    cfg.dropout,
                    out=cfg.width,
                    bidirectional=cfg.bidirectional,
                    backward=cfg.reverse_source,
                )
                decoder = RecurrentDecoder(cfg)
            case ConvConfig():
                encoder, decoder = ConvolutionalEncoder(cfg), ConvolutionalDecoder(cfg)
            case _:
                assert_never(cfg)
        target = embedding(codecs.target.size, cfg.width)
        front = make_front(codecs.source, own_width, target if tie in ("all", "embeddings") else None, cfg.subsample)
        output = embedding(codecs.target.size, cfg.width) if tie in ("none", "embeddings") else Borrowed(target)
        head = CopyingHead(output, own_ids=codecs.shared) if cfg.copy else Head(output)
        if isinstance(features, LearnedFeatures):
            features = features.make(cfg.width)
        ctc = CtcHead(cfg.width, codecs.target.size) if cfg.ctc else None
        if features is None:
            return Seq2Seq(front, encoder, target, decoder, head, ctc=ctc, ctc_weight=cfg.ctc)
        told, said = nn.Linear(features.width(cfg.width), cfg.width), Said(features.width(cfg.width), cfg.width)
        if isinstance(features, SpokenFeatures):
            features.begin(said, head.weight)
        return Seq2Seq(front, encoder, target, decoder, head, features, told, said, ctc=ctc, ctc_weight=cfg.ctc)


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
