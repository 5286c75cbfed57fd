"""Tiny models learn copy, reverse and sort, through the real loop, averaging and search. What breaks anywhere breaks here."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.testing.learning import exact_match
from core.testing.toys import ToyConfig

TRANSFORMER = TransformerConfig(
    width=64, heads=4, encoder_layers=2, decoder_layers=2, inner=128, positions="sinusoidal", dropout=0.0
)
RNN = RNNConfig(width=96, dropout=0.0)
CONV = ConvConfig(width=64, encoder_layers=2, decoder_layers=2, dropout=0.0)


def test_a_small_transformer_learns_to_copy_short_strings() -> None:
    """The smoke test of the default tier."""
    task = ToyConfig(letters=5, longest=5, train=1500, held_out=100)
    assert exact_match(task, replace(TRANSFORMER, encoder_layers=1, decoder_layers=1), steps=150, lr=5e-3) >= 90


@pytest.mark.slow
@pytest.mark.parametrize("what", ["copy", "reverse", "sort"])
def test_a_transformer_learns(what: Literal["copy", "reverse", "sort"]) -> None:
    task = ToyConfig(what=what, letters=8, longest=8, train=8000, held_out=300)
    assert exact_match(task, TRANSFORMER, steps=600, lr=3e-3) >= 98


@pytest.mark.slow
@pytest.mark.parametrize(("what", "steps"), [("copy", 600), ("reverse", 600), ("sort", 2200)])
def test_an_rnn_learns(what: Literal["copy", "reverse", "sort"], steps: int) -> None:
    """Sorting takes it longer: it has to count."""
    task = ToyConfig(what=what, letters=6, longest=6, train=8000, held_out=300)
    assert exact_match(task, RNN, steps, lr=5e-3, tokens=400) >= 98


SHORT = ToyConfig(letters=6, longest=5, train=4000, held_out=200)
"""Copied or turned round by every further kind of model."""
TURNED = replace(SHORT, what="reverse")
CANON: dict[str, tuple[ToyConfig, ModelConfig, int]] = {
    "learned, post-norm": (TURNED, replace(TRANSFORMER, positions="learned", norm_place="post"), 400),
    "near and global": (TURNED, replace(TRANSFORMER, encoder_window=2, global_symbols=1), 400),
    "conformer": (TURNED, replace(TRANSFORMER, encoder="conformer", kernel=3), 400),
    "convolutions": (TURNED, CONV, 400),
    "convolutions, several heads, learned": (TURNED, replace(CONV, heads=4, positions="learned", kernel=5), 400),
    "relative bias, grouped heads": (
        ToyConfig(what="reverse", letters=8, longest=6, train=12000, held_out=200),
        replace(TRANSFORMER, positions="relative", kv_heads=2),
        800,
    ),
    "relative bias, sorting": (
        ToyConfig(what="sort", letters=8, longest=6, train=12000, held_out=200),
        replace(TRANSFORMER, positions="relative", kv_heads=2),
        800,
    ),
    "dot": (TURNED, replace(RNN, attention="dot"), 400),
    "general, input feeding": (TURNED, replace(RNN, attention="general", feeding="output"), 800),
    "scaled dot, unfed": (TURNED, replace(RNN, attention="scaled_dot", feeding="none", cell="lstm"), 500),
    "multi-head": (TURNED, replace(RNN, attention="multi_head"), 400),
    "plain cells": (TURNED, replace(RNN, cell="rnn"), 500),
    "window": (SHORT, replace(RNN, attention_window=2), 400),
    "summary": (
        ToyConfig(letters=10, longest=4, train=12000, held_out=200),
        replace(RNN, attention="none", bridge="last"),
        2000,
    ),
}


@pytest.mark.slow
def test_slopes_alone_nearly_do() -> None:
    """ALiBi says no more than how far: a copy of six symbols is 96.3 % right after 1,600 steps, where sinusoids need 500 for all."""
    task = ToyConfig(letters=8, longest=6, train=12000, held_out=200)
    assert exact_match(task, replace(TRANSFORMER, positions="alibi", heads=8), 1600, lr=3e-3) >= 94


@pytest.mark.slow
def test_a_first_state_nearly_holds_four_letters() -> None:
    """Sutskever et al. (2014): the source, reversed, is one state and nothing else: 95.1 % after 2,000 steps."""
    task = ToyConfig(letters=10, longest=4, train=12000, held_out=200)
    cfg = replace(RNN, attention="none", feeding="none", bridge="last", bidirectional=False, reverse_source=True)
    assert exact_match(task, cfg, 2000, lr=5e-3, tokens=400) >= 92


@pytest.mark.slow
@pytest.mark.parametrize("name", CANON)
def test_every_kind_of_the_canon_learns(name: str) -> None:
    task, cfg, steps = CANON[name]
    lr, tokens = (5e-3, 400) if isinstance(cfg, RNNConfig) else (3e-3, 1024)
    assert exact_match(task, cfg, steps, lr, tokens) >= 98
