"""A Transformer's encoder in one call of encoder.hpp: real symbols alone, so that pads cost nothing and company changes no bit.

What it does not know is read by the encoder in torch: windows, Conformer blocks, biases on scores, adapters, places that are given.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.model.transformer import TransformerEncoder
from core.native.packed import DecoderShape, LayerMaps, LinearMap, Packer, Precision, QuantisedRows, ReadingOf
from core.nn.layout import Layout
from core.nn.places import Places
from core.nn.transformer import DecoderBlock, EncoderBlock, SelfAttention

# B batch, S source, N real symbols of a batch, D width, O outputs

ACTIVATIONS = ("relu", "gelu", "swiglu")
GROUP = 96
"""Real symbols that are read at once: enough that weights are worth fetching, few enough that what becomes of them stays near."""


def knows(encoder: object) -> bool:
    """Whether there is a native one of this kind."""
    if not isinstance(encoder, TransformerEncoder) or encoder.window or encoder.places.kind in ("relative", "alibi"):
        return False
    weight = next(encoder.parameters())
    plain = all(type(one) is nn.Linear for one in encoder.modules() if isinstance(one, nn.Linear))
    blocks = all(type(one) is EncoderBlock for one in encoder.blocks)
    return blocks and plain and weight.device.type == "cpu" and weight.dtype == torch.float32


class Scratch:
    """Room for what becomes of rows on their way; kept from call to call, of each thread its own."""

    def __init__(self) -> None:
        self.held = threading.local()

    def __call__(self, *need: int) -> tuple[Tensor, Tensor, Tensor]:
        """At least so many float32, uint8 and float32."""
        held: list[Tensor] = getattr(self.held, "held", [])
        if not held or any(len(x) < n for x, n in zip(held, need, strict=True)):
            dtypes = (torch.float32, torch.uint8, torch.float32)
            held = [torch.empty(2 * n, dtype=dtype) for n, dtype in zip(need, dtypes, strict=True)]
            self.held.held = held
        return held[0], held[1], held[2]


class NativeEncoder(nn.Module):
    """In place of a TransformerEncoder, for reading only."""

    def __init__(self, encoder: TransformerEncoder, functions: ctypes.CDLL, precision: Precision) -> None:
        super().__init__()
        self.function, self.torch = functions.encoder_read, encoder
        self.places, self.width = encoder.places, encoder.places.width
        self.packer = Packer(precision)
        blocks = cast(Sequence[EncoderBlock], list(encoder.blocks))
        self.shape = shape_of(blocks, encoder.norm, self.places, self.packer)
        self.heads = blocks[0].attention.heads[0]
        self.most = widest(blocks)
        self.scratch = Scratch()

    def forward(self, x_BSD: Tensor, layout: Layout, looks: list[Tensor] | None = None) -> Tensor:
        """As there; pads are zeros."""
        if looks is not None or layout.position_BS is not None or layout.segment_BS is not None:
            return self.torch(x_BSD, layout) if looks is None else self.torch(x_BSD, layout, looks)
        mask_BS = layout.mask_BS
        x_BSD, turn = self.places(x_BSD, layout.positions)
        x_ND = x_BSD[mask_BS]
        begin_B1 = nn.functional.pad(mask_BS.sum(1).cumsum(0), (1, 0))
        rows = min(len(x_ND), GROUP + mask_BS.shape[1])
        kept = self.scratch(3 * rows * self.most + self.heads * mask_BS.shape[1], rows * (self.most + 3), rows)
        turns = [None, None] if turn is None else [one[0, 0].contiguous() for one in turn]
        reading = ReadingOf(
            len(mask_BS),
            begin_B1.data_ptr(),
            x_ND.data_ptr(),
            *(None if one is None else one.data_ptr() for one in turns),
            kept[0].data_ptr(),
            self.most,
            GROUP,
            QuantisedRows(kept[1].data_ptr(), kept[2].data_ptr()),
        )
        self.function(ctypes.byref(self.shape), ctypes.byref(reading))
        out_BSD = torch.zeros((*mask_BS.shape, self.width))
        out_BSD[mask_BS] = x_ND
        return out_BSD if self.torch.resize is None else self.torch.resize(out_BSD)


class NativeLinear:
    """y = x W^T + b by linear.hpp."""

    def __init__(self, map: nn.Linear, functions: ctypes.CDLL, packer: Packer) -> None:
        self.function = functions.linear_rows
        self.map: LinearMap = packer.linear(map.weight, map.bias)
        self.scratch = Scratch()

    def __call__(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]"""
        x = x.contiguous()
        rows = x.numel() // x.shape[-1]
        _, bytes_, scales = self.scratch(0, rows * (x.shape[-1] + 3), rows)
        out = torch.empty((*x.shape[:-1], self.map.outputs))
        quantised = QuantisedRows(bytes_.data_ptr(), scales.data_ptr())
        self.function(
            ctypes.byref(self.map),
            ctypes.c_void_p(x.data_ptr()),
            ctypes.c_int64(rows),
            ctypes.byref(quantised),
            ctypes.c_void_p(out.data_ptr()),
        )
        return out


def shape_of(
    blocks: Sequence[EncoderBlock | DecoderBlock], final: nn.Module, places: Places, packer: Packer
) -> DecoderShape:
    """A stack's sizes and packed weights, as encoder.hpp and decoder.cpp read them."""
    first = blocks[0]
    heads, groups, _ = first.attention.heads
    norm = first.attention_norm
    return DecoderShape(
        len(blocks),
        places.width,
        heads,
        groups,
        first.feed_forward.output.in_features,
        isinstance(norm, nn.RMSNorm),
        first.pre,
        ACTIVATIONS.index(first.feed_forward.activation),
        places.kind == "rotary",
        float(cast(Any, norm).eps or 0.0),
        (LayerMaps * len(blocks))(*(_layer(block, packer) for block in blocks)),
        packer.norm(final),
    )


def widest(blocks: Sequence[EncoderBlock | DecoderBlock]) -> int:
    """Values of the longest row that any map makes."""
    first = blocks[0].feed_forward
    return max(_inputs(blocks[0].attention), first.inner.out_features, first.output.in_features)


def _inputs(attention: SelfAttention) -> int:
    return attention.input.out_features


def _layer(block: EncoderBlock | DecoderBlock, packer: Packer) -> LayerMaps:
    def linear(one: nn.Linear | None) -> LinearMap:
        return LinearMap() if one is None else packer.linear(one.weight, one.bias)

    cross = block.cross if isinstance(block, DecoderBlock) else None
    parts: Iterable[nn.Linear | None] = (
        *(block.attention.input, block.attention.output),
        *((cross.query, cross.output) if cross else (None, None)),
        *(block.feed_forward.inner, block.feed_forward.output),
    )
    between = block.cross_norm if isinstance(block, DecoderBlock) else None
    norms = (block.attention_norm, between, block.feed_forward_norm)
    return LayerMaps(*map(linear, parts), *map(packer.norm, norms))
