"""Every architecture x every law of models and of the search, on small vocabularies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from core.codec.types import Codecs
from core.model.config import ModelConfig
from core.testing.ctc_laws import CTC_LAWS
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
A_FEW = ["transformer-layer-rotary-relu", "transformer-rms-sinusoidal-swiglu", "rnn-gru-1", "rnn-lstm-2"]
FRAMES = frame_models()
COPYING = [name for name, cfg in MODELS.items() if cfg.copy]


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
    return model_case(name, cfg, codecs, tiny_pairs(codecs, copy=cfg.copy))


def told(name: str, cfg: ModelConfig) -> ModelCase:
    """One vocabulary, features of the prefix, and a rule."""
    codecs = tiny_codecs(shared=True)
    rule = Brackets(codecs.target.size)
    return model_case(
        name, cfg, codecs, tiny_pairs(codecs, seed=1, copy=cfg.copy), rule=rule, features=NextSourceFeatures()
    )


def parted(name: str, cfg: ModelConfig) -> ModelCase:
    """Sources of two segments with positions of their own."""
    codecs = tiny_codecs()
    return model_case(name, cfg, codecs, two_parts(tiny_pairs(codecs, seed=2, copy=cfg.copy)))


def heard(name: str, cfg: ModelConfig) -> ModelCase:
    """Frames to symbols."""
    codecs = Codecs(source=TinyFrames(), target=tiny_codecs().target)
    return model_case(name, cfg, codecs, tiny_pairs(codecs, seed=3))


def heard_longer(name: str, cfg: ModelConfig) -> ModelCase:
    """More frames than symbols, mostly: some sources are too short for their targets after subsampling."""
    codecs = Codecs(source=TinyFrames(stretch=5), target=tiny_codecs("abc").target)
    return model_case(name, cfg, codecs, tiny_pairs(codecs, 4, longest=4, letters="abc", seed=3))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str, law: Callable[[ModelCase], None]) -> None:
    law(plain(name, MODELS[name]))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize("name", A_FEW)
@pytest.mark.parametrize("case", [told, parted, heard], ids=lambda case: case.__name__)
def test_every_kind_of_input(
    name: str, case: Callable[[str, ModelConfig], ModelCase], law: Callable[[ModelCase], None]
) -> None:
    law(case(name, MODELS[name]))


@pytest.mark.parametrize("law", [*LAWS, *CTC_LAWS], ids=law_name)
@pytest.mark.parametrize("name", FRAMES)
def test_every_model_of_frames(name: str, law: Callable[[ModelCase], None]) -> None:
    law(heard_longer(name, FRAMES[name]))


@pytest.mark.parametrize("law", LAWS, ids=law_name)
@pytest.mark.parametrize("name", COPYING)
@pytest.mark.parametrize("case", [told, parted], ids=lambda case: case.__name__)
def test_every_kind_of_input_of_models_that_copy(
    name: str, case: Callable[[str, ModelConfig], ModelCase], law: Callable[[ModelCase], None]
) -> None:
    law(case(name, MODELS[name]))
