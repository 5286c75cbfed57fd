"""One self-contained HTML page: no script, nothing loaded, dark and light, on a phone and on paper. All text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from core.report.charts import Chart, HeatMap
from core.report.svg import svg

CODE = re.compile(r"`([^`]+)`")
STYLE = """
:root { color-scheme: light dark; --ink: #1d1f23; --paper: #fff; --faint: #666c75; --line: #d9dce1; --card: #f5f6f8;
  --good: #1d7f4e; --bad: #b3352b; --mark: #ffe9a8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --paper: #15171b; --faint: #a0a6b0; --line: #343840;
  --card: #1e2127; --good: #5fcf97; --bad: #ff8f85; --mark: #5a4a12 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 0 auto; padding: 1rem 1.2rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem }
p { margin: .4rem 0; max-width: 52rem } .facts, .note { color: var(--faint) } .note { font-size: .92rem }
.missing { color: var(--faint); border-left: 3px solid var(--line); padding-left: .8rem }
nav { font-size: .92rem; margin: .8rem 0 } nav a { margin-right: .9rem; white-space: nowrap; display: inline-block }
a { color: inherit; text-decoration-color: var(--faint) }
.scroll { overflow-x: auto; margin: .6rem 0 }
table { border-collapse: collapse; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600; white-space: nowrap } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.long { overflow-wrap: anywhere; min-width: 16rem }
code { font: .88em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere }
code.whole { white-space: pre-wrap }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1rem 1.4rem; margin: .8rem 0 }
.charts > div { min-width: 0 } .charts svg { width: 100%; height: auto; max-width: 40rem; display: block }
.maps { display: flex; flex-wrap: wrap; gap: 1rem 1.6rem; align-items: flex-start }
.maps > div { overflow-x: auto; max-width: 100% } .maps svg { display: block }
details { margin: .6rem 0 } summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); gap: .7rem; align-items: start }
.examples.wide { grid-template-columns: minmax(0, 1fr) }
.example { background: var(--card); border-radius: .5rem; padding: .7rem .9rem; min-width: 0; overflow-x: auto }
.example h3 { margin: 0 0 .4rem; font-size: .92rem; color: var(--faint); font-weight: 500; overflow-wrap: anywhere }
.example dl { display: grid; grid-template-columns: fit-content(11rem) minmax(0, 1fr); gap: .2rem .9rem; margin: 0 }
.example dt { color: var(--faint); overflow-wrap: anywhere; min-width: 5rem }
.example dl.stacked { grid-template-columns: minmax(0, 1fr) }
.example dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 0 }
.links { overflow-x: auto; margin: 0 0 .5rem } .links svg { display: block; height: auto }
.domain { white-space: normal }
.domain h2 { border: 0; padding: 0; margin: 0; font-size: .95rem; font-weight: 500 } .domain section { border: 0; padding: 0 }
mark { background: var(--mark); color: inherit } ins { text-decoration: none; border-bottom: 2px solid var(--good) }
del { text-decoration: none; border-bottom: 2px dotted var(--bad) }
.good { color: var(--good) } .bad { color: var(--bad) }
@media (max-width: 40rem) { body { padding: .6rem .8rem 3rem; font-size: 15px }
  .example dl:not(.stacked) { grid-template-columns: fit-content(7rem) minmax(0, 1fr) } td, th { padding-right: .55rem } }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --faint: #444; --line: #bbb; --card: #fff;
    --good: #1d7f4e; --bad: #b3352b; --mark: #ffe9a8 }
  body { font-size: 10.5pt; max-width: none; padding: 0 } nav { display: none } details > summary { display: none }
  details::details-content { content-visibility: visible; display: block }
  .example, .charts > div, .maps > div, tr { break-inside: avoid } h2, h3 { break-after: avoid }
  .example { border: 1px solid #bbb } .scroll, .example, .maps > div, .links { overflow: visible }
  details pre { columns: 3; font-size: 8pt } .maps svg, .links svg { max-width: 100% !important; height: auto }
  .charts { grid-template-columns: 1fr 1fr } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""
INSIDE = """
.transduce tr { background: none !important } .transduce.transduce :is(td, th) { text-align: left }
.transduce.transduce :is(td.n, th.n) { text-align: right } .transduce.transduce dt { font-weight: 400 }
"""
"""Against what notebooks do to all tables and lists."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it; where `missing` says why there is nothing, that stands there."""

    title: str
    parts: Sequence[str] = ()
    missing: str = ""
    charts: Sequence[Chart | HeatMap] = field(default=())
    """All that `parts` show, for their files."""


def text(words: str, kind: str = "") -> str:
    """A paragraph; what stands between backticks is code."""
    shown = CODE.sub(r"<code>\1</code>", escape(words))
    return f'<p class="{kind}">{shown}</p>' if kind else f"<p>{shown}</p>"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Numbers stand to the right."""
    numeric = [
        bool(rows) and all(is_number(row[column]) for row in rows if row[column] not in ("", "–"))
        for column in range(len(head))
    ]

    def cells(row: Sequence[object], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if right else ' class=long' if unbroken(str(cell)) else ''}>{escape(str(cell))}</{tag}>"
            for cell, right in zip(row, numeric, strict=True)
        )

    lines = [f"<tr>{cells(head, 'th')}</tr>"]
    lines += [f"<tr>{cells(row, 'td')}</tr>" for row in rows]
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def unbroken(cell: str) -> bool:
    """Whether some word of a cell is longer than a line may be: a signature, a digest."""
    return max(map(len, cell.split()), default=0) > 40


def is_number(cell: object) -> bool:
    """Whether a cell begins as one: 12.3 [11.0, 13.5] does."""
    words = str(cell).replace(",", "").removeprefix("-").removeprefix("+").split()
    return bool(words) and words[0].rstrip("%").replace(".", "", 1).replace("e-", "", 1).isdigit()


def charts(found: Sequence[Chart]) -> str:
    """Side by side where there is room."""
    shown = [one for one in found if not one.empty]
    return f'<div class="charts">{"".join(f"<div>{svg(one)}</div>" for one in shown)}</div>' if shown else ""


def maps(found: Sequence[HeatMap]) -> str:
    """At their own size; a wide one scrolls."""
    return f'<div class="maps">{"".join(f"<div>{svg(one)}</div>" for one in found)}</div>' if found else ""


def folded(title: str, body: str) -> str:
    """Opened by a click; printed open."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def anchor(title: str) -> str:
    """For links within the page."""
    return "".join(one if one.isalnum() else "-" for one in title.lower())


def framed(body: str, style: str = "") -> str:
    """A part of a page for a page of someone else's, a notebook say: its rules are in force inside of it alone."""
    rules = STYLE.replace(":root", ":scope").replace("body {", ".transduce {") + INSIDE
    nested = f".domain.domain {{ {style} }}" if style else ""  # a notebook's own rules count as much
    return f'<div class="transduce"><style>@scope {{ {rules}{nested} }}</style><div class="examples wide">{body}</div></div>'


def page(title: str, lead: Sequence[str], sections: Sequence[Section], *, style: str = "") -> str:
    """`style` is a task's own, in force within examples alone."""
    links = "".join(f'<a href="#{anchor(one.title)}">{escape(one.title)}</a>' for one in sections)
    nested = f".domain {{ {style} }}\n" if style else ""
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}{nested}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *lead,
        f"<nav>{links}</nav>",
    ]
    for one in sections:
        lines.append(f'<section id="{anchor(one.title)}"><h2>{escape(one.title)}</h2>')
        lines += [text(f"Not measured: {one.missing}", "missing")] if one.missing else []
        lines += [*one.parts, "</section>"]
    return "\n".join([*lines, "</body></html>", ""])
