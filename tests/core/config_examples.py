"""Configs that the tests of the loader read, and two ways to read one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from core.config import AtLeast0, AtLeast1, Bounds, Dropout, Share, config
from core.config_toml import (
    Loaded,
    load,
)
from core.data.config import BatchConfig, DataConfig
from core.decode.config import SearchConfig
from core.errors import ConfigError
from core.model.config import ConvConfig, RNNConfig, TransformerConfig
from core.settings import run_config
from core.train.config import SaveConfig, TrainConfig

ROOT = Path(__file__).parents[2]


@config
class Small:
    """The [task] table of these tests."""

    largest: AtLeast1 = 999
    """Numbers go up to this."""
    alphabet: str = "ab"


@config
class Cat:
    kind: Literal["cat"] = "cat"
    lives: AtLeast1 = 9


@config
class Dog:
    kind: Literal["dog"] = "dog"
    tricks: tuple[str, ...] = ("sit",)


@config
class Everything:
    whole: int = 0
    number: float = 0.5
    share: Share = 0.5
    dropout: Dropout = 0.1
    even: Annotated[AtLeast0, Bounds(high=10)] = 2
    text: str = ""
    truth: bool = False
    choice: Literal["a", "b", 3] = "a"
    numbers: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    perhaps: int | None = None
    budget: AtLeast1 | Literal["auto"] = "auto"
    pet: Cat | Dog = Cat(lives=3)
    spare: Cat | Dog | None = None
    pets: tuple[Cat | Dog, ...] = ()
    small: Small = Small(largest=5)


@config
class Demanding:
    needed: int


SMALL = run_config(Small)
TABLES = (
    DataConfig,
    BatchConfig,
    TransformerConfig,
    RNNConfig,
    ConvConfig,
    TrainConfig,
    SearchConfig,
    SaveConfig,
    Everything,
    SMALL,
)


def read(text: str, tmp_path: Path, *overrides: str, kind: type = SMALL) -> Loaded[Any]:
    """A config from the text of a file."""
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    return load(kind, path, overrides)


def mistake(text: str, tmp_path: Path, *overrides: str, kind: type = SMALL) -> str:
    """The message about a file, which is one line and begins with its name."""
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, *overrides, kind=kind)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(tmp_path) + "/")
