"""Every architecture x every law of models and of the search, on small vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.codec.types import Codecs
from core.model.config import ModelConfig
from core.testing.ctc_laws import CTC_LAWS
from core.testing.heads import fitting_pairs, head_models
from core.testing.markov import Brackets
from core.testing.model_laws import MODEL_LAWS
from core.testing.search_laws import SEARCH_LAWS
from core.testing.tiny import (
    ModelCase,
    NextSourceFeatures,
    Pair,
    TinyFrames,
    frame_models,
    law_name,
    model_case,
    tiny_codecs,
    tiny_models,
    tiny_pairs,
)

LAWS = (*MODEL_LAWS, *SEARCH_LAWS)
MODELS = tiny_models()
PAIRS = 5
COVERED_BY_OTHERS = (
    *("transformer-layer-sinusoidal-gelu", "transformer-layer-rotary-relu", "transformer-layer-rotary-swiglu"),
    *("transformer-rms-sinusoidal-relu", "transformer-rms-sinusoidal-swiglu", "transformer-rms-rotary-gelu"),
)
"""Of norm x positions x activation the other half has every pair of choices; these are for the slow tier."""
A_FEW = {
    "told": ["transformer-rms-sinusoidal-swiglu", "rnn-gru-1"],
    "parted": ["transformer-layer-rotary-relu", "rnn-lstm-2"],
    "heard": ["transformer-rms-sinusoidal-swiglu", "rnn-lstm-2"],
}
FRAMES = frame_models()
HEADS = head_models()
HEADS_OF_ALL = ("transformer-pointer-covered", "transformer-tags-bert-encoder")
"""A decoder with state of its head's, and none; the others are for the slow tier."""
COPYING = [name for name, cfg in MODELS.items() if cfg.copy]


def slow(*values: Any) -> Any:
    """For the slow tier."""
    return pytest.param(*values, marks=pytest.mark.slow)


def two_parts(pairs: list[Pair]) -> list[Pair]:
    """Sources of two parts, whose positions begin again."""
    found: list[Pair] = []
    for source, target in pairs:
        n = len(source.values)
        first = (n + 1) // 2
        position = np.array([*range(first), *range(n - first)], dtype=np.int32)
        segment = np.array([0] * first + [1] * (n - first), dtype=np.int32)
        found.append((source._replace(position=position, segment=segment), target))
    return found


def plain(name: str, cfg: ModelConfig) -> ModelCase:
    """Symbols to symbols, two vocabularies, no rule."""
    codecs = tiny_codecs()
    return model_case(name, cfg, codecs, tiny_pairs(codecs, PAIRS, copy=cfg.copy))


def told(name: str, cfg: ModelConfig) -> ModelCase:
    """One vocabulary, features of the prefix, and a rule."""
    codecs = tiny_codecs(shared=True)
    rule = Brackets(codecs.target.size)
    return model_case(
        name, cfg, codecs, tiny_pairs(codecs, PAIRS, seed=1, copy=cfg.copy), rule=rule, features=NextSourceFeatures()
    )


def parted(name: str, cfg: ModelConfig) -> ModelCase:
    """Sources of two segments with positions of their own."""
    codecs = tiny_codecs()
    return model_case(name, cfg, codecs, two_parts(tiny_pairs(codecs, PAIRS, seed=2, copy=cfg.copy)))


def heard(name: str, cfg: ModelConfig) -> ModelCase:
    """Frames to symbols."""
    codecs = Codecs(source=TinyFrames(), target=tiny_codecs().target)
    return model_case(name, cfg, codecs, tiny_pairs(codecs, PAIRS, seed=3))


def heard_longer(name: str, cfg: ModelConfig) -> ModelCase:
    """More frames than symbols, mostly: some sources are too short for their targets after subsampling."""
    codecs = Codecs(source=TinyFrames(stretch=5), target=tiny_codecs("abc").target)
    return model_case(name, cfg, codecs, tiny_pairs(codecs, 4, longest=4, letters="abc", seed=3))


def name_of(value: Any) -> str:
    """For test ids."""
    return value if isinstance(value, str) else value.__name__


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize("name", [slow(name) if name in COVERED_BY_OTHERS else name for name in MODELS])
def test_every_model(name: str, law: Callable[[ModelCase], None]) -> None:
    law(plain(name, MODELS[name]))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize("name", [name if name in HEADS_OF_ALL else slow(name) for name in HEADS])
def test_every_head(name: str, law: Callable[[ModelCase], None]) -> None:
    codecs = tiny_codecs()
    law(model_case(name, HEADS[name], codecs, fitting_pairs(HEADS[name], codecs, PAIRS)))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize(
    ("case", "name"),
    [
        (case, name) if name in A_FEW[case.__name__] else slow(case, name)
        for case in (told, parted, heard)
        for name in sorted({name for names in A_FEW.values() for name in names})
    ],
    ids=name_of,
)
def test_every_kind_of_input(
    name: str, case: Callable[[str, ModelConfig], ModelCase], law: Callable[[ModelCase], None]
) -> None:
    law(case(name, MODELS[name]))


@pytest.mark.parametrize("law", [*LAWS, *CTC_LAWS], ids=law_name)
@pytest.mark.parametrize("name", FRAMES)
def test_every_model_of_frames(name: str, law: Callable[[ModelCase], None]) -> None:
    law(heard_longer(name, FRAMES[name]))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize(
    ("case", "name"),
    [
        (case, name) if (case is told) == (n % 2 == 0) else slow(case, name)
        for case in (told, parted)
        for n, name in enumerate(COPYING)
    ],
    ids=name_of,
)
def test_every_kind_of_input_of_models_that_copy(
    name: str, case: Callable[[str, ModelConfig], ModelCase], law: Callable[[ModelCase], None]
) -> None:
    law(case(name, MODELS[name]))
