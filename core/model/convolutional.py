"""Convolutional encoder and decoder (Gehring et al., 2017): gated convolutions, and attention in every layer of the decoder.

As there, a decoder's query is the layer's state plus the embedded word, and what attention finds is the encoder's state plus the
embedded source, at every place. Deviations: norms before each part and one at the end take the place of weight normalisation and
of the scaling by sqrt(0.5); attention is scaled, has maps of its own for keys and values, and as many heads as are asked for
(one there).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from core.model.config import ConvConfig
from core.model.state import Memory, State, select_rows
from core.nn.convolution import GatedConvolution
from core.nn.dropout import Dropout
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.places import Places
from core.nn.transformer import CrossAttention, Looks

# B batch, S source, T target, K hypotheses, D width, k places that a window has


class ConvolutionalEncoder(nn.Module):
    """Each layer widens by a window what a place knows of its neighbours."""

    def __init__(self, cfg: ConvConfig) -> None:
        super().__init__()
        width = cfg.encoder_width or cfg.width
        self.places = places(cfg, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(cfg.encoder_layers))
        self.layers = nn.ModuleList(
            GatedConvolution(width, cfg.kernel, causal=False) for _ in range(cfg.encoder_layers)
        )
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(cfg.dropout)
        self.resize = matrix(width, cfg.width) if width != cfg.width else None

    def forward(self, x_BSD: Tensor, layout: Layout, looks: Looks | None = None) -> Tensor:
        """`looks` gets nothing: there is no attention here."""
        word_BSD = x_BSD = self.dropout(placed(self.places, x_BSD, layout.positions))
        real_BS1 = layout.mask_BS[..., None]
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x_BSD = x_BSD + self.dropout(layer(norm(x_BSD) * real_BS1))
        x_BSD = self.norm(x_BSD + word_BSD)
        return x_BSD if self.resize is None else self.resize(x_BSD)


class DecoderLayer(nn.Module):
    """A convolution over the prefix, then a look into the source."""

    def __init__(self, cfg: ConvConfig) -> None:
        super().__init__()
        self.convolution = GatedConvolution(cfg.width, cfg.kernel, causal=True)
        self.cross = CrossAttention(cfg.width, cfg.heads, cfg.heads)
        self.norm, self.cross_norm = nn.LayerNorm(cfg.width), nn.LayerNorm(cfg.width)
        self.dropout = Dropout(cfg.dropout)

    def looked(
        self, x: Tensor, read: Tensor, word: Tensor, memory: Memory, name: str, across: Looks | None = None
    ) -> Tensor:
        """x with what the convolution read and what attention then finds."""
        x = x + self.dropout(read)
        known = memory.cache[f"{name}.key"], memory.cache[f"{name}.value"]
        return x + self.dropout(self.cross(self.cross_norm(x) + word, known, memory.layout, across))


class ConvolutionalDecoder(nn.Module):
    """State: `place` [B, K], and of each layer `N.past` [B, K, k - 1, D], what its window still sees."""

    def __init__(self, cfg: ConvConfig) -> None:
        super().__init__()
        self.kernel = cfg.kernel
        self.places = places(cfg, cfg.width)
        self.layers = nn.ModuleList(DecoderLayer(cfg) for _ in range(cfg.decoder_layers))
        self.norm, self.dropout = nn.LayerNorm(cfg.width), Dropout(cfg.dropout)

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """Each layer's keys and values of the memory."""
        made: dict[str, Tensor] = {}
        for name, layer in self._layers():
            made[f"{name}.key"], made[f"{name}.value"] = layer.cross.project(memory_BSD)
        return made

    def forward(
        self, x_BTD: Tensor, memory: Memory, *, back: Looks | None = None, across: Looks | None = None
    ) -> Tensor:
        """All positions under teacher forcing."""
        position_1T = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        word_BTD = x_BTD = self.dropout(placed(self.places, x_BTD, position_1T))
        for name, layer in self._layers():
            x_BTD = layer.looked(x_BTD, layer.convolution(layer.norm(x_BTD)), word_BTD, memory, name, across)
        return self.norm(x_BTD)

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said yet: windows see zeros."""
        B, _, D = memory.hidden_BSD.shape
        past_BKkD = memory.hidden_BSD.new_zeros(B, beams, self.kernel - 1, D)
        place_BK = torch.zeros(B, beams, dtype=torch.int64, device=past_BKkD.device)
        return {"place": place_BK} | {f"{name}.past": past_BKkD for name, _ in self._layers()}

    def step(self, x_BKD: Tensor, memory: Memory, state: State, *, across: Looks | None = None) -> tuple[Tensor, State]:
        """One more word of each hypothesis."""
        word_BKD = x_BKD = self.dropout(placed(self.places, x_BKD, state["place"]))
        grown: State = {"place": state["place"] + 1}
        for name, layer in self._layers():
            read_BKD, grown[f"{name}.past"] = layer.convolution.step(layer.norm(x_BKD), state[f"{name}.past"])
            x_BKD = layer.looked(x_BKD, read_BKD, word_BKD, memory, name, across)
        return self.norm(x_BKD), grown

    def select(self, state: State, parent_BK: Tensor) -> State:
        """One gather for all."""
        return select_rows(state, parent_BK)

    def _layers(self) -> Iterator[tuple[str, DecoderLayer]]:
        return ((str(n), layer) for n, layer in enumerate(cast(Iterable[DecoderLayer], self.layers)))


def places(cfg: ConvConfig, width: int) -> Places | None:
    """Of one side; windows tell neighbours apart without them."""
    if cfg.positions == "none":
        return None
    return Places(cfg.positions, width, 1, rows=cfg.learned_positions, both_ways=True)


def placed(places: Places | None, x: Tensor, position: Tensor) -> Tensor:
    """Symbols with their places added."""
    return x if places is None else places(x, position)[0]
