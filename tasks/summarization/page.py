"""A page of texts with their summaries: marked what both have, and what the summary alone has."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

from core.record import Prediction
from tasks.summarization.sentences import words

PIECE = re.compile(r"\w+|\W+")
STYLE = """
article { padding: 0.2em 0 } article > h2 { display: none }
p { margin: 0.3em 0; white-space: pre-wrap; overflow-wrap: anywhere; max-width: none }
p.summary { font-size: 1.1em } p.reference { opacity: 0.75 }
"""
"""Of a summary within a page that has colours of its own for `mark` and `ins`."""
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Summaries</title><style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
article { border-top: 1px solid #ccc; padding: 1em 0 }
h2 { font-size: 0.9em; color: #666; margin: 0 0 0.5em; font-weight: normal }
p { margin: 0.3em 0; white-space: pre-wrap; overflow-wrap: anywhere }
p.summary { font-size: 1.2em } p.reference, p.legend { color: #666 }
mark { background: #ffe9a8; color: inherit } ins { text-decoration: none; border-bottom: 2px solid #3a7 }
</style></head><body>
<p class="legend"><mark>in text and summary</mark> · <ins>in the summary alone</ins></p>
"""
FOOT = "</body></html>\n"


def write_page(prediction: Prediction, n_best: int) -> str:
    """One text, with the words of its best summary marked."""
    record = prediction.record
    article = str(record.source)
    best = [one.output for one in prediction.hypotheses[:n_best]] or [""]
    lines = [
        f"<article><h2>{escape(record.key)}</h2>",
        *(f'<p class="summary">{marked(output, set(words(article)), new=True)}</p>' for output in best),
        f"<p>{marked(article, set(words(best[0])), new=False)}</p>",
    ]
    if record.target is not None:
        lines.append(f'<p class="reference">Reference: {escape(str(record.target))}</p>')
    return "\n".join((*lines, "</article>"))


def present(prediction: Prediction) -> str:
    """The best summary above its text, as part of a page with STYLE, which shows the reference itself."""
    return write_page(replace(prediction, record=replace(prediction.record, target=None)), 1)


def marked(text: str, other: set[str], *, new: bool) -> str:
    """Words that the other text has in `mark`, in a summary those that it has not in `ins`."""
    parts: list[str] = []
    for piece in PIECE.findall(text):
        folded, shown = piece.casefold(), escape(piece)
        if folded in other:
            parts.append(f"<mark>{shown}</mark>")
        elif new and piece[0].isalnum():
            parts.append(f"<ins>{shown}</ins>")
        else:
            parts.append(shown)
    return "".join(parts)
