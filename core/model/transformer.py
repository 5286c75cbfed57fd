"""Transformer encoder and decoder (Vaswani et al., 2017), pre-norm with a final norm, or post-norm.

The decoder's cache is a tree: keys and values are appended and never reordered; which of them a hypothesis descends
from is a mask, and the mask is all that `select` gathers. On a CPU, what nobody descends from is cleared away at times.

Layer drop (Fan et al., 2020): in training each block is left out with this probability, for a whole batch; nothing is scaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.model.state import Memory, State
from core.nn.conformer import ConformerBlock
from core.nn.dropout import Dropout, left_out
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.near import Near
from core.nn.places import Places, Where
from core.nn.transformer import DecoderBlock, EncoderBlock, Looks, Pair, make_norm

# B batch, S source, T target, K hypotheses, D width, H heads, d width of a head, N tokens of the tree, M tokens that stay

CLEARED = 8
"""Steps from one clearing of the tree to the next."""


class TransformerEncoder(nn.Module):
    """Symbols with their positions, through all blocks; a wider or narrower encoder is mapped to the model's width."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        own = cfg.of_encoder()
        kind = ConformerBlock if cfg.encoder == "conformer" else EncoderBlock
        self.blocks = nn.ModuleList(kind(own) for _ in range(cfg.encoder_layers))
        normed = cfg.encoder == "conformer"  # at the end of each block
        self.norm, self.dropout, self.drop = (
            nn.Identity() if normed else final_norm(own),
            Dropout(cfg.dropout),
            cfg.layer_drop,
        )
        self.places = places(own, both_ways=True)
        self.window, self.first = cfg.encoder_window, cfg.global_symbols
        self.resize = matrix(own.width, cfg.width) if own.width != cfg.width else None

    def forward(self, x_BSD: Tensor, layout: Layout, looks: Looks | None = None) -> Tensor:
        x_BSD, turn = self.places(x_BSD, layout.positions)
        if self.window:
            where = Where(turn, near=Near.of(layout, self.window, self.first, self.places.bias))
        else:
            where = Where(turn, self.places.bias(layout.positions, layout.positions))
        x_BSD = self.dropout(x_BSD)
        for block in self.blocks:
            if not left_out(self.drop, training=self.training):
                x_BSD = block(x_BSD, layout, where, looks)
        x_BSD = self.norm(x_BSD)
        return x_BSD if self.resize is None else self.resize(x_BSD)


class TransformerDecoder(nn.Module):
    """What comes next, from the prefix and the memory."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(DecoderBlock(cfg) for _ in range(cfg.decoder_layers))
        self.norm, self.dropout, self.drop = final_norm(cfg), Dropout(cfg.dropout), cfg.layer_drop
        self.places = places(cfg, both_ways=False)

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """Each layer's keys and values of the memory."""
        made: dict[str, Tensor] = {}
        for n, block in self._layers():
            made[f"{n}.key"], made[f"{n}.value"] = block.cross.project(memory_BSD)
        return made

    def forward(
        self, x_BTD: Tensor, memory: Memory, *, back: Looks | None = None, across: Looks | None = None
    ) -> Tensor:
        """All positions under teacher forcing."""
        position_1T = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        x_BTD, turn = self.places(x_BTD, position_1T)
        where = Where(turn, self.places.bias(position_1T, position_1T))
        x_BTD = self.dropout(x_BTD)
        for n, block in self._layers():
            if not left_out(self.drop, training=self.training):
                x_BTD = block(x_BTD, _pair(memory.cache, n), memory.layout, where, back=back, across=across)
        return self.norm(x_BTD)

    def _layers(self) -> Iterator[tuple[int, DecoderBlock]]:
        return enumerate(cast(Iterable[DecoderBlock], self.blocks))

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said yet."""
        empty = memory.cache["0.key"][:, :, :0]
        state = {f"{n}.{name}": empty for n in range(len(self.blocks)) for name in ("key", "value")}
        nobody = empty.new_empty((len(empty), beams, 0), dtype=torch.bool)
        return {**state, "ancestor": nobody, "place": empty.new_empty((len(empty), 0), dtype=torch.int64)}

    def step(self, x_BKD: Tensor, memory: Memory, state: State, *, across: Looks | None = None) -> tuple[Tensor, State]:
        """One more token of each hypothesis: K query rows over the source's one memory and one tree."""
        B, K, _ = x_BKD.shape
        place_BN = state["place"]
        position_11 = place_BN[:1, -1:] + 1 if place_BN.shape[1] else place_BN.new_zeros((1, 1))
        x_BKD, turn = self.places(x_BKD, position_11)
        itself_BKK = torch.eye(K, dtype=torch.bool, device=x_BKD.device).expand(B, K, K)
        ancestor_BKN = torch.cat([state["ancestor"], itself_BKK], dim=2)
        place_BN = torch.cat([place_BN, position_11.expand(B, K)], dim=1)
        where = Where(turn, self.places.bias(position_11, place_BN))
        grown: State = {"ancestor": ancestor_BKN, "place": place_BN}
        for n, block in self._layers():
            known, past = _pair(memory.cache, n), _pair(state, n)
            x_BKD, now = block.step(x_BKD, known, memory.layout, where, past, ancestor_BKN, across)
            grown[f"{n}.key"], grown[f"{n}.value"] = now
        return self.norm(x_BKD), grown

    def chain(self, x_BTD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """T more tokens of the one hypothesis that a source has, all at once; `shortened` takes back those that were wrong."""
        B, T, _ = x_BTD.shape
        place_BN = state["place"]
        position_1T = torch.arange(place_BN.shape[1], place_BN.shape[1] + T, device=x_BTD.device)[None]
        x_BTD, turn = self.places(x_BTD, position_1T)
        own_TT = torch.ones((T, T), dtype=torch.bool, device=x_BTD.device).tril_()
        before_BTN = own_TT.new_ones((B, T, place_BN.shape[1]))
        ancestor_BTN = torch.cat([before_BTN, own_TT.expand(B, T, T)], dim=2)
        place_BN = torch.cat([place_BN, position_1T.expand(B, T)], dim=1)
        where = Where(turn, self.places.bias(position_1T, place_BN))
        grown: State = {"ancestor": ancestor_BTN[:, -1:], "place": place_BN}
        for n, block in self._layers():
            known, past = _pair(memory.cache, n), _pair(state, n)
            x_BTD, now = block.step(x_BTD, known, memory.layout, where, past, ancestor_BTN)
            grown[f"{n}.key"], grown[f"{n}.value"] = now
        return self.norm(x_BTD), grown

    def shortened(self, state: State, count: int) -> State:
        """As if only the first so many tokens of the chain had been read."""
        dims = {"place": 1, "ancestor": 2}
        return {
            name: x.narrow(dims.get(name, 2), 0, min(count, x.shape[dims.get(name, 2)])) for name, x in state.items()
        }

    def select(self, state: State, parent_BK: Tensor) -> State:
        """Keys and values stay; the new hypothesis descends from what its parent descended from."""
        ancestor_BKN = state["ancestor"]
        index_BKN = parent_BK[..., None].expand(-1, -1, ancestor_BKN.shape[2])
        state = {**state, "ancestor": ancestor_BKN.gather(1, index_BKN)}
        # Elsewhere, asking how much stays would wait for the device.
        return cleared(state) if parent_BK.device.type == "cpu" and parent_BK.shape[1] > 1 else state


def cleared(state: State) -> State:
    """Every so many steps, without the tokens that no hypothesis descends from; those that stay keep their order."""
    if (int(state["place"][0, -1]) + 1) % CLEARED:
        return state
    alive_BN = state["ancestor"].any(1)
    M = int(alive_BN.sum(1).max())
    if 3 * alive_BN.shape[1] < 4 * M:  # a copy for little
        return state
    index_BM = alive_BN.to(torch.uint8).sort(dim=1, stable=True).indices[:, -M:]
    kept: State = {}
    for name, x in state.items():
        if name == "place":
            kept[name] = x.gather(1, index_BM)
        elif name == "ancestor":
            kept[name] = x.gather(2, index_BM[:, None].expand(-1, x.shape[1], -1))
        else:
            kept[name] = x.gather(2, index_BM[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
    return kept


def places(cfg: TransformerConfig, *, both_ways: bool) -> Places:
    """Of one side."""
    return Places(cfg.positions, cfg.width, cfg.heads, rows=cfg.learned_positions, both_ways=both_ways)


def final_norm(cfg: TransformerConfig) -> nn.Module:
    """Post-norm blocks have one at their end already."""
    return make_norm(cfg) if cfg.norm_place == "pre" else nn.Identity()


def _pair(named: dict[str, Tensor], layer: int) -> Pair:
    return named[f"{layer}.key"], named[f"{layer}.value"]
