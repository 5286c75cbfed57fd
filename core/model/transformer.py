"""Transformer encoder and decoder (Vaswani et al., 2017), pre-norm with a final norm.

The decoder's cache is a tree: keys and values are appended and never reordered; which of them a hypothesis descends
from is a mask, and the mask is all that `select` gathers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.model.state import Memory, State
from core.nn.dropout import Dropout
from core.nn.layout import Layout
from core.nn.positions import Turn, rotation, sinusoids
from core.nn.transformer import DecoderBlock, EncoderBlock, Pair, make_norm

# B batch, S source, T target, K hypotheses, D width, H heads, d width of a head, N tokens of all hypotheses so far


class TransformerEncoder(nn.Module):
    """Symbols with their positions, through all blocks."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.blocks = nn.ModuleList(EncoderBlock(cfg) for _ in range(cfg.encoder_layers))
        self.norm, self.dropout = make_norm(cfg), Dropout(cfg.dropout)

    def forward(self, x_BSD: Tensor, layout: Layout) -> Tensor:
        x_BSD, turn = placed(x_BSD, layout.positions, self.cfg)
        x_BSD = self.dropout(x_BSD)
        for block in self.blocks:
            x_BSD = block(x_BSD, layout, turn)
        return self.norm(x_BSD)


class TransformerDecoder(nn.Module):
    """What comes next, from the prefix and the memory."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.blocks = nn.ModuleList(DecoderBlock(cfg) for _ in range(cfg.decoder_layers))
        self.norm, self.dropout = make_norm(cfg), Dropout(cfg.dropout)

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]:
        """Each layer's keys and values of the memory."""
        made: dict[str, Tensor] = {}
        for n, block in self._layers():
            made[f"{n}.key"], made[f"{n}.value"] = block.cross.project(memory_BSD)
        return made

    def forward(self, x_BTD: Tensor, memory: Memory) -> Tensor:
        """All positions under teacher forcing."""
        x_BTD, turn = self._begin(x_BTD)
        for n, block in self._layers():
            x_BTD = block(x_BTD, _pair(memory.cache, n), memory.layout, turn)
        return self.norm(x_BTD)

    def attention(self, x_BTD: Tensor, memory: Memory) -> Tensor:
        """Where each layer looks meanwhile, [L, B, H, T, S]."""
        x_BTD, turn = self._begin(x_BTD)
        looks: list[Tensor] = []
        for n, block in self._layers():
            x_BTD = block.prefix(x_BTD, turn)
            looks.append(block.looks(x_BTD, _pair(memory.cache, n), memory.layout))
            x_BTD = block.after(x_BTD, _pair(memory.cache, n), memory.layout)
        return torch.stack(looks)

    def _layers(self) -> Iterator[tuple[int, DecoderBlock]]:
        return enumerate(cast(Iterable[DecoderBlock], self.blocks))

    def _begin(self, x_BTD: Tensor) -> tuple[Tensor, Turn | None]:
        x_BTD, turn = placed(x_BTD, torch.arange(x_BTD.shape[1], device=x_BTD.device)[None], self.cfg)
        return self.dropout(x_BTD), turn

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said yet."""
        empty = memory.cache["0.key"][:, :, :0]
        state = {f"{n}.{name}": empty for n in range(len(self.blocks)) for name in ("key", "value")}
        return {**state, "ancestor": empty.new_empty((len(empty), beams, 0), dtype=torch.bool)}

    def step(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """One more token of each hypothesis: K query rows over the source's one memory and one tree."""
        B, K, _ = x_BKD.shape
        position_11 = torch.full((1, 1), state["ancestor"].shape[2] // K, device=x_BKD.device)
        x_BKD, turn = placed(x_BKD, position_11, self.cfg)
        itself_BKK = torch.eye(K, dtype=torch.bool, device=x_BKD.device).expand(B, K, K)
        ancestor_BKN = torch.cat([state["ancestor"], itself_BKK], dim=2)
        grown: State = {"ancestor": ancestor_BKN}
        for n, block in self._layers():
            known, past = _pair(memory.cache, n), _pair(state, n)
            x_BKD, now = block.step(x_BKD, known, memory.layout, turn, past, ancestor_BKN)
            grown[f"{n}.key"], grown[f"{n}.value"] = now
        return self.norm(x_BKD), grown

    def select(self, state: State, parent_BK: Tensor) -> State:
        """Keys and values stay; the new hypothesis descends from what its parent descended from."""
        ancestor_BKN = state["ancestor"]
        index_BKN = parent_BK[..., None].expand(-1, -1, ancestor_BKN.shape[2])
        return {**state, "ancestor": ancestor_BKN.gather(1, index_BKN)}


def placed(x_BTD: Tensor, position_BT: Tensor, cfg: TransformerConfig) -> tuple[Tensor, Turn | None]:
    """Positions added, or the rotation that attention will apply."""
    if cfg.positions == "rotary":
        return x_BTD, rotation(position_BT, cfg.width // cfg.heads, x_BTD.dtype)
    return x_BTD + sinusoids(position_BT, cfg.width, x_BTD.dtype), None


def _pair(named: dict[str, Tensor], layer: int) -> Pair:
    return named[f"{layer}.key"], named[f"{layer}.value"]
