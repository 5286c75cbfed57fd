"""A page that is one file: it loads nothing, is light or dark as its reader's system is, and fits a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.leaderboard.markdown import number

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#222;--muted:#5c5c5c;--rule:#ddd;--axis:#777;--link:#2359a8}
@media(prefers-color-scheme:dark){:root{--paper:#16181c;--ink:#e4e6ea;--muted:#a9aeb7;--rule:#363b44;--axis:#8b919b;--link:#8ab4f8}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:1.5rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1,h2,h3{line-height:1.2}h2{margin-top:2.2rem}a{color:var(--link)}code{font-size:12px;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{padding:.28rem .6rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
th:first-child,td:first-child{position:sticky;left:0;background:var(--paper)}
th.text,td.text{text-align:left}td.free{white-space:normal;min-width:8rem}
th button{font:inherit;font-weight:600;background:none;border:0;padding:0;cursor:pointer;color:inherit}
th[aria-sort=ascending] button::after{content:" \\25B2"}th[aria-sort=descending] button::after{content:" \\25BC"}
tr.floor{color:var(--muted)}tr.submitted td:first-child::after{content:" (submitted)"}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}
.tools{display:flex;gap:.5rem 1rem;flex-wrap:wrap;margin:.5rem 0 1rem}input,select{font:inherit;max-width:12rem}
.key{margin-right:1em;white-space:nowrap}.key i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}
.plot{overflow-x:auto}svg{display:block}svg text{fill:var(--ink)}svg .muted{fill:var(--muted)}
svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--axis);fill:none}svg .ink{stroke:var(--ink)}
@media(max-width:600px){body{margin:.8rem auto;padding:0 .7rem}td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:6.5rem}}
"""
SORTING = """
for(const table of document.querySelectorAll("table.sorts")){
 const heads=[...table.tHead.rows[0].cells];
 heads.forEach((head,at)=>head.querySelector("button").addEventListener("click",()=>{
  const up=head.getAttribute("aria-sort")!=="ascending",body=table.tBodies[0];
  heads.forEach(one=>one.removeAttribute("aria-sort"));head.setAttribute("aria-sort",up?"ascending":"descending");
  const of=row=>row.cells[at].dataset.value,empty=row=>of(row)==="";
  const rows=[...body.rows].sort((a,b)=>{
   if(empty(a)||empty(b))return empty(a)-empty(b);
   const x=Number(of(a)),y=Number(of(b)),n=isNaN(x)||isNaN(y)?of(a).localeCompare(of(b)):x-y;return up?n:-n});
  body.append(...rows)}));
}
"""
Cell = tuple[str, str | float | None]
"""What is shown, and what it sorts by."""


def document(title: str, parts: Sequence[str], script: str = "") -> str:
    """The whole file."""
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>',
            f"<style>{STYLE}</style></head><body>",
            *parts,
            f"<script>{SORTING}{script}</script></body></html>\n",
        ]
    )


def table(
    head: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Cell]]],
    *,
    texts: int,
    name: str = "",
    free: Sequence[int] = (),
) -> str:
    """Sorts by a click on a heading; the first columns are text. A row is its attributes and its cells."""

    def kind(at: int) -> str:
        return ' class="text free"' if at in free else ' class="text"' if at < texts else ""

    titles = "".join(f'<th scope="col"{kind(at)}><button>{escape(one)}</button></th>' for at, one in enumerate(head))
    lines = []
    for attributes, cells in rows:
        inner = "".join(
            f'<td{kind(at)} data-value="{escape("" if value is None else str(value))}">{escape(said)}</td>'
            for at, (said, value) in enumerate(cells)
        )
        lines.append(f"<tr {attributes}>{inner}</tr>" if attributes else f"<tr>{inner}</tr>")
    identity = f' id="{name}"' if name else ""
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table class="sorts"{identity}><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


def shown(value: float | None, digits: int) -> Cell:
    """A number in its cell."""
    return number(value, digits), None if value is None else round(value, 6)
