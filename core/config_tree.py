"""A tree of values, each with the place that gave it -> a config, strictly; and configs compared."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from typing import Any, TypeVar, cast

from core.config import Impossible
from core.config_shape import (
    Anything,
    Choice,
    Either,
    Many,
    Nothing,
    Scalar,
    Shape,
    Table,
    demand,
    fields_of,
    inside,
    kind_name,
    slots_of,
    table_of,
)
from core.config_text import brief, to_tree
from core.errors import ConfigError
from core.nearest import did_you_mean, nearest

T = TypeVar("T")
BITS = 2**63
LONGEST_NAME = 60
COMMAND_LINE = "command line"
"""The place of an override."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value, or a table of further ones, and who said so: "configs/x.toml:3", "command line"."""

    value: Any
    place: str

    @property
    def table(self) -> dict[str, Given] | None:
        """The entries, if this is a table."""
        return cast("dict[str, Given]", self.value) if isinstance(self.value, dict) else None


class Refused(Exception):
    """One value that does not fit; collected, so that a message can count them."""


def from_tree(kind: type[T], tree: Mapping[str, Any], place: str) -> T:
    """A config from plain JSON or parsed TOML; `place` begins every message."""
    return build(kind, given(tree, place))


def given(value: Any, place: str) -> Given:
    """A tree whose values all come from one place."""
    if isinstance(value, Mapping):
        tree = cast("Mapping[str, Any]", value)
        return Given({name: given(one, place) for name, one in tree.items()}, place)
    return Given(value, place)


def merged(base: Given, over: Given, kind: type, default: Any = MISSING) -> Given:
    """`over` wins; a table whose `kind` changes is replaced, for the old kind's keys mean nothing to the new one."""
    old, new = base.table, over.table
    if old is None or new is None:
        return over
    result = dict(old)
    for name, value in new.items():
        result[name] = value if name not in old else _merged_slot(old[name], value, kind, name, default)
    return Given(result, over.place)


def _merged_slot(base: Given, over: Given, kind: type, name: str, default: Any) -> Given:
    slot = slots_of(kind).get(name)
    table = table_of(slot.shape) if slot else None
    if slot is None or table is None:
        return over
    inner_default = getattr(default, name) if type(default) is kind else slot.default
    before = chosen_kind(base, table, inner_default)
    if before is None or ("kind" in (over.table or {}) and chosen_kind(over, table, inner_default) is not before):
        return over
    return merged(base, over, before, inner_default)


def chosen_kind(table: Given, shape: Table, default: Any) -> type | None:
    """Which of the classes a table means: by its `kind`, else the default's, else the only one."""
    entries = table.table or {}
    if len(shape.kinds) == 1:
        return shape.kinds[0]
    if "kind" in entries:
        return next((one for one in shape.kinds if kind_name(one) == entries["kind"].value), None)
    return next((one for one in shape.kinds if type(default) is one), None)


def build(kind: type[T], root: Given) -> T:
    """The config that a tree describes; the first mistake is told in full, the others are counted."""
    reader = Reader(kind)
    value = reader.table(kind, root, "", MISSING)
    if reader.problems:
        more = len(reader.problems) - 1
        counted = f" (and {more} more mistake{'s' if more > 1 else ''})" if more else ""
        raise ConfigError(reader.problems[0] + counted)
    return cast(T, value)


class Reader:
    """Walks a tree beside the shapes of a config class, collecting what is wrong."""

    def __init__(self, root: type) -> None:
        self.root = root
        self.problems: list[str] = []

    def refuse(self, given: Given, key: str, reason: str) -> None:
        """One line: place, key, value, what would be right."""
        shown = f"[{key}]" if given.table is not None else f"{key} = {brief(given.value)}"
        self.problems.append(f"{given.place}: {shown}: {reason}")

    def table(self, kind: type, given: Given, key: str, default: Any) -> Any:
        """An instance of `kind`, over the values of `default` where that is one too; None after a mistake."""
        entries, before, prefix = given.table or {}, len(self.problems), f"{key}." if key else ""
        slots, values = slots_of(kind), dict[str, Any]()
        for name, value in entries.items():
            if name not in slots:
                self.unknown(value, prefix + spelled(name), kind, prefix)
        for name, slot in slots.items():
            fallback = getattr(default, name) if type(default) is kind else slot.default
            if name in entries:
                values[name] = self.value(slot.shape, entries[name], prefix + name, fallback)
            elif fallback is not MISSING:
                values[name] = fallback
            else:
                self.problems.append(f"{given.place}: {prefix}{name}: missing; it must be {demand(slot.shape)}")
        if len(self.problems) > before:
            return None
        try:
            return kind(**values)
        except Impossible as error:
            said = entries.get(error.field) or next(iter(entries.values()), given)
            value = values.get(error.field)
            shown = "" if value is None or is_dataclass(value) else f" = {brief(value)}"
            self.problems.append(f"{said.place}: {prefix}{error.field}{shown}: {error.reason}")
            return None

    def value(self, shape: Shape, given: Given, key: str, default: Any) -> Any:
        """What a field takes from one entry."""
        table = table_of(shape)
        if table is not None and (given.table is not None or not isinstance(shape, Either)):
            return self.nested(table, given, key, default)
        try:
            return fitted(shape, unwrapped(given))
        except Refused as refusal:
            self.refuse(given, key, str(refusal))
            return None

    def nested(self, shape: Table, given: Given, key: str, default: Any) -> Any:
        """A table, of the class that its `kind` names."""
        entries = given.table
        if entries is None:
            first = next(iter(slots_of(shape.kinds[0])), "key")
            self.refuse(given, key, f"a table, so set its keys, such as {key}.{first}")
            return None
        kind = chosen_kind(given, shape, default)
        if kind is None:
            names = [kind_name(one) for one in shape.kinds]
            if "kind" in entries:
                wrong = entries["kind"].value
                guess = did_you_mean(wrong, names) if isinstance(wrong, str) else ""
                self.refuse(entries["kind"], f"{key}.kind", f"no such kind; one of {', '.join(names)}{guess}")
            else:
                self.problems.append(f"{given.place}: {key}.kind: missing; one of {', '.join(names)}")
            return None
        return self.table(kind, given, key, default)

    def unknown(self, given: Given, key: str, kind: type, prefix: str) -> None:
        """There is no such key; which one was probably meant?"""
        name, siblings, entries = key.rsplit(".", 1)[-1], list(slots_of(kind)), given.table
        tables = [one for one in siblings if table_of(slots_of(kind)[one].shape)]
        if entries and given.place == COMMAND_LINE:  # an override names one key, so show that
            below, inner = next(iter(entries.items()))
            self.unknown(inner, f"{key}.{below}", kind, prefix)
        elif entries is not None:
            close = nearest(name, tables)
            guess = (
                f"; did you mean [{prefix}{close}]?"
                if close
                else f"; the tables are {', '.join(tables)}"
                if tables
                else ""
            )
            self.refuse(given, key, f"no such table{guess}")
        else:
            self.refuse(given, key, self.meant(key, kind, prefix))

    def meant(self, key: str, kind: type, prefix: str) -> str:
        """The nearest key of the same table, then one of that name elsewhere, then the nearest of all."""
        name, siblings, known = key.rsplit(".", 1)[-1], list(slots_of(kind)), list(fields_of(self.root))
        if needed := " or ".join(dict.fromkeys(field.when for field in known if field.key == key and field.when)):
            why = getattr(kind, "LACKS", {}).get(name)
            return f"no such key here{f', for {why}' if why else ''}; it needs {needed}"
        elsewhere = [field.key for field in known if field.key.rsplit(".", 1)[-1] == name]
        close = nearest(name, siblings)
        whole = nearest(key, [field.key for field in known], cutoff=0.75)
        if guess := whole or (prefix + close if close else elsewhere[0] if elsewhere else None):
            return f"no such key; did you mean {guess}?"
        return f"no such key; {f'[{prefix[:-1]}]' if prefix else 'the top level'} has {', '.join(siblings)}"


def spelled(name: str) -> str:
    """A key as a config would have it: in quotes where it is not a plain word, and only the beginning of a long one."""
    short = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    return short if re.fullmatch(r"[A-Za-z0-9_-]+(\.\.\.)?", short) else json.dumps(short)


def unwrapped(given: Given) -> Any:
    """The plain value again, for the inline tables of a list."""
    table = given.table
    return given.value if table is None else {name: unwrapped(one) for name, one in table.items()}


def fitted(shape: Shape, value: Any) -> Any:
    """The value as the field keeps it; raises Refused."""
    match shape:
        case Anything():
            return value
        case Nothing():
            if value is None or value == "none":
                return None
        case Scalar():
            return _scalar(shape, value)
        case Choice(values):
            for one in values:
                if type(one) is type(value) and one == value:
                    return one
            guess = (
                did_you_mean(value, [one for one in values if isinstance(one, str)]) if isinstance(value, str) else ""
            )
            raise Refused(f"must be {demand(shape)}{guess}")
        case Many(item):
            if isinstance(value, str) and isinstance(item, Scalar) and item.kind is str:
                return (fitted(item, value),)
            if isinstance(value, list | tuple):
                return tuple(
                    _item(item, one, number) for number, one in enumerate(cast("Sequence[Any]", value), start=1)
                )
        case Table(kinds):
            return _listed_table(kinds, value)
        case Either(members):
            for member in sorted(
                members, key=lambda one: not isinstance(one, Nothing)
            ):  # "none" is None before it is text
                try:
                    return fitted(member, value)
                except Refused:
                    continue
            words = [one for member in members if isinstance(member, Choice) for one in member.values]
            guess = (
                did_you_mean(value, [one for one in words if isinstance(one, str)]) if isinstance(value, str) else ""
            )
            raise Refused(f"must be {demand(shape)}{guess}")
    raise Refused(f"must be {demand(shape)}")


def _item(shape: Shape, value: Any, number: int) -> Any:
    try:
        return fitted(shape, value)
    except Refused as refusal:
        raise Refused(f"item {number}, {brief(value)}, {refusal}") from None


def _listed_table(kinds: tuple[type, ...], value: Any) -> Any:
    """A table inside a list."""
    shape = Table(kinds)
    if not isinstance(value, Mapping):
        raise Refused(f"must be {demand(shape)}")
    reader = Reader(kinds[0])
    found = reader.nested(shape, given(cast("Mapping[str, Any]", value), "there"), "item", MISSING)
    if reader.problems:
        raise Refused(reader.problems[0])
    return found


def _scalar(shape: Scalar, value: Any) -> Any:
    """bool is no number, 2.7 and "7" are no integers, an integer is a number."""
    kind, wanted = shape.kind, f"must be {demand(shape)}"
    if kind is float and type(value) is int and abs(value) < BITS:
        value = float(value)
    if type(value) is not kind:
        raise Refused(wanted)
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Refused(f"{wanted} in valid UTF-8")
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"{wanted}, and finite")
    if not -BITS <= value < BITS and kind is int:
        raise Refused(f"{wanted}, and fit 64 bits")
    if not all(inside(value, bounds) for bounds in shape.bounds):
        raise Refused(wanted)
    return value


def leaves(cfg: Any) -> dict[str, Any]:
    """Dotted key -> value."""
    return dict(_flat(to_tree(cfg), ""))


def _flat(tree: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


def differences(old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """(key, old, new) of every key that differs; of a table whose kind differs, the kind alone."""
    before, after = leaves(old), leaves(new)
    found = [
        (key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if (key in before) != (key in after) or before[key] != after[key]
    ]
    changed = {key.removesuffix("kind") for key, *_ in found if key.endswith(".kind")}
    return [
        one
        for one in found
        if one[0].endswith(".kind") or not any(prefix and one[0].startswith(prefix) for prefix in changed)
    ]
