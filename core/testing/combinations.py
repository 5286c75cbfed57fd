"""The switches of a model and of training as factors, so that laws can be held against every two of them together.

Every key of a model that is a choice is a factor with all its values, every number that switches something one with a value on
either side; sizes are fixed. What goes together is asked of the config and of `build`'s own checks, not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from core.codec.types import Codecs
from core.config import Impossible
from core.config_shape import Choice, Scalar, slots_of
from core.data.copying import refusal
from core.model.build import tying
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.testing.covering import Covering, Row, covering
from core.testing.heads import fitting_pairs
from core.testing.markov import Brackets
from core.testing.tiny import ModelCase, NextSourceFeatures, Pair, TinyFrames, model_case, tiny_codecs, tiny_pairs

INPUT = "input"
INPUTS = ("plain", "told", "parted", "heard")
"""Symbols; one vocabulary with features of the prefix and a rule; sources of two parts; frames, some of them too few for CTC."""
KINDS: dict[str, type] = {"transformer": TransformerConfig, "rnn": RNNConfig, "conv": ConvConfig}
SIZES: dict[str, dict[str, Any]] = {
    "transformer": {"width": 16, "heads": 4, "inner": 24, "kernel": 3, "learned_positions": 5},
    "rnn": {"width": 16, "attention_heads": 2},
    "conv": {"width": 16, "kernel": 3, "learned_positions": 5},
}
"""What is no switch."""
NUMBERS: dict[str, tuple[Any, ...]] = {
    "encoder_layers": (2, 1),
    "decoder_layers": (2, 1),
    "encoder_width": (0, 24),
    "encoder_inner": (0, 12),
    "kv_heads": (0, 1, 2),
    "encoder_window": (0, 2),
    "global_symbols": (0, 1),
    "layer_drop": (0.0, 0.5),
    "attention_window": (0, 2),
    "ctc": (0.0, 0.3),
    "heads": (1, 2),
}
"""Off, or plain, first."""
FEWER: dict[str, tuple[Any, ...]] = {"subsample": (1, 2, 4)}
"""Of a choice not all values: eight frames into one needs more frames than laws have."""
LEFT = {"kind", "dropout", "queries", "encoder_heads"}
"""Chosen otherwise, off in laws, of other heads, or a size."""


def factors(kind: str) -> dict[str, Sequence[Any]]:
    """Of one kind of model."""
    found: dict[str, Sequence[Any]] = {}
    for name, slot in slots_of(KINDS[kind]).items():
        if name in LEFT or name in SIZES[kind]:
            continue
        match slot.shape:
            case Choice(values):
                chosen = FEWER.get(name, values)
                found[name] = (slot.default, *(one for one in chosen if one != slot.default))
            case Scalar(scalar) if scalar is bool:
                found[name] = (slot.default, not slot.default)
            case _:
                if name not in NUMBERS:
                    raise KeyError(f"{kind}: {name} is no switch that laws know: give it values in NUMBERS or a size")
                found[name] = NUMBERS[name]
    return {**found, INPUT: INPUTS}


def config_of(kind: str, row: Row) -> ModelConfig:
    """Raises Impossible."""
    values = {name: value for name, value in row.items() if name != INPUT}
    made: ModelConfig = KINDS[kind](**SIZES[kind], **values)
    return made


def codecs_of(row: Row) -> Codecs:
    """Of the row's input."""
    match row[INPUT]:
        case "told":
            return shared()
        case "heard":
            return Codecs(source=TinyFrames(stretch=5), target=apart().target)
        case _:
            return apart()


@cache
def apart() -> Codecs:
    """Two vocabularies."""
    return tiny_codecs()


@cache
def shared() -> Codecs:
    """One."""
    return tiny_codecs(shared=True)


def possible(kind: str, row: Row) -> bool:
    """By the config, by what `build` asks of the codecs, and: only frames are heard by CTC, and rules are told of words."""
    heard = row[INPUT] == "heard"
    if not heard and (row["subsample"] != 1 or row["ctc"]):
        return False
    if row[INPUT] == "told" and row["head"] != "words":
        return False
    try:
        cfg, codecs = config_of(kind, row), codecs_of(row)
        tying(cfg, codecs)
    except Impossible:
        return False
    return not (cfg.copies and refusal(codecs, cfg.copies))


@cache
def models(kind: str) -> Covering:
    """Every two switches of a kind of model, and every kind of input."""
    return covering(factors(kind), lambda row: possible(kind, row))


def case(kind: str, row: Row) -> ModelCase:
    """A row as the laws want it."""
    cfg, codecs = config_of(kind, row), codecs_of(row)
    name = " ".join(f"{key}={value}" for key, value in row.items() if value != factors(kind)[key][0])
    if row[INPUT] == "told":
        pairs = tiny_pairs(codecs, 5, seed=1, copy=cfg.copy)
        rule = Brackets(codecs.target.size)
        return model_case(name, cfg, codecs, pairs, rule=rule, features=NextSourceFeatures())
    if row[INPUT] == "heard":
        few = tiny_pairs(codecs, 4, longest=4, letters="abc", seed=3)  # CTC's alignments are counted one by one
        pairs = few if cfg.head in ("words", "parallel") else fitting_pairs(cfg, codecs, 4, longest=4, seed=3)
        return model_case(name, cfg, codecs, pairs)
    pairs = fitting_pairs(cfg, codecs, 5, seed=2)
    return model_case(name, cfg, codecs, two_parts(pairs) if row[INPUT] == "parted" else pairs)


def two_parts(pairs: Sequence[Pair]) -> list[Pair]:
    """Sources of two parts, whose positions begin again."""
    found: list[Pair] = []
    for source, target in pairs:
        n = len(source.values)
        first = (n + 1) // 2
        position = np.array([*range(first), *range(n - first)], dtype=np.int32)
        segment = np.array([0] * first + [1] * (n - first), dtype=np.int32)
        found.append((source._replace(position=position, segment=segment), target))
    return found


TRAINING: Mapping[str, Sequence[Any]] = {
    "model": ("transformer", "rnn", "conv", "copying"),
    "train.optimizer": ("adamw", "muon", "adafactor"),
    "train.average": ("ema", "last", "none"),
    "train.schedule": ("inverse-sqrt", "cosine", "linear", "constant"),
    "train.forcing": ("always", "constant", "linear", "exponential", "inverse-sigmoid"),
    "train.word_dropout": (0.0, 0.2),
    "train.target_word_dropout": (0.0, 0.2),
    "train.r_drop": (0.0, 1.0),
    "train.adversarial": (0.0, 0.1),
    "train.risk": (0.0, 0.3),
    "train.noise": ((), ("typos@0.3", "case")),
    "train.synonyms": (False, True),
    "train.label_smoothing": (0.1, 0.0),
    "train.accumulate": (2, 1),
    "train.freeze": ((), ("embeddings",)),
    "data.mix": (False, True),
    "batch.easy_first": (0, 1),
    "batch.workers": (0, 2),
}
"""The switches of training; those that begin from another run (adapters, a teacher) have tests of their own."""


@cache
def trainings() -> Covering:
    """Every two of them."""
    return covering(TRAINING, lambda row: True)
