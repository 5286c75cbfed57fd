"""Transformer encoder and decoder (Vaswani et al., 2017), pre-norm with a final norm.

The decoder's cache is a tree: keys and values are appended and never reordered; which of them a hypothesis descends from is a mask,
and the mask is all that `select` gathers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.model.state import Memory, State
from core.nn.attention import attend
from core.nn.dropout import Dropout
from core.nn.layout import Layout
from core.nn.positions import rotation, sinusoids
from core.nn.transformer import DecoderBlock, EncoderBlock, Turn, joined, make_norm

# B batch, S source, T target, K hypotheses, D width, H heads, d width of a head, N tokens of all hypotheses so far


class TransformerEncoder(nn.Module):
    """Symbols with their positions, through all blocks."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.blocks = nn.ModuleList(EncoderBlock(cfg) for _ in range(cfg.encoder_layers))
        self.norm, self.dropout = make_norm(cfg), Dropout(cfg.dropout)

    def forward(self, x_BSD: Tensor, layout: Layout) -> Tensor:
        mask_B11S = layout.mask_BS[:, None, None]
        x_BSD, turn = placed(x_BSD, layout.positions, self.cfg)
        x_BSD = self.dropout(x_BSD)
        for block in self.blocks:
            x_BSD = block(x_BSD, mask_B11S, turn)
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
        made = {str(n): block.cross.project(memory_BSD) for n, block in enumerate(self.blocks)}
        return {f"{n}.{name}": x for n, pair in made.items() for name, x in zip(("key", "value"), pair, strict=True)}

    def forward(self, x_BTD: Tensor, memory: Memory) -> Tensor:
        """All positions under teacher forcing."""
        return self.trace(x_BTD, memory)[0]

    def trace(self, x_BTD: Tensor, memory: Memory, *, weights: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Hidden states, and on request where each layer looked, [B, H, T, S]."""
        T = x_BTD.shape[1]
        causal_TT = torch.ones(T, T, dtype=torch.bool, device=x_BTD.device).tril()
        mask_B11S = memory.layout.mask_BS[:, None, None]
        x_BTD, turn = placed(x_BTD, torch.arange(T, device=x_BTD.device)[None], self.cfg)
        x_BTD = self.dropout(x_BTD)
        seen: list[Tensor] = []
        for n, block in enumerate(self.blocks):
            x_BTD = block.prefix(x_BTD, causal_TT, turn)
            if weights:
                seen.append(block.cross.weights(block.norms[1](x_BTD), memory.cache[f"{n}.key"], mask_B11S))
            x_BTD = block.rest(x_BTD, memory.cache[f"{n}.key"], memory.cache[f"{n}.value"], mask_B11S)
        return self.norm(x_BTD), seen

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing said yet."""
        B, d = memory.hidden_BSD.shape[0], self.cfg.width // self.cfg.heads
        empty = memory.hidden_BSD.new_empty(B, self.cfg.heads, 0, d)
        state = {f"{n}.{name}": empty for n in range(len(self.blocks)) for name in ("key", "value")}
        return {**state, "ancestor": torch.empty(B, beams, 0, dtype=torch.bool, device=empty.device)}

    def step(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """One more token of each hypothesis: K query rows over the source's one memory and one tree."""
        B, K, _ = x_BKD.shape
        said = state["ancestor"].shape[2] // K
        itself = torch.eye(K, dtype=torch.bool, device=x_BKD.device).expand(B, K, K)
        ancestor_BKN = torch.cat([state["ancestor"], itself], dim=2)
        position = torch.full((1, 1), said, device=x_BKD.device)
        x_BKD, turn = placed(x_BKD, position, self.cfg)
        mask_B11S = memory.layout.mask_BS[:, None, None]
        grown: State = {"ancestor": ancestor_BKN}
        for n, block in enumerate(self.blocks):
            query, key, value = block.attention.project(block.norms[0](x_BKD), turn)
            key = grown[f"{n}.key"] = torch.cat([state[f"{n}.key"], key], dim=2)
            value = grown[f"{n}.value"] = torch.cat([state[f"{n}.value"], value], dim=2)
            seen = joined(attend(query, key, value, ancestor_BKN[:, None]))
            x_BKD = x_BKD + block.dropout(block.attention.output(seen))
            x_BKD = block.rest(x_BKD, memory.cache[f"{n}.key"], memory.cache[f"{n}.value"], mask_B11S)
        return self.norm(x_BKD), grown

    def select(self, state: State, parent_BK: Tensor) -> State:
        """Keys and values stay; the new hypothesis descends from what its parent descended from."""
        ancestor = state["ancestor"]
        index = parent_BK[..., None].expand(-1, -1, ancestor.shape[2])
        return {**state, "ancestor": ancestor.gather(1, index)}


def placed(x_BTD: Tensor, position_BT: Tensor, cfg: TransformerConfig) -> tuple[Tensor, Turn]:
    """Positions added, or the rotation that attention will apply."""
    if cfg.positions == "rotary":
        return x_BTD, rotation(position_BT, cfg.width // cfg.heads)
    return x_BTD + sinusoids(position_BT, cfg.width).to(x_BTD.dtype), None
