"""What is done to texts before they are compared, by name."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

VERSIONS = {"basic": "basic-1", "none": "none"}
"""For signatures: a change of what `basic` does is a new number."""
APOSTROPHES = {"’", "‘", "ʼ", "`", "´"}


@lru_cache(maxsize=100_000)
def basic(text: str) -> str:
    """Lower case, apostrophes made one kind and kept within words, all other punctuation and symbols made spaces."""
    text = unicodedata.normalize("NFC", text.lower())
    kept = "".join(
        "'" if letter in APOSTROPHES or letter == "'" else letter if spoken(letter) else " " for letter in text
    )
    return " ".join(word for word in (one.strip("'") for one in kept.split()) if word)


def spoken(letter: str) -> bool:
    """Letters, marks and digits."""
    return unicodedata.category(letter)[0] in "LMN"


def normalised(text: str, name: str) -> str:
    """By the normaliser of that name; white space is made single always."""
    return basic(text) if name == "basic" else " ".join(text.split())
