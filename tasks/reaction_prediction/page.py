"""One HTML page of all inputs: the drawn reactions with rank, probability, validity and warnings."""

from __future__ import annotations

from core.record import Prediction
from tasks.reaction_prediction.drawing import chance, escaped, svg_of
from tasks.reaction_prediction.written import ranked

STYLE = """
section { border-top: 1px solid #ccc; padding: 1em 0; }
h2 { font-size: 1.05em; margin: 0 0 .6em; overflow-wrap: anywhere; }
h2 small { font-weight: normal; opacity: .75; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: middle; padding: .3em .7em; border-top: 1px solid #8884; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; width: 6em; }
td.end, th.end { width: 4em; }
td svg { max-width: 100%; height: auto; display: block; background: #fff; }
code { font-size: .85em; overflow-wrap: anywhere; }
.warning { color: #c44; }
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


def section(prediction: Prediction, n_best: int = 10) -> str:
    """One input."""
    record = prediction.record
    error = str(record.meta.get("error", ""))
    if error:
        return f'<section>\n<p class="warning">{escaped(error)}</p>\n</section>'
    lines = [
        "<section>",
        f"<h2>{escaped(record.key)} <small><code>{escaped(str(record.source))}</code></small></h2>",
        "<table>",
        '<tr><th class="number">rank</th><th>reaction</th><th class="number">probability</th><th class="end">valid</th></tr>',
    ]
    for one in ranked(prediction, n_best):
        warning = f'<div class="warning">{escaped(one.warning)}</div>' if one.warning else ""
        lines.append(
            f'<tr><td class="number">{one.rank}</td>'
            f"<td>{svg_of(prediction, one)}<code>{escaped(one.smiles)}</code>{warning}</td>"
            f'<td class="number">{chance(one.probability)}</td><td class="end">{"yes" if one.valid else "no"}</td></tr>'
        )
    return "\n".join([*lines, "</table>", "</section>"])
