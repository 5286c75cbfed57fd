"""Toy sentences in English and German from a small grammar: gender, case, agreement, verb second, verb last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from core.data.split import split_of
from core.record import Record, Split

COUNT = 4000
Gender = Literal["m", "f", "n"]
Case = Literal["nominative", "accusative"]


@dataclass(frozen=True, slots=True)
class Noun:
    """English singular and plural, German singular and plural (nominative and accusative are alike)."""

    english: str
    englishes: str
    german: str
    germans: str
    gender: Gender


NOUNS = (
    Noun("dog", "dogs", "Hund", "Hunde", "m"),
    Noun("man", "men", "Mann", "Männer", "m"),
    Noun("bird", "birds", "Vogel", "Vögel", "m"),
    Noun("teacher", "teachers", "Lehrer", "Lehrer", "m"),
    Noun("cat", "cats", "Katze", "Katzen", "f"),
    Noun("woman", "women", "Frau", "Frauen", "f"),
    Noun("neighbour", "neighbours", "Nachbarin", "Nachbarinnen", "f"),
    Noun("child", "children", "Kind", "Kinder", "n"),
    Noun("horse", "horses", "Pferd", "Pferde", "n"),
    Noun("girl", "girls", "Mädchen", "Mädchen", "n"),
)
ADJECTIVES = (("", ""), ("", ""), ("small", "klein"), ("old", "alt"), ("quick", "schnell"), ("happy", "fröhlich"))
VERBS = (  # plural and infinitive, singular; German plural and infinitive, singular
    ("see", "sees", "sehen", "sieht"),
    ("find", "finds", "finden", "findet"),
    ("help", "helps", "unterstützen", "unterstützt"),
    ("follow", "follows", "verfolgen", "verfolgt"),
    ("love", "loves", "lieben", "liebt"),
    ("look for", "looks for", "suchen", "sucht"),
)
TIMES = (("today", "heute"), ("now", "jetzt"), ("sometimes", "manchmal"), ("often", "oft"))
MODALS = (("can", "kann", "können"), ("must", "muss", "müssen"), ("wants to", "will", "wollen"))
DEFINITE = {"m": ("der", "den"), "f": ("die", "die"), "n": ("das", "das")}
INDEFINITE = {"m": ("ein", "einen"), "f": ("eine", "eine"), "n": ("ein", "ein")}
ENDINGS = {  # of the adjective, after "der" and after "ein": nominative, accusative
    "m": (("e", "en"), ("er", "en")),
    "f": (("e", "e"), ("e", "e")),
    "n": (("e", "e"), ("es", "es")),
}


class Choices:
    """Choices drawn from a hash: the same ones on every machine and version of Python."""

    def __init__(self, number: int) -> None:
        self.left = int.from_bytes(blake2b(f"phrase {number}".encode(), digest_size=32).digest())

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        self.left, chosen = divmod(self.left, count)
        return chosen


def phrases(split: Split) -> Iterator[Record]:
    """Different sentences; which split one belongs to is a hash of the English."""
    seen: set[str] = set()
    for number in range(COUNT):
        english, german = sentence(Choices(number))
        if english not in seen and split_of(english) == split:
            yield Record(f"phrase-{number}", english, german)
        seen.add(english)


def sentence(choose: Choices) -> tuple[str, str]:
    """A statement, a statement that begins with a time, one with a modal verb, or a question."""
    subject_en, subject_de, plural = noun_phrase(choose, "nominative")
    object_en, object_de, _ = noun_phrase(choose, "accusative")
    many_en, one_en, many_de, one_de = VERBS[choose.below(len(VERBS))]
    verb_en, verb_de = (many_en, many_de) if plural else (one_en, one_de)
    match choose.below(4):
        case 0:
            english, german = f"{subject_en} {verb_en} {object_en}.", f"{subject_de} {verb_de} {object_de}."
        case 1:
            time_en, time_de = TIMES[choose.below(len(TIMES))]
            english, german = (
                f"{time_en} {subject_en} {verb_en} {object_en}.",
                f"{time_de} {verb_de} {subject_de} {object_de}.",
            )
        case 2:
            modal_en, modal_one, modal_many = MODALS[choose.below(len(MODALS))]
            modal_en = modal_en.replace("wants", "want") if plural else modal_en
            english = f"{subject_en} {modal_en} {many_en} {object_en}."
            german = f"{subject_de} {modal_many if plural else modal_one} {object_de} {many_de}."
        case _:
            english = f"{'do' if plural else 'does'} {subject_en} {many_en} {object_en}?"
            german = f"{verb_de} {subject_de} {object_de}?"
    return capital(english), capital(german)


def noun_phrase(choose: Choices, case: Case) -> tuple[str, str, bool]:
    """English, German, and whether it is plural."""
    noun = NOUNS[choose.below(len(NOUNS))]
    adjective_en, adjective_de = ADJECTIVES[choose.below(len(ADJECTIVES))]
    at = 0 if case == "nominative" else 1
    match choose.below(3):
        case 0:
            article_en, article_de = "the", DEFINITE[noun.gender][at]
            ending, plural = ENDINGS[noun.gender][0][at], False
        case 1:
            article_en = "an" if (adjective_en or noun.english)[0] in "aeiou" else "a"
            article_de = INDEFINITE[noun.gender][at]
            ending, plural = ENDINGS[noun.gender][1][at], False
        case _:
            article_en, article_de, ending, plural = "the", "die", "en", True
    words_en = (article_en, adjective_en, noun.englishes if plural else noun.english)
    words_de = (article_de, adjective_de and adjective_de + ending, noun.germans if plural else noun.german)
    return " ".join(filter(None, words_en)), " ".join(filter(None, words_de)), plural


def capital(text: str) -> str:
    """The first letter upper case."""
    return text[0].upper() + text[1:]
