"""The Conformer block against its formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import Impossible
from core.model.config import TransformerConfig
from core.nn.conformer import ConformerBlock
from core.nn.layout import Padded
from core.nn.places import Where
from core.testing.tiny import stir

# B batch, S source, D width

CFG = TransformerConfig(width=8, heads=2, inner=12, dropout=0.0, encoder="conformer", kernel=3, activation="relu")
LENGTHS = [6, 2, 1]
LAYOUT = Padded(torch.arange(6) < torch.tensor(LENGTHS)[:, None])


@torch.no_grad()
def test_a_block_is_its_formula_and_never_reads_a_pad() -> None:
    block = ConformerBlock(CFG).double()
    stir(block)
    at = dict(block.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (8,), at[f"{name}.weight"], at[f"{name}.bias"])

    def fed(x: Tensor, name: str) -> Tensor:
        inner = (norm(x, f"{name}_norm") @ at[f"{name}.inner.weight"].T + at[f"{name}.inner.bias"]).relu()
        return inner @ at[f"{name}.output.weight"].T + at[f"{name}.output.bias"]

    x_BSD = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found_BSD = block(x_BSD, LAYOUT, Where())
    for b, length in enumerate(LENGTHS):
        x = x_BSD[b, :length]
        x = x + fed(x, "first") / 2
        alone = Padded(torch.ones(1, length, dtype=torch.bool))
        x = x + block.attention(norm(x, "attention_norm")[None], Where(), layout=alone)[0]
        value, gate = (norm(x, "convolution_norm") @ at["convolution.input.weight"].T).chunk(2, -1)
        let_in = value * gate.sigmoid()
        spread = torch.zeros_like(x) + at["convolution.depthwise.bias"]
        for s in range(length):
            for k in range(3):
                if 0 <= s + k - 1 < length:
                    spread[s] += at["convolution.depthwise.weight"][:, 0, k] * let_in[s + k - 1]
        x = x + F.silu(norm(spread, "convolution.norm")) @ at["convolution.output.weight"].T
        x = norm(x + fed(x, "second") / 2, "norm")
        torch.testing.assert_close(found_BSD[b, :length], x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("wrong", "key"), [({"kernel": 4}, "kernel"), ({"norm_place": "post"}, "norm_place")])
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(Impossible) as caught:
        replace(CFG, **wrong)
    assert caught.value.field == key
