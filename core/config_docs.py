"""docs/configs.md from the config classes: `python -m core.config_docs tasks:TASKS > docs/configs.md`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields

from core.config_shape import FieldOf, fields_of
from core.config_text import toml_value
from core.registry import Registry
from core.settings import RunConfig

HEAD = """# Config keys

Generated from the config classes by `python -m core.config_docs tasks:TASKS > docs/configs.md`; a test keeps it fresh.

A config file is TOML. Whatever it leaves out has the default given here. It may begin with `extends = "other.toml"`
(relative to itself, one level): tables merge, but a table whose `kind` changes is replaced, on the command line too.
Behind the file, the command line takes `key=value` with the dotted names below (`train.steps=1000 model.kind=rnn`; text
needs no quotes). An unknown key, a value of another type or one that cannot be is refused with its place; an integer
serves as a number, nothing else is converted. `--show` prints the resolved config and where each value came from,
`--help-all` this list with the task's own keys.
"""


def page(tasks: Mapping[str, type]) -> str:
    """All tables; those of the tasks named by task."""
    parts = [HEAD]
    for table, rows in grouped(core_fields()):
        parts.append(f"## {f'[{table}]' if table else 'Top level'}\n\n{rows_of(rows)}")
    for name, kind in sorted(tasks.items()):
        rows = list(fields_of(kind, "task."))
        parts.append(f"## [task] of {name}\n\n{rows_of(rows) if rows else 'No keys of its own.'}\n")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def core_fields() -> list[FieldOf]:
    """The keys of every run, without the task's own."""
    own = {field.name for field in fields(RunConfig)} - {"task"}
    return [field for field in fields_of(RunConfig) if field.key.split(".")[0] in own]


def grouped(known: list[FieldOf]) -> Iterator[tuple[str, list[FieldOf]]]:
    """Tables in order, each with its keys."""
    tables = dict.fromkeys(field.key.rpartition(".")[0] for field in known)
    for table in tables:
        yield table, [field for field in known if field.key.rpartition(".")[0] == table]


def rows_of(rows: list[FieldOf]) -> str:
    """A Markdown table for each kind."""
    parts: list[str] = []
    for when in dict.fromkeys(row.when for row in rows):
        own = [row for row in rows if row.when == when]
        lines = [f"### `{when}`", ""] if when else []
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{row.key}` | {_cell(row.type)} | {_code(default_text(row))} | {_cell(row.documentation)} |"
            for row in own
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def default_text(field: FieldOf) -> str:
    """As TOML; empty where there is none."""
    return "" if field.default is MISSING else toml_value(field.default)


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else "required"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def task_configs(place: str) -> dict[str, type]:
    """Name -> config class of the built-in tasks of a registry, given as module:attribute."""
    module, _, attribute = place.partition(":")
    registry: Registry = getattr(importlib.import_module(module), attribute)
    return {name: registry[name].config for name in registry.names() if registry.claim(name).package == "transduce"}


if __name__ == "__main__":
    print(page(task_configs(sys.argv[1]) if len(sys.argv) > 1 else {}), end="")
