"""Copying: the maps of unknown words, what refuses to be copied, and what comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.codec.regex import RegexTokenizer
from core.codec.subword import SubwordTokenizer
from core.codec.types import EOS, PAD, UNK, Codecs, Encoded, as_encoded
from core.config import Impossible
from core.data.batch import CopyMap, collate
from core.data.copying import copyable, refusal, with_copies
from core.data.encode import encode_sources, encode_split
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.record import Record
from core.run.prepared import training_data
from core.settings import run_config
from core.testing.tiny import UNSEEN, forced_logp, pair_of, tiny_codecs, tiny_pairs
from core.testing.toys import TOY, ToyConfig

FAMILIES = pytest.mark.parametrize(
    "cfg",
    [
        TransformerConfig(width=16, heads=2, encoder_layers=1, decoder_layers=1, inner=24, dropout=0.0, copy=True),
        RNNConfig(width=16, dropout=0.0, copy=True),
    ],
    ids=["transformer", "rnn"],
)


# --- maps ----------------------------------------------------------------------------------------------------------


def mapped(codecs: Codecs, source: str, target: str, longest: int = 100) -> tuple[Encoded, list[int]]:
    """A record as a split encodes it."""
    record = Record("1", source, target)
    examples = encode_split([record], codecs, longest=longest, long="truncate", copy=True).examples
    batch = examples.take(np.array([0]))
    words = batch.copy.words[0] if batch.copy else ()
    extended = batch.copy.extended_BS[0].numpy() if batch.copy else None
    return Encoded(batch.source[0].numpy(), extended=extended, words=words), batch.wanted_BT[0].tolist()


def test_unknown_words_of_one_vocabulary_are_numbered_as_they_come() -> None:
    both = RegexTokenizer.fit(["the cat sat"], r"\w+")
    codecs, n = Codecs(both, both), both.size
    source, wanted = mapped(codecs, "the emu, the gnu, emu", "gnu the emu yak")
    assert source.words == ("emu", ",", "gnu")
    ids = both.ids
    assert source.extended is not None
    assert source.extended.tolist() == [
        ids["the"], ids[" "], n, n + 1, ids[" "], ids["the"], ids[" "], n + 2, n + 1, ids[" "], n,
    ]  # fmt: skip
    assert source.values.tolist()[2] == UNK
    assert wanted == [n + 2, ids[" "], ids["the"], ids[" "], n, ids[" "], UNK, EOS], "a yak is not in the source"
    assert both.decode(wanted[:-1], source.words) == "gnu the emu \ufffd"


def test_known_words_need_no_map() -> None:
    both = RegexTokenizer.fit(["abc"])
    assert with_copies(Record("1", "cab", "a"), Codecs(both, both), as_encoded([6, 4, 5]), [4])[0].extended is None
    subwords = SubwordTokenizer.fit(["a tale of two cities"] * 3, 400)
    source, wanted = mapped(Codecs(subwords, subwords), "Ünseen wörds", "wörds")
    assert source.extended is None
    assert wanted[:-1] == subwords.encode("wörds")


def test_words_of_two_vocabularies_are_matched_by_their_spelling() -> None:
    codecs = Codecs(RegexTokenizer.fit(["abcd"]), RegexTokenizer.fit(["dcxx"]))
    source, wanted = mapped(codecs, "dab?", "xbc")
    target, n = codecs.target.encode("dxc"), codecs.target.size
    assert source.extended is not None
    assert source.extended.tolist() == [target[0], n, n + 1, n + 2]
    assert source.words == ("a", "b", "?")
    assert wanted == [target[1], n + 1, target[2], EOS]


def test_what_is_no_symbol_of_the_target_cannot_be_copied() -> None:
    words, letters = RegexTokenizer.fit(["ab a"], r"\w+"), RegexTokenizer.fit(["ab"])
    source, _ = mapped(Codecs(words, letters), "a ab", "a")
    assert source.extended is not None
    assert source.extended.tolist() == [letters.ids["a"], letters.size, PAD]
    assert source.words == (" ",)


def test_subwords_of_two_vocabularies_share_pieces_and_bytes() -> None:
    texts = ["the river bank", "a bank account", "river account"] * 4
    codecs = Codecs(SubwordTokenizer.fit(texts, 360), SubwordTokenizer.fit([text + "s" for text in texts], 370))
    source, wanted = mapped(codecs, "river ✓", "bank ✓")
    assert source.extended is not None
    assert source.words == (), "what subwords do not know they spell"
    copied = [int(one) for one in source.extended if one != PAD]
    assert codecs.target.decode(copied).endswith(" ✓")
    assert wanted[:-1] == codecs.target.encode("bank ✓")


def test_a_word_that_was_cut_off_the_source_is_unknown() -> None:
    both = RegexTokenizer.fit(["abc"])
    source, wanted = mapped(Codecs(both, both), "abxyz", "zyxa", longest=4)
    assert source.words == ("x", "y")
    assert wanted == [UNK, both.size + 1, both.size, both.ids["a"], EOS]


def test_examples_and_batches_carry_the_map() -> None:
    codecs = tiny_codecs()
    pairs = tiny_pairs(codecs, 12, copy=True)
    assert any(token >= codecs.target.size for _, target in pairs for token in target)
    assert any(not source.words for source, _ in pairs)
    rows = [3, 0, 7, 7, 11]
    taken, put = (
        Examples.build(pairs).take(np.array(rows)),
        collate([pairs[row][0] for row in rows], [pairs[row][1] for row in rows], rows),
    )
    assert isinstance(taken.copy, CopyMap)
    assert isinstance(put.copy, CopyMap)
    assert torch.equal(taken.copy.extended_BS, put.copy.extended_BS)
    assert taken.copy.words == put.copy.words == tuple(pairs[row][0].words for row in rows)
    assert taken.copy.extra == max(len(pairs[row][0].words) for row in rows)
    asked = encode_sources([Record("1", "axz", "")], codecs, longest=9, copy=True).take(np.array([0]))
    assert asked.copy is not None
    assert asked.copy.words == (("x", "z"),)


def test_training_reads_maps_with_and_without_augmentation() -> None:
    """The alphabet lacks letters, and augmentation turns every string round."""
    few = lambda cfg, train: (lambda one: Codecs(one, one))(RegexTokenizer.fit(["abc"]))  # noqa: E731
    turned = lambda cfg: lambda record, random: replace(record, source=record.source[::-1], target=record.target[::-1])  # noqa: E731
    cfg = run_config(ToyConfig)(task=ToyConfig(letters=6, train=60, held_out=10), model=RNNConfig(width=8, copy=True))
    seen: dict[str, set[str]] = {}
    for name, task in (("plain", replace(TOY, codecs=few)), ("turned", replace(TOY, codecs=few, augment=turned))):
        data = training_data(task, cfg)
        stream = TrainBatches(data.encoded.examples, cfg.batch, 1, encode=data.augmented).batches()
        _, batch = next(stream)
        stream.close()
        assert batch.copy is not None
        seen[name] = set()
        for row, words, target in zip(batch.index, batch.copy.words, batch.wanted_BT, strict=True):
            text = data.codecs.target.decode([int(one) for one in target if one > EOS], words)
            original = data.encoded.records[row].target
            assert text == (original if name == "plain" else original[::-1])
            seen[name].update(words)
    assert seen["plain"] == seen["turned"] == set("def")


# --- models --------------------------------------------------------------------------------------------------------


class Frames:
    """A source of numbers."""

    kind = "test-frames"
    width = 2

    def encode(self, value: Any) -> Encoded:
        return Encoded(np.zeros((len(value), 2), np.float32))

    def dump(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Frames:
        return cls()


class Silent:
    """A tokenizer that does not tell how its symbols are spelled."""

    kind = "silent"
    size = 8

    def encode(self, value: Any) -> list[int]:
        return [4 + ord(letter) % 4 for letter in value]

    def decode(self, ids: Any, extra: Any = ()) -> str:
        return "?" * len(ids)

    def label(self, token: int) -> str:
        return "?"

    def dump(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Silent:
        return cls()


@FAMILIES
def test_what_cannot_be_copied_is_refused(cfg: ModelConfig) -> None:
    target = RegexTokenizer.fit(["abc"])
    with pytest.raises(Impossible, match=r"copy.*frames"):
        build(cfg, Codecs(Frames(), target))
    with pytest.raises(Impossible, match=r"copy.*two vocabularies \('silent' -> 'regex'\)"):
        build(cfg, Codecs(Silent(), target))
    for source in (Frames(), Silent()):  # before a model is built, training records are read
        with pytest.raises(Impossible, match=r"model\.copy"):
            mapped(Codecs(source, target), "abc", "abc")
    one = Silent()
    assert refusal(Codecs(one, one)) is None
    build(cfg, Codecs(one, one))


@FAMILIES
@torch.no_grad()
def test_two_vocabularies_need_a_map_and_one_does_not(cfg: ModelConfig) -> None:
    for shared in (False, True):
        codecs = tiny_codecs(shared=shared)
        model, batch = build(cfg, codecs), collate([as_encoded([4, 5])], [[5]], [0])
        if shared:
            own = replace(batch, copy=CopyMap(batch.source, ((),)))
            torch.testing.assert_close(forced_logp(model, batch), forced_logp(model, own), rtol=0, atol=0)
        else:
            with pytest.raises(ValueError, match="copy map"):
                forced_logp(model, batch)


@FAMILIES
def test_copying_adds_a_head_and_leaves_the_other_weights(cfg: ModelConfig) -> None:
    codecs = tiny_codecs()
    with_it, without = build(cfg, codecs).state_dict(), build(replace(cfg, copy=False), codecs).state_dict()
    assert all(torch.equal(with_it[name], x) for name, x in without.items())
    added = {"head." + name for name in ("query.weight", "query.bias", "key.weight", "gate", "worth", "gate_bias")}
    assert set(with_it) - set(without) == added


@FAMILIES
@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_unseen_symbols_come_out_verbatim(cfg: ModelConfig, strategy: Any) -> None:
    """A model that can only point says nothing but symbols of its own source, those outside the vocabulary too."""
    codecs = tiny_codecs()
    model = build(cfg, codecs)
    with torch.no_grad():
        model.head.get_parameter("gate_bias").fill_(-60)
    records = [Record(text, text, "") for text in ("x", "yβ", "ab", "xayb", "", "ζ" * 5)]
    beams = 1 if strategy == "greedy" else 3
    search = SearchConfig(strategy=strategy, beams=beams, n_best=beams, length_ratio=1.0, length_extra=1)
    found = predict_records(model, codecs, records, search, longest=20)
    for record, prediction in zip(records, found, strict=True):
        words = copyable(record.source, codecs, as_encoded(codecs.source.encode(record.source))).words
        for one in prediction.hypotheses:  # of a beam some have to say what is next to impossible
            likely = [token for token, logp in zip(one.tokens, one.logp, strict=False) if logp > -40]
            assert set(codecs.target.decode(likely, words)) <= set(record.source)
        if record.source and strategy != "beam":
            assert len(prediction.hypotheses[0].output) == len(record.source) + 1
            assert set(prediction.hypotheses[0].output) <= set(record.source)
    assert "ζζ" in "".join(one.output for one in found[5].hypotheses)


@FAMILIES
@torch.no_grad()
def test_bytes_of_subwords_are_copied_too(cfg: ModelConfig) -> None:
    both = SubwordTokenizer.fit(["a tale of two cities"] * 3, 400)
    model = build(cfg, codecs := Codecs(both, both))
    model.head.get_parameter("gate_bias").fill_(-60)
    source, target = pair_of(Record("1", "a ß", "ß"), codecs, copy=True)
    logp = forced_logp(model, collate([source], [target], [0]))
    assert logp.shape[-1] == both.size
    likely = {int(one) for one in (logp[0, 0] > -40).nonzero()[:, 0]}
    assert likely == set(both.encode("a ß"))


def test_the_letters_that_laws_do_not_know() -> None:
    codecs = tiny_codecs()
    assert {codecs.target.encode(letter)[0] for letter in UNSEEN} == {UNK}
