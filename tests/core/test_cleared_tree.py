"""The decoder's tree without the tokens that nobody descends from any more: smaller, and nothing else changes."""

from __future__ import annotations

import pytest
import torch

import core.model.transformer as transformer
from core.model.seq2seq import Seq2Seq
from core.testing.tiny import batch_of, close, model_case, random_tokens, tiny_codecs, tiny_models, tiny_pairs

# B batch, K hypotheses, T target, N tokens of the tree


def narrowing(model: Seq2Seq, steps: int) -> tuple[torch.Tensor, int]:
    """Log-probabilities [B, K, T, V] where hypotheses often begin anew from one of them, and the tree's size at the end."""
    pairs = tiny_pairs(tiny_codecs())
    batch = batch_of(pairs)
    memory = model.encode(batch)
    state = model.start(memory, 3)
    token_BKT = random_tokens(pairs, (batch.size, 3, steps))
    generator = torch.Generator().manual_seed(1)
    found: list[torch.Tensor] = []
    for t in range(steps):
        logp_BKV, state = model.step(token_BKT[..., t], memory, state)
        found.append(logp_BKV)
        state = model.select(state, torch.randint(0, 3, (batch.size, 3), generator=generator))
        if t == 20:  # a source leaves
            rows_B = torch.arange(1, batch.size)
            memory, state, token_BKT = *model.keep(memory, state, rows_B), token_BKT[1:]
            found = [x[1:] for x in found]
            batch = batch_of(pairs[1:])
    return torch.stack(found, 2), state["decoder.ancestor"].shape[2]


@pytest.mark.parametrize(
    "name",
    ["transformer-layer-rotary-gelu", "transformer-relative-post-wider-encoder", "transformer-learned-post-grouped"],
)
def test_clearing_changes_no_probability_and_keeps_less(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = tiny_codecs()
    model = model_case(name, tiny_models()[name], codecs, tiny_pairs(codecs)).make()
    with torch.inference_mode():
        cleared, few = narrowing(model, 40)
        monkeypatch.setattr(transformer, "CLEARED", 10**9)
        whole, all_of_them = narrowing(model, 40)
    close(cleared, whole, "with a cleared tree")
    assert all_of_them == 40 * 3
    assert few < 0.7 * all_of_them
