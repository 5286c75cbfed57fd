"""Sparse attention against the dense one under its mask, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core.config import Impossible
from core.model.config import TransformerConfig
from core.model.transformer import TransformerEncoder
from core.nn.attention import attend
from core.nn.layout import Padded
from core.nn.near import Near
from core.nn.places import Kind, Places
from core.testing.tiny import stir

# B batch, H heads, S positions, d width of a head


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("kind", ["rotary", "relative", "alibi"])
@pytest.mark.parametrize(("reach", "first"), [(1, 0), (2, 1), (3, 2), (4, 9), (20, 0)])
def test_it_is_dense_attention_under_a_mask(kind: Kind, reach: int, first: int) -> None:
    query, key, value = drawn(3, 4, 9, 4, seed=1), drawn(3, 2, 9, 4, seed=2), drawn(3, 2, 9, 4, seed=3)
    layout = Padded(torch.arange(9) < torch.tensor([9, 4, 1])[:, None])
    places = Places(kind, 16, 4, rows=1, both_ways=True).double()
    stir(places)
    place = torch.arange(9)
    first_S = place < first
    mask = ((place[:, None] - place).abs() <= reach) | first_S[:, None] | first_S
    real = layout.mask_BS[:, None, :, None]
    dense: list[Tensor] = []
    bias = places.bias(layout.positions, layout.positions)
    # a pad may see nothing at all: it is let see itself, and not compared
    allowed = (mask & layout.mask_BS[:, None, None]) | torch.eye(9, dtype=torch.bool)
    expected = attend(query, key, value, mask=allowed, bias=bias, looks=dense)
    looks: list[Tensor] = []
    found = Near.of(layout, reach, first, places.bias).attend(query, key, value, looks)
    torch.testing.assert_close(found * real, expected * real, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(looks[0] * real, dense[0] * real, rtol=1e-9, atol=1e-11)
    gradients = [
        torch.autograd.grad((x * real).square().sum(), (query, key, value), retain_graph=True)
        for x in (found, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)


def flops(length: int, window: int) -> int:
    cfg = TransformerConfig(
        width=16, heads=2, inner=16, encoder_layers=1, encoder_window=window, global_symbols=min(window, 2)
    )
    encoder, layout = TransformerEncoder(cfg).eval(), Padded(torch.ones(1, length, dtype=torch.bool))
    with FlopCounterMode(display=False) as counter:  # with gradients: fused kernels are not counted
        encoder(torch.zeros(1, length, 16), layout)
    return counter.get_total_flops()


def test_cost_is_linear_in_length() -> None:
    assert flops(1024, 16) == pytest.approx(4 * flops(256, 16), rel=1e-3)
    assert flops(1024, 0) > 10 * flops(256, 0)


def test_global_symbols_need_a_window() -> None:
    with pytest.raises(Impossible, match="global_symbols"):
        replace(TransformerConfig(), global_symbols=1)
