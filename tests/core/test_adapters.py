"""Adapters, parts that are held fast, and one model's weights in another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from core.codec.regex import RegexTokenizer
from core.codec.types import UNK, Codecs
from core.errors import ConfigError
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.nn.linear import matrix
from core.nn.low_rank import LowRankLinear
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from core.train.adapters import adapted, adapter_names, plain_weights
from core.train.adversarial import Pushes
from core.train.carry import carry, places
from core.train.checkpoint import put_weights, weights_of
from core.train.config import Part, TrainConfig
from core.train.parts import hold, part, trainable

CODECS = tiny_codecs()
BATCH = batch_of(tiny_pairs(CODECS, 6))
TRANSFORMER = TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.0)
MODELS: dict[str, ModelConfig] = {
    "transformer": TRANSFORMER,
    "conformer": replace(TRANSFORMER, heads=4, kv_heads=2, activation="swiglu", encoder="conformer"),
    "rnn": RNNConfig(width=8, dropout=0.0, attention="additive"),
    "conv": ConvConfig(width=8, encoder_layers=1, decoder_layers=1, dropout=0.0),
}
ADAPTERS = TrainConfig(init_from="a run", lora=2)


def taught(model: Seq2Seq) -> Seq2Seq:
    """The adapters as training leaves them: not zero."""
    with torch.no_grad():
        for name in sorted(adapter_names(model)):
            parameter = model.get_parameter(name)
            parameter.copy_(torch.linspace(-0.3, 0.4, parameter.numel()).view_as(parameter))
    return model


@pytest.mark.parametrize("name", MODELS)
def test_adapters_begin_as_exactly_the_model(name: str) -> None:
    plain, model = build(MODELS[name], CODECS, seed=3), adapted(build(MODELS[name], CODECS, seed=3), 2, 5.0, seed=1)
    assert adapter_names(model)
    assert torch.equal(model.train().loss(BATCH), plain.train().loss(BATCH))
    with torch.no_grad():
        assert torch.equal(model.eval().loss(BATCH), plain.eval().loss(BATCH))


@pytest.mark.parametrize("name", MODELS)
def test_a_plain_model_with_the_sums_answers_the_same_to_the_bit(name: str) -> None:
    plain, model = (
        build(MODELS[name], CODECS, seed=3),
        taught(adapted(build(MODELS[name], CODECS, seed=3), 2, 5.0, seed=1)),
    )
    first = plain.loss(BATCH)
    put_weights(plain, plain_weights(model), "here")
    with torch.no_grad():
        without = model.eval().loss(BATCH)
        assert torch.equal(without, plain.eval().loss(BATCH))
    torch.testing.assert_close(model.loss(BATCH), without)  # with gradients, by two products instead of a sum
    assert not torch.equal(without, first)


def test_the_sum_is_made_anew_when_a_weight_changes() -> None:
    layer = LowRankLinear(matrix(6, 6, parts=3), 2, 0.0)
    x = torch.linspace(-1, 1, 6)
    with torch.no_grad():
        layer.eval()
        before = layer(x)
        layer.up.fill_(0.5)
        after = layer(x)
        torch.testing.assert_close(after - before, (layer.up @ (layer.down @ x)[..., None]).flatten())
    assert not torch.equal(before, after)


def test_maps_side_by_side_have_adapters_each() -> None:
    layer = LowRankLinear(matrix(4, 12, parts=3), 2, 0.0)
    assert layer.down.shape == (3, 2, 4)
    assert layer.up.shape == (3, 4, 2)
    with torch.no_grad():
        layer.up[1] = 1.0
        change = layer.whole() - layer.weight
    assert torch.equal(change[:4], torch.zeros(4, 4))
    assert torch.equal(change[8:], torch.zeros(4, 4))
    assert torch.linalg.matrix_rank(change[4:8]) == 1


@pytest.mark.parametrize("name", MODELS)
def test_adapters_alone_are_trained(name: str) -> None:
    model = adapted(build(MODELS[name], CODECS, seed=3), 2, 0.0, seed=1)
    before = weights_of(model)
    hold(model, ADAPTERS, [])
    assert trainable(model) == sum(model.get_parameter(one).numel() for one in adapter_names(model))
    model.loss(BATCH).backward()
    moved = {one for one, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == adapter_names(model)
    assert weights_of(model).keys() == before.keys()


def test_what_begins_anew_is_trained_beside_adapters() -> None:
    model = adapted(build(TRANSFORMER, CODECS, seed=3), 2, 0.0, seed=1)
    hold(model, ADAPTERS, ["embedding.weight"])
    assert model.embedding.weight.requires_grad
    assert not model.head.bias.requires_grad


@pytest.mark.parametrize("frozen", ["encoder", "decoder", "embeddings", "output"])
def test_a_frozen_part_has_no_gradient(frozen: Part) -> None:
    model = build(TRANSFORMER, CODECS, seed=3)
    hold(model, TrainConfig(freeze=(frozen,)), [])
    model.loss(BATCH).backward()
    held = {id(one) for one in part(model, frozen)}
    assert held
    assert {id(one) for one in model.parameters() if one.grad is None} == held


def test_embeddings_that_stand_still_can_be_pushed() -> None:
    """Adversarial training (`train.adversarial`) under adapters, say: the push is not to the table but to what it gave."""
    model = build(TRANSFORMER, CODECS, seed=3)
    hold(model, TrainConfig(freeze=("embeddings",)), [])
    pushes = Pushes(0.5)
    with pushes.watching(model):
        loss = model.loss(BATCH)
    loss.backward()
    assert model.embedding.weight.grad is None
    with pushes.pushing(model):
        assert model.loss(BATCH) > loss


def test_a_matrix_of_two_parts_stands_still_for_either() -> None:
    model = build(replace(TRANSFORMER, tie="target"), CODECS, seed=3)
    assert any(one is model.embedding.weight for one in part(model, "output"))
    assert any(one is model.embedding.weight for one in part(model, "embeddings"))


def test_a_part_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"train.freeze: this model has no ctc; it has encoder, decoder, embeddings, output$"
    ):
        hold(build(TRANSFORMER, CODECS, seed=3), TrainConfig(freeze=("ctc",)), [])


def test_something_must_be_left_to_train() -> None:
    with pytest.raises(ConfigError, match="nothing is left to train"):
        hold(build(TRANSFORMER, CODECS, seed=3), TrainConfig(freeze=("encoder", "decoder", "embeddings", "output")), [])


@pytest.mark.parametrize("name", MODELS)
def test_equal_models_are_carried_whole(name: str) -> None:
    old, new = build(MODELS[name], CODECS, seed=3), build(MODELS[name], CODECS, seed=4)
    found = carry(new, CODECS, old, CODECS, same_task=True)
    assert found.untaught == ()
    assert all(torch.equal(one, weights_of(old)[key]) for key, one in weights_of(new).items())


def test_adapters_of_the_old_model_become_weights_of_the_new() -> None:
    old = taught(adapted(build(TRANSFORMER, CODECS, seed=3), 2, 0.0, seed=1))
    new = adapted(build(TRANSFORMER, CODECS, seed=4), 3, 0.0, seed=2)
    assert carry(new, CODECS, old, CODECS, same_task=True).untaught == ()
    with torch.no_grad():
        assert torch.equal(new.eval().loss(BATCH), old.eval().loss(BATCH))


def test_symbols_that_both_vocabularies_have_keep_their_rows() -> None:
    old_codecs = Codecs(RegexTokenizer(("a", "b", "c")), RegexTokenizer(("x", "y")))
    codecs = Codecs(RegexTokenizer(("c", "d", "a")), RegexTokenizer(("y", "x")))
    cfg = replace(TRANSFORMER, tie="none")
    old, new, drawn = build(cfg, old_codecs, seed=3), build(cfg, codecs, seed=4), build(cfg, codecs, seed=4)
    with torch.no_grad():
        old.head.bias.copy_(torch.arange(6.0))
    found = carry(new, codecs, old, old_codecs, same_task=True)
    assert found.fresh == ()
    assert found.partly == ("front.embedding.weight",)
    table, was, began = (weights_of(model)["front.embedding.weight"] for model in (new, old, drawn))
    assert torch.equal(table[:4], was[:4]), "specials"
    assert torch.equal(table[4], was[6])
    assert torch.equal(table[5], began[5]), "a symbol that the old vocabulary lacks"
    assert torch.equal(table[6], was[4])
    assert new.head.bias.tolist() == [0, 1, 2, 3, 5, 4]
    assert torch.equal(new.head.weight[4], old.head.weight[5])


def test_one_table_for_all_learns_from_both_sides() -> None:
    apart = Codecs(RegexTokenizer(("a", "b")), RegexTokenizer(("b", "x")))
    one = RegexTokenizer(("a", "b", "x"))
    old = build(replace(TRANSFORMER, tie="none"), apart, seed=3)
    new = build(replace(TRANSFORMER, tie="all"), Codecs(one, one), seed=4)
    assert carry(new, Codecs(one, one), old, apart, same_task=True).untaught == ("head.bias",)
    source, target = weights_of(old)["front.embedding.weight"], old.embedding.weight
    assert torch.equal(new.embedding.weight[4], source[4])
    assert torch.equal(new.embedding.weight[5:], target[4:]), "where both know a symbol, the target's row"


def test_other_shapes_begin_anew() -> None:
    old, new = build(TRANSFORMER, CODECS, seed=3), build(replace(TRANSFORMER, inner=16), CODECS, seed=4)
    found = carry(new, CODECS, old, CODECS, same_task=True)
    assert {name.split(".feed_forward.")[-1] for name in found.fresh} == {"inner.weight", "inner.bias", "output.weight"}
    assert found.partly == ()


def test_a_label_of_two_symbols_is_nobody_s() -> None:
    assert places(RegexTokenizer(("a", "b")), RegexTokenizer(("a", "b", "a"))).tolist() == [0, 1, 2, UNK, -1, 5]


def test_drawing_adapters_moves_no_generator() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    model = adapted(build(TRANSFORMER, CODECS, seed=3), 2, 0.0, seed=1)
    assert torch.equal(torch.rand(1), first)
    again = adapted(build(TRANSFORMER, CODECS, seed=3), 2, 0.0, seed=1)
    assert all(torch.equal(one, weights_of(again)[name]) for name, one in weights_of(model).items())
    assert all(isinstance(layer, LowRankLinear) for layer in model.encoder.modules() if isinstance(layer, nn.Linear))  # pyright: ignore
