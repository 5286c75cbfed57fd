"""Positions, shared heads of keys, norms and the two sides' sizes, against what the papers write; and what config refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import Impossible
from core.model.build import build
from core.model.config import RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.model.transformer import TransformerEncoder
from core.nn.attention import attend
from core.nn.layout import Padded
from core.nn.places import Kind, Places, Where
from core.nn.transformer import SelfAttention
from core.testing.tiny import batch_of, forced_logp, stir, tiny_codecs, tiny_pairs

# B batch, H heads, T query positions, S key positions, d width of a head, D width

SMALL = TransformerConfig(width=16, heads=4, encoder_layers=2, decoder_layers=2, inner=24, dropout=0.0)
PLACES = torch.tensor([[0, 1, 2, 3, 9, 40, 200]])


def made(kind: Kind, *, both_ways: bool = True, heads: int = 4) -> Places:
    places = Places(kind, 16, heads, rows=5, both_ways=both_ways).double()
    stir(places)
    return places


@pytest.mark.parametrize("both_ways", [True, False])
def test_relative_bias_is_the_table_of_the_papers_buckets(both_ways: bool) -> None:
    """Written as T5's appendix has it, one pair of places at a time."""
    places = made("relative", both_ways=both_ways)
    bias = places.bias(PLACES, PLACES)
    assert bias is not None
    assert bias.shape == (1, 4, 7, 7)
    for t, query in enumerate(PLACES[0].tolist()):
        for s, key in enumerate(PLACES[0].tolist()):
            n, distance, bucket = 32, query - key, 0
            if both_ways:
                n, bucket, distance = 16, 16 if key > query else 0, abs(distance)
            distance = max(distance, 0)
            if distance < n // 2:
                bucket += distance
            else:
                bucket += min(n - 1, n // 2 + int(math.log(distance / (n // 2)) / math.log(128 / (n // 2)) * (n // 2)))
            assert torch.equal(bias[0, :, t, s], places.bias_of_bucket[bucket] * places.width**0.5), (query, key)


def test_alibi_is_a_slope_by_head() -> None:
    """1/2, 1/4, ... 1/256, as the paper has for eight heads; an encoder's see one side at half of it."""
    prefix, both = (made("alibi", heads=8, both_ways=way).bias(PLACES, PLACES) for way in (False, True))
    assert prefix is not None
    assert both is not None
    for h in range(8):
        for t, s in ((0, 0), (3, 1), (6, 5), (1, 4), (2, 6)):
            away = -abs(PLACES[0, t] - PLACES[0, s]).item() / 2 ** (h + 1)
            assert prefix[0, h, t, s].item() == pytest.approx(away)
            assert both[0, h, t, s].item() == pytest.approx(away / 2 if (s > t) == (h % 2 == 1) else away)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary", "relative", "alibi"])
def test_an_encoder_tells_a_source_from_its_reverse(kind: Kind, heads: int) -> None:
    """Distances alone would not."""
    encoder = TransformerEncoder(replace(SMALL, positions=kind, heads=heads)).double().eval()
    stir(encoder)
    x_BSD = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    layout = Padded(torch.ones(1, 5, dtype=torch.bool))
    found, turned = encoder(x_BSD, layout), encoder(x_BSD.flip(1), layout).flip(1)
    assert (found - turned).abs().max() > 1e-3


def test_learned_places_are_rows_and_the_last_serves_further_ones() -> None:
    places = made("learned")
    x_BTD, turn = places(torch.zeros(1, 7, 16, dtype=torch.float64), PLACES)
    assert turn is None
    row = [0, 1, 2, 3, 4, 4, 4]
    torch.testing.assert_close(x_BTD[0], places.learned.weight[row] * 4)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("grad", [True, False])
def test_shared_heads_of_keys_are_repeated_ones(groups: int, grad: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(3, n, 5, 6, generator=draw, dtype=torch.float64) for n in (4, groups, groups))
    bias = torch.randn(1, 4, 5, 5, generator=draw, dtype=torch.float64)
    layout = Padded(torch.arange(5) < torch.tensor([5, 2, 1])[:, None])
    every_key, every_value = (x.repeat_interleave(4 // groups, dim=1) for x in (key, value))
    allowed = (layout.mask_BS[:, None, None] & torch.ones(5, 5, dtype=torch.bool).tril()).expand(3, 4, 5, 5)
    score = query @ every_key.mT / math.sqrt(6) + bias
    weight = score.masked_fill(~allowed, -torch.inf).softmax(-1)
    with torch.set_grad_enabled(grad):
        query = query.requires_grad_(grad)
        looks: list[Tensor] = []
        seen = attend(query, key, value, layout=layout, causal=True, bias=bias)
        attend(query, key, value, layout=layout, causal=True, bias=bias, looks=looks)
    torch.testing.assert_close(seen.detach(), weight @ every_value, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(looks[0].detach(), weight, rtol=1e-9, atol=1e-11)


def test_a_bias_is_for_both_kernels() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4, generator=draw, dtype=torch.float64) for _ in range(3))
    bias = torch.randn(1, 3, 5, 5, generator=draw, dtype=torch.float64)
    mask = torch.eye(5, dtype=torch.bool) | (torch.arange(5) < 2)
    for options in ({}, {"causal": True}, {"mask": mask}, {"causal": True, "mask": mask}):
        with torch.no_grad():
            fused = attend(query, key, value, bias=bias, **options)
        torch.testing.assert_close(
            fused, attend(query.requires_grad_(), key, value, bias=bias, **options).detach(), rtol=1e-9, atol=1e-11
        )


def test_as_many_heads_of_keys_as_of_queries_is_the_default() -> None:
    one, other = (build(replace(SMALL, kv_heads=n), tiny_codecs(), seed=1).state_dict() for n in (0, 4))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_a_post_norm_encoder_is_the_papers() -> None:
    cfg = replace(SMALL, norm_place="post", positions="alibi", activation="relu")
    encoder = TransformerEncoder(cfg).double().eval()
    stir(encoder)
    x_BSD = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    layout = Padded(torch.ones(2, 6, dtype=torch.bool))
    found: Tensor = encoder(x_BSD, layout)
    weights = dict(encoder.named_parameters())
    bias = encoder.places.bias(layout.positions, layout.positions)
    for n in range(2):
        attention = encoder.get_submodule(f"blocks.{n}.attention")
        assert isinstance(attention, SelfAttention)
        for part, said in (
            ("attention_norm", attention(x_BSD, Where(bias=bias), layout=layout)),
            ("feed_forward_norm", None),
        ):
            if said is None:
                name = f"blocks.{n}.feed_forward"
                inner = F.relu(F.linear(x_BSD, weights[f"{name}.inner.weight"], weights[f"{name}.inner.bias"]))
                said = F.linear(inner, weights[f"{name}.output.weight"], weights[f"{name}.output.bias"])
            norm = (weights[f"blocks.{n}.{part}.{key}"] for key in ("weight", "bias"))
            x_BSD = F.layer_norm(x_BSD + said, (16,), *norm)
    torch.testing.assert_close(found, x_BSD, rtol=1e-10, atol=1e-10)


def test_weights_of_every_attention_on_request() -> None:
    codecs = tiny_codecs()
    model, batch = build(SMALL, codecs).eval(), batch_of(tiny_pairs(codecs))
    (B, S), T = batch.source.shape, batch.given_BT.shape[1]
    with torch.no_grad():
        shapes = {"cross": (2, B, 4, T, S), "encoder": (2, B, 4, S, S), "decoder": (2, B, 4, T, T)}
        for of, shape in shapes.items():
            weight = model.attention(batch, of)  # pyright: ignore[reportArgumentType]
            assert weight.shape == shape
            torch.testing.assert_close(weight.sum(-1), torch.ones(shape[:-1]))
        assert not model.attention(batch, "decoder").triu(1).any()
        assert build(RNNConfig(width=16), codecs).eval().attention(batch, "encoder").numel() == 0


class TestLayerDrop:
    def loss(self, model: Seq2Seq, seed: int) -> float:
        torch.manual_seed(seed)
        return model.loss(batch_of(tiny_pairs(tiny_codecs()))).item()

    def test_it_leaves_out_blocks_by_the_seed_and_in_training_only(self) -> None:
        model = build(replace(SMALL, layer_drop=0.5), tiny_codecs()).train()
        losses = [self.loss(model, seed) for seed in range(12)]
        assert losses == [self.loss(model, seed) for seed in range(12)]
        assert len(set(losses)) > 3
        assert min(losses) <= self.loss(model.eval(), 0) == self.loss(build(SMALL, tiny_codecs()).train(), 1)

    def test_nothing_is_left_of_all_blocks_but_sums(self) -> None:
        encoder = TransformerEncoder(replace(SMALL, layer_drop=0.999999)).train()
        x_BSD = torch.randn(1, 3, 16)
        assert torch.equal(encoder(x_BSD, Padded(torch.ones(1, 3, dtype=torch.bool))), encoder.norm(x_BSD))


@pytest.mark.parametrize("kind", [TransformerConfig, RNNConfig])
def test_sides_may_differ_in_width(kind: type[TransformerConfig] | type[RNNConfig]) -> None:
    model = build(kind(width=16, encoder_width=24, encoder_layers=1), codecs := tiny_codecs(shared=True))
    batch = batch_of(tiny_pairs(codecs))
    assert model.embedding.embedding_dim == 16
    assert model.encode(batch).hidden_BSD.shape[-1] == 16
    assert {x.shape for name, x in model.named_parameters() if name == "front.embedding.weight"} == {
        (codecs.source.size, 24)
    }
    forced_logp(model, batch)


def test_both_embeddings_may_be_one_and_the_output_another() -> None:
    codecs = tiny_codecs(shared=True)
    model = build(replace(SMALL, tie="embeddings"), codecs)
    tables = [name for name, x in model.named_parameters() if x.shape == (codecs.target.size, 16)]
    assert sorted(tables) == ["embedding.weight", "head.matrix"]
    assert isinstance(model.head.weight, nn.Parameter)
    assert not torch.equal(model.head.weight, model.embedding.weight)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"heads": 3}, "heads"),
        ({"encoder_width": 30, "heads": 4}, "heads"),
        ({"encoder_heads": 5}, "encoder_heads"),
        ({"encoder_heads": 16}, "encoder_heads"),
        ({"kv_heads": 3}, "kv_heads"),
        ({"kv_heads": 8}, "kv_heads"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(Impossible) as caught:
        replace(SMALL, **wrong)
    assert caught.value.field == key


@pytest.mark.parametrize("tie", ["all", "embeddings"])
def test_matrices_of_two_widths_cannot_be_one(tie: Any) -> None:
    with pytest.raises(Impossible, match="one width"):
        build(replace(SMALL, tie=tie, encoder_width=24), tiny_codecs(shared=True))
    with pytest.raises(Impossible, match="one vocabulary"):
        build(replace(SMALL, tie=tie), tiny_codecs())
