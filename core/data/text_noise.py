"""Perturbations that any text may suffer: typing errors (Belinkov & Bisk, 2018), lost and exchanged words, case, signs, spaces."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from core.codec.subword import Sampled
from core.data.noise import Noise
from core.errors import ConfigError
from core.record import Record

Change = Callable[[list[str], float, np.random.Generator], list[str]]
"""Pieces of a text -> others: words, white space, and what must stay as it is, which begins with KEPT."""
KEPT = "\0"
ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def rewritten(record: Record, text: str) -> Record:
    """The record with another text, which is still segmented anew where it was to be."""
    old = record.source
    source = Sampled(text, old.share, old.seed) if isinstance(old, Sampled) else text
    return Record(record.key, source, record.target, record.meta)


def text_of(record: Record) -> str:
    """The source, refused where it is no text."""
    if not isinstance(record.source, str):
        raise ConfigError("this is for sources that are text, and this task's are not")
    return record.source


def text_noises(kept: str = "") -> dict[str, Noise[Any]]:
    """For `Task.noises`; what the pattern finds (placeholders, constants) is neither changed nor lost."""
    pattern = re.compile(rf"(?P<kept>{kept})|\s+|(?:(?!{kept})\S)+" if kept else r"\s+|\S+")

    def noise(change: Change, strength: float, meaning: str) -> Noise[Any]:
        def changed(cfg: Any, record: Record, share: float, random: np.random.Generator) -> Record:
            text = text_of(record)
            pieces = [KEPT + one[0] if kept and one["kept"] else one[0] for one in pattern.finditer(text)]
            found = "".join(one.removeprefix(KEPT) for one in change(pieces, share, random))
            return rewritten(record, found if found.strip() else text)

        return Noise(meaning=meaning, change=changed, strength=strength)

    return {
        "typos": noise(typos, 0.05, "letters exchanged, left out, doubled, or the key beside them"),
        "drop": noise(drop, 0.1, "words left out, one at least left"),
        "swap": noise(swap, 0.1, "words that change places with the next"),
        "case": noise(case, 0.5, "words in capitals or small letters"),
        "punctuation": noise(punctuation, 1.0, "signs left out"),
        "spaces": noise(spaces, 0.1, "words run together"),
    }


def is_word(piece: str) -> bool:
    """Neither white space nor to be kept."""
    return bool(piece.strip()) and not piece.startswith(KEPT)


def typos(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """Letter by letter, within words."""
    return [mistyped(one, share, random) if is_word(one) else one for one in pieces]


def mistyped(word: str, share: float, random: np.random.Generator) -> str:
    """Each letter with that probability."""
    letters, found, at = list(word), list[str](), 0
    while at < len(letters):
        letter = letters[at]
        if not letter.isalpha() or random.random() >= share:
            found.append(letter)
        else:
            following = letters[at + 1] if at + 1 < len(letters) and letters[at + 1].isalpha() else ""
            match int(random.integers(4)):
                case 0 if following:
                    found += [following, letter]
                    at += 1
                case 1 if len(letters) > 1:
                    pass
                case 2 if near := NEIGHBOURS.get(letter.lower()):
                    other = near[int(random.integers(len(near)))]
                    found.append(other.upper() if letter.isupper() else other)
                case _:
                    found += [letter, letter]
        at += 1
    return "".join(found) or word


def neighbours() -> dict[str, str]:
    """Letter -> the letters whose keys touch its own, on a keyboard of English."""
    place = {letter: (row, column) for row, keys in enumerate(ROWS) for column, letter in enumerate(keys)}
    return {
        letter: "".join(
            other
            for other, (r, c) in place.items()
            if other != letter and other.isalpha() and abs(r - row) <= 1 and abs(c - column) <= 1
        )
        for letter, (row, column) in place.items()
        if letter.isalpha()
    }


NEIGHBOURS = neighbours()


def drop(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """With the space behind."""
    words = [at for at, one in enumerate(pieces) if is_word(one)]
    lost = {at for at in words if random.random() < share}
    if len(lost) == len(words) and not any(one.startswith(KEPT) for one in pieces) and words:
        lost.discard(words[int(random.integers(len(words)))])
    lost |= {at + 1 for at in lost if at + 1 < len(pieces) and not pieces[at + 1].strip()}
    found = [one for at, one in enumerate(pieces) if at not in lost]
    while found and pieces[-1].strip() and not found[-1].strip():
        found.pop()
    return found


def swap(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """Neighbours, of which none moves twice."""
    found = list(pieces)
    places = [at for at, one in enumerate(pieces) if one.strip()]
    step = 0
    while step + 1 < len(places):
        one, other = places[step], places[step + 1]
        if random.random() < share:
            found[one], found[other] = found[other], found[one]
            step += 1
        step += 1
    return found


def case(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """Whichever of both the word is not."""
    found: list[str] = []
    for one in pieces:
        if is_word(one) and random.random() < share:
            others = [form for form in (one.upper(), one.lower()) if form != one]
            one = others[int(random.integers(len(others)))] if others else one
        found.append(one)
    return found


def punctuation(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """What is neither a letter nor a number."""
    return [
        "".join(sign for sign in one if sign.isalnum() or random.random() >= share) if is_word(one) else one
        for one in pieces
    ]


def spaces(pieces: list[str], share: float, random: np.random.Generator) -> list[str]:
    """The white space between them left out."""
    inner = range(1, len(pieces) - 1)
    return ["" if at in inner and not one.strip() and random.random() < share else one for at, one in enumerate(pieces)]


TEXT_NOISES: dict[str, Noise[Any]] = text_noises()
"""What a task has that says nothing."""
