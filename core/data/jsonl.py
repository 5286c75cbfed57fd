"""JSON lines: {"id", "source", "target", "meta"}, the layout that every task reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.data.lines import Line, read_lines
from core.errors import BadRecord
from core.record import Record

Read = Callable[[Any], Any]
"""A JSON value -> what the task works on; raises BadRecord without a place."""


def read_jsonl(
    path: Path, *, read: Read | None = None, read_target: Read | None = None, targets: bool = True, prefix: str = ""
) -> Iterator[Record]:
    """Records of a file; one that is refused raises BadRecord, and the next call goes on after it (it is a `map`).

    Without `targets` a record needs none. Records without an id are numbered: "PREFIX-LINE".
    """

    def parse(line: Line) -> Record:
        return read_line(line, read or text, read_target or text, targets=targets, prefix=prefix)

    return map(parse, (line for line in read_lines(path) if line.raw.strip()))


def read_line(line: Line, read: Read, read_target: Read, *, targets: bool, prefix: str) -> Record:
    """One line -> one record."""
    return read_tree(json_object(line), line, read, read_target, targets=targets, prefix=prefix)


def json_object(line: Line) -> dict[str, Any]:
    """The object that a line holds."""
    try:
        tree = json.loads(line.text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise line.bad(f"not JSON: {error.msg} at column {error.colno}") from None
    except (RecursionError, ValueError) as error:  # nested too deep, no number, too many digits
        raise line.bad("nested too deep" if isinstance(error, RecursionError) else f"not JSON: {error}") from None
    if b"\\ud" in line.raw.lower():
        try:
            json.dumps(tree, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise line.bad("half of a character (a lone surrogate), which no text has") from None
    if not isinstance(tree, dict):
        raise line.bad(f'a record is an object like {{"source": ..., "target": ...}}, not {name_of(tree)}')
    return tree  # pyright: ignore[reportUnknownVariableType]


def read_tree(tree: dict[str, Any], line: Line, read: Read, read_target: Read, *, targets: bool, prefix: str) -> Record:
    """A JSON object -> one record."""
    key = tree.get("id", f"{prefix}-{line.number}" if prefix else str(line.number))
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise line.bad(f"`id` is {name_of(key)}; a text or a whole number is right")
    meta = tree.get("meta") or {}
    if not isinstance(meta, dict):
        raise line.bad(f"`meta` is {name_of(meta)}; an object is right")
    meta = {**meta, "place": line.place}  # pyright: ignore[reportUnknownVariableType]
    if "source" not in tree:
        raise line.bad("no `source`" + (f"; there are {', '.join(tree)}" if tree else ""))
    if targets and tree.get("target") is None:
        raise line.bad("no `target`")
    source = converted(line, "source", read, tree["source"])
    target = converted(line, "target", read_target, tree["target"]) if targets else None
    references = meta.pop("references", None) or ()
    if not isinstance(references, list | tuple):
        raise line.bad(f"`meta.references` is {name_of(references)}; a list is right")
    if references and targets:
        more: list[Any] = list(references)  # pyright: ignore[reportUnknownArgumentType]
        meta["references"] = tuple(converted(line, "meta.references", read_target, one) for one in more)
    return Record(str(key), source, target, meta)


def converted(line: Line, field: str, read: Read, value: Any) -> Any:
    """What the task makes of a value, its refusal with the place."""
    try:
        return read(value)
    except BadRecord as error:
        raise line.bad(f"`{field}`: {error}") from None


def text(value: Any) -> str:
    """A string as it is: what tasks without `read` take."""
    if not isinstance(value, str):
        raise BadRecord(f"{name_of(value)}; a text is right")
    return value


def refuse_constant(name: str) -> Any:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(f"{name} is no JSON number")


def name_of(value: Any) -> str:
    """The JSON name of a value's type, and the value where it is short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}" if len(str(value)) < 20 else "a number"
        case str():
            return f"the text {value!r}" if len(value) < 40 else "a text"
        case list():
            return "a list"
        case _:
            return "an object"
