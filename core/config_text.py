"""Config as TOML text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any


def to_tree(cfg: Any) -> dict[str, Any]:
    """Plain JSON: tables as objects, tuples as lists, None as null."""
    return {field.name: _plain(getattr(cfg, field.name)) for field in fields(cfg)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_tree(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def to_toml(cfg: Any) -> str:
    """Every key, tables in order; reading it gives an equal config."""
    return "".join(text + "\n" for text, _ in _lines(to_tree(cfg), ""))


def commented(cfg: Any, comment: Callable[[str], str]) -> str:
    """The same, with a remark behind each key."""
    lines = list(_lines(to_tree(cfg), ""))
    width = min(48, max((len(text) for text, key in lines if key), default=0))
    return "".join((f"{text:<{width}}  # {comment(key)}" if key else text) + "\n" for text, key in lines)


def _lines(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """(line, dotted key): leaves before tables, as TOML wants it."""
    for name, value in tree.items():
        if not isinstance(value, dict):
            yield f"{name} = {toml_value(value)}", prefix + name
    for name, value in tree.items():
        if isinstance(value, dict):
            yield "", ""
            yield f"[{prefix}{name}]", ""
            yield from _lines(value, f"{prefix}{name}.")


def toml_value(value: Any) -> str:
    """One value on one line."""
    match value:
        case None:
            return '"none"'
        case bool():
            return "true" if value else "false"
        case str():
            # TOML's basic strings are JSON's, except that TOML wants DEL escaped as well
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(toml_value(one) for one in value) + "]"
        case dict():
            return "{" + ", ".join(f"{name} = {toml_value(one)}" for name, one in value.items()) + "}"
        case _:
            return str(value)


def brief(value: Any, most: int = 80) -> str:
    """A value in a message."""
    text = toml_value(value)
    return text if len(text) <= most else text[: most - 3] + "..."
