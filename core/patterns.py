"""Regular expressions that a stranger may have written: which of them take a bounded time for each character of a text."""

from __future__ import annotations

import re

LONGEST = 1000
"""Characters of a pattern."""
MOST = 100
"""Times that a bounded repetition goes at most."""
PARTS = re.compile(
    r"(?P<sign>\\[^1-9]|\[\^?\]?(?:[^\]\\]|\\.)*\]|[^\\\[\](){}*+?|])|(?P<or>\|)"
    r"|(?P<repeat>[*+?]|\{(?P<least>\d{0,3})(?P<comma>,?)(?P<most>\d{0,3})\})[?+]?",
    re.DOTALL,
)
"""What a pattern is made of: signs and classes, repeated or not, and alternatives of them."""


def slow(pattern: str) -> str:
    """Why a pattern may take more than a bounded time for each character of a text, as one in a stranger's tokenizer may be meant to.

    An alternative repeats one sign or class, at most `MOST` times unless nothing behind it can fail; there are no groups.
    """
    if len(pattern) > LONGEST:
        return f"longer than {LONGEST} characters"
    at, before = 0, ""
    repeated = False
    while at < len(pattern):
        found = PARTS.match(pattern, at)
        if found is None or (found["repeat"] and before != "sign"):
            return f"{pattern[at : at + 10]!r} at {at + 1}: signs and classes, repeated or not, with | between alternatives are right"
        before, at = found.lastgroup or "", found.end()
        if found["repeat"]:
            before = "repeat"
            endless = found["repeat"] in ("*", "+") or bool(found["comma"] and not found["most"])
            if endless and at < len(pattern) and pattern[at] != "|":
                return f"{found['repeat']!r} at {found.start() + 1} is not the end of an alternative; give it a bound, {{1,30}} say"
            if max(int(found["most"] or 0), int(found["least"] or 0)) > MOST:
                return f"{found['repeat']!r} at {found.start() + 1} is more than {MOST} times"
            if repeated:
                return f"{found['repeat']!r} at {found.start() + 1} is a second repetition in one alternative"
            repeated = True
        elif found["or"]:
            repeated = False
    return ""
