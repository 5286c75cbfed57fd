"""Recurrent layers: cells, stacks of them for a decoder, and an encoder that never reads a pad.

GRU (Cho et al., 2014, with the reset gate after the product, as cuDNN has it): r, z = sigmoid(W x + U h);
n = tanh(W x + r * (U h)); h' = (1 - z) n + z h. LSTM (Hochreiter & Schmidhuber, 1997; Gers et al., 2000):
c' = f c + i g; h' = o tanh(c'), with forget gates that begin open (Jozefowicz et al., 2015). Plain (Elman, 1990):
h' = tanh(W x + U h).
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import zip_longest
from typing import Literal

import torch
from torch import Tensor, nn

from core.nn.dropout import Dropout
from core.nn.layout import Layout
from core.nn.linear import matrix

# B batch, S source, N hypotheses of all sources in a row, D width, G width of all gates, L layers

Kind = Literal["gru", "lstm", "rnn"]
Kept = tuple[Tensor, ...]
"""What a cell keeps, each [N, D]: `hidden`, and an LSTM's `cell`."""
KEEPS: dict[Kind, tuple[str, ...]] = {"gru": ("hidden",), "lstm": ("hidden", "cell"), "rnn": ("hidden",)}
GATES: dict[Kind, int] = {"gru": 3, "lstm": 4, "rnn": 1}
LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class Cell(nn.Module):
    """One step of a recurrent layer, whose product with its input has been made already (all steps' at once, maybe)."""

    def __init__(self, kind: Kind, width: int) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.recurrent = gates(kind, width, width)
        for part in self.recurrent.weight.chunk(GATES[kind], dim=0):
            nn.init.orthogonal_(part)

    def forward(self, input_NG: Tensor, kept: Kept) -> Kept:
        hidden = kept[0]
        input_NG = input_NG.to(hidden.dtype)  # under autocast, states stay in full precision
        recurrent_NG = self.recurrent(hidden).to(hidden.dtype)
        if self.kind == "gru":
            D = hidden.shape[-1]
            reset, update = (input_NG[:, : 2 * D] + recurrent_NG[:, : 2 * D]).sigmoid().chunk(2, dim=-1)
            new = torch.addcmul(input_NG[:, 2 * D :], reset, recurrent_NG[:, 2 * D :]).tanh()
            return (torch.lerp(new, hidden, update),)
        if self.kind == "rnn":
            return ((input_NG + recurrent_NG).tanh(),)
        let_in, forget, new, let_out = (input_NG + recurrent_NG).chunk(4, dim=-1)
        cell = forget.sigmoid() * kept[1] + let_in.sigmoid() * new.tanh()
        return let_out.sigmoid() * cell.tanh(), cell


def gates(kind: Kind, inputs: int, width: int, *, bias: bool = True) -> nn.Linear:
    """The product for all gates of a cell."""
    layer = matrix(inputs, GATES[kind] * width, parts=GATES[kind], bias=bias)
    if bias and kind == "lstm":
        nn.init.constant_(layer.bias[width : 2 * width], 0.5)  # a cell adds two of these
    return layer


class Cells(nn.Module):
    """A stack: each layer reads the hidden state of the one below."""

    def __init__(self, kind: Kind, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.cells = nn.ModuleList(Cell(kind, width) for _ in range(layers))
        self.inputs = nn.ModuleList(gates(kind, width, width) for _ in range(layers - 1))
        self.dropout = Dropout(dropout)

    def forward(self, input_NG: Tensor, kept: list[Kept]) -> tuple[Tensor, list[Kept]]:
        """`input_NG` is the lowest layer's; the top layer's hidden state [N, D], and what each layer keeps."""
        out: list[Kept] = []
        for layer, cell in enumerate(self.cells):
            if layer:
                input_NG = self.inputs[layer - 1](self.dropout(out[-1][0]))
            out.append(cell(input_NG, kept[layer]))
        return self.dropout(out[-1][0]), out


class RecurrentEncoder(nn.Module):
    """Both directions, each of half the width, or one alone. Pads are zero in the result, which is in the source's order always.

    The backward direction reads each sequence turned round within its own length, so that pads stay at the end, where
    neither direction has anything left to read: no packing, so no lengths on the host, so no waiting for a device.
    """

    def __init__(
        self,
        kind: Kind,
        width: int,
        layers: int,
        dropout: float,
        *,
        out: int,
        bidirectional: bool = True,
        backward: bool = False,
    ) -> None:
        """`out`: the width to which its own is mapped in the end; `backward`: the one direction is the other one."""
        super().__init__()
        self.backward = backward
        size = width // 2 if bidirectional else width
        self.forwards = nn.ModuleList(LAYERS[kind](width, size, batch_first=True) for _ in range(layers))
        others = range(layers if bidirectional else 0)
        self.backwards = nn.ModuleList(LAYERS[kind](width, size, batch_first=True) for _ in others)
        self.resize = matrix(width, out) if width != out else None
        self.dropout = Dropout(dropout)

    def forward(self, x_BSD: Tensor, layout: Layout, looks: list[Tensor] | None = None) -> Tensor:
        place_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        turned_BS = torch.where(layout.mask_BS, layout.lengths[:, None] - 1 - place_S, place_S)
        whole = torch.autocast("cpu", enabled=False)  # a CPU without bf16 hardware has no LSTM layer in bf16
        with whole if x_BSD.device.type == "cpu" else nullcontext():
            x_BSD = _reordered(x_BSD, turned_BS) if self.backward else x_BSD
            for ahead, back in zip_longest(self.forwards, self.backwards):
                x_BSD = self.dropout(x_BSD).to(ahead.weight_ih_l0.dtype)
                there_BSd, _ = ahead(x_BSD)
                if back is None:
                    x_BSD = there_BSd
                    continue
                back_BSd, _ = back(_reordered(x_BSD, turned_BS))
                x_BSD = torch.cat([there_BSd, _reordered(back_BSd, turned_BS)], dim=-1)
            x_BSD = _reordered(x_BSD, turned_BS) if self.backward else x_BSD
        x_BSD = x_BSD if self.resize is None else self.resize(x_BSD).to(x_BSD.dtype)
        return self.dropout(x_BSD) * layout.mask_BS[..., None].to(x_BSD.dtype)


def _reordered(x_BSD: Tensor, place_BS: Tensor) -> Tensor:
    return x_BSD.gather(1, place_BS[..., None].expand(-1, -1, x_BSD.shape[2]))
