"""Attention, positions and dropout against torch's own and against what defines them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.nn.attention import attend
from core.nn.dropout import Dropout
from core.nn.layout import Padded
from core.nn.positions import rotate, rotation, sinusoids

# B batch, H heads, T query positions, S key positions, d width of a head, D width


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Float64 normals that want a gradient."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def inputs(T: int = 5, S: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    return drawn(3, 2, T, 4, seed=1), drawn(3, 2, S, 4, seed=2), drawn(3, 2, S, 4, seed=3)


LAYOUT = Padded(torch.arange(5) < torch.tensor([5, 2, 1])[:, None])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attend_is_torchs_with_and_without_gradients(causal: bool, padded: bool, masked: bool) -> None:
    query, key, value = inputs()
    chosen = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(4)) < 0.5
    chosen[..., 0] = True  # every query may look at the first
    layout, mask = LAYOUT if padded else None, chosen if masked else None
    allowed = torch.ones(3, 1, 5, 5, dtype=torch.bool)
    if causal:
        allowed = allowed.tril()
    if layout is not None:
        allowed = allowed & layout.mask_BS[:, None, None]
    if mask is not None:
        allowed = allowed & mask
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    wanted = torch.autograd.grad(expected.square().sum(), (query, key, value))

    actual = attend(query, key, value, layout=layout, causal=causal, mask=mask)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(actual.square().sum(), (query, key, value)), wanted, rtol=1e-9, atol=1e-11
    )
    with torch.no_grad():  # another kernel
        torch.testing.assert_close(
            attend(query, key, value, layout=layout, causal=causal, mask=mask), expected, rtol=1e-9, atol=1e-11
        )
    looks: list[Tensor] = []
    attend(query, key, value, layout=layout, causal=causal, mask=mask, looks=looks)
    (weights,) = looks
    torch.testing.assert_close(weights @ value, expected, rtol=1e-10, atol=1e-12)
    assert not weights[~allowed.expand_as(weights)].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5, dtype=torch.float64))


def test_nothing_to_look_at_gives_zeros_and_no_nan() -> None:
    query, key, value = inputs(T=2, S=5)
    empty = Padded(LAYOUT.mask_BS & torch.tensor([True, False, True])[:, None])
    seen = attend(query, key, value, layout=empty)
    seen.sum().backward()
    assert not seen[1].any()
    assert seen[0].all()
    assert all(x.grad is not None and x.grad.isfinite().all() and not x.grad[1].any() for x in (query, key, value))
    with torch.no_grad():
        torch.testing.assert_close(attend(query, key, value, layout=empty), seen, rtol=1e-9, atol=1e-11)
    looks: list[Tensor] = []
    attend(query, key, value, layout=empty, looks=looks)
    assert not looks[0][1].any()


def test_rotated_products_depend_on_the_distance_alone() -> None:
    query, key = drawn(8), drawn(8, seed=1)

    def product(q: int, k: int) -> Tensor:
        turned = (
            rotate(x[None, None, None], rotation(torch.tensor([[at]]), 8, torch.float64))
            for x, at in ((query, q), (key, k))
        )
        one, other = turned
        return (one * other).sum()

    torch.testing.assert_close(product(0, 0), query @ key, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(product(3, 7), product(10_003, 10_007), rtol=1e-9, atol=1e-9)
    assert abs(product(3, 7) - product(3, 8)) > 1e-3


def test_rotation_is_the_papers() -> None:
    """Pair i is turned by position / 10000^(2i/d)."""
    x, d, position = drawn(6), 6, 11
    turned = rotate(x[None, None, None], rotation(torch.tensor([[position]]), d, torch.float64)).flatten()
    for i in range(3):
        angle = position / 10_000 ** (2 * i / d)
        spun = torch.complex(x[i], x[i + 3]) * complex(math.cos(angle), math.sin(angle))
        torch.testing.assert_close(torch.stack([turned[i], turned[i + 3]]), torch.view_as_real(spun))


def test_sinusoids_are_the_papers_up_to_order() -> None:
    position_BS = torch.tensor([[0, 1, 7], [5, 5, 0]])
    made = sinusoids(position_BS, 6, torch.float64)
    assert made.shape == (2, 3, 6)
    rate = 10_000 ** (-torch.arange(3, dtype=torch.float64) / 3)
    torch.testing.assert_close(made[0, 2], torch.cat([(7 * rate).sin(), (7 * rate).cos()]))
    torch.testing.assert_close(made[0, 0], made[1, 2], rtol=0, atol=0)
    assert sinusoids(position_BS, 5, torch.float32).shape == (2, 3, 5)


class TestDropout:
    def test_drops_the_share_and_keeps_the_mean(self) -> None:
        layer = Dropout(0.1).train()
        torch.manual_seed(0)
        out = layer(torch.ones(1_000_000))
        dropped = (out == 0).float().mean().item()
        assert abs(dropped - 0.1) < 5 * math.sqrt(0.09 / 1e6)  # five standard deviations
        assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.9], rel=1e-4)
        neighbours = ((out[1:] == 0) & (out[:-1] == 0)).float().mean().item()
        assert abs(neighbours - 0.01) < 0.001

    def test_equal_seeds_give_equal_masks(self) -> None:
        layer, x = Dropout(0.3).train(), torch.ones(7, 11)
        torch.manual_seed(5)
        one, next_one = layer(x), layer(x)
        torch.manual_seed(5)
        assert torch.equal(layer(x), one)
        assert not torch.equal(one, next_one)

    def test_gradient_is_the_mask(self) -> None:
        x = torch.randn(9, 9, requires_grad=True)
        out = Dropout(0.5).train()(x)
        out.sum().backward()
        assert x.grad is not None
        torch.testing.assert_close(x.grad * x, out)

    @pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0).train()])
    def test_does_nothing_when_told_so(self, layer: nn.Module) -> None:
        x = torch.randn(3)
        assert layer(x) is x

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_keeps_the_type(self, dtype: torch.dtype) -> None:
        out = Dropout(0.25).train()(torch.ones(4000, dtype=dtype))
        assert out.dtype == dtype
        assert 0.2 < (out == 0).float().mean() < 0.3
