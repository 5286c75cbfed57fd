"""A config -> a model. The only place that knows which parts go together."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import nn

from core.codec.types import Codecs, Featurizer
from core.config import Impossible
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.features import PrefixFeatures
from core.model.rnn import RecurrentDecoder
from core.model.seq2seq import FrameFront, Seq2Seq, SymbolFront
from core.model.transformer import TransformerDecoder, TransformerEncoder
from core.nn.output import Head
from core.nn.recurrent import RecurrentEncoder


def build(cfg: ModelConfig, codecs: Codecs, *, features: PrefixFeatures | None = None, seed: int = 0) -> Seq2Seq:
    """Equal config, codecs and seed give equal weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match cfg:
            case TransformerConfig():
                encoder, decoder = TransformerEncoder(cfg), TransformerDecoder(cfg)
            case RNNConfig():
                encoder, decoder = RecurrentEncoder(cfg), RecurrentDecoder(cfg)
            case _:
                assert_never(cfg)
        tie = tying(cfg, codecs)
        target = embedding(codecs.target.size, cfg.width)
        if isinstance(codecs.source, Featurizer):
            front = FrameFront(codecs.source.width, cfg.width)
        else:
            front = SymbolFront(target if tie == "all" else embedding(codecs.source.size, cfg.width))
        output = target.weight if tie != "none" else nn.Parameter(embedding(codecs.target.size, cfg.width).weight.data)
        return Seq2Seq(front, encoder, target, decoder, Head(output), features)


def tying(cfg: ModelConfig, codecs: Codecs) -> str:
    """Which matrices are one."""
    if cfg.tie == "all" and not codecs.shared:
        raise Impossible("tie", "'all' needs one vocabulary for source and target; this task has two: use 'target'")
    return ("all" if codecs.shared else "target") if cfg.tie == "auto" else cfg.tie


def embedding(size: int, width: int) -> nn.Embedding:
    """Rows of about unit length after scaling by sqrt(width)."""
    made = nn.Embedding(size, width)
    nn.init.normal_(made.weight, std=width**-0.5)
    return made
