"""Every reader of a single file by its name: what fuzzers drive, and what past finds are brought to again in every check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.store import read_result
from benchmarks.torture.doors import file_doors
from core.codec.store import load_codecs
from core.codec.types import Tokenizer
from core.config_toml import load
from core.settings import run_config
from core.train.checkpoint import parse_json, tensors
from tasks import TASKS

Entrance = tuple[Path, Callable[[], Any]]
"""Where the file is to lie, and what reads it then: it returns, or raises a UserError."""


def entrances(place: Path) -> dict[str, Entrance]:
    """In a folder."""
    (place / "encoder").mkdir(exist_ok=True)
    found: dict[str, Entrance] = {door.name.replace(" ", ""): (door.path, door.open) for door in file_doors(place)}
    own: dict[str, Callable[[Path], Any]] = {
        "config": lambda path: load(run_config(TASKS["roman"].config), path),
        "codecs": lambda path: codecs(path),
        "weights": lambda path: tensors({"weights.safetensors": path.read_bytes()}, "weights", path.parent),
        "result": read_result,
    }
    return found | {name: (place / f"{name}.toml", partial(read, place / f"{name}.toml")) for name, read in own.items()}


def codecs(path: Path) -> None:
    """As a run folder has them; what can be read can encode and decode."""
    found = load_codecs(parse_json(path, path.read_bytes()))
    for codec in (found.source, found.target):
        assert isinstance(codec, Tokenizer)
        codec.decode(list(codec.encode("ab é")))
