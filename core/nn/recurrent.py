"""Recurrent layers: a bidirectional encoder that never reads a pad, additive attention, a decoder's cells.

Attention (Bahdanau et al., 2015): a_s = softmax over s of v . tanh(W q + U m_s); the context is the sum of a_s m_s. Here the query
is the state that has just read the word (as in Luong et al., 2015), so that a step needs one pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from core.model.config import RNNConfig
from core.nn.attention import NEVER
from core.nn.dropout import Dropout
from core.nn.layout import Layout

# B batch, S source, T target, K hypotheses, D width, L layers

CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}


class RecurrentEncoder(nn.Module):
    """Both directions, each of half the width; packed, so that the backward one begins at the last real symbol."""

    def __init__(self, cfg: RNNConfig) -> None:
        super().__init__()
        kind = nn.GRU if cfg.cell == "gru" else nn.LSTM
        between = cfg.dropout if cfg.encoder_layers > 1 else 0.0
        self.layers = kind(
            cfg.width, cfg.width // 2, cfg.encoder_layers, batch_first=True, bidirectional=True, dropout=between
        )
        self.dropout = Dropout(cfg.dropout)

    def forward(self, x_BSD: Tensor, layout: Layout) -> Tensor:
        length_B = layout.lengths.clamp(min=1).cpu()  # packing needs them on the host; on a CPU they are there
        packed = pack_padded_sequence(self.dropout(x_BSD), length_B, batch_first=True, enforce_sorted=False)
        out, _ = self.layers(packed)
        hidden_BSD, _ = pad_packed_sequence(out, batch_first=True, total_length=x_BSD.shape[1])
        return self.dropout(hidden_BSD)


class AdditiveAttention(nn.Module):
    """Keys are projected once a source; queries of any number share them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, query_BKD: Tensor, key_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """[B, K, S]; zero on pads, and everywhere where all are pads."""
        energy_BKSD = (self.query(query_BKD)[:, :, None] + key_BSD[:, None]).tanh()
        score_BKS = self.score(energy_BKSD)[..., 0].masked_fill(~mask_BS[:, None], NEVER)
        return score_BKS.softmax(-1) * mask_BS[:, None]


class Cells(nn.Module):
    """A stack of cells; their states in one tensor [B, K, L, D] (two for an LSTM)."""

    def __init__(self, cfg: RNNConfig, inputs: int) -> None:
        super().__init__()
        sizes = [inputs, *[cfg.width] * (cfg.decoder_layers - 1)]
        self.cells = nn.ModuleList(CELLS[cfg.cell](size, cfg.width) for size in sizes)
        self.names = ("hidden",) if cfg.cell == "gru" else ("hidden", "cell")
        self.dropout = Dropout(cfg.dropout)

    def forward(self, x_BKD: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        B, K, _ = x_BKD.shape
        x = x_BKD.flatten(0, 1)
        grown: dict[str, list[Tensor]] = {name: [] for name in self.names}
        for layer, cell in enumerate(self.cells):
            old = [state[name][:, :, layer].flatten(0, 1) for name in self.names]
            new = cell(x, old[0]) if len(old) == 1 else cell(x, tuple(old))
            for name, value in zip(self.names, (new,) if len(old) == 1 else new, strict=True):
                grown[name].append(value.view(B, K, -1))
            x = self.dropout(grown["hidden"][-1].flatten(0, 1))
        return x.view(B, K, -1), {name: torch.stack(values, dim=2) for name, values in grown.items()}
