"""SPACE.toml: the keys of a config that a study may choose, each with its choices or its range.

It is laid out as the config itself. A list is a choice among its values, a table with `low` and `high` a range:

    [train]
    lr = { low = 1e-4, high = 1e-2, log = true }
    warmup = { low = 20, high = 200, step = 20 }
    optimizer = ["adamw", "muon"]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config_shape import Scalar, Shape, slots_of, table_of
from core.config_text import brief
from core.config_toml import parse_file
from core.config_tree import Given, Refused, build, chosen_kind, fitted, merged
from core.errors import ConfigError
from core.nearest import did_you_mean

RANGE = ("low", "high", "log", "step")
FIXED = {
    "seed": "chance is no setting: a study would pick the luckiest",
    "train.device": "it is the machine's, not the model's",
    "train.threads": "it is the machine's, not the model's",
    "train.evaluate_records": "trials would be scored on different records",
    "train.final_records": "trials would be scored on different records",
    "data.source": "trials would be scored on different records",
    "data.path": "trials would be scored on different records",
    "data.dev": "trials would be scored on different records",
    "data.test": "a study never looks at the test split",
}
"""What may not be searched, and why."""
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Choices:
    """One of a few values."""

    key: str
    place: str
    values: tuple[Any, ...]

    def label(self, value: Any) -> Value:
        """What a study keeps of a value: plain ones as they are, lists as JSON."""
        return value if isinstance(value, bool | int | float | str) else json.dumps(value)

    def value(self, label: Value) -> Any:
        """The inverse."""
        return next(one for one in self.values if type(self.label(one)) is type(label) and self.label(one) == label)

    def tree(self) -> dict[str, Any]:
        """To compare and to keep."""
        return {"choices": [self.label(one) for one in self.values]}


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two ends, both included."""

    key: str
    place: str
    low: int | float
    high: int | float
    log: bool
    step: int | float | None
    whole: bool
    """Integers alone."""

    def value(self, label: Value) -> Any:
        """As the config has it."""
        assert not isinstance(label, str)
        return int(label) if self.whole else float(label)

    def tree(self) -> dict[str, Any]:
        """To compare and to keep."""
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step}


Dimension = Choices | Range


def read_space(path: Path, kind: type, base: Given) -> list[Dimension]:
    """All dimensions, in the file's order; ConfigError with `file:line` for what cannot be. `base` is the tree of the config."""
    root = parse_file(path)
    found = list(dimensions(root, kind, base, "", lambda key, one: unknown(kind, base, key, one)))
    if not found:
        raise ConfigError(
            f"{path}: nothing to choose: name keys of the config, such as [train] lr = {{ low = 1e-4, high = 1e-2, log = true }}"
        )
    return found


def dimensions(
    given: Given, kind: type, base: Given, prefix: str, refuse: Callable[[str, Given], None]
) -> Iterator[Dimension]:
    """Walks the file beside the config's shape."""
    for name, one in (given.table or {}).items():
        key = prefix + name
        slot = slots_of(kind).get(name)
        if slot is None:
            refuse(key, one)
            continue
        table = table_of(slot.shape)
        if table is not None and one.table is not None:
            own = (base.table or {}).get(name) or Given({}, base.place)
            chosen = chosen_kind(own, table, slot.default)
            assert chosen is not None
            yield from dimensions(one, chosen, own, f"{key}.", refuse)
            continue
        if table is not None:
            raise ConfigError(
                f"{one.place}: {key}: a table, so name its keys, such as {key}.{next(iter(slots_of(table.kinds[0])))}"
            )
        if (why := FIXED.get(key)) is not None:
            raise ConfigError(f"{one.place}: {key}: cannot be searched: {why}")
        if name == "kind":
            raise ConfigError(
                f"{one.place}: {key}: each kind has keys of its own; make a study a kind and compare them"
            )
        yield dimension(key, slot.shape, one)


def unknown(kind: type, base: Given, key: str, given: Given) -> None:
    """Refused as the config's own reader refuses it, with what was probably meant; a range is a value, not a table."""
    ranged = given.table is not None and bool(set(given.table) & set(RANGE))
    tree = Given(0, given.place) if ranged else given
    for name in reversed(key.split(".")):
        tree = Given({name: tree}, given.place)
    build(kind, merged(base, tree, kind))
    raise AssertionError(f"{key} is no key, and was taken for one")


def dimension(key: str, shape: Shape, given: Given) -> Dimension:
    """One key's choices or range."""
    if given.table is not None:
        return ranged(key, shape, given)
    if not isinstance(given.value, list):
        raise ConfigError(
            f"{given.place}: {key} = {brief(given.value)}: must be a list of choices, or a range {{ low = ..., high = ... }}"
        )
    values: list[Any] = given.value
    if len(values) < 2:
        raise ConfigError(f"{given.place}: {key} = {brief(values)}: a choice is among two values at least")
    for value in values:
        checked(key, shape, value, given.place)
    labels = [json.dumps(value) for value in values]
    if twice := next((value for value, label in zip(values, labels, strict=True) if labels.count(label) > 1), None):
        raise ConfigError(f"{given.place}: {key}: {brief(twice)} stands there twice")
    return Choices(key, given.place, tuple(values))


def checked(key: str, shape: Shape, value: Any, place: str) -> Any:
    """The value, if the key takes it."""
    try:
        return fitted(shape, value)
    except Refused as refusal:
        raise ConfigError(f"{place}: {key} = {brief(value)}: {refusal}") from None


def ranged(key: str, shape: Shape, given: Given) -> Range:
    """Both ends must be values that the key takes; what is between is, too."""
    entries: Mapping[str, Given] = given.table or {}
    for name, one in entries.items():
        if name not in RANGE:
            raise ConfigError(f"{one.place}: {key}.{name}: a range has {', '.join(RANGE)}{did_you_mean(name, RANGE)}")
    for name in ("low", "high"):
        if name not in entries:
            raise ConfigError(f"{given.place}: {key}.{name}: missing; a range has low and high")
    if not isinstance(shape, Scalar) or shape.kind not in (int, float):
        raise ConfigError(f"{given.place}: {key}: not a number, so there is no range of it: list its choices")
    whole = shape.kind is int
    low, high = (checked(f"{key}.{name}", shape, entries[name].value, entries[name].place) for name in ("low", "high"))
    if low >= high:
        raise ConfigError(f"{given.place}: {key}: low = {brief(low)} is not below high = {brief(high)}")
    log = entries["log"].value if "log" in entries else False
    if not isinstance(log, bool):
        raise ConfigError(f"{entries['log'].place}: {key}.log = {brief(log)}: must be true or false")
    if log and low <= 0:
        raise ConfigError(f"{entries['low'].place}: {key}.low = {brief(low)}: a logarithmic range begins above 0")
    step = entries["step"].value if "step" in entries else None
    if step is not None:
        wanted = (int,) if whole else (int, float)
        if type(step) not in wanted or step <= 0 or step > high - low:
            sort = "a whole number" if whole else "a number"
            raise ConfigError(
                f"{entries['step'].place}: {key}.step = {brief(step)}: must be {sort} above 0, at most high - low"
            )
        if log:
            raise ConfigError(f"{entries['step'].place}: {key}.step: a logarithmic range has no steps")
    return Range(key, given.place, low, high, log, step, whole)


def with_values(kind: type, base: Given, values: Mapping[str, Any], place: str) -> Any:
    """The base config with the chosen values; ConfigError where they do not go together."""
    tree = base
    for key, value in values.items():
        one = Given(value, place)
        for name in reversed(key.split(".")):
            one = Given({name: one}, place)
        tree = merged(tree, one, kind)
    return build(kind, tree)
