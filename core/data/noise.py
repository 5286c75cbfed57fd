"""What may happen to a source before it reaches a model: a task's perturbations by name, how strong, and always the same ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import numpy as np

from core.data.order import mixed
from core.errors import ConfigError
from core.nearest import did_you_mean
from core.record import Record

C = TypeVar("C")
SPELLED = re.compile(r"(?P<name>[^@]*)(?:@(?P<strength>-?[0-9]*\.?[0-9]+)(?P<unit>[A-Za-z%]*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise(Generic[C]):
    """A perturbation of the field: what a person could still answer as before. What is right stays right."""

    meaning: str
    """For `--noise list`."""
    change: Callable[[C, Record, float, np.random.Generator], Record]
    """([task] table, record, strength, random numbers of this record) -> the record with another source.

    The target changes only where it has to spell the source: rows of an alignment.
    """
    strength: float | None = None
    """Where nothing is said behind `@`; None: there is nothing to be said."""
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    """May stand behind the number: dB. Without one the number is a share."""

    @property
    def bounds(self) -> str:
        """What may stand behind `@`."""
        if self.strength is None:
            return "nothing"
        return f"{self.low:g} to {self.high:g}{f' {self.unit}' if self.unit else ''}"


@dataclass(frozen=True, slots=True)
class Chosen(Generic[C]):
    """A noise as it was asked for."""

    name: str
    strength: float
    noise: Noise[C]

    def __str__(self) -> str:
        """As one writes it."""
        return self.name if self.noise.strength is None else f"{self.name}@{self.strength:g}{self.noise.unit}"

    def drawn(self, cfg: C, record: Record, random: np.random.Generator) -> Record:
        """With these random numbers."""
        return self.noise.change(cfg, record, self.strength, random)

    def always(self, cfg: C, record: Record, seed: int) -> Record:
        """By the record's key and the seed alone: the same in any company and for every model."""
        digest = blake2b(f"{self.name}\0{record.key}".encode("utf-8", "surrogatepass"), digest_size=7).digest()
        return self.drawn(cfg, record, np.random.default_rng(mixed(seed, int.from_bytes(digest))))


def chosen(asked: Sequence[str], known: Mapping[str, Noise[Any]], where: str, task: str) -> tuple[Chosen[Any], ...]:
    """`NAME` or `NAME@STRENGTH`, each once; `where` begins a refusal."""
    found = tuple(parsed(one, known, where, task) for one in asked)
    for number, one in enumerate(found):
        if any(str(one) == str(other) for other in found[:number]):
            raise ConfigError(f"{where} {one}: given twice")
    return found


def parsed(text: str, known: Mapping[str, Noise[Any]], where: str, task: str) -> Chosen[Any]:
    """One of them."""
    match = SPELLED.fullmatch(text.strip())
    name = match["name"].strip() if match else text.partition("@")[0].strip()
    if name not in known:
        there = ", ".join(known) or "no noises"
        raise ConfigError(f"{where} {text}: no such noise{did_you_mean(name, known)}; {task} has {there}")
    noise = known[name]
    if match is None:
        raise ConfigError(f"{where} {text}: behind @ stands a number, {noise.bounds}")
    if match["strength"] is None:
        return Chosen(name, noise.strength or 0.0, noise)
    if noise.strength is None:
        raise ConfigError(f"{where} {text}: {name} has no strength; write {name}")
    strength, unit = float(match["strength"]), match["unit"]
    if unit == "%" and not noise.unit:
        strength, unit = strength / 100, ""
    if unit.casefold() not in ("", noise.unit.casefold()) or not noise.low <= strength <= noise.high:
        raise ConfigError(f"{where} {text}: the strength of {name} is {noise.bounds}, such as {name}@{shown(noise)}")
    return Chosen(name, strength, noise)


def shown(noise: Noise[Any]) -> str:
    """The default strength with its unit."""
    return "" if noise.strength is None else f"{noise.strength:g}{noise.unit}"


def listed(known: Mapping[str, Noise[Any]]) -> Iterator[str]:
    """A line each: how to ask for it, what may stand behind `@`, what it does."""
    names = [name if one.strength is None else f"{name}@{shown(one)}" for name, one in known.items()]
    bounds = ["" if one.strength is None else one.bounds for one in known.values()]
    wide, wider = (max(map(len, some), default=0) for some in (names, bounds))
    for name, bound, one in zip(names, bounds, known.values(), strict=True):
        yield f"{name:<{wide}}  {bound:<{wider}}  {one.meaning}"
