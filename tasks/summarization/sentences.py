"""Text -> sentences, for leads and for rougeLsum: a line break, or a full stop before what looks like a beginning."""

from __future__ import annotations

import re

NAME = "lines+stops:1"
"""For signatures; counts up when a boundary moves."""
END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[\w*-])|\n+")
GOES_ON = frozenset(
    (
        *("e.g", "i.e", "vs", "cf", "etc", "approx", "resp", "incl", "esp", "no", "fig", "eq", "sec", "vol"),
        *("dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr"),
    )
)
"""What a full stop abbreviates; single letters too."""
LONGEST = 12
"""Letters that are looked at before a full stop: an abbreviation and what stands before it."""
WORD = re.compile(r"\w+")


def sentences(text: str) -> list[str]:
    """In order, without the white space between them; an abbreviation or a lower-case word goes on."""
    found: list[str] = []
    begin = 0
    for gap in END.finditer(text):
        last, after = text[max(begin, gap.start() - LONGEST) : gap.start()], text[gap.end() : gap.end() + 1]
        if "\n" not in gap[0] and (after.islower() or abbreviated(last)):
            continue
        if here := text[begin : gap.end()].strip():
            found.append(here)
        begin = gap.end()
    if rest := text[begin:].strip():
        found.append(rest)
    return found


def abbreviated(text: str) -> bool:
    """Whether it ends in an abbreviation, which does not end a sentence."""
    if not text.endswith("."):
        return False
    word = re.split(r"[\s(\[\"']", text[:-1])[-1].lower()
    return (len(word) == 1 and word.isalpha()) or word in GOES_ON


def words(text: str) -> list[str]:
    """Runs of letters and digits, case folded: what novelty and compression count."""
    return WORD.findall(text.casefold())
