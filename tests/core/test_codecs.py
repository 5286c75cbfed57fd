"""Tokenizers: round trips, stable order, and what is stored reads back."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec.regex import RegexTokenizer
from core.codec.store import dump_codecs, load_codecs
from core.codec.subword import SubwordTokenizer
from core.codec.types import SPECIALS, UNK, Codecs, Tokenizer
from core.errors import ConfigError

TEXTS = [
    f"{verb} the {noun} of {{host}} {number}: {noun}s {verb}ed."
    for verb in ("show", "turn", "start", "open", "lock")
    for noun in ("sensor", "light", "door", "window", "Gerät", "Schlüssel")
    for number in range(7)
]
SUBWORDS = {kind: SubwordTokenizer.fit(TEXTS, 420, kind) for kind in ("bpe", "unigram")}


@pytest.mark.parametrize("kind", SUBWORDS)
@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_subwords_spell_any_text(kind: str, text: str) -> None:
    tokenizer = SUBWORDS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(len(SPECIALS) <= one < tokenizer.size for one in ids)


@pytest.mark.parametrize("kind", SUBWORDS)
@pytest.mark.parametrize("text", ["", " ", "  two  spaces ", "\n\t", "<unk><0x41>▁", "日本語 😀", "e\u0301", "{host}s"])
def test_subwords_spell_odd_texts(kind: str, text: str) -> None:
    assert SUBWORDS[kind].decode(SUBWORDS[kind].encode(text)) == text


@pytest.mark.parametrize("kind", SUBWORDS)
def test_many_texts_are_encoded_as_one_by_one(kind: str) -> None:
    tokenizer = SUBWORDS[kind]
    assert tokenizer.encode_all([*TEXTS, "", " x"]) == [tokenizer.encode(text) for text in [*TEXTS, "", " x"]]
    long = " ".join(TEXTS * 400)  # read without places
    assert tokenizer.encode(long) == tokenizer.engine.encode(" " + long).ids


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_text_that_is_meant_to_take_long_is_read_as_any(kind: str) -> None:
    """Letters without a piece are spelled aside, where several stand in a row."""
    tokenizer, draw = SUBWORDS[kind], random.Random(1)
    parts = [
        "a",
        "the",
        " ",
        "  ",
        "\n",
        "9",
        "[",
        "{host}",
        "é",
        "中",
        "中文字中",
        "\U0001f468\u200d",
        "\u0301",
        "ЖЖЖЖ",
        "<0x41>",
        "٣٤٥٦",
    ]
    for _ in range(300):
        text = " " + "".join(draw.choices(parts, k=draw.randint(1, 25)))
        assert tokenizer.long(text) == tokenizer.engine.encode(text).ids, text


def test_bpe_is_learned_alike_each_time() -> None:
    assert SubwordTokenizer.fit(TEXTS, 420).dump() == SUBWORDS["bpe"].dump()


def test_unigram_has_the_same_pieces_each_time() -> None:
    assert set(SubwordTokenizer.fit(TEXTS, 420, "unigram").pieces) == set(SUBWORDS["unigram"].pieces)


def test_subwords_are_longer_than_letters_and_join_placeholders() -> None:
    labels = [SUBWORDS["bpe"].label(one) for one in SUBWORDS["bpe"].encode("open the door of {host}")]
    assert labels == ["▁open", "▁the", "▁door", "▁of", "▁{host}"]


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert SUBWORDS["bpe"].decode(SUBWORDS["bpe"].encode("a\ud800b")) == "a\ufffdb"


def test_bytes_that_are_no_text_decode_to_the_replacement_character() -> None:
    assert SUBWORDS["bpe"].decode([len(SPECIALS) + 0xFF]) == "\ufffd"


def test_copied_words_are_spelled_by_extra() -> None:
    tokenizer = SUBWORDS["bpe"]
    assert (
        tokenizer.decode([*tokenizer.encode("open "), tokenizer.size + 1], ("x", "Zweibrücken")) == "open Zweibrücken"
    )


def test_user_symbols_are_one_token_anywhere() -> None:
    tokenizer = SubwordTokenizer.fit(TEXTS, 420, user_symbols=("<sep>", "{host}"))
    ids = tokenizer.encode("a<sep>b {host}c")
    assert [one for one in ids if tokenizer.label(one) in ("<sep>", "{host}")] == [260, 261]
    assert tokenizer.decode(ids) == "a<sep>b {host}c"
    assert tokenizer.sample("a<sep>b {host}c", np.random.default_rng(1), 0.0) == ids


def test_dropout_of_nothing_is_the_usual_segmentation_and_any_dropout_spells_the_text() -> None:
    tokenizer, random = SUBWORDS["bpe"], np.random.default_rng(1)
    for text in TEXTS:
        assert tokenizer.sample(text, random, 0.0) == tokenizer.encode(text)
    varied = [tokenizer.sample(TEXTS[0], random, 0.3) for _ in range(20)]
    assert len({tuple(one) for one in varied}) > 5
    assert {tokenizer.decode(one) for one in varied} == {TEXTS[0]}


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError, match="300: too small"):
        SubwordTokenizer.fit(TEXTS, 300)


def test_hostile_lengths_take_linear_time() -> None:
    for text in ("a" * 100_000, " " * 100_000, "{" * 100_000, "{a" * 50_000):
        assert SUBWORDS["bpe"].decode(SUBWORDS["bpe"].encode(text)) == text


@given(text=st.text())
@settings(deadline=None)
def test_regex_symbols_join_to_the_text(text: str) -> None:
    tokenizer = RegexTokenizer.fit([text], r"\w+|x*")
    assert "".join(tokenizer.cut(text)) == text
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_regex_order_is_by_count_then_symbol() -> None:
    tokenizer = RegexTokenizer.fit(["ba", "cb"])
    assert tokenizer.symbols == ("b", "a", "c")
    assert tokenizer.encode("abcd") == [5, 4, 6, UNK]
    assert tokenizer.decode([5, 0, 2, UNK, tokenizer.size], ("copied",)) == "a\ufffdcopied"
    assert [tokenizer.label(one) for one in range(5)] == [*SPECIALS, "b"]


def test_a_line_end_is_a_symbol_too() -> None:
    assert RegexTokenizer.fit(["a\nb"]).cut("a\nb") == ["a", "\n", "b"]


@pytest.mark.parametrize(
    "tokenizer", [*SUBWORDS.values(), RegexTokenizer.fit(["abc"], "[ab]+")], ids=lambda one: one.kind
)
def test_codecs_survive_json(tokenizer: Tokenizer) -> None:
    stored = json.loads(json.dumps(dump_codecs(Codecs(source=tokenizer, target=tokenizer))))
    read = load_codecs(stored)
    assert read.shared
    assert read.target == tokenizer
    assert read.target.encode("abc open") == tokenizer.encode("abc open")
