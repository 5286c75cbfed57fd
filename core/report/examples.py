"""Answers to look at: the best, the worst, and some between, each as its field looks at one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from html import escape
from typing import Any

from core.data.split import hashed_share
from core.record import Prediction
from core.report.links import linked
from core.report.words import Aligned

ALIGNED = "aligned"
"""Of a record's meta: its words beside the output's (core.report.words.Aligned), where a page has asked the model."""
LONGEST = 2000
"""Characters of a text that are shown."""
PIECE = re.compile(r"(\s*)(\w+|[^\w\s])")


def as_text(value: Any, most: int = LONGEST) -> str:
    """A source or a target for a person; what a task calls its own type's identity where it has one."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict | list | tuple):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(getattr(value, "identity", value))
    return text if len(text) <= most else text[: most - 1] + "…"


def choose(predictions: Sequence[Prediction], scores: Sequence[float], each: int = 3) -> dict[str, list[int]]:
    """Rows by name; the first metric orders them, then how sure the model was. No row stands twice; chance is a hash of the keys."""

    def sure(row: int) -> float:
        best = predictions[row].hypotheses[:1]
        return best[0].total / max(len(best[0].logp), 1) if best else 0.0

    order = sorted(range(len(predictions)), key=lambda row: (-scores[row], -sure(row), row))
    middle = max(0, (len(order) - each) // 2)
    found = {"Best": order[:each], "Worst": order[::-1][:each], "Median": order[middle : middle + each]}
    found["At random"] = sorted(
        range(len(predictions)), key=lambda row: (hashed_share(predictions[row].record.key), row)
    )
    seen: set[int] = set()
    for name, rows in found.items():
        found[name] = [row for row in rows if row not in seen and not seen.add(row)][:each]
    return {name: found[name] for name in ("Best", "Median", "Worst", "At random") if found[name]}


Present = Callable[[Prediction], str] | None


def example(prediction: Prediction, said: str, present: Present, present_target: Present = None) -> str:
    """One record; the latter two are the task's own renderings of the answer and of the reference."""
    record = prediction.record
    head = f"<h3>{escape(record.key)}{' · ' + escape(said) if said else ''}</h3>"
    target = [] if record.target is None else [("reference", escape(as_text(record.target)))]
    if present is not None:
        shown = present_target(prediction) if target and present_target is not None else ""
        own = f'<p class="note">reference</p><div class="domain">{shown}</div>' if shown else listed(target)
        body = f'<div class="domain">{present(prediction)}</div>{own}'
    else:
        output = marked(prediction.output, as_text(record.target)) if target else escape(as_text(prediction.output))
        aligned = record.meta.get(ALIGNED)
        drawn = linked(aligned) if isinstance(aligned, Aligned) else ""
        rows = [("source", escape(as_text(record.source))), *target, ("output", output or "<em>(empty)</em>")]
        body = drawn + listed(rows)
    return f'<div class="example">{head}{body}</div>'


def listed(rows: Sequence[tuple[str, str]], *, stacked: bool = False) -> str:
    """Names and their HTML beside them; below them, where that needs the whole width."""
    kind = ' class="stacked"' if stacked else ""
    return f"<dl{kind}>{''.join(f'<dt>{escape(name)}</dt><dd>{cell}</dd>' for name, cell in rows)}</dl>" if rows else ""


def marked(output: str, target: str) -> str:
    """The output with what the reference has not in `ins`, and what it lacks in `del`: by words, or letters of one word."""
    output, target = as_text(output), as_text(target)
    words = any(one.isspace() for one in output.strip() + target.strip())
    mine, right = (pieces(one) if words else [("", letter) for letter in one] for one in (output, target))
    same = SequenceMatcher(None, [word for _, word in right], [word for _, word in mine], autojunk=False)
    parts: list[str] = []
    for what, begin, end, first, last in same.get_opcodes():
        lost, new = spelled(right[begin:end]), spelled(mine[first:last])
        if what == "equal":
            apart = words and bool(parts) and not mine[first][0]  # what was left out before it took its space along
            parts.append(escape(right[begin][0] + new if apart else new))
            continue
        parts += [inside("del", lost, apart=words and bool(parts)), inside("ins", new, apart=words and begin < end)]
    return "".join(parts)


def pieces(text: str) -> list[tuple[str, str]]:
    """Words and signs, each with the space before it."""
    return [(space, word) for space, word in PIECE.findall(text)]


def spelled(found: Sequence[tuple[str, str]]) -> str:
    """As it stood."""
    return "".join(space + word for space, word in found)


def inside(tag: str, text: str, *, apart: bool) -> str:
    """Marked without the space before it, which stays; what was said and what should have been never run together."""
    words = text.lstrip()
    if not words:
        return ""
    space = text[: len(text) - len(words)] or (" " if apart else "")
    return f"{escape(space)}<{tag}>{escape(words)}</{tag}>"
