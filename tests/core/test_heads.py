"""What stands on an encoder: each head against its formula, its state in the search, its data, and what goes with nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer
from core.codec.store import dump_codecs, load_codecs
from core.codec.types import BOS, EOS, PAD, UNK, Codecs
from core.codec.words import WordTokenizer
from core.config import Impossible
from core.data.batch import Batch
from core.data.encode import encode_split
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.decode.search import search
from core.errors import ConfigError, DataError
from core.model.at_once import ParallelDecoder
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.nn.copying import CopyingHead
from core.nn.covered import looked_again
from core.nn.labels import LabelHead
from core.nn.lookup import AdditiveLookup, MultiHeadLookup, make_lookup
from core.nn.pointing import PointerHead
from core.record import Record
from core.testing import model_laws
from core.testing.heads import fitting_pairs, head_models
from core.testing.tiny import batch_of, forced_logp, model_case, small, stir, tiny_codecs
from core.train.config import TrainConfig
from core.train.objective import Objective

# B batch, T target, S source, D width, V vocabulary

HEADS = head_models()


def made(name: str) -> tuple[Seq2Seq, Batch]:
    """A model with stirred weights, and a batch that it can say."""
    codecs = tiny_codecs()
    cfg = HEADS[name]
    model = build(replace(cfg, dropout=0.0), codecs, seed=3).double().eval()
    stir(model)
    return model, batch_of(fitting_pairs(cfg, codecs, 5))


@torch.no_grad()
def test_a_pointer_is_its_formula_under_coverage() -> None:
    """p(s) ~ exp((Q h) . (K m_s + w c_s) / sqrt(D)), the end being one more place; of no place but the source's own."""
    model, batch = made("transformer-pointer-covered")
    head, memory = model.head, model.encode(batch)
    assert isinstance(head, PointerHead)
    assert head.seen is not None
    hidden_BTD, logp_BTV = model(batch, memory), forced_logp(model, batch)
    for row, length in enumerate(batch.layout.lengths.tolist()):
        keys = torch.cat([head.key(memory.hidden_BSD[row, :length]), head.end[None]])
        looked = torch.zeros(length + 1, dtype=torch.float64)
        for step in range(hidden_BTD.shape[1]):
            query = head.query(hidden_BTD[row, step]) / hidden_BTD.shape[-1] ** 0.5
            p = ((keys + looked[:, None] * head.seen) @ query).softmax(0)
            looked = looked + p
            said = torch.cat([logp_BTV[row, step, head.vocabulary :][:length], logp_BTV[row, step, EOS : EOS + 1]])
            torch.testing.assert_close(said.exp(), p, rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_a_pointer_tells_apart_equal_symbols_that_it_has_pointed_at() -> None:
    """What is said after place 0 and after place 2, where the same letter stands, differs; an unknown place is only unknown."""
    codecs = tiny_codecs()
    model = build(small(TransformerConfig(head="pointer", dropout=0.0)), codecs, seed=3).double().eval()
    stir(model)
    source = encode_split([Record("1", "aba", "a")], codecs, longest=9, long="stop", copy="places").examples
    batch = replace(source.take(torch.zeros(1, dtype=torch.int64).numpy()))
    memory, size = model.encode(batch), codecs.target.size

    def after(token: int) -> Tensor:
        given = torch.tensor([[BOS, token]])
        return model.head.logp(model(batch, memory, given), memory)[0, 1]

    assert not torch.allclose(after(size), after(size + 2))
    assert torch.equal(after(size + 3), after(UNK))
    assert torch.equal(after(size + 99), after(UNK))


@torch.no_grad()
def test_the_pointer_of_copying_is_its_formula_under_coverage() -> None:
    model, batch = made("transformer-copy-covered")
    head, memory = model.head, model.encode(batch)
    assert isinstance(head, CopyingHead)
    assert head.seen is not None
    hidden_BTD = model(batch, memory)
    score_BTS = head.look(hidden_BTD, memory)[1]
    for row, length in enumerate(batch.layout.lengths.tolist()):
        looked = torch.zeros(length, dtype=torch.float64)
        for step in range(hidden_BTD.shape[1]):
            query = head.query(hidden_BTD[row, step]) / hidden_BTD.shape[-1] ** 0.5
            score = (head.key(memory.hidden_BSD[row, :length]) + looked[:, None] * head.seen) @ query
            torch.testing.assert_close(score_BTS[row, step, :length], score, rtol=1e-10, atol=1e-12)
            looked = looked + score.softmax(0)


def test_attention_of_recurrent_decoders_is_its_formula_under_coverage() -> None:
    draw = torch.Generator().manual_seed(1)
    query, memory, seen = (torch.randn(n, 6, generator=draw, dtype=torch.float64) for n in (1, 5, 1))
    seen = seen[0, :5].abs()
    visible = torch.ones(1, 1, 5, dtype=torch.bool)
    for kind in ("additive", "dot", "general", "scaled_dot", "multi_head"):
        layer = make_lookup(kind, 6, 2, coverage=True).double()
        assert layer.seen is not None
        torch.nn.init.normal_(layer.seen, generator=draw)
        cache = layer.cache(memory[None])
        look = layer(query[None], memory[None], cache, visible, seen[None, None])[1][0, :, 0]
        moved = seen[:, None] * layer.seen
        match layer:
            case MultiHeadLookup():
                maps = layer.query(query).view(2, 3)
                keys = cache["key"][0] + moved.view(5, 2, 3).transpose(0, 1)
                expected = (keys @ maps[..., None])[..., 0] / 3**0.5
            case AdditiveLookup():
                expected = (layer.query(query) + cache["key"][0] + moved).tanh() @ layer.score
            case _:
                scale = 6**-0.5 if kind == "scaled_dot" else 1.0
                expected = scale * ((cache["key"][0] + moved) @ query[0])
        torch.testing.assert_close(look, expected.softmax(-1).view_as(look), rtol=1e-10, atol=1e-12)


def test_the_coverage_loss_is_its_formula() -> None:
    look_BTS = torch.rand(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).softmax(-1)
    said_BT = torch.tensor([[True] * 4, [True, True, False, False]])
    expected = 0.0
    for row, steps in enumerate((4, 2)):
        seen = [0.0] * 3
        for step in range(steps):
            weights = look_BTS[row, step].tolist()
            expected += sum(map(min, weights, seen))
            seen = [a + b for a, b in zip(seen, weights, strict=True)]
    assert looked_again(look_BTS, said_BT).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["transformer-copy-covered", "transformer-pointer-covered", "rnn-covered"])
def test_the_objective_adds_the_coverage_loss_of_the_attention_there_is(name: str) -> None:
    """Weighted, in pads and in company the same; every parameter of the attention feels it."""
    model, batch = made(name)
    plain = Objective(model, TrainConfig(label_smoothing=0.0))(batch, 0)
    covered = Objective(model, TrainConfig(label_smoothing=0.0, coverage=0.3))(batch, 0)
    if name == "rnn-covered":
        look_BTS = model.attention(batch)[0, :, 0]
    else:
        memory = model.encode(batch)
        hidden = model(batch, memory)
        head = model.head
        assert isinstance(head, (CopyingHead, PointerHead))
        look_BTS = (
            head.look(hidden, memory)[1].softmax(-1) if isinstance(head, CopyingHead) else head.looks(hidden, memory)
        )
    again = looked_again(look_BTS, batch.wanted_BT != PAD)
    assert again > 0.1
    torch.testing.assert_close(covered, plain + 0.3 * again)


@torch.no_grad()
def test_labels_are_softmaxes_of_their_own_places_and_then_the_end_is_certain() -> None:
    for name, each in (("transformer-class", False), ("conv-tags", True)):
        model, batch = made(name)
        head, memory = model.head, model.encode(batch)
        assert isinstance(head, LabelHead)
        logp_BTV = forced_logp(model, batch)
        states_BPD = memory.cache["states"]
        for row, length in enumerate(batch.layout.lengths.tolist()):
            count = length if each else 1
            logits = states_BPD[row, :count] @ head.weight.T + head.bias
            torch.testing.assert_close(logp_BTV[row, :count, EOS + 1 :], logits[:, EOS + 1 :].log_softmax(-1))
            assert (logp_BTV[row, count:, EOS] == 0).all()
        wrong = replace(batch, target=torch.cat([batch.target[:, :1], batch.target[:, 1:2], batch.target[:, 1:]], 1))
        assert model.loss(wrong).item() == float("inf")


def test_all_words_at_once_take_one_pass() -> None:
    """The blocks run once for a batch, whatever the search looks for."""
    model, batch = made("transformer-parallel")
    assert isinstance(model.decoder, ParallelDecoder)
    calls: list[int] = []
    for block in model.decoder.blocks:
        block.feed_forward.register_forward_hook(lambda *_: calls.append(1))  # pyright: ignore[reportAttributeAccessIssue]
    for cfg in (SearchConfig(strategy="greedy"), SearchConfig(beams=4, n_best=4)):
        calls.clear()
        found = search(model, batch, cfg)
        assert len(calls) == len(model.decoder.blocks)
        assert all(found)


def test_a_search_that_forgets_what_was_covered_is_caught() -> None:
    for name in ("transformer-pointer-covered", "transformer-copy-covered", "rnn-covered"):
        codecs = tiny_codecs()
        case = model_case(name, HEADS[name], codecs, fitting_pairs(HEADS[name], codecs, 5))
        model_laws.selecting_and_stepping_commute(case)

        def make(case: Any = case) -> Any:
            model: Any = case.make()
            right = model.select

            def select(state: dict[str, Tensor], parent_BK: Tensor) -> dict[str, Tensor]:
                return {n: state[n] if n.endswith("seen") else x for n, x in right(state, parent_BK).items()}

            model.select = select
            return model

        with pytest.raises(AssertionError):
            model_laws.selecting_and_stepping_commute(replace(case, make=make))


# --- what goes with nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RNNConfig(head="pointer", attention="none"), "^head: pointing at the source is attention"),
        (lambda: RNNConfig(copy=True, attention="none"), "^copy: pointing at the source is attention"),
        (lambda: TransformerConfig(head="pointer", copy=True), "^copy: .*says nothing but places"),
        (lambda: ConvConfig(head="class", copy=True), "^copy: .*labels, which stand nowhere"),
        (lambda: TransformerConfig(head="tags", ctc=0.3), "^ctc: .*says labels, CTC reads words"),
        (lambda: TransformerConfig(copy=True, ctc=0.3), "^ctc: .*it cannot copy"),
        (lambda: TransformerConfig(head="tags", subsample=2), "^subsample: .*one tag a symbol"),
        (lambda: RNNConfig(head="class", tie="none"), "^tie: .*reads no words of the target"),
        (lambda: TransformerConfig(coverage=True), "^coverage: it follows one attention"),
        (lambda: ConvConfig(coverage=True), "^coverage: it follows one attention"),
        (lambda: RNNConfig(coverage=True, attention="none"), "^coverage: it follows one attention"),
        (lambda: RNNConfig(coverage=True, head="class"), "^coverage: .*looks at the source once"),
        (lambda: RNNConfig(head="parallel", width=6), "^attention_heads: 4 heads do not divide"),
        (lambda: TransformerConfig(encoder="bert", kv_heads=1), "^kv_heads: an encoder of BERT's shape"),
    ],
)
def test_combinations_that_make_no_sense_are_refused_with_the_reason(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(Impossible, match=said):
        make()


def test_heads_and_vocabularies_that_do_not_fit_are_refused() -> None:
    letters, places = RegexTokenizer.fit(["abc"]), PlaceTokenizer()
    with pytest.raises(Impossible, match=r"^head: the targets are places of the source: only 'pointer'"):
        build(small(TransformerConfig()), Codecs(letters, places))
    with pytest.raises(Impossible, match=r"^copy: the targets are places"):
        build(small(TransformerConfig(copy=True)), Codecs(letters, places))


@pytest.mark.parametrize(
    ("cfg", "train", "said"),
    [
        (TransformerConfig(), TrainConfig(coverage=1.0), r"^train\.coverage: no single attention"),
        (RNNConfig(attention="none"), TrainConfig(coverage=1.0), r"^train\.coverage: no single attention"),
        (RNNConfig(), TrainConfig(coverage=1.0, forcing="linear"), r"^train\.coverage: a decoder that reads words"),
        (TransformerConfig(head="tags"), TrainConfig(forcing="linear"), r"^train\.forcing: this model\.head reads no"),
        (RNNConfig(head="parallel"), TrainConfig(target_word_dropout=0.1), r"^train\.target_word_dropout: this"),
    ],
)
def test_training_switches_that_a_head_cannot_have_are_refused(cfg: ModelConfig, train: TrainConfig, said: str) -> None:
    with pytest.raises(Impossible, match=said):
        Objective(build(small(cfg), tiny_codecs()), train)


def test_a_pointer_and_a_model_of_words_do_not_decide_together() -> None:
    codecs = tiny_codecs()
    one, other = (build(small(cfg), codecs) for cfg in (TransformerConfig(head="pointer"), RNNConfig(copy=True)))
    with pytest.raises(ConfigError, match="cannot decide together"):
        predict_records(one, codecs, [Record("1", "ab")], SearchConfig(), longest=9, others=[other])


# --- data ----------------------------------------------------------------------------------------------------------


def test_a_target_of_letters_points_at_the_first_place_that_is_free() -> None:
    codecs = tiny_codecs()
    split = encode_split(
        [Record("1", "abca", "aacab"), Record("2", "ab", "abz"), Record("3", "ab", "")],
        codecs,
        longest=9,
        long="stop",
        copy="places",
        head="pointer",
    )
    size = codecs.target.size
    assert split.unanswerable == 1
    assert split.reason.startswith("2: its target has what stands nowhere in the source")
    assert [record.key for record in split.records] == ["1", "3"]
    assert split.examples.target is not None
    assert split.examples.target.values.tolist() == [size + place for place in (0, 3, 2, 0, 1)]


def test_targets_that_are_places_go_through_search_and_back() -> None:
    codecs = Codecs(RegexTokenizer.fit(["abcdef"]), PlaceTokenizer())
    records = [Record("1", "cab", "1 2 0"), Record("2", "ab", "0 7"), Record("3", "a", "0")]
    split = encode_split(records, codecs, longest=9, long="stop", copy="places", head="pointer")
    assert [record.key for record in split.records] == ["1", "3"]
    model = build(small(RNNConfig(head="pointer")), codecs, seed=2)
    for one in predict_records(model, codecs, records, SearchConfig(beams=3, n_best=3), longest=9):
        places = [{*map(int, hypothesis.output.split())} for hypothesis in one.hypotheses]
        assert all(some <= {*range(len(one.record.source))} for some in places)
    with pytest.raises(DataError, match=r"'-1' is no place of the source"):
        codecs.target.encode("0 -1")
    assert codecs.target.encode([0, 2]) == codecs.target.encode("0 2") == [4, 6]


@pytest.mark.parametrize(
    ("head", "target", "said"),
    [("class", "ab", "its target is 2 symbols, a class is one"), ("tags", "ab", "its target has 2 tags for 3 symbols")],
)
def test_records_that_a_head_cannot_answer_are_left_out(head: Any, target: str, said: str) -> None:
    fitting = Record("1", "abc", "a" if head == "class" else "abc")
    split = encode_split([fitting, Record("2", "abc", target)], tiny_codecs(), longest=9, long="stop", head=head)
    assert (split.records, split.unanswerable) == ([fitting], 1)
    assert said in split.reason


def test_words_come_back() -> None:
    words = WordTokenizer.fit(["b a", "a  c"], most=2)
    assert words.words == ("a", "b")
    assert words.encode(" a\tc b") == [4, UNK, 5]
    assert words.decode([4, UNK, 5, EOS]) == "a \N{REPLACEMENT CHARACTER} b"
    assert words.decode([5, 6], ("new",)) == "b new"
    assert (words.id_of("c"), words.id_of("a c")) == (UNK, None)
    whole = WordTokenizer.fit(["very good ", "bad"], whole=True)
    assert whole.decode(whole.encode(" very good")) == "very good"
    for codecs in (Codecs(words, whole), Codecs(words, PlaceTokenizer())):
        back = load_codecs(dump_codecs(codecs))
        assert (back.source, back.target) == (codecs.source, codecs.target)
