"""One HTML page of all inputs: the drawn reactions with rank, probability, validity and warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.record import Prediction
from tasks.reaction_prediction.chemistry import canonical
from tasks.reaction_prediction.drawing import chance, escaped, svg_of
from tasks.reaction_prediction.metrics import wanted
from tasks.reaction_prediction.written import Answer, ranked

LEGEND = (
    "Answers by rank, with the probability that the model gives the whole answer; valid: RDKit reads and sanitises it."
)
"""Above a report's examples."""
STYLE = """
section { border-top: 1px solid #ccc; padding: 1em 0; }
h2 { font-size: 1.05em; margin: 0 0 .6em; overflow-wrap: anywhere; }
h2 small { font-weight: normal; opacity: .75; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: middle; padding: .3em .7em; border-top: 1px solid #8884; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; width: 6em; }
td.end, th.end { width: 4em; }
td svg { max-width: 100%; height: auto; display: block; background: #fff; border-radius: .3rem; }
code { font-size: .85em; overflow-wrap: anywhere; }
.warning { color: var(--bad, #b3352b); } .met { color: var(--good, #1d7f4e); font-weight: 600; }
@media (max-width: 40rem) {
  tr { display: flex; flex-wrap: wrap; gap: 0 1em; border-top: 1px solid #8884 } tr:has(th) { display: none }
  td { border: 0; padding: .2em 0; width: auto !important } td:nth-child(2), td:only-child { flex: 1 0 100%; order: 1 }
  td.number:nth-child(1)::before { content: "rank " } td.number:nth-child(3)::before { content: "probability " }
  td.end::before { content: "valid: " }
}
"""
HEAD = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Predicted reactions</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #222; background: #fff; }}{STYLE}</style>
</head>
<body>
<h1>Predicted reactions</h1>
"""
FOOT = "</body>\n</html>\n"


FEW = 3
"""Answers that a report draws, beside the one that is right."""


def section(prediction: Prediction, n_best: int = 10) -> str:
    """One input."""
    record = prediction.record
    error = str(record.meta.get("error", ""))
    if error:
        return f'<section>\n<p class="warning">{escaped(error)}</p>\n</section>'
    source = f"<small><code>{escaped(str(record.source))}</code></small>"
    lines = ["<section>", f"<h2>{escaped(record.key)} {source}</h2>", *table(prediction, ranked(prediction, n_best))]
    return "\n".join([*lines, "</section>"])


def present(prediction: Prediction) -> str:
    """In a report: the first few of ten answers, and the one that is right wherever it stands among them."""
    right, found = met(prediction), ranked(prediction, 10)
    shown = [one for one in found if one.rank <= FEW or one.smiles in right]
    more = len(found) - len(shown)
    left = [f'<p class="facts">{more} further answers are not shown</p>'] if more else []
    return "\n".join([f"<code>{escaped(str(prediction.record.source))}</code>", *table(prediction, shown), *left])


def met(prediction: Prediction) -> set[str]:
    """Canonical references, where there are any."""
    return wanted(prediction.record) if prediction.record.target is not None else set()


def table(prediction: Prediction, answers: Sequence[Answer]) -> list[str]:
    """A row an answer, drawn, with what is to be said about it."""
    right = met(prediction)
    lines = [
        "<table>",
        '<tr><th class="number">rank</th><th>reaction</th><th class="number">probability</th><th class="end">valid</th></tr>',
    ]
    for one in answers:
        said = '<div class="met">the reference</div>' if one.smiles in right else ""
        warning = f'<div class="warning">{escaped(one.warning)}</div>' if one.warning else ""
        lines.append(
            f'<tr><td class="number">{one.rank}</td>'
            f"<td>{svg_of(prediction, one)}<code>{escaped(one.smiles)}</code>{said}{warning}</td>"
            f'<td class="number">{chance(one.probability)}</td><td class="end">{"yes" if one.valid else "no"}</td></tr>'
        )
    return [*lines, "</table>"]


def reference(prediction: Prediction) -> str:
    """The first reference, drawn as answers are."""
    target = str(prediction.record.target)
    form = canonical(target)
    one = Answer(0, form or target, math.nan, math.nan, form is not None, "")
    return f"<table><tr><td>{svg_of(prediction, one)}<code>{escaped(one.smiles)}</code></td></tr></table>"
