"""A page of texts with their summaries: marked the spans that both have, and what the summary alone has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from core.record import Prediction
from tasks.summarization.sentences import words

PIECE = re.compile(r"\w+|\W+")
LEGEND = "Marked: words that stand in the text as well; underlined: in the summary alone."
"""Above a report's examples."""
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
        *(f'<p class="summary">{marked(output, copied(output, article)[0], new=True)}</p>' for output in best),
        f"<p>{marked(article, copied(best[0], article)[1], new=False)}</p>",
    ]
    if record.target is not None:
        lines.append(f'<p class="reference">Reference: {escape(str(record.target))}</p>')
    return "\n".join((*lines, "</article>"))


def present(prediction: Prediction) -> str:
    """The best summary above its text, as part of a page with STYLE, which shows the reference itself."""
    return write_page(replace(prediction, record=replace(prediction.record, target=None)), 1)


def copied(summary: str, article: str) -> tuple[list[range], list[range]]:
    """Spans of words that both have, as places in each: at every word of the summary the longest that the article has.

    The extractive fragments of Grusky et al. (2018), folded to one case; in the article the first place of each.
    """
    mine, theirs = words(summary), words(article)
    begins: dict[str, list[int]] = {}
    for at, word in enumerate(theirs):
        begins.setdefault(word, []).append(at)
    ours: list[range] = []
    places: list[range] = []
    here = 0
    while here < len(mine):
        best = range(0)
        for at in begins.get(mine[here], ()):
            size = 1
            while here + size < len(mine) and at + size < len(theirs) and mine[here + size] == theirs[at + size]:
                size += 1
            if size > len(best):
                best = range(at, at + size)
        if best:
            ours.append(range(here, here + len(best)))
            places.append(best)
        here += max(len(best), 1)
    return ours, apart(places)


def apart(spans: Sequence[range]) -> list[range]:
    """In order, those that overlap as one."""
    found: list[range] = []
    for one in sorted(spans, key=lambda span: span.start):
        if found and one.start < found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, one.stop))
        else:
            found.append(one)
    return found


def marked(text: str, spans: Sequence[range], *, new: bool) -> str:
    """Each span of words in one `mark`, in a summary the words outside of them in `ins`."""
    first, last = {span.start for span in spans}, {span.stop - 1 for span in spans}
    inside = {at for span in spans for at in span}
    parts: list[str] = []
    at = 0
    for piece in PIECE.findall(text):
        shown, count = escape(piece), len(words(piece))  # a letter may fold to two words
        here = range(at, at + count)
        parts.append("<mark>" if first.intersection(here) else "")
        parts.append(f"<ins>{shown}</ins>" if new and count and not inside.intersection(here) else shown)
        parts.append("</mark>" if last.intersection(here) else "")
        at += count
    return "".join(parts)
