"""The output layer and its loss against a float64 reference that holds all logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import BOS, EOS, PAD
from core.model.state import Memory
from core.nn.embedding import Borrowed
from core.nn.layout import Padded
from core.nn.loss import linear_cross_entropy
from core.nn.output import Head

# B batch, T target, N positions in a row, D width, V vocabulary

B, T, D, V = 3, 7, 6, 11
NOTHING = Memory(torch.zeros(B, 1, D), Padded(torch.ones(B, 1, dtype=torch.bool)), torch.zeros(B, 1))
"""What a head remembers that copies nothing."""


def drawn(*shape: int, seed: int) -> Tensor:
    """Float64 normals that want a gradient."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(hidden, weight, bias, wanted), with pads at odd places."""
    wanted_N = torch.randint(EOS, V, (B * T,), generator=torch.Generator().manual_seed(9))
    wanted_N[[0, 5, 6, 20]] = PAD
    return drawn(B * T, D, seed=1), drawn(V, D, seed=2), drawn(V, seed=3), wanted_N


def legal_tokens(wanted_N: Tensor) -> Tensor:
    """A random half and the wanted ones; PAD and BOS at times, which must not matter; nothing at all at one pad."""
    legal_NV = torch.rand(len(wanted_N), V, generator=torch.Generator().manual_seed(4)) < 0.5
    legal_NV.scatter_(1, wanted_N[:, None], True)
    legal_NV[5] = False
    return legal_NV


def reference(
    hidden: Tensor, weight: Tensor, bias: Tensor, wanted: Tensor, smoothing: float, legal: Tensor | None
) -> Tensor:
    """Position by position, as the formula says it."""
    total = hidden.new_zeros(())
    for n in range(len(wanted)):
        if wanted[n] == PAD:
            continue
        possible = [v for v in range(V) if v not in (PAD, BOS) and (legal is None or bool(legal[n, v]))]
        logp = (weight[possible] @ hidden[n] + bias[possible]).log_softmax(0)
        total = total - (1 - smoothing) * logp[possible.index(int(wanted[n]))] - smoothing * logp.mean()
    return total


@pytest.mark.parametrize("chunk", [1, 4, 21, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ruled", [False, True])
def test_chunked_loss_is_the_reference(chunk: int, smoothing: float, ruled: bool) -> None:
    hidden, weight, bias, wanted = case()
    tensors, legal = (hidden, weight, bias), legal_tokens(wanted) if ruled else None
    expected = reference(hidden, weight, bias, wanted, smoothing, legal)
    actual = linear_cross_entropy(*tensors, wanted, smoothing=smoothing, legal_NV=legal, chunk=chunk)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(actual * 0.7, tensors),
        torch.autograd.grad(expected * 0.7, tensors),
        rtol=1e-10,
        atol=1e-12,
    )
    with torch.no_grad():
        same = linear_cross_entropy(*tensors, wanted, smoothing=smoothing, legal_NV=legal, chunk=chunk)
        torch.testing.assert_close(same, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ruled", [False, True])
def test_head_loss_is_the_reference_in_a_rectangle(ruled: bool) -> None:
    hidden, weight, _, wanted = case()
    head = Head(nn.Embedding(V, D, _weight=weight.detach())).double()
    with torch.no_grad():
        head.bias.copy_(torch.arange(V) / 10)
    legal = legal_tokens(wanted) if ruled else None
    actual = head.loss(
        hidden.view(B, T, D),
        wanted.view(B, T),
        NOTHING,
        smoothing=0.1,
        legal=None if legal is None else legal.view(B, T, V),
    )
    expected = reference(hidden, head.weight, head.bias, wanted, 0.1, legal)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    wants = [hidden, head.weight, head.bias]
    torch.testing.assert_close(
        torch.autograd.grad(actual, wants), torch.autograd.grad(expected, wants), rtol=1e-10, atol=1e-12
    )


def test_without_smoothing_it_is_torchs_cross_entropy() -> None:
    hidden, weight, bias, wanted = case()
    logits = F.linear(hidden, weight, bias.index_fill(0, torch.tensor([PAD, BOS]), -torch.inf))
    expected = F.cross_entropy(logits, wanted, ignore_index=PAD, reduction="sum")
    torch.testing.assert_close(linear_cross_entropy(hidden, weight, bias, wanted), expected)


def test_loss_takes_part_in_a_larger_graph() -> None:
    """The matrix is also an embedding, whose gradient is the sum of both uses."""
    hidden, weight, bias, wanted = case()
    inner = F.embedding(wanted, weight) * hidden
    chunked, expected = (
        torch.autograd.grad(loss / 17, weight, retain_graph=True)
        for loss in (
            linear_cross_entropy(inner, weight, bias, wanted),
            reference(inner, weight, bias, wanted, 0.0, None),
        )
    )
    torch.testing.assert_close(chunked, expected, rtol=1e-10, atol=1e-12)


def test_no_real_token_no_loss() -> None:
    hidden, weight, bias, wanted = case()
    for rows in (slice(0, 0), slice(5, 7)):
        loss = linear_cross_entropy(hidden[rows], weight, bias, wanted[rows], smoothing=0.1)
        (gradient,) = torch.autograd.grad(loss, weight)
        assert loss.item() == 0
        assert not gradient.any()


def test_a_wanted_word_against_the_rule_costs_infinitely_much() -> None:
    hidden, weight, bias, wanted = case()
    legal = legal_tokens(wanted)
    legal[1, wanted[1]] = False
    assert linear_cross_entropy(hidden, weight, bias, wanted, legal_NV=legal).item() == float("inf")


def test_bf16_autocast_is_near_and_the_loss_is_float32() -> None:
    hidden, weight, bias, wanted = (x.detach().float().requires_grad_() if x.is_floating_point() else x for x in case())
    tensors = (hidden, weight, bias)
    expected = linear_cross_entropy(*tensors, wanted, smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        actual = linear_cross_entropy(*tensors, wanted, smoothing=0.1, chunk=4)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0.02, atol=0.02)  # bf16 has 8 bits
    for one, other in zip(torch.autograd.grad(actual, tensors), torch.autograd.grad(expected, tensors), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_logp_sums_to_one_over_what_can_be_said() -> None:
    hidden, weight, _, wanted = case()
    table = nn.Embedding(V, D, _weight=weight.detach())
    head = Head(Borrowed(table.float()))
    logp = head.logp(hidden.view(B, T, D).float(), NOTHING)
    assert logp.shape == (B, T, V)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(B, T))
    assert (logp[..., [PAD, BOS]] == float("-inf")).all()
    said = logp.flatten(0, 1).gather(1, wanted[:, None])[wanted != PAD]
    torch.testing.assert_close(head.loss(hidden.float(), wanted, NOTHING), -said.sum())


def test_a_borrowed_matrix_is_in_the_file_once() -> None:
    table = nn.Embedding(V, D)
    assert set(Head(Borrowed(table)).state_dict()) == {"bias"}
    assert set(Head(table).state_dict()) == {"bias", "matrix"}
    assert Head(Borrowed(table)).weight is table.weight
