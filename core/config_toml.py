"""TOML file + `key=value` overrides -> a frozen config, strictly, remembering where each value came from.

A file may begin with `extends = "other.toml"` (relative to itself, one level). Tables merge, but one whose `kind`
changes is replaced.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from core.config_shape import fields_of, is_text, slots_of, table_of
from core.config_text import commented, to_toml, to_tree
from core.config_tree import COMMAND_LINE, Given, build, differences, from_tree, given, leaves, merged
from core.errors import ConfigError
from core.nearest import did_you_mean

__all__ = ["Loaded", "differences", "fields_of", "from_tree", "is_override", "load", "show", "to_toml", "to_tree"]

T = TypeVar("T")
DEFAULT = "default"
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
NAME = re.compile(r"""[\w.\-"' ]+""")
"""What stands before `=`, quoted or not."""
LONGEST = 1 << 18
"""Bytes of a config: far more than all keys with comments take."""
DEEPEST = 100
"""Tables within tables and lists within lists; Python's own limit depends on who calls."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A config, and for each dotted key "default", "FILE:LINE" or "command line"."""

    config: T
    origin: dict[str, str]


def load(kind: type[T], path: Path | None, overrides: Sequence[str] = ()) -> Loaded[T]:
    """Defaults, then the file that it extends, then the file, then the overrides."""
    root = Given({}, str(path) if path else COMMAND_LINE)
    if path is not None:
        root = read_file(kind, path)
    for one in ordered([parse_override(text, kind) for text in overrides]):
        root = merged(root, one, kind)
    cfg = build(kind, root)
    return Loaded(cfg, {key: origin_of(root, key.split(".")) for key in leaves(cfg)})


def show(loaded: Loaded[Any]) -> str:
    """The resolved config as TOML, with where each value came from."""
    return commented(loaded.config, lambda key: loaded.origin.get(key, DEFAULT))


def origin_of(root: Given, path: Sequence[str]) -> str:
    """Who gave a key its value."""
    for name in path:
        if (entries := root.table) is None or name not in entries:
            return DEFAULT
        root = entries[name]
    return root.place


def read_file(kind: type, path: Path) -> Given:
    """A config file, over the one that it extends."""
    own = parse_file(path)
    entries = own.table or {}
    extends = entries.pop("extends", None)
    if extends is None:
        return own
    if not isinstance(extends.value, str) or not extends.value:
        raise ConfigError(f'{extends.place}: extends: must be the name of a file, such as extends = "default.toml"')
    below = path.parent / extends.value
    try:
        base = parse_file(below)
    except ConfigError as error:
        raise ConfigError(f"{extends.place}: extends: {error}") from None
    if "extends" in (base.table or {}):
        raise ConfigError(f"{extends.place}: extends: {below} extends another file itself; only one level is followed")
    return merged(base, own, kind)


def parse_file(path: Path) -> Given:
    """The tree of one file, every value with its line."""
    try:
        text = bounded(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{did_you_mean(str(path), files_near(path))}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start + 1}") from None
    except ValueError as error:  # a NUL in a name
        raise ConfigError(f"{str(path)!r}: {error}") from None
    try:
        tree = tomllib.loads(text)
    except ValueError as error:
        reason = str(error)
        where = re.search(r"\s*\(at line (\d+), column (\d+)\)", reason)
        if where is not None:
            reason = f"{reason[: where.start()]} (column {where[2]})"
        line = where[1] if where else str(max(1, text.count("\n")))
        raise ConfigError(f"{path}:{line}: not TOML: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    if deeper(tree, DEEPEST):
        raise ConfigError(f"{path}: nested too deeply")
    return placed(tree, str(path), lines_of(text), "")


def bounded(path: Path) -> bytes:
    """A regular file's bytes: neither a pipe that nobody writes to nor a device without an end is waited for."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        if told.st_size > LONGEST:
            raise ConfigError(f"{path}: {told.st_size:,} bytes; a config has at most {LONGEST:,}")
        return file.read(LONGEST + 1)


def deeper(value: Any, levels: int) -> bool:
    """Whether tables and lists go deeper than so many levels."""
    found: list[Any] = [value]
    for _ in range(levels):
        found = [
            inner
            for one in found
            if isinstance(one, dict | list)
            for inner in (cast("dict[str, Any]", one).values() if isinstance(one, dict) else cast("list[Any]", one))
        ]
        if not found:
            return False
    return True


def placed(tree: dict[str, Any], file: str, lines: dict[str, int], key: str, line: int | None = None) -> Given:
    """The tree with places; a key whose line was not found has its table's."""
    line = lines.get(key, line)
    entries: dict[str, Given] = {}
    for name, value in tree.items():
        full = f"{key}.{name}" if key else name
        if isinstance(value, dict):
            entries[name] = placed(value, file, lines, full, line)
        else:
            entries[name] = Given(value, _at(file, lines.get(full, line)))
    return Given(entries, _at(file, line))


def _at(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def lines_of(text: str) -> dict[str, int]:
    """Dotted key or table -> line, as far as the beginnings of lines tell (tomllib keeps no positions)."""
    found: dict[str, int] = {}
    table, quoted = "", False
    for number, line in enumerate(text.split("\n"), start=1):
        if (line.count('"""') + line.count("'''")) % 2:
            quoted = not quoted
            if not quoted:
                continue
        elif quoted:
            continue
        stripped = line.strip()
        inner, closed, behind = stripped.lstrip("[").partition("]")
        if stripped.startswith("["):
            if closed and inner.strip() and "[" not in inner and behind.lstrip("]").lstrip()[:1] in ("", "#"):
                table = _bare(inner.strip())
                found.setdefault(table, number)
            continue
        key, equals, _ = stripped.partition("=")
        if equals and NAME.fullmatch(key := key.strip()):
            full = _bare(key)
            found.setdefault(f"{table}.{full}" if table else full, number)
    return found


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def files_near(path: Path) -> list[str]:
    """Config files that may have been meant."""
    folder = next((one for one in path.parents if one.is_dir()), Path())
    deep = "*.toml" if folder == path.parent else "*/*.toml"
    return [str(one) for pattern in {"*.toml", deep} for one in sorted(folder.glob(pattern))]


def is_override(word: str) -> bool:
    """Whether a word of the command line has the form key=value."""
    key, equals, _ = word.partition("=")
    return bool(equals and KEY.fullmatch(key.strip()))


def parse_override(text: str, kind: type) -> tuple[list[str], Any]:
    """The path and the value of `key=value`; a string needs no quotes."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not KEY.fullmatch(key):
        raise ConfigError(f"{COMMAND_LINE}: {text!r}: write key=value, such as train.steps=1000")
    path = key.split(".")
    return path, override_value(value, textual=takes_text(kind, path))


def override_value(text: str, *, textual: bool) -> Any:
    """As TOML where that is what it is; as it stands where the field is text, or where it is no TOML."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    if textual and not quoted and not text.startswith("["):
        return text
    try:
        tree = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return tree["value"] if len(tree) == 1 and not deeper(tree, DEEPEST) else text


def takes_text(kind: type, path: Sequence[str]) -> bool:
    """Whether the field of that name takes only strings, in whichever kind has it."""
    slot = slots_of(kind).get(path[0])
    if slot is None:
        return False
    if len(path) == 1:
        return is_text(slot.shape)
    table = table_of(slot.shape)
    return table is not None and any(takes_text(one, path[1:]) for one in table.kinds)


def ordered(overrides: Sequence[tuple[list[str], Any]]) -> list[Given]:
    """Whole tables and `kind`s first, outer before inner: on the command line their order does not matter."""

    def rank(one: tuple[list[str], Any]) -> tuple[bool, int]:
        chooses = one[0][-1] == "kind" or isinstance(one[1], dict)
        return not chooses, len(one[0]) if chooses else 0

    found: list[Given] = []
    for path, value in sorted(overrides, key=rank):
        tree = given(value, COMMAND_LINE)
        for name in reversed(path):
            tree = Given({name: tree}, COMMAND_LINE)
        found.append(tree)
    return found
