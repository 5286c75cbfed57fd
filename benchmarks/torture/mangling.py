"""Texts and bytes as they arrive from programs that are broken, and from people who mean harm."""

from __future__ import annotations

import random

ILL_FORMED = (
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc3",
    b"\xe0\x80\xaf",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xff\xfe",
    b"\xfe\xff\x00a",
    b"\xf0\x9f\x98",
)
"""Every class of bytes that are no UTF-8: stray and missing continuations, overlong forms, surrogates, beyond the last, UTF-16."""
ODD = (
    "\x00",
    "\x85",
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\r",
    "\u202e",
    "\u2066",
    "\u200d",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "a\u0301",
    "\u00e1",
    "\u0300" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f466",
    "\U0010ffff",
    "\x1b[2J\x1b]0;owned\x07",
    "\x7f",
    "\x1a",
    "\u3000",
    "\u00a0",
    "\\N{DIGIT ONE}",
    "\\ud800",
    "%s%n",
    "{0.__class__}",
    "${x}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "'; DROP TABLE",
    "1e999",
    "NaN",
    "-0",
    "0x1p-1074",
    "9" * 5000,
    "null",
    "true",
    "[]",
    "{}",
    "\t",
    "\t\t",
    "  ",
    "",
    ",",
    '"',
    "'",
    '""',
    '"a""b',
    ";",
    "|",
    ">",
    ">>",
    "#",
    "//",
)
"""Signs and words that programs stumble over, one reason each."""
PLANES = ((0, 0x2FF), (0x300, 0xD7FF), (0xE000, 0x10FFFF))
BYTES = bytes(range(256))


def text(draw: random.Random, most: int = 60) -> str:
    """Random characters of all planes, half of them ASCII."""
    length = draw.choice((0, 1, 2, 5, draw.randint(0, most)))
    return "".join(
        chr(draw.randint(32, 126)) if draw.random() < 0.5 else chr(draw.randint(*draw.choice(PLANES)))
        for _ in range(length)
    )


def mangled(draw: random.Random, raw: bytes) -> bytes:
    """Bytes with a few things done to them."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        raw = once(draw, raw)
    return raw


def once(draw: random.Random, raw: bytes) -> bytes:
    """One change of a kind that is drawn."""
    begin = draw.randint(0, len(raw))
    end = min(len(raw), begin + draw.choice((0, 1, 2, 4, 8, len(raw))))
    match draw.randint(0, 9):
        case 0:
            return raw[:begin] + draw.choice(ILL_FORMED) + raw[begin:]
        case 1:
            return raw[:begin] + draw.choice(ODD).encode("utf-8", "surrogatepass") + raw[begin:]
        case 2:
            return raw[:begin] + raw[end:]
        case 3:
            return raw[:begin]
        case 4:
            return raw[:end] + raw[begin:end] * draw.choice((1, 2, 30)) + raw[end:]
        case 5 if begin < len(raw):
            return raw[:begin] + bytes([raw[begin] ^ 1 << draw.randint(0, 7)]) + raw[begin + 1 :]
        case 6:
            return raw[:begin] + bytes(draw.choices(BYTES, k=draw.randint(1, 8))) + raw[begin:]
        case 7:
            return raw[:begin] + draw.choice((b"\x00", b"\xff")) * draw.choice((1, 4, 100)) + raw[end:]
        case 8:
            return raw[begin:] + raw[:begin]
        case _:
            return raw[:begin] + draw.choice(ODD).encode("utf-8", "surrogatepass") + raw[end:]
