"""The pointer-generator head: the mixture, its loss and its gradients against a computation word by word."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from core.codec.types import BOS, EOS, PAD
from core.model.state import Memory
from core.nn.copying import CopyingHead
from core.nn.copying_loss import copying_cross_entropy, mixed
from core.nn.layout import Padded
from core.nn.output import Head, spoken
from core.nn.pointed import word_places

# B batch, T target, S source, D width, V vocabulary, X words beyond it, N positions in a row

B, T, S, D, V, X = 3, 4, 6, 5, 9, 3
WORDS = torch.tensor([[4, 9, 4, 10, 9, 6], [5, 5, EOS, 9, PAD, PAD], [PAD, PAD, PAD, PAD, PAD, PAD]])
"""Words that stand twice, unknown ones, the end symbol, pads, and a source without anything."""
WANTED = torch.tensor([[9, 4, 7, EOS], [5, 9, EOS, PAD], [6, EOS, PAD, PAD]])
"""Words to copy only, to say or to copy, and to say only."""


class Setting:
    """A head, hidden states and a memory that all want gradients, in float64."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(2)
        draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
        self.head = CopyingHead(nn.Embedding(V, D), own_ids=False).to(dtype)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.copy_(draw(*parameter.shape))
        self.hidden, self.states = draw(B, T, D).requires_grad_(), draw(B, S, D).requires_grad_()

    @property
    def memory(self) -> Memory:
        layout = Padded(WORDS != PAD)
        return Memory(self.states, layout, WORDS, self.head.cache(self.states, layout, WORDS, WORDS), X)

    @property
    def learned(self) -> list[Tensor]:
        return [self.hidden, self.states, *self.head.parameters()]


def brute(one: Setting, b: int, t: int) -> Tensor:
    """Probabilities [V + X], by the formula and nothing else."""
    head, h = one.head, one.hidden[b, t]
    logits = torch.cat([torch.full((2,), -torch.inf, dtype=h.dtype), (head.weight @ h + head.bias)[2:]])
    said = logits.softmax(0)
    places = [s for s in range(S) if WORDS[b, s] > BOS]
    if not places:
        return torch.cat([said, said.new_zeros(X)])
    score = torch.stack([(head.query(h) @ head.key(one.states[b, s])) / D**0.5 for s in places])
    look = score.softmax(0)
    found = sum(a * (one.states[b, s] @ head.worth) for a, s in zip(look, places, strict=True))
    gate = torch.sigmoid(head.gate @ h + found + head.gate_bias[0])
    words = [gate * said[w] if w < V else said.new_zeros(()) for w in range(V + X)]
    for a, s in zip(look, places, strict=True):
        words[int(WORDS[b, s])] = words[int(WORDS[b, s])] + (1 - gate) * a
    return torch.stack(words)


def reference(one: Setting, smoothing: float, legal: Tensor | None) -> Tensor:
    """The loss, word by word."""
    total = one.hidden.new_zeros(())
    for b in range(B):
        own = {*range(2, V), *(int(w) for w in WORDS[b] if w >= V)}
        for t in range(T):
            if (wanted := int(WANTED[b, t])) == PAD:
                continue
            p = brute(one, b, t)
            can = sorted(w for w in own if legal is None or w >= legal.shape[-1] or bool(legal[b, t, w]))
            logp = (p[can] / p[can].sum()).log()
            total = total - (1 - smoothing) * logp[can.index(wanted)] - smoothing * logp.mean()
    return total


def legal_words(width: int) -> Tensor:
    """A random half and the wanted ones; PAD and BOS at times, which must not matter; nothing at all at one pad."""
    legal = torch.rand(B, T, width, generator=torch.Generator().manual_seed(4)) < 0.5
    legal.scatter_(-1, WANTED.clamp(max=width - 1)[..., None], True)
    legal[1, 3] = False
    return legal


def test_the_mixture_is_what_the_formula_says() -> None:
    one = Setting()
    logp = one.head.logp(one.hidden, one.memory)
    expected = torch.stack([torch.stack([brute(one, b, t) for t in range(T)]) for b in range(B)])
    torch.testing.assert_close(logp.exp(), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(B, T, dtype=torch.float64), rtol=1e-12, atol=0)
    wants = [x for x in one.learned if x is not one.head.bias]
    for real, other in zip(
        torch.autograd.grad(logp.exp().square().sum(), wants),
        torch.autograd.grad(expected.square().sum(), wants),
        strict=True,
    ):
        torch.testing.assert_close(real, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("width", [None, V, V + 1, V + X], ids=lambda width: f"rule of {width}")
def test_the_loss_and_its_gradients_are_those_of_the_mixture(smoothing: float, width: int | None) -> None:
    one, legal = Setting(), None if width is None else legal_words(width)
    actual = one.head.loss(one.hidden, WANTED, one.memory, smoothing=smoothing, legal=legal)
    expected = reference(one, smoothing, legal)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(actual * 0.7, one.learned),
        torch.autograd.grad(expected * 0.7, one.learned),
        rtol=1e-9,
        atol=1e-12,
    )
    with torch.no_grad():
        same = one.head.loss(one.hidden, WANTED, one.memory, smoothing=smoothing, legal=legal)
    torch.testing.assert_close(same, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_chunks_and_pads_change_nothing(chunk: int) -> None:
    one, legal = Setting(), legal_words(V)
    gate_BT, score_BTS = one.head.look(one.hidden, one.memory)
    row_N = torch.arange(B).repeat_interleave(T)
    cache = one.memory.cache
    actual = copying_cross_entropy(
        one.hidden.flatten(0, 1),
        one.head.weight,
        one.head.bias,
        gate_BT.flatten(),
        score_BTS.flatten(0, 1),
        WANTED.flatten(),
        row_N,
        cache["copy.extended"],
        cache["copy.first"],
        smoothing=0.1,
        legal_NV=legal.flatten(0, 1),
        chunk=chunk,
    )
    expected = reference(one, 0.1, legal)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    for real, other in zip(
        torch.autograd.grad(actual, one.learned), torch.autograd.grad(expected, one.learned), strict=True
    ):
        torch.testing.assert_close(real, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_certainties_stay_numbers_in_float32(scale: float) -> None:
    """A copied word far below the others has a probability that is no float; its logarithm is one."""
    one = Setting(torch.float32)
    with torch.no_grad():
        one.hidden.mul_(scale)
    for legal in (None, legal_words(V)):
        loss = one.head.loss(one.hidden, WANTED, one.memory, smoothing=0.1, legal=legal)
        assert loss.isfinite()
        assert all(x.isfinite().all() for x in torch.autograd.grad(loss, one.learned))
    logp = one.head.logp(one.hidden, one.memory)
    assert not logp.isnan().any()
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(B, T), rtol=1e-5, atol=1e-5)


def test_a_source_without_words_to_copy_is_answered_as_without_copying() -> None:
    one = Setting()
    plain = Head(nn.Embedding(V, D)).double()
    plain.load_state_dict({name: x for name, x in one.head.state_dict().items() if name in ("matrix", "bias")})
    torch.testing.assert_close(
        one.head.logp(one.hidden, one.memory)[2, :, :V], plain.logp(one.hidden, one.memory)[2], rtol=1e-12, atol=0
    )
    wanted = WANTED.clone()
    wanted[:2] = PAD
    torch.testing.assert_close(
        one.head.loss(one.hidden, wanted, one.memory, smoothing=0.2),
        plain.loss(one.hidden, wanted, one.memory, smoothing=0.2),
        rtol=1e-12,
        atol=0,
    )


def test_a_wanted_word_against_the_rule_costs_infinitely_much() -> None:
    one, legal = Setting(), legal_words(V + X)
    legal[0, 0, WANTED[0, 0]] = False
    assert one.head.loss(one.hidden, WANTED, one.memory, legal=legal).item() == float("inf")


def test_no_real_token_no_loss() -> None:
    one = Setting()
    loss = one.head.loss(one.hidden, torch.full_like(WANTED, PAD), one.memory, smoothing=0.1)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, one.head.weight)[0].any()


def test_bf16_autocast_is_near_and_the_loss_is_float32() -> None:
    one = Setting(torch.float32)
    exact = one.head.loss(one.hidden, WANTED, one.memory, smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        memory = one.memory
        low, logp = one.head.loss(one.hidden, WANTED, memory, smoothing=0.1), one.head.logp(one.hidden, memory)
    assert low.dtype == logp.dtype == torch.float32
    torch.testing.assert_close(low, exact, rtol=0.05, atol=0.05)
    for real, other in zip(torch.autograd.grad(low, one.learned), torch.autograd.grad(exact, one.learned), strict=True):
        assert real.dtype == torch.float32
        assert (real - other).norm() < 0.1 * other.norm().clamp(min=1)


def test_nothing_waits_for_the_device() -> None:
    """On a device that holds no values, whoever looks at one fails."""
    one = Setting(torch.float32)
    head = one.head.to("meta")
    hidden, states, words = one.hidden.detach().to("meta").requires_grad_(), one.states.to("meta"), WORDS.to("meta")
    layout = Padded(words != PAD)
    memory = Memory(states, layout, words, head.cache(states, layout, words, words), X)
    memory = memory.rows(torch.zeros(B, dtype=torch.int64, device="meta"))
    assert head.logp(hidden, memory).shape == (B, T, V + X)
    legal = torch.ones((B, T, V), dtype=torch.bool, device="meta")
    gate_BT, score_BTS = head.look(hidden, memory)
    words = (memory.cache["copy.extended"][0].expand(T, S), memory.cache["copy.first"][0].expand(T, S))
    for legal_TV in (None, legal[0]):
        logits, wanted = spoken(hidden[0], head.weight, head.bias).detach(), WANTED[0, :, None].to("meta")
        chunk = (logits, gate_BT[0, :, None], score_BTS[0], wanted, *words)
        assert mixed(*chunk, smoothing=0.1, legal_nV=legal_TV, differentiate=True)[1] is not None


def test_the_first_place_of_each_word() -> None:
    assert word_places(torch.tensor([[7, 4, 7, 9, 4], [5, 5, 5, 5, 0]])).tolist() == [[0, 1, 0, 3, 1], [0, 0, 0, 0, 4]]
