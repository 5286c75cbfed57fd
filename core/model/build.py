"""A config -> a model. The only place that knows which parts go together."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import nn

from core.codec.types import Codecs
from core.config import Impossible
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.features import PrefixFeatures
from core.model.front import make_front
from core.model.rnn import RecurrentDecoder
from core.model.seq2seq import Seq2Seq
from core.model.transformer import TransformerDecoder, TransformerEncoder
from core.nn.embedding import Borrowed, embedding
from core.nn.output import Head
from core.nn.recurrent import RecurrentEncoder


def build(cfg: ModelConfig, codecs: Codecs, *, features: PrefixFeatures | None = None, seed: int = 0) -> Seq2Seq:
    """Equal config, codecs and seed give equal weights; torch's global generators are left as they were."""
    tie = tying(cfg, codecs)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        match cfg:
            case TransformerConfig():
                encoder, decoder = TransformerEncoder(cfg), TransformerDecoder(cfg)
            case RNNConfig():
                encoder = RecurrentEncoder(cfg.cell, cfg.width, cfg.encoder_layers, cfg.dropout)
                decoder = RecurrentDecoder(cfg)
            case _:
                assert_never(cfg)
        target = embedding(codecs.target.size, cfg.width)
        front = make_front(codecs.source, cfg.width, target if tie == "all" else None)
        output = embedding(codecs.target.size, cfg.width) if tie == "none" else Borrowed(target)
        told = None if features is None else nn.Linear(features.width(cfg.width), cfg.width)
        return Seq2Seq(front, encoder, target, decoder, Head(output), features, told)


def tying(cfg: ModelConfig, codecs: Codecs) -> Literal["all", "target", "none"]:
    """Which matrices are one: source, target and output; target and output; or none."""
    if cfg.tie == "all" and not codecs.shared:
        raise Impossible("tie", "'all' needs one vocabulary for source and target; this task has two: use 'target'")
    if cfg.tie == "auto":
        return "all" if codecs.shared else "target"
    return cfg.tie
