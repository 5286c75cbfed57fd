"""Pointers sort, classes and tags are told, all words are said at once, and coverage helps to count; by the one loop and search."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.codec.words import WordTokenizer
from core.decode.config import SearchConfig
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.record import Record
from core.testing.learning import PAIR, answered_exactly, answers

TRANSFORMER = TransformerConfig(
    width=64, heads=4, encoder_layers=2, decoder_layers=2, inner=128, positions="sinusoidal", dropout=0.0
)
RNN = RNNConfig(width=96, dropout=0.0)
CONV = ConvConfig(width=64, encoder_layers=2, decoder_layers=2, dropout=0.0)
LETTERS = "abcdefgh"


def sorted_letters(text: str) -> str:
    return "".join(sorted(text))


def order(text: str) -> str:
    """The places of the letters in alphabetical order; of equal letters the first comes first."""
    return " ".join(str(place) for place in sorted(range(len(text)), key=lambda place: text[place]))


def ends(text: str) -> str:
    """A class: what its first and its last letter are to each other."""
    return "ends alike" if text[0] == text[-1] else "rises" if text[0] < text[-1] else "falls"


def steps(text: str) -> str:
    """A tag for each letter: where it goes from the one before."""
    pairs = zip(" " + text, text, strict=False)
    return " ".join("start" if a == " " else "up" if a < b else "down" if a > b else "same" for a, b in pairs)


def turned(text: str) -> str:
    return text[::-1]


def records(answer: Callable[[str], str], longest: int, n: int, seed: int) -> list[Record]:
    """Random strings; of three letters at least, so that no length is held out as a whole."""
    draw = random.Random(seed)
    texts = ("".join(draw.choices(LETTERS, k=draw.randint(3, longest))) for _ in range(n))
    return [Record(f"{seed}-{number}", text, answer(text)) for number, text in enumerate(texts)]


def codecs_for(answer: Callable[[str], str]) -> Codecs:
    letters = RegexTokenizer.fit([LETTERS])
    if answer is order:
        return Codecs(letters, PlaceTokenizer())
    if answer in (ends, steps):
        return Codecs(letters, WordTokenizer.fit(["ends alike", "rises", "falls"], whole=True) if answer is ends
                      else WordTokenizer.fit(["start up down same"]))  # fmt: skip
    return Codecs(letters, letters)


def exact_match(
    answer: Callable[[str], str],
    cfg: ModelConfig,
    steps: int,
    *,
    longest: int = 6,
    search: SearchConfig = PAIR,
) -> float:
    """Percent of held-out strings answered exactly, after so many steps."""
    recurrent = isinstance(cfg, RNNConfig) and cfg.head != "parallel"
    asked = records(answer, longest, 300, 2)
    held_out = {record.source for record in asked}
    known = [record for record in records(answer, longest, 8000, 1) if record.source not in held_out]
    lr, tokens = (5e-3, 400) if recurrent else (3e-3, 1024)
    (found,) = answers(cfg, codecs_for(answer), known, asked, steps=steps, lr=lr, tokens=tokens, searches=[search])
    return answered_exactly(found)


LEARNED: dict[str, tuple[Callable[[str], str], ModelConfig, int]] = {
    "places by a Transformer": (order, replace(TRANSFORMER, head="pointer"), 600),
    "places by an RNN": (order, replace(RNN, head="pointer", coverage=True), 800),
    "places by convolutions": (order, replace(CONV, head="pointer", coverage=True, encoder_layers=3), 1000),
    "letters by a pointer": (sorted_letters, replace(TRANSFORMER, head="pointer"), 600),
    "a class by a Transformer": (ends, replace(TRANSFORMER, head="class"), 600),
    "a class by an RNN": (ends, replace(RNN, head="class"), 600),
    "tags by a Transformer": (steps, replace(TRANSFORMER, head="tags"), 400),
    "tags by an RNN": (steps, replace(RNN, head="tags"), 400),
    "tags by BERT's shape": (steps, replace(TRANSFORMER, head="tags", encoder="bert"), 400),
    "all letters at once": (turned, replace(TRANSFORMER, head="parallel", queries=8), 600),
    "all letters at once, after an RNN": (turned, replace(RNN, head="parallel", queries=8, decoder_layers=2), 600),
    "all letters at once, copied": (turned, replace(TRANSFORMER, head="parallel", queries=8, copy=True), 600),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNED)
def test_every_head_learns(name: str) -> None:
    answer, cfg, steps = LEARNED[name]
    assert exact_match(answer, cfg, steps) >= 98


@pytest.mark.slow
def test_a_greedy_pointer_is_as_good() -> None:
    greedy = SearchConfig(strategy="greedy")
    assert exact_match(order, replace(TRANSFORMER, head="pointer"), 600, search=greedy) >= 98


@pytest.mark.slow
def test_coverage_helps_a_recurrent_decoder_to_count() -> None:
    """Sorting letters that repeat, it has to know which of them it has said: it does so earlier, and then entirely."""
    without, covered = replace(RNN, copy=True), replace(RNN, copy=True, coverage=True)
    assert exact_match(sorted_letters, covered, 250, longest=8) > exact_match(sorted_letters, without, 250, longest=8)
    assert exact_match(sorted_letters, covered, 700, longest=8) >= 98
