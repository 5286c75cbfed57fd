"""Texts that were damaged on their way: decoded wrongly once or twice, cut in the middle of a character, or with control characters."""

from __future__ import annotations

import re

MOJIBAKE = re.compile(
    "[\u00c2\u00c3\u00e2\u00d0\u00d1\u00ce\u00cf\u00c4\u00c5][\u0080-\u00ff\u2018-\u203a\u20ac\u2122\u0152-\u017e\u0192\u02c6\u02dc]"
)
"""What the first bytes of UTF-8 look like in Latin encodings, and what follows them."""
ENTITY = re.compile(r"&(?:amp|lt|gt|quot|nbsp|#x?[0-9a-fA-F]+);")


def damage(text: str) -> str:
    """What is wrong with a text, in a few words; empty where nothing is."""
    if "\ufffd" in text:
        return "a replacement character: bytes were no UTF-8 once"
    if any("\ud800" <= one <= "\udfff" for one in text):
        return "half of a character (a lone surrogate)"
    if control := next((one for one in text if (one < " " and one not in "\t\n\r") or "\x7f" <= one <= "\x9f"), None):
        return f"control character U+{ord(control):04X}"
    if MOJIBAKE.search(text) and (meant := undone(text)) is not None:
        return f"UTF-8 read as Latin-1; {meant[:40]!r} was meant"
    if entity := ENTITY.search(text):
        return f"{entity[0]} is markup"
    return ""


def undone(text: str) -> str | None:
    """The text before it was decoded wrongly, if it can be one: all of it goes back into bytes that are UTF-8."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return None
