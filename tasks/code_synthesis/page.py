"""A program as its readers look at one: its code in colour, and each of its tests with what came of it."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence
from html import escape

from core.errors import BadRecord
from core.record import Prediction, Record
from tasks.code_synthesis.canonical import KEYWORDS as OF_SQL
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.running import Check, run_tests, tests_of

LEGEND = "Each answer with what came of its tests: the given examples, then those that the model never saw."
"""Above a report's examples."""
STYLE = """
pre { margin: .4rem 0; padding: .5rem .7rem; overflow-x: auto; font: .88em/1.45 ui-monospace, Menlo, Consolas, monospace;
  border-left: 3px solid var(--line) }
pre .k { color: light-dark(#8e3fb5, #cf95ec); font-weight: 600 } pre .s { color: var(--good) }
pre .n { color: light-dark(#b34a14, #f0935f) } pre .c { color: var(--faint); font-style: italic }
pre .b { color: light-dark(#2459c4, #8ab4ff) }
p.request { margin: 0 0 .3rem; font-weight: 500 } p.none { color: var(--faint); font-size: .92em }
table.tests { font-size: .85em; margin: .3rem 0 } table.tests td { padding: .1rem .7rem .1rem 0; overflow-wrap: anywhere }
table.tests th { padding: 0 .7rem 0 0; color: var(--faint); font-weight: 400 }
td.passed { color: var(--good); font-weight: 600 } td.failed { color: var(--bad); font-weight: 600 }
"""
"""Within a page that has colours of its own."""
PIECE = re.compile(
    r"(?P<c>\#[^\n]*|--[^\n]*)"
    r"|(?P<s>[bfru]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    r"|(?P<n>\b\d[\w.]*)|(?P<w>\b[A-Za-z_]\w*)|(?P<o>.)",
    re.DOTALL,
)
TESTS = (("examples", "given examples"), ("tests", "hidden tests"))
MOST = 8
"""Tests of a kind that are shown."""


def present(prediction: Prediction) -> str:
    """The request, the best answer, and its tests, which are run in the jail with the limits of a default config."""
    record = prediction.record
    parts = [f'<p class="request">{escape(str(record.source))}</p>']
    parts.append(f"<pre>{coloured(prediction.output)}</pre>" if prediction.output else '<p class="none">(empty)</p>')
    return "\n".join((*parts, *results(record, prediction.output)))


def reference(prediction: Prediction) -> str:
    """The first reference in the same colours."""
    return f"<pre>{coloured(str(prediction.record.target))}</pre>"


def coloured(code: str) -> str:
    """Python or SQL, told by how it begins; anything else has strings and numbers in colour."""
    words = OF_SQL if re.match(r"\s*(select|with)\b", code, re.IGNORECASE) else frozenset(keyword.kwlist)
    fold = words is OF_SQL
    found: list[str] = []
    for match in PIECE.finditer(code):
        kind, text = match.lastgroup or "o", match.group()
        if kind == "c" and text.startswith("--" if not fold else "#"):
            kind = "o"
        if kind == "w":
            kind = (
                "k"
                if (text.lower() if fold else text) in words
                else "b"
                if not fold and hasattr(builtins, text)
                else "o"
            )
        found.append(escape(text) if kind == "o" else f'<span class="{kind}">{escape(text)}</span>')
    return "".join(found)


def results(record: Record, code: str) -> list[str]:
    """A table of each kind of tests that the record has; where there is no jail, why none was run."""
    from core.jail import NoJail

    made: list[str] = []
    for name, title in TESTS:
        try:
            tests = tests_of(record, name)
        except BadRecord:
            continue
        if not tests:
            continue
        try:
            (verdict,) = run_tests(CodeConfig(), [(code, tests)])
        except NoJail as error:
            return [*made, f'<p class="none">tests were not run: {escape(str(error))}</p>']
        made.append(shown(title, tests, verdict))
    return made


def shown(title: str, tests: Sequence[Check], verdict: Sequence[bool]) -> str:
    """Failed ones first, so that none of them is left out."""
    order = sorted(range(len(tests)), key=lambda n: (verdict[n], n))
    rows = [
        f'<tr><td class="{"passed" if verdict[n] else "failed"}">{"passed" if verdict[n] else "failed"}</td>'
        f"<td><code>{escape(tests[n].call)}</code></td><td><code>{escape(tests[n].expected)}</code></td></tr>"
        for n in order[:MOST]
    ]
    more = f", {len(tests) - MOST} more" if len(tests) > MOST else ""
    head = f'<p class="none">{title}: {sum(verdict)} of {len(tests)} passed{more}</p>'
    names = "<tr><th></th><th>call</th><th>expected</th></tr>"
    return f'{head}<table class="tests">{names}{"".join(rows)}</table>'
