"""Recurrent decoders: each attention, the window, feeding, bridges and the encoder's directions, against the papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import Impossible
from core.model.build import build
from core.model.config import RNNConfig
from core.model.rnn import RecurrentDecoder
from core.model.state import Memory
from core.nn.layout import Padded
from core.nn.lookup import AdditiveLookup, GeneralLookup, Kind, MultiHeadLookup, Window, make_lookup
from core.nn.recurrent import Cell, RecurrentEncoder, gates
from core.testing.tiny import batch_of, stir, tiny_codecs, tiny_pairs

# B batch, K hypotheses, S source, T target, D width

LENGTHS = [5, 2, 1]
LAYOUT = Padded(torch.arange(5) < torch.tensor(LENGTHS)[:, None])
RNN = RNNConfig(width=8, dropout=0.0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def score_of(layer: nn.Module, kind: Kind) -> Callable[[Tensor, Tensor], Tensor]:
    """One query and one place, by the formula."""
    if isinstance(layer, AdditiveLookup):
        return lambda q, m: layer.score @ torch.tanh(layer.query(q) + layer.key.weight @ m)
    if isinstance(layer, GeneralLookup):
        return lambda q, m: q @ layer.key.weight @ m
    return (lambda q, m: q @ m) if kind == "dot" else (lambda q, m: q @ m / math.sqrt(len(q)))


@pytest.mark.parametrize("kind", ["additive", "dot", "general", "scaled_dot"])
def test_attention_is_its_formula(kind: Kind) -> None:
    layer, query_BKD, memory_BSD = make_lookup(kind, 6, 1).double(), drawn(3, 2, 6), drawn(3, 5, 6, seed=1)
    context_BKD, look_BHKS = layer(query_BKD, memory_BSD, layer.cache(memory_BSD), LAYOUT.mask_BS[:, None])
    assert look_BHKS.shape == (3, 1, 2, 5)
    score = score_of(layer, kind)
    for b, length in enumerate(LENGTHS):
        for k in range(2):
            weight = torch.stack([score(query_BKD[b, k], memory_BSD[b, s]) for s in range(length)]).softmax(0)
            torch.testing.assert_close(look_BHKS[b, 0, k, :length], weight, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(context_BKD[b, k], weight @ memory_BSD[b, :length], rtol=1e-10, atol=1e-12)
            assert not look_BHKS[b, 0, k, length:].any()
    nothing = torch.zeros(3, 1, 5, dtype=torch.bool)
    assert not any(x.any() for x in layer(query_BKD, memory_BSD, layer.cache(memory_BSD), nothing))


def test_multi_head_attention_is_torchs() -> None:
    layer = MultiHeadLookup(6, 3).double()
    theirs = nn.MultiheadAttention(6, 3, bias=False, batch_first=True).double()
    with torch.no_grad():
        assert isinstance(theirs.in_proj_weight, Tensor)
        theirs.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.memory.weight]))
        theirs.out_proj.weight.copy_(layer.output.weight)
    query_BKD, memory_BSD = drawn(3, 2, 6), drawn(3, 5, 6, seed=1)
    expected, weights = theirs(
        query_BKD, memory_BSD, memory_BSD, key_padding_mask=~LAYOUT.mask_BS, average_attn_weights=False
    )
    context_BKD, look_BHKS = layer(query_BKD, memory_BSD, layer.cache(memory_BSD), LAYOUT.mask_BS[:, None])
    torch.testing.assert_close(context_BKD, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(look_BHKS, weights, rtol=1e-10, atol=1e-12)


def test_a_window_sees_its_reach_and_never_goes_back() -> None:
    window, place_BK = Window(1), torch.tensor([[0.0, 2.4], [1.0, 1.0], [0.0, 0.0]])
    seen = window.around(place_BK, LAYOUT.mask_BS)
    assert seen[0].nonzero().tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]
    assert seen[1].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    look = torch.zeros(3, 1, 2, 5)
    look[0, 0, 0, [0, 1]] = 0.5
    look[0, 0, 1, [1, 2]] = 0.5
    assert window.moved(place_BK, look)[0].tolist() == pytest.approx([0.5, 2.4])


def test_a_decoder_looks_through_its_window_alone() -> None:
    codecs = tiny_codecs()
    model = build(replace(RNN, attention_window=1), codecs).double().eval()
    stir(model)
    batch = batch_of(tiny_pairs(codecs))
    look_BTS = model.attention(batch)[0, :, 0]
    place_S = torch.arange(look_BTS.shape[-1])
    centre_B = torch.zeros(batch.size, dtype=torch.float64)
    for look_BS in look_BTS.detach().unbind(1):
        assert not look_BS[(place_S - centre_B[:, None]).abs() > 1].any()
        torch.testing.assert_close(look_BS.sum(-1), torch.ones(batch.size, dtype=torch.float64))
        centre_B = torch.maximum(centre_B, (look_BS * place_S).sum(-1))
    assert centre_B.max() > 0.3


def memory_of(decoder: RecurrentDecoder) -> Memory:
    hidden_BSD = drawn(3, 5, 8, seed=2) * LAYOUT.mask_BS[..., None]
    return Memory(hidden_BSD, LAYOUT, torch.zeros(3, 5), decoder.cache(hidden_BSD, LAYOUT))


@pytest.mark.parametrize("feeding", ["context", "output", "none"])
@pytest.mark.parametrize("attention", ["dot", "none"])
@pytest.mark.parametrize("bridge", ["mean", "last", "zero"])
def test_a_plain_decoder_is_its_recursion(feeding: Any, attention: Any, bridge: Any) -> None:
    """Word by word, with one layer of plain cells: h = tanh(W x + V fed + U h), said = tanh(O [x; h; c])."""
    if (feeding, attention, bridge) == ("none", "none", "zero"):
        return
    decoder = RecurrentDecoder(replace(RNN, cell="rnn", feeding=feeding, attention=attention, bridge=bridge)).double()
    stir(decoder)
    memory, x_BTD = memory_of(decoder), drawn(3, 4, 8, seed=3)
    found_BTD = decoder(x_BTD, memory)
    cell = decoder.stack.cells[0]
    assert isinstance(cell, Cell)
    for b, length in enumerate(LENGTHS):
        m = memory.hidden_BSD[b, :length]
        summary = torch.cat([m[-1, :4], m[0, 4:]]) if bridge == "last" else m.mean(0)
        h = torch.zeros(8, dtype=torch.float64) if decoder.bridge is None else decoder.bridge(summary).tanh()
        fed = summary if attention == "none" and feeding == "context" else torch.zeros(8, dtype=torch.float64)
        for t in range(4):
            read = decoder.word(x_BTD[b, t])
            if decoder.context is not None:
                read = read + decoder.context(fed)
            h = (read + cell.recurrent(h)).tanh()
            c = summary if attention == "none" else (m @ h).softmax(0) @ m
            parts = [x_BTD[b, t], h] if attention == feeding == "none" else [x_BTD[b, t], h, c]
            said = decoder.output(torch.cat(parts)).tanh()
            fed = said if feeding == "output" else c
            torch.testing.assert_close(found_BTD[b, t], said, rtol=1e-10, atol=1e-12)


def test_a_plain_cell_is_torchs() -> None:
    cell, read, theirs = Cell("rnn", 6).double(), gates("rnn", 5, 6).double(), nn.RNNCell(5, 6).double()
    with torch.no_grad():
        for ours, name in ((read, "ih"), (cell.recurrent, "hh")):
            theirs.get_parameter(f"weight_{name}").copy_(ours.weight)
            theirs.get_parameter(f"bias_{name}").copy_(ours.bias)
    x, hidden = drawn(4, 5), drawn(4, 6, seed=1)
    torch.testing.assert_close(cell(read(x), (hidden,))[0], theirs(x, hidden), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backward", [False, True])
def test_one_direction_reads_from_its_end(backward: bool) -> None:
    encoder = RecurrentEncoder("gru", 8, 2, 0.0, out=8, bidirectional=False, backward=backward).double()
    x_BSD = drawn(3, 5, 8)
    found_BSD = encoder(x_BSD, LAYOUT)
    assert sum(1 for _ in encoder.backwards) == 0
    for b, length in enumerate(LENGTHS):
        x = x_BSD[b : b + 1, :length]
        x = x.flip(1) if backward else x
        for layer in encoder.forwards:
            x = layer(x)[0]
        x = x.flip(1) if backward else x
        torch.testing.assert_close(found_BSD[b, :length], x[0], rtol=1e-12, atol=1e-12)
        assert not found_BSD[b, length:].any()


def test_the_last_states_are_those_that_have_read_all() -> None:
    for directions in ({}, {"bidirectional": False}, {"bidirectional": False, "reverse_source": True}):
        decoder = RecurrentDecoder(replace(RNN, attention="none", bridge="last", **directions)).double()
        memory = memory_of(decoder)
        first, end = memory.hidden_BSD[:, 0], memory.hidden_BSD[torch.arange(3), torch.tensor(LENGTHS) - 1]
        expected = {0: torch.cat([end[:, :4], first[:, 4:]], -1), 1: end, 2: first}[len(directions)]
        assert torch.equal(memory.cache["summary"], expected)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"reverse_source": True}, "reverse_source"),
        ({"attention": "none", "attention_window": 3}, "attention_window"),
        ({"attention": "none", "feeding": "none", "bridge": "zero"}, "bridge"),
        ({"attention": "multi_head", "attention_heads": 3}, "attention_heads"),
        ({"bridge": "last", "encoder_width": 12}, "bridge"),
        ({"encoder_width": 7}, "encoder_width"),
        ({"width": 9}, "width"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(Impossible) as caught:
        replace(RNN, **wrong)
    assert caught.value.field == key
