"""What `--help` and `--help-all` print."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from core.config_docs import default_text, grouped
from core.config_shape import FieldOf
from core.flags import HELP, Flag


def page(
    program: str, summary: str, usage: str, flags: Sequence[Flag], notes: Sequence[str], examples: Sequence[str]
) -> str:
    """One screen."""
    shown = [one for one in (*flags, *HELP) if not one.hidden]
    names = [f"{one.name} {'|'.join(one.choices) or one.value}".rstrip() for one in shown]
    width = max(len(name) for name in names) + 2
    lines = [summary, "", f"usage: {program} {usage}", ""]
    lines += [f"  {name:<{width}}{one.meaning}" for name, one in zip(names, shown, strict=True)]
    lines += ["", *notes, "", "examples:", *(f"  {program} {one}" for one in examples)]
    return "\n".join(lines) + "\n"


def all_keys(known: list[FieldOf]) -> str:
    """Every config key: value, default, meaning."""
    lines: list[str] = []
    for table, rows in grouped(known):
        for when in dict.fromkeys(row.when for row in rows):
            lines += ["", when or (f"[{table}]" if table else "top level")]
            for row in (row for row in rows if row.when == when):
                lines.append(f"  {row.key} = {default_text(row) or '(required)'}    {row.type}")
                lines += textwrap.wrap(row.documentation, 110, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines).lstrip("\n") + "\n"
